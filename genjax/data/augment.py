"""Random changes of raw pixels that leave an image what it is. They keep pixels, so they stand first in `compose`."""

import jax
import jax.numpy as jnp
from jaxtyping import Array, UInt8

from genjax.data.transforms import Transform
from genjax.types import Batch, Key


def shift(most: int) -> Transform:
    """Moves each image by a whole number of pixels, -most to most along each axis; zeros enter at the edges.

    Its inverse changes nothing: a moved image is as good an image.

    Example:
        >>> x = jnp.full((1, 3, 3, 1), 255, jnp.uint8)
        >>> shift(0)(jax.random.key(0), Batch(x)).x.tolist() == x.tolist()
        True
    """
    if most < 0:
        raise ValueError(f"most={most} must be at least 0 (pixels).")

    def moved(image: UInt8[Array, "h w c"], start) -> UInt8[Array, "h w c"]:
        padded = jnp.pad(image, ((most, most), (most, most), (0, 0)))
        return jax.lax.dynamic_slice(padded, (start[0], start[1], 0), image.shape)

    def apply(key: Key, batch: Batch) -> Batch:
        starts = jax.random.randint(key, (batch.x.shape[0], 2), 0, 2 * most + 1)
        return batch._replace(x=jax.vmap(moved)(batch.x, starts))

    return Transform(apply, lambda x: x, range="pixels", name=f"shift({most})", values=256)


def flip() -> Transform:
    """Mirrors each image left to right with probability 1/2. Its inverse changes nothing."""

    def apply(key: Key, batch: Batch) -> Batch:
        mirrored = jax.random.bernoulli(key, shape=(batch.x.shape[0],)).reshape(-1, 1, 1, 1)
        return batch._replace(x=jnp.where(mirrored, batch.x[:, :, ::-1], batch.x))

    return Transform(apply, lambda x: x, range="pixels", name="flip", values=256)
