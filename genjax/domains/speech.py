"""Speech: int16 samples (t,) at `spec.about["rate"]` Hz, shown as waves with their spectrograms, and heard."""

from typing import Any

import numpy as np
from jaxtyping import Float

from genjax import viz
from genjax.data import Examples, Spec
from genjax.domains.contract import GENERIC, Domain, Finished, How, Picture, Piece, Spectrum
from genjax.formats.wav import wav_bytes
from genjax.metrics.spaces import Space
from genjax.metrics.speech import BANDS, spectrograms
from genjax.metrics.speech_spaces import SPEECH_METRICS, speech_space

GAP_MS = 250
"""Silence between the recordings of one file."""
SLACK = 1.1
"""Times full scale beyond which a sample counts as far outside."""
SOUNDS = 24
"""The most recordings of a page that have each a sound of their own."""
LINE = 16
"""The most recordings of one picture whose sounds follow each other."""


def finish(x: Any, spec: Spec) -> Finished:
    """Samples rounded and cut at full scale; what is not finite is silent."""
    x = np.asarray(x, np.float64)
    known = np.isfinite(x)
    outside = float((known & (np.abs(np.where(known, x, 0.0)) > SLACK * 32768.0)).mean())
    stored = np.clip(np.rint(np.where(known, x, 0.0)), -32768, 32767).astype(np.int16)
    return Finished(Examples(stored), np.asarray(known.all(1)), outside)


def show(examples: Examples, spec: Spec, ncols: int | None, close: bool) -> list[Piece]:
    """Each recording as a picture with its sound; with `ncols` all in one picture, their sounds one after the other."""
    cells = _cells(examples, spec)
    if ncols is not None:
        sheet = viz.sheet(cells, ncols, 0 if close else 4)
        sound = wav(examples, spec, How()) if len(cells) <= LINE else b""
        return [Picture(sheet, f"{len(cells)} recordings", sharp=False, sound=sound)]
    pieces: list[Piece] = []
    for i, cell in enumerate(cells):
        sound = wav(examples._replace(x=examples.x[i : i + 1], y=None), spec, How()) if i < SOUNDS else b""
        pieces.append(Picture(viz.encode(cell), _words(examples, spec, i), sharp=False, sound=sound))
    return pieces


def glance(examples: Examples, spec: Spec) -> np.ndarray:
    """All of them, about in a square: waves, and their spectrograms below."""
    return viz.grid(_cells(examples, spec))


def _cells(examples: Examples, spec: Spec) -> np.ndarray:
    return viz.wave_cells(examples.x, spectrograms(examples.x, rate_of(spec)))


def _words(examples: Examples, spec: Spec, i: int) -> str:
    if examples.y is None or not spec.classes:
        return f"recording {i + 1}"
    return spec.classes[int(examples.y[i])]


def wav(examples: Examples, spec: Spec, how: How) -> bytes:
    """A WAV file of 16-bit samples; several recordings follow each other, a quarter of a second of silence between."""
    gap = np.zeros(rate_of(spec) * GAP_MS // 1000, np.int16)
    parts = [part for x in examples.x for part in (x, gap)][:-1]
    return wav_bytes(np.concatenate(parts), rate_of(spec))


def rate_of(spec: Spec) -> int:
    """Samples a second."""
    return int(spec.about.get("rate", 8000))


def vector(examples: Examples, spec: Spec) -> Float[np.ndarray, "n d"]:
    """Log-mel spectrograms: what the ear compares; the same sound a few samples later is nearly the same."""
    return spectrograms(examples.x, rate_of(spec)).reshape(len(examples.x), -1)


def space(name: str, spec: Spec) -> Space:
    """The classifier's features for spoken digits, mean spectra otherwise."""
    return speech_space(name, spec.shape, spec.classes)


def sizes(spec: Spec) -> str:
    """Samples and their rate.

    Example:
        >>> sizes(Spec("a", (8192,), 0, 1, "", domain="speech", about={"rate": 8000}))
        '8,192 samples at 8 kHz'
    """
    return f"{spec.shape[0]:,} samples at {rate_of(spec) / 1000:g} kHz"


def cell(spec: Spec) -> tuple[int, int]:
    """Height and width of a recording in a picture of many."""
    h, w, _ = _cells(Examples(np.zeros((1, *spec.shape), np.int16)), spec)[0].shape
    return h, w


def spectrum(examples: Examples, spec: Spec) -> Spectrum:
    """Mean power over frequency, in Hz."""
    half, rows = 256, examples.x[:1024].astype(np.float64) / 32768.0
    frames = np.lib.stride_tricks.sliding_window_view(rows, 2 * half, axis=1)[:, ::half]
    power = np.square(np.abs(np.fft.rfft(frames * np.hanning(2 * half)))).mean((0, 1))
    return Spectrum(np.fft.rfftfreq(2 * half, 1 / rate_of(spec))[1:], power[1:], "Hz")


def legend(spec: Spec) -> str:
    """What is where in a picture."""
    return (
        "Above the wave, below it the log-mel spectrogram: time runs to the right, "
        f"{BANDS} bands from 0 to {rate_of(spec) / 2000:g} kHz upwards; black is silence, or 35 dB below the loudest."
    )


DOMAIN = Domain(
    name="speech",
    one="recording",
    many="recordings",
    finish=finish,
    show=show,
    glance=glance,
    save={".wav": wav},
    space=space,
    vector=vector,
    drawn="mean",
    each=".wav",
    sizes=sizes,
    cell=cell,
    metrics=SPEECH_METRICS,
    kinds=(*GENERIC, "examples"),
    measured=lambda spec, config: {"quantisation": f"int16, rounded, {rate_of(spec)} Hz", "resize": "none"},
    limits="-32768 ... 32767",
    compared="log-mel spectrograms",
    shown=SOUNDS,
    legend=legend,
    spectrum=spectrum,
)
