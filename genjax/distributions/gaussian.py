"""The diagonal normal distribution."""

import math
from typing import NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from genjax.distributions.numerics import LOG_2PI, EventMask, at_least_float32, sum_event
from genjax.types import Key


class Normal(NamedTuple):
    """Independent normals, N(mu, exp(logvar)), over an event of any shape.

    Axis 0 is the batch and all other axes are the event, over which `log_prob` and `kl` sum; both are in nats and in
    float32 (float64 for float64 fields). The fields broadcast against each other, so one variance for a whole image
    batch is `logvar` of shape (1, 1, 1, 1). `logvar` is taken as it is: clamps belong to the nets and likelihoods
    that produce it (exp overflows float32 beyond 88).

    Example:
        >>> q = Normal(jnp.ones((2, 3)), jnp.zeros((2, 3)))
        >>> q.kl(Normal.standard((2, 3))).tolist()
        [1.5, 1.5]
    """

    mu: Float[Array, "#batch *#event"]
    """Mean."""
    logvar: Float[Array, "#batch *#event"]
    """Logarithm of the variance."""

    @classmethod
    def standard(cls, shape: tuple[int, ...]) -> "Normal":
        """N(0, I) over `shape` = (batch, *event); batch 1 broadcasts against any batch in `kl` and `log_prob`."""
        return cls(jnp.zeros(shape, jnp.float32), jnp.zeros(shape, jnp.float32))

    @property
    def shape(self) -> tuple[int, ...]:
        """(batch, *event), the fields broadcast."""
        return jnp.broadcast_shapes(self.mu.shape, self.logvar.shape)

    @property
    def scale(self) -> Float[Array, "batch *event"]:
        """Standard deviation, exp(logvar / 2)."""
        return jnp.broadcast_to(jnp.exp(0.5 * at_least_float32(self.logvar)), self.shape)

    @property
    def mean(self) -> Float[Array, "batch *event"]:
        """Expectation: mu."""
        return jnp.broadcast_to(at_least_float32(self.mu), self.shape)

    @property
    def mode(self) -> Float[Array, "batch *event"]:
        """Most probable value: mu."""
        return self.mean

    def sample(self, key: Key) -> Float[Array, "batch *event"]:
        """One reparametrised sample, mu + scale * eps: gradients reach both fields."""
        mean = self.mean
        eps = jax.random.normal(key, mean.shape, mean.dtype)
        return mean + self.scale * eps

    def samples(self, key: Key, k: int) -> tuple[Float[Array, "batch k *event"], Float[Array, "batch k"]]:
        """k reparametrised samples of each, and their log densities in nats: gradients reach both fields.

        Args:
            key: of all of them.
            k: samples of each, at least 1.
        """
        mean, scale = self.mean, self.scale
        eps = jax.random.normal(key, (mean.shape[0], k, *mean.shape[1:]), mean.dtype)
        eps = lax.optimization_barrier(eps)  # else each use of it draws it again
        return mean[:, None] + scale[:, None] * eps, self._of_standard(eps)

    def log_probs(self, x: Float[Array, "batch k *event"]) -> Float[Array, "batch k"]:
        """Log densities of k values of each in nats, as `log_prob` has them of one."""
        return self._of_standard((x - self.mean[:, None]) / self.scale[:, None])

    def _of_standard(self, eps: Float[Array, "batch k *event"]) -> Float[Array, "batch k"]:
        """Log densities of the values that are eps standard deviations from the mean."""
        logvar = jnp.broadcast_to(at_least_float32(self.logvar), self.shape)[:, None]
        axes, size = tuple(range(2, eps.ndim)), math.prod(self.shape[1:])
        return -0.5 * (jnp.square(eps).sum(axes) + logvar.sum(axes) + size * LOG_2PI)

    def log_prob(self, x: Float[Array, "batch *event"], event_mask: EventMask = None) -> Float[Array, " batch"]:
        """Log density per example in nats, summed over what counts of the event, constants included."""
        mu, logvar, x = map(at_least_float32, (self.mu, self.logvar, x))
        terms = logvar + jnp.square(x - mu) * jnp.exp(-logvar)
        if event_mask is not None:
            return -0.5 * sum_event(terms + LOG_2PI, event_mask)
        # The constant is added once: a float32 sum of 784 of them is off by 0.004 nats.
        return -0.5 * (sum_event(terms) + LOG_2PI * math.prod(terms.shape[1:]))

    def kl(self, other: "Normal") -> Float[Array, " batch"]:
        """KL(self || other) per example in nats, summed over the event; at least 0."""
        return sum_event(self.kl_terms(other))

    def kl_terms(self, other: "Normal") -> Float[Array, "batch *event"]:
        """KL(self || other) of each element of the event, in nats; at least 0.

        The variance term is expm1(d) - d with d = log of the ratio of variances, which keeps its digits near d = 0.

        Source:
            Kingma & Welling 2014, Auto-Encoding Variational Bayes, appendix B, for other = N(0, I).
        """
        shape = jnp.broadcast_shapes(self.shape, other.shape)
        mu_q, logvar_q, mu_p, logvar_p = (jnp.broadcast_to(at_least_float32(a), shape) for a in (*self, *other))
        d = logvar_q - logvar_p
        return 0.5 * (jnp.square(mu_q - mu_p) * jnp.exp(-logvar_p) + jnp.expm1(d) - d)
