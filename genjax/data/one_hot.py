"""Symbols as vectors that a discriminator can be given in the place of generated, relaxed ones."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from genjax.data.transforms import Transform
from genjax.types import Batch, Key


def to_one_hot(n_values: int) -> Transform:
    """Numbers of symbols as one-hot codes, float32 (..., n_values): real data of a GAN whose fakes are softmax outputs.

    The inverse takes the likeliest symbol of each place, and -1 where a value is not finite.

    Args:
        n_values: size of the alphabet.

    Example:
        >>> t = to_one_hot(3)
        >>> x = t(jax.random.key(0), Batch(jnp.array([[2, 0]], jnp.uint8))).x
        >>> x.tolist(), t.inverse(x).tolist()
        ([[[0.0, 0.0, 1.0], [1.0, 0.0, 0.0]]], [[2, 0]])
    """

    def apply(key: Key, batch: Batch) -> Batch:
        return batch._replace(x=jax.nn.one_hot(batch.x, n_values, dtype=jnp.float32))

    def inverse(x: Float[Array, "*s k"]) -> Int[Array, "*s"]:
        return jnp.where(jnp.isfinite(x).all(-1), x.argmax(-1), -1).astype(jnp.int32)

    return Transform(apply, inverse, range="unit", name="to_one_hot", values=n_values)
