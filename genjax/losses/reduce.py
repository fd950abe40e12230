"""The only place where values per example become one number."""

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float

from genjax.distributions.numerics import at_least_float32
from genjax.types import PerExample, Scalar

Mask = Bool[Array, " batch"] | Float[Array, " batch"]
"""1 where an example counts, 0 where it is padding; fractions are weights."""


def total(per_example: PerExample, mask: Mask | None = None) -> tuple[Scalar, Scalar]:
    """`(sum, count)` in float32: the pair that adds up exactly over microbatches and devices.

    Examples of mask 0 contribute nothing, not even a NaN in value. (A NaN's gradient still passes: padding must be
    something the networks can compute on, such as zeros.)
    """
    values = at_least_float32(per_example)
    if mask is None:
        return values.sum(), jnp.asarray(values.shape[0], values.dtype)
    weights = mask.astype(values.dtype)
    return jnp.where(weights != 0, values * weights, 0.0).sum(), weights.sum()


def mean(per_example: PerExample, mask: Mask | None = None) -> Scalar:
    """Mean over the examples that count, in float32; 0, with zero gradient, where none does.

    Example:
        >>> float(mean(jnp.array([1.0, 3.0, 99.0]), jnp.array([True, True, False])))
        2.0
    """
    value, count = total(per_example, mask)
    return value / jnp.where(count > 0, count, 1.0)


def weights(n: int, mask: Mask | None = None) -> PerExample:
    """Weights of n examples that sum to 1 over those that count (to 0 where none does), in float32.

    Example:
        >>> weights(3, jnp.array([True, True, False])).tolist()
        [0.5, 0.5, 0.0]
    """
    counts = jnp.ones(n, jnp.float32) if mask is None else mask.astype(jnp.float32)
    return counts / jnp.where(counts.sum() > 0, counts.sum(), 1.0)


def means(per_example: Any, mask: Mask | None = None) -> Any:
    """`mean` of every leaf of a tree, as constants: what a `types.Running` is updated with."""
    return jax.tree.map(lambda v: jax.lax.stop_gradient(mean(v, mask)), per_example)
