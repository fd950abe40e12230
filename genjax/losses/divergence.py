"""Divergences of distributions, per example in nats."""

import jax.numpy as jnp

from genjax.distributions import Normal
from genjax.distributions.numerics import at_least_float32, sum_event
from genjax.types import PerExample


def kl_normal(q: Normal, p: Normal) -> PerExample:
    """KL(q || p) of diagonal normals per example, in nats, summed over the event; at least 0.

    `p` may have batch 1, one prior for all examples.

    Example:
        >>> q, p = Normal(jnp.ones((2, 3)), jnp.zeros((2, 3))), Normal(jnp.zeros((1, 3)), jnp.zeros((1, 3)))
        >>> kl_normal(q, p).tolist()
        [1.5, 1.5]
    """
    return q.kl(p)


def kl_std_normal(q: Normal) -> PerExample:
    """KL(q || N(0, I)) per example, in nats, summed over z; at least 0.

    Source:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes, appendix B.

    Example:
        >>> kl_std_normal(Normal(jnp.zeros((2, 3)), jnp.zeros((2, 3)))).tolist()
        [0.0, 0.0]
    """
    mu, logvar = (jnp.broadcast_to(at_least_float32(a), q.shape) for a in q)
    return sum_event(0.5 * (jnp.square(mu) + jnp.expm1(logvar) - logvar))
