"""Transforms of stored sound."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import data
from genjax.types import Batch


def test_waves_are_samples_over_full_scale_and_back():
    x = jnp.array([[-32768, -1, 0, 1, 32767]], jnp.int16)
    wave = data.to_wave()(jax.random.key(0), Batch(x)).x
    assert wave.tolist() == [[-1.0, -1 / 32768, 0.0, 1 / 32768, 32767 / 32768]]
    assert (data.to_wave().inverse(wave) == x).all()
    with pytest.raises(TypeError, match="use it once"):
        data.to_wave()(jax.random.key(0), Batch(wave))


@pytest.mark.slow
def test_varied_waves_begin_later_are_louder_or_softer_and_noisier():
    x = jnp.zeros((64, 100)).at[:, :10].set(0.1)
    moved = np.asarray(data.varied(delay=20)(jax.random.key(0), Batch(x)).x)
    starts = moved.argmax(1)
    assert starts.min() == 0
    assert starts.max() == 20
    for row, start in zip(moved, starts, strict=True):
        np.testing.assert_allclose(row, np.concatenate([np.zeros(start), np.asarray(x[0])])[:100], atol=1e-7)
    louder = np.asarray(data.varied(gain=1.0)(jax.random.key(0), Batch(x)).x)[:, 0] / 0.1
    assert 1 / np.e <= louder.min() < 0.6
    assert 1.6 < louder.max() <= np.e
    noisy = np.asarray(data.varied(noise=0.1)(jax.random.key(0), Batch(x)).x)[:, 20:].std(1)
    assert noisy.min() < 0.005
    assert 0.05 < noisy.max() < 0.12
    same = data.varied()(jax.random.key(0), Batch(x)).x
    assert (same == x).all()
