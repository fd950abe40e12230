"""The only place where values per example become one number."""

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
