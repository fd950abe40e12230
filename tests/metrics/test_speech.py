"""What speech is compared by: the NumPy spectrograms are those of the losses, and the classifier hears digits."""

import jax.numpy as jnp
import numpy as np
import pytest

from genjax import losses
from genjax.metrics import speech


def waves(n: int = 3) -> np.ndarray:
    draw = np.random.default_rng(0)
    return (8000 * draw.standard_normal((n, 8192)) * np.linspace(1, 0, 8192)).astype(np.int16)


def test_spectrograms_are_those_of_the_losses():
    x = waves()
    ours = speech.spectrograms(x)
    theirs = losses.log_mel(jnp.asarray(x, jnp.float32) / 32768, 8000, speech.WINDOW, speech.HOP, speech.BANDS)
    np.testing.assert_allclose(ours, theirs, atol=2e-3)
    seen = speech.mel_map(jnp.asarray(x))
    assert seen.shape == (3, *speech.MAP)
    np.testing.assert_allclose(seen[..., 0], (ours[:, :64] + 4) / 4, atol=1e-3)


def test_mean_spectrum_of_louder_waves_is_so_many_decibels_above():
    x = waves()
    quiet = (x.astype(np.int32) // 2).astype(np.int16)
    np.testing.assert_allclose(speech.mean_spectrum_db(x) - speech.mean_spectrum_db(quiet), 6.02, atol=0.05)


def test_a_tone_is_loudest_in_its_band():
    tone = (8000 * np.sin(2 * np.pi * 1000 / 8000 * np.arange(8192))).astype(np.int16)[None]
    band = int(speech.mean_spectrum_db(tone).argmax())
    filters = losses.mel_filters(8000, speech.WINDOW, speech.BANDS)
    assert filters[round(1000 / 8000 * speech.WINDOW)].argmax() == band
    assert pytest.approx(0, abs=1e-9) == filters[0].sum()
