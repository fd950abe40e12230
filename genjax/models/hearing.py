"""Sound as a discriminator gets it: a wave, and beside it in one vector its log spectrogram."""

from collections.abc import Callable
from typing import NamedTuple

import jax.numpy as jnp
from jaxtyping import Array, Float

from genjax import losses
from genjax.data import Transform, to_wave

LOUDNESS = 8.0
"""How many times louder the wave is, so that both views of speech have about unit scale."""
WINDOW, HOP = 128, 64


class Hearing(NamedTuple):
    """Two views of waves of one length."""

    seen: Callable[[Float[Array, "batch samples"]], Float[Array, "batch n"]]
    """Waves in [-1, 1] as vectors: the wave `LOUDNESS` times, then the spectrogram."""
    shapes: dict[str, tuple[int, ...]]
    """The shape of each view, in the order in which they lie: what `nets.seeing` takes."""
    transform: Transform
    """From stored 16-bit samples to both views, and from both back to the samples of the wave."""


def hearing(samples: int) -> Hearing:
    """Both views of waves of so many samples.

    Example:
        >>> two = hearing(8192)
        >>> two.shapes, two.seen(jnp.zeros((2, 8192))).shape
        ({'wave': (8192,), 'spectrogram': (128, 64, 1)}, (2, 16384))
    """
    stored = to_wave()

    def seen(x):
        spectrogram = (losses.log_spectrum(x, WINDOW, HOP) + 1.5) / 2.0
        return jnp.concatenate([LOUDNESS * x, spectrogram.reshape(x.shape[0], -1)], axis=1)

    return Hearing(
        seen,
        {"wave": (samples,), "spectrogram": (samples // HOP, WINDOW // 2, 1)},
        Transform(
            lambda key, batch: batch._replace(x=seen(stored(key, batch).x)),
            lambda x: stored.inverse(x[:, :samples] / LOUDNESS),
            name="hearing",
            values=stored.values,
        ),
    )
