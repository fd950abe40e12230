"""Bounds on the log evidence."""

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, ScalarLike

from genjax.distributions.numerics import at_least_float32
from genjax.losses import reduce
from genjax.types import PerExample, Scalar


def elbo(distortion: PerExample, rate: PerExample) -> PerExample:
    """Evidence lower bound per example in nats, -(D + R); at most log p(x).

    Args:
        distortion: D = -log p(x|z) in nats, summed over the event; negative where a density exceeds 1.
        rate: R = KL(q(z|x) || p(z)) in nats, summed over z; at least 0 (an estimate from samples may dip below).

    Example:
        >>> elbo(jnp.array([80.0]), jnp.array([25.0])).tolist()
        [-105.0]
    """
    return -(at_least_float32(distortion) + at_least_float32(rate))


def iwae(log_weights: Float[Array, "k batch"]) -> PerExample:
    """Importance-weighted bound on log p(x) per example, in nats: log of the mean of k weights.

    Args:
        log_weights: log p(x, z_k) - log q(z_k | x) of k independent samples z_k of q(z | x), in nats.

    Source:
        Burda, Grosse & Salakhutdinov 2016, Importance Weighted Autoencoders, eq. 8.

    Example:
        >>> round(float(iwae(jnp.log(jnp.array([[1.0], [3.0]])))[0]), 4)  # log 2
        0.6931
    """
    log_weights = at_least_float32(log_weights)
    return jax.nn.logsumexp(log_weights, axis=0) - math.log(log_weights.shape[0])


def free_bits(kl: Float[Array, "batch groups"], lam: ScalarLike, mask: reduce.Mask | None = None) -> Scalar:
    """Rate with free bits, in nats: the sum over groups of max(lam, batch mean of the group's KL). A batch quantity.

    A group (a latent dimension, or a level of a hierarchy) whose mean KL is below lam has no gradient, so nothing
    pushes it further towards the prior. At least groups * lam, and at least the rate: with it the loss is a looser
    bound, so report the plain rate beside it.

    Args:
        kl: KL per example and group, in nats.
        lam: nats per group that cost nothing, >= 0; may be traced. (The name is the paper's lambda.)
        mask: 1 for the examples the batch mean counts.

    Source:
        Kingma et al. 2016, Improving Variational Inference with Inverse Autoregressive Flow.

    Example:
        >>> float(free_bits(jnp.array([[0.0, 3.0], [0.2, 5.0]]), 0.5))
        4.5
    """
    per_group = jax.vmap(lambda values: reduce.mean(values, mask), in_axes=1)(kl)
    return jnp.maximum(per_group, jnp.asarray(lam, per_group.dtype)).sum()
