"""A wave beside its spectrogram: what is seen, and back."""

import jax
import jax.numpy as jnp
import numpy as np

from genjax import losses, models
from genjax.types import Batch


def test_views_are_the_louder_wave_and_its_spectrogram_and_stored_samples_come_back():
    two = models.hearing(1024)
    x = jnp.asarray(np.random.default_rng(0).integers(-32768, 32768, (3, 1024)), jnp.int16)
    seen = two.transform(jax.random.key(0), Batch(x)).x
    assert seen.shape == (3, 1024 + 16 * 64)
    np.testing.assert_allclose(seen[:, :1024], x / 4096.0)
    spectrogram = losses.log_spectrum(x / 32768.0, 128, 64)
    np.testing.assert_allclose(seen[:, 1024:].reshape(3, 16, 64), (spectrogram + 1.5) / 2, rtol=1e-4, atol=1e-4)
    assert (two.transform.inverse(seen) == x).all()
    assert two.shapes == {"wave": (1024,), "spectrogram": (16, 64, 1)}
    assert two.transform.values == 65536
