"""Discretised logistic distributions over 8-bit pixels: a single one, and a mixture with autoregressive channels.

Pixels are v / 127.5 - 1 for v = 0 ... 255. The mass of a level is the logistic's mass between the midpoints to its
neighbours; the lowest and the highest level own the tails, so that the 256 masses sum to 1.

The mass between b > a is computed from sigmoid(b) - sigmoid(a) = sigmoid(b) sigmoid(-a) (1 - exp(-(b - a))), exact
and free of cancellation everywhere. (The implementations that follow PixelCNN++ subtract the sigmoids, and where
the difference is below 1e-5 fall back on density times width, which is off by nats for narrow scales.)

Source:
    Salimans et al. 2017, PixelCNN++ (discretised logistic mixture, channel chain); Kingma et al. 2016, Improving
    Variational Inference with Inverse Autoregressive Flow (single discretised logistic).
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from genjax.distributions.numerics import EventMask, at_least_float32, sum_event
from genjax.types import Key

HALF_BIN = 1.0 / 255.0
"""Half the distance of two neighbouring levels in [-1, 1]."""


class DiscretizedLogistic(NamedTuple):
    """Independent discretised logistics over pixels in [-1, 1].

    Axis 0 is the batch, all other axes are the event. `log_scale` is taken as it is; likelihoods soft-clamp it.

    Example:
        >>> d = DiscretizedLogistic(jnp.zeros((256, 1)), jnp.full((256, 1), -2.0))
        >>> levels = jnp.arange(256)[:, None] / 127.5 - 1.0
        >>> round(float(jnp.exp(d.log_prob(levels)).sum()), 4)
        1.0
    """

    mu: Float[Array, "batch *event"]
    """Location of the logistic, in the units of x; may lie outside [-1, 1]."""
    log_scale: Float[Array, "batch *event"]
    """Logarithm of its scale (the standard deviation is pi / sqrt(3) times the scale)."""

    @property
    def mean(self) -> Float[Array, "batch *event"]:
        """Exact expectation of the discretised variable, in [-1, 1]; costs 255 sigmoids per pixel."""
        return _mean(*map(at_least_float32, self))

    @property
    def smooth_mean(self) -> Float[Array, "batch *event"]:
        """Expectation of a logistic clipped to [-1, 1] and not rounded: within half a level of `mean`, far cheaper."""
        return _clipped_mean(*map(at_least_float32, self))

    @property
    def mode(self) -> Float[Array, "batch *event"]:
        """Most probable level: that nearest to mu, or an end of the range where the tail it owns weighs more."""
        return _mode(*map(at_least_float32, self))

    def sample(self, key: Key) -> Float[Array, "batch *event"]:
        """One sample on the 256 levels; carries no gradient."""
        return _sample(key, *map(at_least_float32, self))

    def log_prob(self, x: Float[Array, "batch *event"], event_mask: EventMask = None) -> Float[Array, " batch"]:
        """Log probability per example in nats, over what counts of the event; x holds levels v / 127.5 - 1."""
        return sum_event(_log_mass(*map(at_least_float32, (x, *self))), event_mask)


class DiscretizedLogisticMixture(NamedTuple):
    """A mixture of k discretised logistics per pixel whose channels are autoregressive.

    The channels of a pixel share the mixture component. Within component i channel c is a discretised logistic
    around mu[c, i] + sum over j < c of coeffs[(c, j), i] * x[j]: green sees red, blue sees red and green.

    Example:
        >>> d = DiscretizedLogisticMixture(
        ...     jnp.zeros((1, 2)), jnp.zeros((1, 3, 2)), jnp.zeros((1, 3, 2)), jnp.zeros((1, 3, 2)))
        >>> d.sample(jax.random.key(0)).shape
        (1, 3)
    """

    logits: Float[Array, "batch *event k"]
    """Unnormalised log mixing weights of a pixel."""
    mu: Float[Array, "batch *event c k"]
    """Locations before the shift by earlier channels."""
    log_scale: Float[Array, "batch *event c k"]
    """Log scales, taken as they are; likelihoods soft-clamp them."""
    coeffs: Float[Array, "batch *event pairs k"]
    """Weights of earlier channels: pairs (c, j), j < c, in the order (1,0), (2,0), (2,1), (3,0), ...; none if c = 1."""

    @property
    def mean(self) -> Float[Array, "batch *event c"]:
        """Expectation, in [-1, 1]: exact for the first channel (so for grey images).

        A later channel is taken at the earlier channels' means within each component, which differs from the exact
        expectation only by the clipping at the ends of the range.
        """
        return self._mean_by(_mean)

    @property
    def smooth_mean(self) -> Float[Array, "batch *event c"]:
        """`mean` of logistics clipped to [-1, 1] and not rounded to levels: a hundredth of its cost, for pictures."""
        return self._mean_by(_clipped_mean)

    def _mean_by(self, mean) -> Float[Array, "batch *event c"]:
        d = self._float32()
        means = d._chain(lambda c, mu, log_scale: mean(mu, log_scale))
        return (means * jax.nn.softmax(d.logits, axis=-1)[..., None, :]).sum(axis=-1)

    @property
    def mode(self) -> Float[Array, "batch *event c"]:
        """Mode of the heaviest component, channel after channel (the mixture's own has no closed form)."""
        d = self._float32()
        return d._pick(d.logits.argmax(axis=-1))._chain(lambda c, mu, log_scale: _mode(mu, log_scale))[..., 0]

    def sample(self, key: Key) -> Float[Array, "batch *event c"]:
        """One sample on the 256 levels: a component per pixel, then channel after channel; carries no gradient."""
        d = self._float32()
        k_component, *k_channels = jax.random.split(key, 1 + d.mu.shape[-2])
        picked = d._pick(jax.random.categorical(k_component, d.logits, axis=-1))
        return picked._chain(lambda c, mu, log_scale: _sample(k_channels[c], mu, log_scale))[..., 0]

    def log_prob(self, x: Float[Array, "batch *event c"], event_mask: EventMask = None) -> Float[Array, " batch"]:
        """Log probability per example in nats, over what counts of the event; x holds levels v / 127.5 - 1."""
        d, x = self._float32(), at_least_float32(x)
        channels = [x[..., c, None] for c in range(x.shape[-1])]
        log_mass = sum(
            _log_mass(x_c, d._location(c, channels[:c]), d.log_scale[..., c, :]) for c, x_c in enumerate(channels)
        )
        return sum_event(jax.nn.logsumexp(jax.nn.log_softmax(d.logits, axis=-1) + log_mass, axis=-1), event_mask)

    def _float32(self) -> "DiscretizedLogisticMixture":
        return DiscretizedLogisticMixture(*map(at_least_float32, self))

    def _location(self, c: int, earlier: Sequence[Array]) -> Float[Array, "*s"]:
        """Location of channel c in every component, given the values of the channels before it."""
        first = c * (c - 1) // 2
        return self.mu[..., c, :] + sum(self.coeffs[..., first + j, :] * x_j for j, x_j in enumerate(earlier))

    def _chain(self, value) -> Float[Array, "*s"]:
        """`value(c, mu, log_scale)` for one channel after the other, each seeing the values before it."""
        done: list[Array] = []
        for c in range(self.mu.shape[-2]):
            done.append(value(c, self._location(c, done), self.log_scale[..., c, :]))
        return jnp.stack(done, axis=-2)

    def _pick(self, component) -> "DiscretizedLogisticMixture":
        """The mixture of one component that remains when each pixel has chosen its own."""

        def choose(a, index):
            return jnp.take_along_axis(a, index, axis=-1)

        index = component[..., None]
        return DiscretizedLogisticMixture(
            choose(self.logits, index), *(choose(a, index[..., None]) for a in (self.mu, self.log_scale, self.coeffs))
        )


def _log_mass(x, mu, log_scale) -> Float[Array, "*s"]:
    """Log mass in nats of the level x under one logistic; the arguments broadcast."""
    inv_scale = jnp.exp(-log_scale)
    below = jax.nn.log_sigmoid((x - mu + HALF_BIN) * inv_scale)
    above = jax.nn.log_sigmoid(-(x - mu - HALF_BIN) * inv_scale)
    between = jnp.log(-jnp.expm1(-2.0 * HALF_BIN * inv_scale))
    lowest, highest = x < HALF_BIN - 1.0, x > 1.0 - HALF_BIN
    # Every branch is finite, so no gradient of an unused one can poison the sum.
    return jnp.where(lowest, below, jnp.where(highest, above, below + above + between))


def _mean(mu, log_scale) -> Float[Array, "*s"]:
    """Exact expectation: 1 minus the bin width times the sum of the distribution function over the bin edges."""
    inv_scale = jnp.exp(-log_scale)

    def add(v, total):
        edge = (2.0 * v - 254.0) / 255.0
        return total + jax.nn.sigmoid((edge - mu) * inv_scale)

    return 1.0 - 2.0 * HALF_BIN * lax.fori_loop(0, 255, add, jnp.zeros_like(mu))


def _clipped_mean(mu, log_scale) -> Float[Array, "*s"]:
    """E[clip(x, -1, 1)] of a logistic: -1 plus the integral of 1 - F over [-1, 1], a difference of softplus."""
    scale = jnp.exp(log_scale)
    return scale * (jax.nn.softplus((mu + 1.0) / scale) - jax.nn.softplus((mu - 1.0) / scale)) - 1.0


def _mode(mu, log_scale) -> Float[Array, "*s"]:
    """The best of the level nearest to mu (masses inside fall with the distance from it) and the two ends."""
    candidates = jnp.stack([_to_level(mu), -jnp.ones_like(mu), jnp.ones_like(mu)])
    best = _log_mass(candidates, mu[None], log_scale[None]).argmax(axis=0)
    return jnp.take_along_axis(candidates, best[None], axis=0)[0]


def _sample(key: Key, mu, log_scale) -> Float[Array, "*s"]:
    return _to_level(mu + jnp.exp(log_scale) * jax.random.logistic(key, mu.shape, mu.dtype))


def _to_level(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """The nearest of the 256 levels in [-1, 1]."""
    # Clipped last: compiled, 255 / 127.5 - 1 comes out one rounding above 1.
    return jnp.clip(jnp.round((x + 1.0) * 127.5) / 127.5 - 1.0, -1.0, 1.0)
