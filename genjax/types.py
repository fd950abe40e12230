"""The vocabulary of genjax: what a net, a batch, an objective is.

These names of axes are used in shape annotations throughout.

    batch   examples            z     latent dimensions
    h w c   image axes          n     minibatches of one step
    k       mixture components or classes

Everything that passes through `jax.jit` is a NamedTuple; bundles of functions are frozen dataclasses.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, Protocol, TypeAlias, runtime_checkable

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
Range: TypeAlias = Literal["bits", "unit", "signed", "levels", "pixels", "integers", "real"]
"""What values data take: a transform gives one, a likelihood or a generator is made for some."""
RANGES: dict[Range, str] = {
    "bits": "{0, 1}",
    "unit": "[0, 1]",
    "signed": "[-1, 1]",
    "levels": "the integers 0 ... 255",
    "pixels": "raw uint8 pixels",
    "integers": "the integers 0 ... n_values - 1",
    "real": "the real numbers",
}


@dataclass(frozen=True)
class Net:
    """A network as two pure functions over plain dicts.

    Attributes:
        init: `init(key) -> (params, state)`; jit it.
        apply: `apply(params, state, *inputs, train=False, key=None, y=None) -> (out, state)`.
            `key` feeds call-time randomness (dropout), `y` is the label of a class-conditional net. A net that reads
            events which may be masked also takes `event_mask=`, given only where there is a mask.
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
    """True where an element of an event counts, (batch, *first event axes): the steps of a sequence, the known columns
    of a row. None where all do."""
    id: Int[Array, "*n batch"] | None = None
    """Position of the example in its data set."""


def masked(event_mask: Any) -> dict[str, Any]:
    """The keyword that hands a mask on, where there is one: what knows of no masks is never asked about them.

    Example:
        >>> masked(None), masked(True)
        ({}, {'event_mask': True})
    """
    return {} if event_mask is None else {"event_mask": event_mask}


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
    observed: dict[str, Any] = {}  # noqa: RUF012
    """For each `Running` player, batch means (a tree of arrays) that its `update` takes, once per optimizer update."""


Objective: TypeAlias = Callable[[Params, Batch, Context], tuple[Scalar, Aux]]


@runtime_checkable
class HasInit(Protocol):
    """A player besides the model's: `init(key) -> (params, state)`. A `Net` is one, and so is a `Running`."""

    @property
    def init(self) -> Callable[[Key], tuple[Params, State]]: ...


@dataclass(frozen=True)
class Running:
    """Numbers without gradients that live from update to update: a running mean, a codebook, an adaptive probability.

    An objective reads them in `ctx.state[name]` and reports batch means in `Aux.observed[name]`. The step averages
    those over the parts of an accumulated batch and calls `update` once for each optimizer update that is not skipped.

    Attributes:
        start: `start(key) -> state`, a tree of arrays.
        update: `update(state, observed, n) -> state`, of n examples; the arrays keep their shapes and types.
    """

    start: Callable[[Key], State]
    update: Callable[[State, Any, int], State]

    def init(self, key: Key) -> tuple[Params, State]:
        """No parameters, and the numbers to begin with."""
        return {}, self.start(key)


ScoreFn: TypeAlias = Callable[[Any], PerExample]
"""A critic as a penalty sees it: data -> logit per example."""


class Game(NamedTuple):
    """What a penalty sees of the adversarial game. Fakes and logits: no gradient reaches the generator."""

    score: ScoreFn
    """The critic, from data as the player sees them (before augmentation) to logits."""
    real: Any
    """Data, (batch, ...) array or a tree of such."""
    fake: Any
    """Generated data, likewise; a constant."""
    key: Key
    """This penalty's own."""
    real_logits: Any = None
    """The critic's logits of the (augmented) real and fake data that its loss is made of, (batch,) with gradients."""
    fake_logits: Any = None
    step: Int[Array, ""] | int = 0
    """Steps done before this one."""
    state: State = {}  # noqa: RUF012
    """States of all players, those of the penalty included."""


@dataclass(frozen=True)
class Penalty:
    """A penalty of the critic: `penalty(game) -> value per example`, weight included. A plain function will do as well.

    Attributes:
        value: `value(game) -> (batch,)`.
        differentiates: whether it takes the critic's gradient in the data, example by example; such a penalty refuses
            a critic that couples the examples of a batch.
        players: numbers of its own that live on, see `Running`.
        observe: `observe(game) -> {player: tree of values per example}`, what they are updated with; the step takes
            their means over the batch.
        name: with one, its own share is reported as `penalty_NAME` beside the sum of all, `penalty`.

    Raises:
        UsageError: it keeps numbers that nothing updates.
    """

    value: Callable[[Game], PerExample]
    differentiates: bool = True
    players: Mapping[str, Running] = field(default_factory=dict)
    observe: Callable[[Game], dict[str, Any]] | None = None
    name: str = ""

    def __post_init__(self):
        if self.players and self.observe is None:
            raise UsageError(
                f"a penalty keeps {', '.join(self.players)} and has no `observe`: nothing would update it."
            )

    def __call__(self, game: Game) -> PerExample:
        return self.value(game)


@dataclass(frozen=True)
class Augmentation:
    """Random changes that the critic sees real and generated data through; a gradient passes to the generator.

    Attributes:
        apply: `apply(keys, x, state) -> x`: one key for each example, (batch,), and the states of all players.
        players: numbers of its own that live on (how often it changes anything), see `Running`.
        observe: `observe(real_logits) -> {player: tree of values per example}`, what they are updated with.
    """

    apply: Callable[[Any, Any, State], Any]
    players: Mapping[str, Running] = field(default_factory=dict)
    observe: Callable[[PerExample], dict[str, Any]] | None = None
