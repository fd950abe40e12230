"""How far class probabilities are from labels."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from genjax.distributions.numerics import at_least_float32
from genjax.types import PerExample


def cross_entropy(logits: Float[Array, "batch k"], y: Int[Array, " batch"], smoothing: float = 0.0) -> PerExample:
    """-sum_k t_k log softmax(logits)_k per example, in nats, at least 0.

    The target t is 1 at the label y and 0 elsewhere, mixed with the uniform distribution with weight `smoothing`,
    0 <= smoothing < 1. With it the least value is above 0.

    Source:
        Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision, section 7 (label smoothing).

    Example:
        >>> cross_entropy(jnp.zeros((1, 4)), jnp.array([2])).tolist() == [float(jnp.log(4.0))]
        True
    """
    log_p = jax.nn.log_softmax(at_least_float32(logits), axis=-1)
    chosen = jnp.take_along_axis(log_p, y[:, None], axis=1)[:, 0]
    return -(1.0 - smoothing) * chosen - smoothing * log_p.mean(-1)
