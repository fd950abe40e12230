"""A product over the columns of a table: choices, and numbers told by their mode and their place within it.

An event is one vector. Each column has its stretch of it: a place in [-1, 1] where the column has modes with a width,
then a one-hot choice among its modes or categories (a missing value is one of them). `parts` says which is where.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from genjax.distributions.likelihood import Likelihood
from genjax.distributions.numerics import LOG_2PI, at_least_float32, softclamp
from genjax.types import Key, Params, PerExample

LOG_SIGMA = (math.log(0.01), 0.0)
"""Range of the log standard deviation of a place within a mode: TVAE's 0.01 to 1."""
START = 0.1
"""Standard deviation to begin with."""


class Part(NamedTuple):
    """One column's stretch of an event."""

    wide: tuple[bool, ...]
    """Whether a place within a choice follows it, for each choice; categories and single values have none."""

    @property
    def has_place(self) -> bool:
        return any(self.wide)

    @property
    def size(self) -> int:
        """Numbers of the stretch."""
        return len(self.wide) + self.has_place


def stretches(parts: Sequence[Part], a: Float[Array, "*batch n"]) -> list[tuple[Any, Array]]:
    """(place (*batch,) or None, choices (*batch, k)) of each column.

    Example:
        >>> [(place, choice.tolist()) for place, choice in stretches([Part((False, False))], jnp.array([0.0, 1.0]))]
        [(None, [0.0, 1.0])]
    """
    found, at = [], 0
    for part in parts:
        place = a[..., at] if part.has_place else None
        at += part.has_place
        found.append((place, a[..., at : at + len(part.wide)]))
        at += len(part.wide)
    return found


def joined(pairs: Sequence[tuple[Any, Array]]) -> Float[Array, "*batch n"]:
    """The event of places and choices: the way back of `stretches`."""
    return jnp.concatenate([v for place, k in pairs for v in ([] if place is None else [place[..., None]]) + [k]], -1)


@partial(jax.tree_util.register_dataclass, data_fields=("outputs", "log_sigma"), meta_fields=("parts",))
@dataclass(frozen=True)
class Product:
    """Independent columns given a decoder's outputs.

    A choice is categorical with softmax(logits). Where the choice has a width, the place is normal around tanh of the
    output; else it is 0 and counts for nothing. Values of `log_prob` are nats of this coding of a row.

    Example:
        >>> p = Product(jnp.zeros((1, 4)), jnp.zeros(0), (Part((False,) * 4),))
        >>> round(float(p.log_prob(jnp.array([[0.0, 1.0, 0.0, 0.0]]))[0]), 4)  # log 1/4
        -1.3863
    """

    outputs: Float[Array, "batch n"]
    log_sigma: Float[Array, " places"]
    """Log standard deviation of each column that has a place, in their order."""
    parts: tuple[Part, ...]

    def _columns(self) -> Iterator[tuple[Part, Any, Any, Array]]:
        """Part, mean of its place, its log sigma, its logits."""
        places = iter(range(self.log_sigma.shape[0]))
        pairs = stretches(self.parts, at_least_float32(self.outputs))
        for part, (raw, logits) in zip(self.parts, pairs, strict=True):
            if raw is None:
                yield part, None, None, logits
            else:
                yield part, jnp.tanh(raw), self.log_sigma[next(places)], logits

    def log_prob(self, x: Float[Array, "batch n"], event_mask: Any = None) -> PerExample:
        """Log probability (of choices) and density (of places) of each row, nats; `event_mask` (batch, columns)."""
        each = []
        for (part, mu, log_sigma, logits), (place, choice) in zip(
            self._columns(), stretches(self.parts, at_least_float32(x)), strict=True
        ):
            value = (choice * jax.nn.log_softmax(logits, -1)).sum(-1)
            if place is not None:
                density = -0.5 * (jnp.square((place - mu) * jnp.exp(-log_sigma)) + LOG_2PI) - log_sigma
                value = value + density * _share_wide(part, choice)
            each.append(value)
        values = jnp.stack(each, 1)
        return (values if event_mask is None else jnp.where(event_mask, values, 0.0)).sum(1)

    def sample(self, key: Key) -> Float[Array, "batch n"]:
        """One row each: one-hot choices, and places within [-1, 1]; carries no gradient."""
        pairs = []
        for i, (part, mu, log_sigma, logits) in enumerate(self._columns()):
            k_choice, k_place = jax.random.split(jax.random.fold_in(key, i))
            choice = jax.nn.one_hot(jax.random.categorical(k_choice, logits), logits.shape[-1])
            pairs.append((_place(part, choice, mu, log_sigma, k_place), choice))
        return jax.lax.stop_gradient(joined(pairs))

    @property
    def mean(self) -> Float[Array, "batch n"]:
        """Probabilities of the choices, and the centres of the places times the chance that they count."""
        pairs = []
        for part, mu, _, logits in self._columns():
            p = jax.nn.softmax(logits, -1)
            pairs.append((None if mu is None else mu * _share_wide(part, p), p))
        return joined(pairs)

    @property
    def mode(self) -> Float[Array, "batch n"]:
        """The likeliest choices (the first of equals), and the centres of their places."""
        pairs = []
        for part, mu, _, logits in self._columns():
            choice = jax.nn.one_hot(logits.argmax(-1), logits.shape[-1])
            pairs.append((None if mu is None else mu * _share_wide(part, choice), choice))
        return joined(pairs)


def _share_wide(part: Part, choice: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    """The share of the choices that have a width: 0 or 1 of a one-hot choice."""
    if all(part.wide):
        return jnp.ones(choice.shape[:-1], jnp.float32)
    return jnp.stack([choice[..., i] for i, wide in enumerate(part.wide) if wide], -1).sum(-1)


def _place(part: Part, choice, mu, log_sigma, key: Key):
    if mu is None:
        return None
    eps = jax.random.normal(key, mu.shape)
    return jnp.clip(mu + jnp.exp(log_sigma) * eps, -1.0, 1.0) * _share_wide(part, choice)


def relaxed(
    parts: Sequence[Part], outputs: Float[Array, "batch n"], gumbel: Float[Array, "batch n"], tau: float = 0.2
) -> Float[Array, "batch n"]:
    """A generator's outputs as events that a gradient passes through: tanh, and the Gumbel softmax of choices.

    Args:
        parts: of the columns.
        outputs: of the net.
        gumbel: standard Gumbel draws, one for each number of the event; those of places are not used.
        tau: temperature of the softmax, > 0: near 0 choices are nearly one-hot.

    Source:
        Jang, Gu & Poole 2017, Categorical Reparameterization with Gumbel-Softmax; tau 0.2: CTGAN.
    """
    pairs = []
    both = zip(parts, stretches(parts, at_least_float32(outputs)), stretches(parts, gumbel), strict=True)
    for part, (raw, logits), (_, noise) in both:
        choice = jax.nn.softmax((logits + noise) / tau, -1)
        pairs.append((None if raw is None else jnp.tanh(raw) * _share_wide(part, choice), choice))
    return joined(pairs)


def product(parts: Sequence[Part]) -> Likelihood:
    """The likelihood of rows coded as `parts` says, with a learned standard deviation for each column that has places.

    Source:
        Xu et al. 2019, Modeling Tabular Data using Conditional GAN, section 4.5 (TVAE).
    """
    parts = tuple(parts)

    def init(channels: int) -> Params:
        return {"log_sigma": jnp.full(sum(p.has_place for p in parts), math.log(START), jnp.float32)}

    def apply(params: Params, out: Float[Array, "batch n"]) -> Any:  # a Product
        return Product(out, softclamp(at_least_float32(params["log_sigma"]), *LOG_SIGMA), parts)

    width = sum(p.size for p in parts)
    return Likelihood(lambda channels: width, init, apply, "product", (), "density")
