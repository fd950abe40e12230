"""What speech is compared by: log-mel spectrograms in NumPy, and the classifier of spoken digits."""

import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int16, Num

from genjax import losses
from genjax.losses.spectral import FLOOR

WINDOW, HOP, BANDS = 256, 128, 40
"""Samples of a window and from one to the next, and mel bands: 32 ms, 16 ms at 8 kHz."""
SAMPLES, RATE = 8192, 8000
"""Length and rate (Hz) of the waves that the classifier takes."""
MAP = (SAMPLES // HOP, BANDS, 1)
"""What it sees of a wave: an image, time by frequency."""


def mel_map(x: Num[Array, "n t"]) -> Float[Array, "n frames bands 1"]:
    """16-bit samples as the classifier sees them: a log-mel spectrogram of about unit scale, in JAX."""
    mel = losses.log_mel(x.astype(jnp.float32) / 32768.0, RATE, WINDOW, HOP, BANDS)[:, : x.shape[1] // HOP]
    return ((mel + 4.0) / 4.0)[..., None]


def spectrograms(x: Int16[np.ndarray, "n t"], rate: int = RATE) -> Float[np.ndarray, "n frames bands"]:
    """Log-mel spectrograms of 16-bit samples, as `losses.log_mel` makes them, in NumPy: nothing is compiled.

    Example:
        >>> spectrograms(np.zeros((2, 8192), np.int16)).shape
        (2, 65, 40)
    """
    half, frames = WINDOW // 2, 1 + x.shape[1] // HOP
    filters = losses.mel_filters(rate, WINDOW, BANDS)
    window = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(WINDOW) / WINDOW)
    out = np.empty((len(x), frames, BANDS), np.float32)
    for i in range(0, len(x), 256):
        wave = np.pad(x[i : i + 256] / np.float32(32768.0), ((0, 0), (half, half)), mode="reflect")
        windows = np.lib.stride_tricks.sliding_window_view(wave, WINDOW, axis=1)[:, ::HOP][:, :frames]
        power = np.abs(np.fft.rfft(windows * window)) ** 2
        out[i : i + 256] = np.log(power @ filters + FLOOR**2)
    return out


def mean_spectrum_db(x: Int16[np.ndarray, "n t"], rate: int = RATE) -> Float[np.ndarray, " bands"]:
    """The average power of each mel band over all examples and times, in decibels."""
    return 10.0 * np.log10(np.exp(spectrograms(x, rate).astype(np.float64)).mean((0, 1)))
