"""What the rest of genjax asks of a model.

Every model, whatever its family, has

- `init(key) -> (params, state)`, both over players;
- `noise(key, n, temperature=1.0)`: what n samples are made of, a tree of arrays with n first;
- `generate(params, state, noise, y=None)`: what is shown of them, n first: of images the mean of p(x | z);
  `sample(params, state, key, n, y=None)` is both;
- `draw(params, state, noise, key, y=None)`: samples with all their noise, which a picture leaves out;
- `n_classes`: 0 for an unconditional model; `family`: "VAE" or "GAN", how its page explains it, or ""; and, where they
  are known, `ranges`: of the data that it is for.

An autoencoder has `forward(params, state, x, y=None, train=False, key)`, which gives a `Pass`: objectives of
autoencoders need nothing else. Those that weigh samples (`objectives.iwae`, `metrics.iw_log_likelihood`) ask for
`encode`, `decode` and `prior_of` too, and refuse a model without them. `latents(params, state, noise)` are those of the
prior that some noise stands for, and `picture(params, state, latents, y=None)` shows given ones, as `generate` does.
Where data are masked, `forward`, `encode` and a GAN's `logits` get `event_mask=` too.

A GAN has `fake(params["g"], state["g"], noise, y=None, train=False, key=None) -> (data, state of "g")` and
`logits(params["d"], state["d"], x, y=None, train=False, key=None) -> ((batch,), state of "d")`: each takes the
parameters and the state of its own player, where the methods above take those of all.
"""

from collections.abc import Callable
from typing import Any, NamedTuple

from jaxtyping import Array, Float

from genjax.types import PerExample, State, UsageError


class Pass(NamedTuple):
    """One pass of an autoencoder over a batch."""

    p: Any
    """p(x | z), with `log_prob(x)` in nats; of masked data `log_prob(x, event_mask)`."""
    rate: Float[Array, "batch groups"]
    """Nats that the latents cost, per example and group: a dimension, a level of a hierarchy, a code."""
    latents: Any
    """z, (batch, ...)."""
    state: State
    """Net states after the pass, by player."""
    q: Any = None
    """q(z | x), where the model has one with `mean` and `scale`; None else."""
    penalty: PerExample | None = None
    """What training adds besides distortion and rate (a commitment), per example."""
    observe: Callable[[PerExample], dict[str, Any]] = lambda weights: {}
    """`observe(weights)`: means over the batch, with weights (batch,) that sum to 1, for `types.Aux.observed`."""


def require(model: Any, who: str, *names: str) -> None:
    """Refuse a model that lacks what an objective or a metric is made of.

    Args:
        model: the model.
        who: needs it.
        names: of the methods.

    Raises:
        UsageError: naming what is missing.
    """
    if missing := [name for name in names if not hasattr(model, name)]:
        raise UsageError(f"{who} needs {', '.join(names)} of a model; {type(model).__name__} has no {missing[0]}.")
