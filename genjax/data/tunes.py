"""A few folk tunes with chords, entered by hand, in twelve keys: music to try things on.

The melodies are old and belong to nobody; the chords and this notation are genjax's own (see the licence there).
"""

from importlib import resources
from typing import Any

import numpy as np

from genjax.errors import UsageError

STEPS_PER_QUARTER = 2
TEST = 5
"""Each fifth tune is for testing, in all its keys."""
MAJOR = (0, 2, 4, 5, 7, 9, 11)
"""Semitones of the degrees 1 ... 7."""
MIDDLE_C = 60
CHORDS = {
    "C": (48, 55, 60, 64), "F": (41, 53, 57, 60), "G": (43, 55, 59, 62), "G7": (43, 53, 55, 59),
    "Am": (45, 52, 57, 60), "Dm": (50, 53, 57, 62), "Em": (40, 52, 55, 59), "D": (50, 54, 57, 62),
}  # fmt: skip
"""Their notes below the melody, in C."""


def rolls() -> dict[str, list[np.ndarray]]:
    """Rolls of all tunes in all keys, by part.

    Example:
        >>> {part: len(of) % 12 for part, of in rolls().items()}
        {'train': 0, 'test': 0}
    """
    parts: dict[str, list[np.ndarray]] = {"train": [], "test": []}
    for i, (_, melody, chords) in enumerate(read()):
        for key in range(-5, 7):
            parts["test" if i % TEST == TEST - 1 else "train"].append(roll(melody, chords, key))
    return parts


def read() -> list[tuple[str, str, str]]:
    """Name, melody and chords of each tune."""
    text = (resources.files("genjax.data") / "embedded_files" / "tunes.txt").read_text(encoding="utf-8")
    found = []
    for block in text.split("\n\n"):
        lines = [line for line in block.strip().splitlines() if not line.startswith("#")]
        if lines:
            name, *bars = lines
            found.append((name, " ".join(bars[0::2]), " ".join(bars[1::2])))
    return found


def roll(melody: str, chords: str, key: int = 0) -> np.ndarray:
    """The roll of a melody in degrees over chords, moved up by `key` semitones.

    A melody's token is a degree 1 ... 7 (0 rests), with `'` an octave higher, `,` lower, `#` or `b`; it lasts a
    quarter, `_` an eighth, `.` three eighths, each `-` a quarter more. A chord lasts two quarters, or as many as `:n`
    says.

    Example:
        >>> x = roll("1 3_ 5_", "C:2")
        >>> x.shape, (np.flatnonzero(x[3]) + 21).tolist()
        ((4, 88), [48, 55, 60, 64, 67])
    """
    notes = [_note(t) for t in melody.replace("|", " ").split()]
    beats = [_chord(t) for t in chords.replace("|", " ").split()]
    length = sum(n for _, n in notes)
    if length != sum(n for _, n in beats):
        raise UsageError(f"a melody of {length} eighths over chords of {sum(n for _, n in beats)}: {melody[:40]}")
    x = np.zeros((length, 88), np.uint8)
    at = 0
    for tones, n in beats:
        for tone in tones:
            x[at : at + n, tone + key - 21] = 1
        at += n
    at = 0
    for tone, n in notes:
        if tone is not None:
            x[at : at + n, tone + key - 21] = 1
        at += n
    return x


def _note(token: str) -> tuple[Any, int]:
    eighths = 2 + 2 * token.count("-") - token.count("_") + token.count(".")
    degree = int(token[0])
    if degree == 0:
        return None, eighths
    octaves = token.count("'") - token.count(",")
    tone = MIDDLE_C + MAJOR[degree - 1] + 12 * octaves + token.count("#") - token.count("b")
    return tone, eighths


def _chord(token: str) -> tuple[tuple[int, ...], int]:
    name, _, quarters = token.partition(":")
    return CHORDS[name], 2 * int(quarters or 2)
