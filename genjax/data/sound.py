"""Transforms of stored sound: 16-bit samples to waves in [-1, 1), and random changes of waves for training."""

import jax
import jax.numpy as jnp

from genjax.data.transforms import Transform
from genjax.types import Batch, Key

FULL = 32768.0


def to_wave() -> Transform:
    """16-bit samples to [-1, 1): x / 32768, the range of a tanh generator and of `distributions.laplace16`.

    Example:
        >>> to_wave()(jax.random.key(0), Batch(jnp.array([[-32768, 16384]], jnp.int16))).x.tolist()
        [[-1.0, 0.5]]
    """

    def apply(key: Key, batch: Batch) -> Batch:
        if batch.x.dtype != jnp.int16:
            raise TypeError(f"to_wave takes stored 16-bit samples, got {batch.x.dtype}: use it once.")
        return batch._replace(x=batch.x.astype(jnp.float32) / FULL)

    return Transform(apply, lambda x: x * FULL, range="signed", name="to_wave", values=65536)


def varied(delay: int = 0, gain: float = 0.0, noise: float = 0.0) -> Transform:
    """Waves that begin later, louder or softer, with some noise, each differently at every visit; for classifiers.

    Args:
        delay: samples of silence before a wave, at most; as many are lost at its end.
        gain: natural logarithm of the greatest change of loudness, either way.
        noise: standard deviation of white noise, at most; its logarithm is uniform down to a hundredth of that.
    """

    def apply(key: Key, batch: Batch) -> Batch:
        x = batch.x
        n, t = x.shape
        k_delay, k_gain, k_level, k_noise = jax.random.split(key, 4)
        if delay:
            start = delay - jax.random.randint(k_delay, (n,), 0, delay + 1)
            wide = jnp.pad(x, ((0, 0), (delay, 0)))
            x = jax.vmap(lambda row, first: jax.lax.dynamic_slice_in_dim(row, first, t))(wide, start)
        x = x * jnp.exp(gain * jax.random.uniform(k_gain, (n, 1), minval=-1.0))
        level = noise * jnp.exp(-jnp.log(100.0) * jax.random.uniform(k_level, (n, 1)))
        return batch._replace(x=x + level * jax.random.normal(k_noise, x.shape))

    return Transform(apply, lambda x: x, range="signed", name="varied")
