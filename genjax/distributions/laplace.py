"""The Laplace distribution over the 65,536 levels of 16-bit sound.

A level is v / 32768 for v = -32768 ... 32767; its mass is the Laplace distribution's between the midpoints to its
neighbours, and the lowest and the highest level own the tails, so that the masses sum to 1. Unlike a density, the mass
of exact silence stays below 1, however sure the model is of it.
"""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from genjax.distributions.numerics import EventMask, at_least_float32, sum_event
from genjax.types import Key

LEVEL = 1.0 / 32768.0
"""The distance of two levels."""
HALF = 0.5 * LEVEL


class DiscretizedLaplace(NamedTuple):
    """Independent Laplace distributions over the levels of 16-bit samples in [-1, 1).

    Axis 0 is the batch, all other axes are the event. `log_scale` is taken as it is; likelihoods soft-clamp it.

    Example:
        >>> d = DiscretizedLaplace(jnp.zeros((65536, 1)), jnp.full((65536, 1), -5.0))
        >>> levels = jnp.arange(-32768, 32768)[:, None] / 32768.0
        >>> round(float(jnp.exp(d.log_prob(levels)).sum()), 4)
        1.0
    """

    mu: Float[Array, "batch *event"]
    """Location, in the units of x; may lie outside [-1, 1]."""
    log_scale: Float[Array, "batch *event"]
    """Logarithm of the scale (the standard deviation is sqrt(2) times the scale)."""

    @property
    def mean(self) -> Float[Array, "batch *event"]:
        """Expectation of the variable cut to [-1, 1] and not rounded: within half a level of the exact one."""
        mu, log_scale = map(at_least_float32, self)
        scale = jnp.exp(log_scale)
        inside = jnp.clip(mu, -1.0, 1.0)
        # What the tails beyond both ends would add; for a location outside, its own end's tail is the nearer one.
        beyond = jnp.exp(-jnp.abs(mu + 1.0) / scale) - jnp.exp(-jnp.abs(mu - 1.0) / scale)
        sign = jnp.where(jnp.abs(mu) <= 1.0, 1.0, 0.0)
        outside = jnp.exp(-jnp.abs(jnp.abs(mu) - 1.0) / scale) - jnp.exp(-(jnp.abs(mu) + 1.0) / scale)
        return inside + 0.5 * scale * (sign * beyond - (1.0 - sign) * jnp.sign(mu) * outside)

    @property
    def mode(self) -> Float[Array, "batch *event"]:
        """The level nearest to mu."""
        return _to_level(at_least_float32(self.mu))

    def sample(self, key: Key) -> Float[Array, "batch *event"]:
        """One sample on the levels; carries no gradient."""
        mu, log_scale = map(at_least_float32, self)
        return _to_level(mu + jnp.exp(log_scale) * jax.random.laplace(key, mu.shape, mu.dtype))

    def log_prob(self, x: Float[Array, "batch *event"], event_mask: EventMask = None) -> Float[Array, " batch"]:
        """Log probability per example in nats, over what counts of the event; x holds levels v / 32768."""
        return sum_event(_log_mass(*map(at_least_float32, (x, *self))), event_mask)


def _log_mass(x, mu, log_scale) -> Float[Array, "*s"]:
    """Log mass in nats of the level x."""
    d, inv_scale = jnp.abs(x - mu), jnp.exp(-log_scale)
    u = HALF * inv_scale
    # exp(-d / s) sinh(u): the level lies on one side of mu.
    aside = -jnp.maximum(d, HALF) * inv_scale + u + jnp.log(-jnp.expm1(-2.0 * u)) - math.log(2.0)
    # 1 - exp(-u) cosh(d / s) without cancellation: mu lies within the level.
    v = jnp.minimum(d, HALF) * inv_scale
    around = jnp.log(-jnp.expm1(-u) - 2.0 * jnp.exp(-u) * jnp.square(jnp.sinh(0.5 * v)))
    inside = jnp.where(d >= HALF, aside, around)
    below, above = _log_cdf((x + HALF - mu) * inv_scale), _log_cdf((mu - x + HALF) * inv_scale)
    # Every branch is finite, so no gradient of an unused one can poison the sum.
    return jnp.where(x < HALF - 1.0, below, jnp.where(x > 1.0 - LEVEL - HALF, above, inside))


def _log_cdf(t) -> Float[Array, "*s"]:
    """log P(X <= t) of the standard Laplace distribution."""
    low = jnp.minimum(t, 0.0) - math.log(2.0)
    return jnp.where(t < 0.0, low, jnp.log1p(-0.5 * jnp.exp(-jnp.maximum(t, 0.0))))


def _to_level(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    return jnp.clip(jnp.round(x * 32768.0) / 32768.0, -1.0, 1.0 - LEVEL)
