"""Pictures of sound: each wave drawn over time, its log-mel spectrogram below it."""

import numpy as np
from jaxtyping import Float, Int16, UInt8

WAVE_HEIGHT, BAND = 32, 1
"""Pixels of a wave's height and of a band's."""
INK, PAPER, AXIS = (31, 78, 121), (255, 255, 255), (214, 220, 226)
SHADES = ((0, 0, 4), (43, 17, 94), (110, 30, 129), (178, 49, 122), (237, 90, 95), (254, 159, 109), (252, 238, 186))
"""The colours of a spectrogram, from silence to the loudest, evenly spaced."""
RANGE = 8.0
"""Natural logarithms of power from the darkest shade to the lightest: 35 dB."""
SILENCE = -9.21
"""The log-mel value of silence; it is black, however quiet the rest is."""


def wave_cells(
    x: Int16[np.ndarray, "n t"], mel: Float[np.ndarray, "n frames bands"], width: int = 2
) -> UInt8[np.ndarray, "n h w 3"]:
    """A picture for each wave.

    Args:
        x: waves of 16-bit samples; drawn at full scale of the loudest of each, or of a tenth of full scale.
        mel: log-mel spectrogram of each, natural logarithms of power; black is `RANGE` below its loudest, or silence.
        width: pixels of a frame.

    Example:
        >>> wave_cells(np.zeros((2, 800), np.int16), np.zeros((2, 50, 40))).shape
        (2, 72, 100, 3)
    """
    n, w = len(x), mel.shape[1] * width
    top = np.broadcast_to(np.array(PAPER, np.uint8), (n, WAVE_HEIGHT, w, 3)).copy()
    top[:, WAVE_HEIGHT // 2] = AXIS
    loudest = np.maximum(np.abs(x.astype(np.int32)).max(1), 3277)
    edges = np.linspace(0, x.shape[1], w + 1).astype(int)
    low, high = (f(x, edges[:-1], axis=1) / loudest[:, None] for f in (np.minimum.reduceat, np.maximum.reduceat))
    rows = np.linspace(1.0, -1.0, WAVE_HEIGHT)[None, :, None]
    half = 1.0 / (WAVE_HEIGHT - 1)
    inked = (rows <= high[:, None] + half) & (rows >= low[:, None] - half)
    top[inked] = INK
    level = 1.0 + (mel - np.maximum(mel.max((1, 2), keepdims=True), SILENCE + RANGE)) / RANGE
    return np.concatenate([top, _shaded(level).repeat(width, axis=2).repeat(BAND, axis=1)], axis=1)


def _shaded(level: Float[np.ndarray, "n frames bands"]) -> UInt8[np.ndarray, "n bands frames 3"]:
    """Levels 0 ... 1 as colours, low bands at the bottom."""
    upright = np.clip(level, 0.0, 1.0).transpose(0, 2, 1)[:, ::-1]
    at = np.linspace(0.0, 1.0, len(SHADES))
    channels = [np.interp(upright, at, [s[c] for s in SHADES]) for c in range(3)]
    return np.rint(np.stack(channels, axis=-1)).astype(np.uint8)
