"""Piano rolls as sound: an additive synthesiser in NumPy, good enough to hear what a model plays."""

import numpy as np
from jaxtyping import Float32, Shaped

from genjax.formats.wav import wav_bytes

RATE = 16_000
"""Samples a second."""
LOW = 21
"""The MIDI number of a roll's first key."""
PARTIALS = (1.0, 0.45, 0.22, 0.12, 0.06)
"""Amplitudes of the harmonics."""
ATTACK, RELEASE, DECAY = 0.012, 0.12, 1.4
"""Seconds: a note's rise, its end after the key is let go, and the time in which it falls to 1/e."""


def sound(
    roll: Shaped[np.ndarray, "t 88"], steps_per_quarter: int, tempo: float = 100.0, rate: int = RATE
) -> Float32[np.ndarray, " samples"]:
    """The sound of a roll, in [-1, 1]; keys that sound in steps after one another are struck once.

    Args:
        roll: 0 where a key is up.
        steps_per_quarter: of the roll.
        tempo: quarters a minute.
        rate: samples a second.

    Example:
        >>> sound(np.zeros((4, 88), np.uint8), 1, tempo=60.0).shape  # four seconds, and the end of the last note
        (65920,)
    """
    step = 60.0 / tempo / steps_per_quarter * rate
    out = np.zeros(round(len(roll) * step) + round(RELEASE * rate), np.float64)
    on = np.asarray(roll) > 0
    edge = np.diff(np.pad(on, [(1, 1), (0, 0)]).astype(np.int8), axis=0).T
    for (key, begin), (_, end) in zip(np.argwhere(edge == 1), np.argwhere(edge == -1), strict=True):
        a, b = round(begin * step), round(end * step)
        tone = _tone(440.0 * 2 ** ((key + LOW - 69) / 12), b - a, rate)
        out[a : a + len(tone)] += tone
    peak = np.abs(out).max()
    return (out * (0.8 / peak if peak > 0 else 0.0)).astype(np.float32)


def _tone(frequency: float, held: int, rate: int) -> np.ndarray:
    """A note held for so many samples, and its end."""
    t = np.arange(held + round(RELEASE * rate)) / rate
    tone = np.zeros(len(t))
    for i, amplitude in enumerate(PARTIALS, 1):
        if i * frequency < rate / 2:  # higher ones would come back as other notes
            tone += amplitude * np.sin(2 * np.pi * i * frequency * t) * np.exp(-t * i / DECAY)
    end = np.clip(1.0 - (t - held / rate) / RELEASE, 0.0, 1.0)
    return tone * np.minimum(t / ATTACK, 1.0) * end


def wav(samples: Float32[np.ndarray, " samples"], rate: int = RATE) -> bytes:
    """A WAV file of 16 bits, one channel.

    Example:
        >>> wav(np.zeros(4, np.float32))[:4]
        b'RIFF'
    """
    return wav_bytes((np.clip(samples, -1.0, 1.0) * 32767).astype(np.int16), rate)
