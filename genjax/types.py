"""The vocabulary of genjax: what a net, a batch, an objective is.

Axis names used in shape annotations throughout:
    batch   examples            z     latent dimensions
    h w c   image axes          n     minibatches of one step
    k       mixture components or classes
Everything that passes through `jax.jit` is a NamedTuple; bundles of functions are frozen dataclasses.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple, TypeAlias

from jaxtyping import Array, Bool, Float, Int
from jaxtyping import Key as KeyOf

from genjax.errors import RunFailure as RunFailure
from genjax.errors import UsageError as UsageError

Key: TypeAlias = KeyOf[Array, ""]
Scalar: TypeAlias = Float[Array, ""]
PerExample: TypeAlias = Float[Array, " batch"]
Params: TypeAlias = dict[str, Any]
"""A tree of arrays in plain dicts with string keys; over players: `{"vae": ...}` or `{"d": ..., "g": ...}`."""
State: TypeAlias = dict[str, Any]
"""Non-trained arrays of a net (running statistics), a tree like `Params`; `{}` where there are none."""
Metrics: TypeAlias = dict[str, Scalar]
Range: TypeAlias = Literal["bits", "unit", "signed", "levels", "pixels"]
"""What values images take: a transform gives one, a likelihood or a generator is made for some."""
RANGES: dict[Range, str] = {
    "bits": "{0, 1}",
    "unit": "[0, 1]",
    "signed": "[-1, 1]",
    "levels": "the integers 0 ... 255",
    "pixels": "raw uint8 pixels",
}


@dataclass(frozen=True)
class Net:
    """A network as two pure functions over plain dicts.

    Attributes:
        init: `init(key) -> (params, state)`; jit it.
        apply: `apply(params, state, *inputs, train=False, key=None, y=None) -> (out, state)`.
            `key` feeds call-time randomness (dropout), `y` is the label of a class-conditional net.
        couples_examples: True where one example's output depends on the others in its batch (batch norm,
            minibatch standard deviation). Per-example gradient penalties refuse such a net.
        range: of its output, where the net itself sets one (a generator's tanh); None where it does not.
    """

    init: Callable[[Key], tuple[Params, State]]
    apply: Callable[..., tuple[Any, State]]
    couples_examples: bool = False
    range: Range | None = None


class Batch(NamedTuple):
    """A minibatch. Every array has the example axis first."""

    x: Any
    """Data, (batch, ...) array or a tree of such."""
    y: Int[Array, "*n batch"] | None = None
    """Class label, 0 <= y < n_classes."""
    mask: Bool[Array, "*n batch"] | Float[Array, "*n batch"] | None = None
    """1 where the example counts, 0 where it is padding."""
    event_mask: Any = None
    """1 where an element of an event counts (sequences)."""
    id: Int[Array, "*n batch"] | None = None
    """Position of the example in its data set."""


class Context(NamedTuple):
    """What an objective may use besides parameters and data."""

    state: State
    """Net states of all players."""
    key: Key
    """This move's key: no other move, step, repeat or microbatch has it."""
    step: Int[Array, ""]
    """Steps done before this one (for warm-up and schedules)."""
    draws: Any = None
    """Arrays drawn once for the minibatch by the step's `draw`, the same for every move; None without one."""


class Aux(NamedTuple):
    """What an objective reports besides its loss."""

    metrics: Metrics
    state: State = {}  # noqa: RUF012  (never mutated: NamedTuple default)
    """Net states that changed, by player."""


Objective: TypeAlias = Callable[[Params, Batch, Context], tuple[Scalar, Aux]]
ScoreFn: TypeAlias = Callable[[Any], PerExample]
"""A critic as a penalty sees it: data -> logit per example."""
Penalty: TypeAlias = Callable[[ScoreFn, Any, Any, Key], PerExample]
"""`penalty(score_fn, real, fake, key)` -> value per example, weight included."""
