"""A wave made of short spectra: the last layers of a generator of sound, an inverse short-time Fourier transform."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jaxtyping import Array, Float

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import Dense, he

LOUDEST = 4.0
"""Most of a log magnitude. A tone of full scale has log(HOP / 2) = 3.5."""


class SpectralFrames(nnx.Module):
    """Maps (batch, frames, c) -> waves (batch, frames * hop): from each place a spectrum, the spectra added as sound.

    A layer for each place gives, at `hop + 1` frequencies from 0 to half the sampling rate, the logarithm of a gain
    and what it multiplies, a real and an imaginary part. So loudness is learned on the scale of a spectrogram, and
    tones need no learning at all.

    Source:
        Kaneko et al. 2022, iSTFTNet; here the phase is that of two linear outputs in the place of its sine.
    """

    def __init__(self, n_in: int, hop: int, *, rngs: nnx.Rngs):
        self.hop = hop
        self.hidden = Dense(n_in, 2 * n_in, init=he(), rngs=rngs)
        self.out = Dense(2 * n_in, 3 * (hop + 1), rngs=rngs)

    def __call__(self, h: Float[Array, "batch frames c"]) -> Float[Array, "batch samples"]:
        raw = at_least_float32(self.out(jax.nn.relu(self.hidden(h))))
        gain, real, imaginary = jnp.split(raw, 3, axis=-1)
        gain = jnp.exp(jnp.minimum(2.0 * gain - 2.5, LOUDEST))
        return overlapped(jnp.concatenate([gain * real, gain * imaginary], -1), self.hop)


def overlapped(spectra: Float[Array, "batch frames bins2"], hop: int) -> Float[Array, "batch samples"]:
    """Spectra, real parts and then imaginary ones, as windows of 2 * hop samples that overlap by half and are added.

    Frame i is centred on sample i * hop, as `losses.power_spectrum` has it: a steady tone comes back as it was.

    Example:
        >>> overlapped(jnp.zeros((2, 8, 10)), 4).shape
        (2, 32)
    """
    windows = jnp.matmul(spectra, jnp.asarray(_basis(hop), spectra.dtype))
    late = jnp.pad(windows[:, 1:, :hop], ((0, 0), (0, 1), (0, 0)))  # the first half of the frame after
    return (windows[:, :, hop:] + late).reshape(spectra.shape[0], -1)


@functools.cache
def _basis(hop: int) -> np.ndarray:
    """(2 (hop + 1), 2 hop): the inverse Fourier transform of real and imaginary parts, twice, under Hann's window."""
    n = 2 * hop
    window = 1.0 - np.cos(2.0 * np.pi * np.arange(n) / n)
    one = np.eye(hop + 1)
    return np.concatenate([np.fft.irfft(one, n), np.fft.irfft(1j * one, n)]).astype(np.float32) * window
