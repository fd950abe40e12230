"""Blur as a number: power in high frequencies and variance of the Laplacian, per image and against real images.

All values are per image; several channels are taken as several pictures of one scene: their powers add, their
Laplacian variances are averaged, so that a grey image and the same in RGB have the same values. A constant image has
0 of both. Pixels are 0 ... 255 of any real dtype, images of any height and width; along an axis of one pixel nothing
varies.
"""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from genjax.errors import UsageError
from genjax.metrics.pixels import Pictures, check_pictures, in_parts

CUTOFF = 0.25
"""Cycles per pixel, half of the highest frequency along an axis: periods below four pixels are "high"."""


class Spectrum(NamedTuple):
    """Power over frequency, averaged over directions, channels and images."""

    frequency: Float[np.ndarray, " b"]
    """Mean frequency of each ring, cycles per pixel, ascending; 0 is left out."""
    power: Float[np.ndarray, " b"]
    """Squared pixels: white noise of variance s^2 has s^2 in every ring, whatever the image's size."""


class Sharpness(NamedTuple):
    """Means over generated and over real images; the ratios say how sharp the generated are, 1 as sharp as real."""

    high_frequency: float
    real_high_frequency: float
    laplacian: float
    real_laplacian: float

    @property
    def high_frequency_ratio(self) -> float:
        """Generated over real; 1 where both are 0, infinite where only the real one is."""
        return _ratio(self.high_frequency, self.real_high_frequency)

    @property
    def laplacian_ratio(self) -> float:
        """Generated over real; 1 where both are 0, infinite where only the real one is."""
        return _ratio(self.laplacian, self.real_laplacian)


def sharpness(fake: Pictures, real: Pictures, cutoff: float = CUTOFF, window: bool = True) -> Sharpness:
    """`high_frequency_share` and `laplacian_variance` of generated and of real images of one size.

    Blur lowers both, noise and checkerboards raise both: beyond 1 is not better than 1.

    Raises:
        UsageError: as those; images of unlike sizes.
    """
    fake, real = check_pictures("fake images", fake), check_pictures("real images", real)
    if fake.shape[1:] != real.shape[1:]:
        raise UsageError(f"fake images are {fake.shape[1:]}, real ones {real.shape[1:]} (h, w, c); they must agree.")
    share = [float(high_frequency_share(x, cutoff, window).mean(dtype=np.float64)) for x in (fake, real)]
    variance = [float(laplacian_variance(x).mean(dtype=np.float64)) for x in (fake, real)]
    return Sharpness(*share, *variance)


def high_frequency_share(images: Pictures, cutoff: float = CUTOFF, window: bool = True) -> Float[np.ndarray, " n"]:
    """Share of each image's spectral power at radial frequencies above `cutoff`, 0 ... 1; 0 for a constant image.

    The mean does not count as power. With the window (sin^2, zero just beyond the edges; the mean is the windowed one)
    the jump between opposite edges does not count as detail; what lies at the edges counts little. Without it, white
    noise has exactly the share of non-zero frequencies that lie above the cut-off, in the mean.

    Args:
        images: (n, h, w, c), pixels 0 ... 255.
        cutoff: cycles per pixel, 0 <= cutoff < sqrt(1/2); the highest along an axis is 1/2.
        window: taper the edges.

    Raises:
        UsageError: images that are not finite (n, h, w, c); a cut-off beyond every frequency.

    Source:
        Durall, Keuper & Keuper 2020, Watch your Up-Convolution (azimuthal spectra of generated images); window and
        cut-off are ours.

    Example:
        >>> x = np.zeros((2, 8, 8, 1), np.uint8)
        >>> x[1, ::2] = 255  # stripes of one pixel; the first image is constant
        >>> high_frequency_share(x).round(6).tolist()
        [0.0, 1.0]
    """
    if not 0 <= cutoff < np.sqrt(0.5):
        raise UsageError(f"cutoff={cutoff} must lie in 0 ... 0.7071 cycles per pixel. Try {CUTOFF}.")
    images = check_pictures("images", images)
    h, w = images.shape[1:3]
    taper, mean = _weights(h, w, window)
    high = (_radius(h, w) > cutoff * (1 + 1e-9))[None].astype(np.float32)
    return in_parts(lambda x: _share(x, taper, mean, high), images)


def laplacian_variance(images: Pictures) -> Float[np.ndarray, " n"]:
    """Variance over pixels of the discrete Laplacian (five points, edges repeated), squared pixels; 0 where constant.

    The mean over channels of each channel's variance. It measures contrast as well as detail: compare it with that of
    real images of the same size.

    Raises:
        UsageError: images that are not finite (n, h, w, c).

    Source:
        Pech-Pacheco et al. 2000, Diatom autofocusing in brightfield microscopy (as a measure of focus).

    Example:
        >>> x = np.zeros((1, 3, 3, 1), np.uint8)
        >>> x[0, 1, 1] = 3
        >>> laplacian_variance(x).tolist()  # -12 in the middle, 3 at four neighbours
        [20.0]
    """
    return in_parts(_laplacian, check_pictures("images", images))


def radial_spectrum(images: Pictures, window: bool = True) -> Spectrum:
    """Radially averaged power spectrum of images, to be drawn; rings are one frequency step of the longer side wide.

    Frequencies reach sqrt(1/2) in the corners of the plane. Without window the rings' power, weighted by how many
    frequencies lie in each and divided by the number of pixels, adds up to the images' mean variance.
    """
    images = check_pictures("images", images)
    h, w = images.shape[1:3]
    taper, mean = _weights(h, w, window)
    power = in_parts(lambda x: _power_of(x, taper, mean), images)
    f = _radius(h, w).ravel()
    ring = np.rint(f * max(h, w)).astype(int)
    ring[0] = 0  # the mean
    n, each = np.bincount(ring), power.mean(0, dtype=np.float64).ravel()
    there = np.flatnonzero(n[1:]) + 1
    return Spectrum(np.bincount(ring, f)[there] / n[there], np.bincount(ring, each)[there] / n[there])


def _ratio(a: float, b: float) -> float:
    return a / b if b else (1.0 if a == 0 else float("inf"))


def _radius(h: int, w: int) -> Float[np.ndarray, "h w"]:
    """Frequency of each bin of a two-dimensional transform, cycles per pixel."""
    return np.hypot(np.fft.fftfreq(h)[:, None], np.fft.fftfreq(w)[None, :])


def _taper(n: int) -> Float[np.ndarray, " n"]:
    """sin^2 at the pixels' middles: 1 for one pixel, never all zero."""
    return np.sin(np.pi * (np.arange(n) + 0.5) / n) ** 2


def _from_corner(x: Float[Array, "n h w c"]) -> Float[Array, "n h w c"]:
    """The image less its first pixel: exactly 0 for a constant image, exact for whole numbers."""
    return x - x[:, :1, :1, :]


def _weights(h: int, w: int, window: bool) -> tuple[np.ndarray, np.ndarray]:
    """(1, h, w, 1) float32: the taper, its squares adding up to 1, and the weights of the mean, adding up to 1."""
    weight = np.outer(_taper(h), _taper(w)) if window else np.ones((h, w))
    both = weight / np.sqrt(np.square(weight).sum()), weight / weight.sum()
    return tuple(v[None, :, :, None].astype(np.float32) for v in both)


def _power(x: Float[Array, "n h w c"], taper: Any, mean: Any) -> Float[Array, "n h w"]:
    """|transform of the tapered image less its mean|^2, averaged over channels; 0 at frequency 0."""
    x = _from_corner(x)
    x = taper * (x - (mean * x).sum((1, 2), keepdims=True))
    spectrum = jnp.fft.fft2(x, axes=(1, 2))
    power = jnp.square(spectrum.real) + jnp.square(spectrum.imag)
    return power.mean(-1).at[:, 0, 0].set(0.0)  # what is left of the mean is rounding


_power_of = jax.jit(_power)


@jax.jit
def _share(x: Any, taper: Any, mean: Any, high: Any) -> Array:
    x = _from_corner(x)
    largest = jnp.abs(x).max((1, 2, 3), keepdims=True)
    power = _power(x / jnp.where(largest > 0, largest, 1.0), taper, mean)  # scaled: no square under- or overflows
    total = power.sum((1, 2))
    return jnp.where(total > 0, (power * high).sum((1, 2)) / jnp.where(total > 0, total, 1.0), 0.0)


@jax.jit
def _laplacian(x: Any) -> Array:
    x = _from_corner(x)
    p = jnp.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)], mode="edge")
    inner = p[:, 1:-1, 1:-1]
    second = (p[:, :-2, 1:-1] - inner) + (p[:, 2:, 1:-1] - inner) + (p[:, 1:-1, :-2] - inner) + (p[:, 1:-1, 2:] - inner)
    return second.var((1, 2)).mean(-1)
