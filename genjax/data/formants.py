"""Digits from a small formant synthesiser: sounds like speech, made when they are asked for. No recording of anybody.

A voice is a train of pulses and noise, sent through three resonances whose frequencies glide from phone to phone.
Pitch, length of the vocal tract, speed and loudness differ from utterance to utterance. One can tell the digits apart,
and hears that a machine speaks: numbers measured on this set say nothing of real speech.

Source:
    Klatt 1980, Software for a cascade/parallel formant synthesizer; vowels: Peterson & Barney 1952, Control methods
    used in a study of the vowels, table II (men).
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Int, Int16

NAME = "synthetic_speech"
N_TRAIN, N_TEST, SAMPLES, RATE = 600, 120, 8192, 8000
LONGEST = 5120
"""Samples after which every utterance has ended."""
BANDWIDTHS = (60.0, 90.0, 150.0)
"""Bandwidths of the three resonances, Hz."""


class Phone(NamedTuple):
    """A sound of a language: the resonances it begins and ends with, what excites them, how long it is."""

    begin: tuple[float, float, float]
    """Hz."""
    end: tuple[float, float, float]
    voice: float
    noise: float
    pitch: float
    """Hz around which the noise lies."""
    ms: float


def _vowel(ms: float, begin, end=None) -> Phone:
    return Phone(begin, end or begin, 1.0, 0.0, 2000.0, ms)


def _other(ms: float, voice: float, noise: float, pitch: float, f=(300.0, 1400.0, 2500.0)) -> Phone:
    return Phone(f, f, voice, noise, pitch, ms)


PHONES = {
    "IY": _vowel(150, (270, 2290, 3010)), "IH": _vowel(80, (390, 1990, 2550)), "EH": _vowel(100, (530, 1840, 2480)),
    "AO": _vowel(130, (570, 840, 2410)), "AH": _vowel(120, (640, 1190, 2390)), "UW": _vowel(180, (300, 870, 2240)),
    "OW": _vowel(160, (540, 1000, 2400), (340, 820, 2300)), "AY": _vowel(190, (730, 1150, 2440), (330, 2150, 2800)),
    "EY": _vowel(170, (500, 1850, 2500), (300, 2250, 2900)), "AX": _vowel(60, (500, 1400, 2400)),
    "W": _other(70, 0.6, 0.0, 2000, (290, 610, 2150)), "R": _other(80, 0.7, 0.0, 2000, (320, 1080, 1400)),
    "N": _other(80, 0.35, 0.0, 2000, (250, 1150, 2300)), "V": _other(60, 0.3, 0.06, 3000, (300, 1100, 2200)),
    "Z": _other(90, 0.25, 0.25, 3500), "S": _other(130, 0.0, 0.5, 3600), "F": _other(110, 0.0, 0.12, 2600),
    "TH": _other(100, 0.0, 0.1, 3000), "-": _other(50, 0.0, 0.0, 2000),
    "T": _other(25, 0.0, 0.5, 3300), "K": _other(30, 0.0, 0.45, 1900),
}  # fmt: skip
WORDS = (
    "Z IH R OW", "W AH N", "- T UW", "TH R IY", "F AO R", "F AY V", "S IH - K S", "S EH V AX N", "EY - T", "N AY N"
)  # fmt: skip
CLASSES = tuple(str(i) for i in range(10))


def spoken(label: Int[np.ndarray, " n"], seed: int) -> Int16[np.ndarray, "n t"]:
    """Utterances of digits, 8,192 samples of 16 bits at 8 kHz; another voice each.

    Example:
        >>> spoken(np.array([3, 7]), 0).shape
        (2, 8192)
    """
    draw = np.random.RandomState(seed)  # whose streams NumPy never changes
    n = len(label)
    voices = zip(*(draw.uniform(low, high, n) for low, high in ((0.85, 1.2), (0.92, 1.2))), strict=True)
    tracks = np.stack([_tracks(WORDS[int(y)], *v) for y, v in zip(label, voices, strict=True)])
    fall = np.linspace(1.12, 0.82, LONGEST)
    f0 = np.exp(draw.uniform(np.log(90.0), np.log(210.0), (n, 1))) * fall
    f0 *= 1.0 + 0.01 * draw.standard_normal((n, LONGEST))
    phase = np.cumsum(f0 / RATE, axis=1)
    pulses = np.diff(np.floor(phase), axis=1, prepend=0.0)
    noise = draw.standard_normal((n, LONGEST))
    parts = [slice(i, i + 100) for i in range(0, n, 100)]
    x = np.concatenate([_filtered(tracks[p], pulses[p], noise[p]) for p in parts])
    x *= draw.uniform(0.15, 0.85, (n, 1)) / np.abs(x).max(1, keepdims=True)
    return np.pad(np.rint(x * 32767.0).astype(np.int16), ((0, 0), (0, SAMPLES - LONGEST)))


def _tracks(word: str, speed: float, size: float) -> Float[np.ndarray, "6 t"]:
    """The three resonances, voice, noise and the noise's pitch at each sample, gliding from phone to phone."""
    knots, values, t = [], [], 0.02
    for name in word.split():
        p = PHONES[name]
        for place, f in ((0.2, p.begin), (0.8, p.end)):
            knots.append(t + place * p.ms / 1000 * speed)
            values.append([*(v * size for v in f), p.voice, p.noise, p.pitch])
        t += p.ms / 1000 * speed
    knots, values = [0.0, *knots, t + 0.02], [values[0][:3] + [0.0, 0.0, values[0][5]], *values]
    values.append(values[-1][:3] + [0.0, 0.0, values[-1][5]])
    at = np.arange(LONGEST) / RATE
    return np.stack([np.interp(at, knots, track) for track in zip(*values, strict=True)])


def _filtered(tracks: Float[np.ndarray, "n 6 t"], pulses, noise) -> Float[np.ndarray, "n t"]:
    """The sources through the resonances: overlapping windows of 32 ms, each with the resonances at its middle."""
    window, hop = 256, 128
    shape = 0.5 - 0.5 * np.cos(2.0 * np.pi * np.arange(window) / window)
    voiced = (20.0 * pulses + 0.03 * noise) * tracks[:, 3]
    hiss = 0.4 * noise * tracks[:, 4]
    middles = tracks[:, :, ::hop]
    z = np.exp(-2j * np.pi * np.arange(window + 1) / (2 * window)).astype(np.complex64)  # 1 / z, of all frequencies
    spectrum = _windows(voiced, shape, hop) * (1.0 / (1.0 - 0.9 * z))
    for i, bandwidth in enumerate(BANDWIDTHS):
        spectrum *= _resonance(np.minimum(middles[:, i], 3800.0), bandwidth, z)
    spectrum += _windows(hiss, shape, hop) * _resonance(middles[:, 5], 900.0, z)
    spectrum *= 1.0 - z  # what the lips let out
    rows = np.fft.irfft(spectrum, axis=2)
    out = np.zeros((len(rows), LONGEST + 2 * rows.shape[2]))
    for i in range(rows.shape[1]):
        out[:, i * hop : i * hop + rows.shape[2]] += rows[:, i]
    return out[:, window // 2 : window // 2 + LONGEST]


def _windows(x: Float[np.ndarray, "n t"], shape: np.ndarray, hop: int):
    """Spectra of windows centred on every hop-th sample, with as many zeros after each, in which it may ring out."""
    half, n = len(shape) // 2, x.shape[1] // hop
    x = np.pad(x, ((0, 0), (half, half)))
    frames = np.stack([x[:, i * hop : i * hop + 2 * half] for i in range(n)], axis=1) * shape
    return np.fft.rfft(frames, 4 * half, axis=2).astype(np.complex64)


def _resonance(frequency: Float[np.ndarray, "n frames"], bandwidth: float, z: np.ndarray):
    """The transfer function of a resonance, of gain 1 at frequency 0."""
    r = np.exp(-np.pi * bandwidth / RATE)
    b = (2.0 * r * np.cos(2.0 * np.pi * frequency / RATE)).astype(np.float32)[..., None]
    return (1.0 - b + r**2) / (1.0 - b * z + r**2 * z**2)
