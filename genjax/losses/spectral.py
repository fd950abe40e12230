"""Sound in frequencies: short-time spectra, log-mel features, and the spectral distance of two waves.

A wave is (batch, samples) with values in [-1, 1]. A spectrum is taken of windows of `window` samples, a new one every
`hop` samples, each times a periodic Hann window; the wave is mirrored at both ends so that window i is centred on
sample i * hop. All of it can be differentiated, any number of times, also where a wave is silent.
"""

import functools
from collections.abc import Sequence

import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from genjax.distributions.numerics import at_least_float32
from genjax.types import PerExample, UsageError

Wave = Float[Array, "batch samples"]

RESOLUTIONS: tuple[tuple[int, int], ...] = ((64, 16), (128, 32), (256, 64), (512, 128), (1024, 256))
"""Windows and hops of `spectral_distance`, in samples: 8 to 128 ms at 8 kHz."""
FLOOR = 1e-2
"""Magnitude below which a frequency counts as silent; the rounding of 16-bit samples alone gives 1e-4 to 5e-4."""


def power_spectrum(x: Wave, window: int, hop: int) -> Float[Array, "batch frames bins"]:
    """|STFT|^2 of waves: 1 + samples // hop frames of window // 2 + 1 frequencies from 0 to half the sampling rate.

    Args:
        x: waves of more than window // 2 samples.
        window: samples of a window.
        hop: samples from one window to the next; divides half the window.

    Raises:
        UsageError: `hop` does not divide half the window, or the waves are shorter than that half.

    Example:
        >>> power_spectrum(jnp.zeros((2, 8192)), 256, 64).shape
        (2, 129, 129)
    """
    if hop < 1 or window < 2 or window % (2 * hop):
        raise UsageError(
            f"hop={hop} must divide half of window={window}. Try window={window}, hop={max(window // 4, 1)}."
        )
    n, half = x.shape[1], window // 2
    if n <= half:
        raise UsageError(f"waves of {n} samples are too short for windows of {window}: they need more than {half}.")
    x = jnp.pad(at_least_float32(x), ((0, 0), (half, half)), mode="reflect")
    frames, parts = 1 + n // hop, window // hop
    x = x[:, : (frames + parts - 1) * hop].reshape(x.shape[0], -1, hop)
    # Windows as neighbouring parts side by side: no gather, whose gradient would be a slow scatter.
    windows = jnp.concatenate([x[:, i : i + frames] for i in range(parts)], axis=-1)
    return lax.platform_dependent(windows, cpu=_by_fft, default=_by_products)


def log_spectrum(x: Wave, window: int = 128, hop: int = 64, floor: float = 0.03) -> Float[Array, "batch frames bins"]:
    """Log magnitudes, log sqrt(|STFT|^2 + floor^2), without the last frame and the highest frequency: even sizes.

    Example:
        >>> log_spectrum(jnp.zeros((2, 8192))).shape
        (2, 128, 64)
    """
    return 0.5 * jnp.log(power_spectrum(x, window, hop)[:, : x.shape[1] // hop, : window // 2] + floor**2)


def log_mel(
    x: Wave, rate: int = 8000, window: int = 256, hop: int = 64, n_mels: int = 40, floor: float = FLOOR
) -> Float[Array, "batch frames n_mels"]:
    """Log-mel spectrogram: log(M |STFT|^2 + floor^2) with the triangular filters M of `mel_filters`.

    Example:
        >>> log_mel(jnp.zeros((2, 8192))).shape
        (2, 129, 40)
    """
    filters = jnp.asarray(mel_filters(rate, window, n_mels), jnp.float32)
    power = power_spectrum(x, window, hop)
    return jnp.log(jnp.matmul(power, filters, precision="highest") + floor**2)


@functools.cache
def mel_filters(rate: int, window: int, n_mels: int) -> Float[np.ndarray, "bins n_mels"]:
    """Triangular filters from frequencies to `n_mels` bands, equally wide on the mel scale from 0 to rate / 2.

    A band's triangle rises from the centre of the band below to 1 at its own and falls to the centre of the one above.
    The mel scale is that of O'Shaughnessy: 2595 log10(1 + f / 700), f in Hz.

    Raises:
        UsageError: a band is so narrow that no frequency of the spectrum falls into it.

    Source:
        O'Shaughnessy 1987, Speech Communication: Human and Machine, page 150; Davis & Mermelstein 1980 (filters).
    """
    edges = 700.0 * (10.0 ** (np.linspace(0.0, 2595.0 * np.log10(1.0 + rate / 1400.0), n_mels + 2) / 2595.0) - 1.0)
    f = np.linspace(0.0, rate / 2, window // 2 + 1)[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    filters = np.maximum(0.0, np.minimum((f - low) / (centre - low), (high - f) / (high - centre)))
    if empty := int((filters.sum(0) == 0).sum()):
        raise UsageError(
            f"n_mels={n_mels}: {empty} of the bands hold no frequency of windows of {window} samples. "
            "Take longer windows or fewer bands."
        )
    filters.flags.writeable = False
    return filters


def spectral_distance(
    x: Wave, y: Wave, resolutions: Sequence[tuple[int, int]] = RESOLUTIONS, floor: float = FLOOR
) -> PerExample:
    """How far the magnitudes of two waves' spectra are apart, mean over several resolutions; 0 of equal waves.

    At each resolution the sum of two parts: the spectral convergence |A - B|_2 / |B|_2 (over all frames and
    frequencies of one example) and the mean of |log A - log B|, with A = sqrt(|STFT x|^2 + floor^2) and B that of y.
    It is no likelihood: beside one, it makes the sum a loss that bounds nothing.

    Args:
        x: waves, of a model.
        y: waves it is compared with, real ones.
        resolutions: window and hop of each spectrum, in samples.
        floor: magnitude that counts as silence.

    Source:
        Yamamoto et al. 2020, Parallel WaveGAN, equations 3 to 6; there magnitudes are clipped at 1e-7, so that the
        logarithms of silence weigh as much as those of speech.
    """
    total = jnp.zeros(x.shape[0], jnp.float32)
    for window, hop in resolutions:
        a, b = (jnp.sqrt(power_spectrum(v, window, hop) + floor**2) for v in (x, y))
        apart = jnp.sqrt(jnp.square(a - b).sum((1, 2)) + floor**2) - floor  # a slope at 0, too
        size = jnp.sqrt(jnp.square(b).sum((1, 2)))
        total += apart / size + jnp.abs(jnp.log(a) - jnp.log(b)).mean((1, 2))
    return total / len(resolutions)


def _by_fft(windows: Float[Array, "batch frames window"]) -> Float[Array, "batch frames bins"]:
    """Power of windows by the fast transform: on a CPU, where products would take five times as long."""
    spectrum = jnp.fft.rfft(windows * jnp.asarray(_hann(windows.shape[2]), windows.dtype)[None, None])
    return jnp.square(spectrum.real) + jnp.square(spectrum.imag)


def _by_products(windows: Float[Array, "batch frames window"]) -> Float[Array, "batch frames bins"]:
    """Power of windows by products with cosines and sines: elsewhere, where products cost nothing to speak of.

    Where a batch lies over several devices each works on its own examples; of a transform XLA would gather them all.
    """
    n = windows.shape[2]
    angle = 2.0 * np.pi / n * (np.arange(n)[:, None] * np.arange(n // 2 + 1)[None] % n)
    waves = np.stack([np.cos(angle), np.sin(angle)]) * _hann(n)[None, :, None]
    parts = jnp.einsum("bfn,pnk->pbfk", windows, jnp.asarray(waves, windows.dtype), precision="highest")
    return jnp.square(parts).sum(0)


def _hann(window: int) -> np.ndarray:
    return 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)
