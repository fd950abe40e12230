"""What piano rolls sound like, in numbers that are compared with those of real music: MuseGAN's set, and note n-grams.

Rolls are (n, steps, 88) of 0 and 1 with a mask of the steps that count. A rate of generated music is neither good nor
bad by itself: what counts is its distance from the real one.
"""

from collections.abc import Callable
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Shaped

from genjax.metrics.ngrams import ngram_js

QUARTERS_PER_BAR = 4
SCALE = np.array([0, 2, 4, 5, 7, 9, 11])
"""Semitones of a major scale; the minor ones have the same notes."""


class Rolls(NamedTuple):
    """Piano rolls."""

    x: Shaped[np.ndarray, "n t 88"]
    mask: Bool[np.ndarray, "n t"]
    steps_per_quarter: int = 4

    def steps(self) -> Bool[np.ndarray, "m 88"]:
        """All steps that count, one after another."""
        return self.x[self.mask] > 0

    def bars(self) -> list[np.ndarray]:
        """Bars of four quarters, from each piece's first step; a last one that is cut off is left out."""
        size = QUARTERS_PER_BAR * self.steps_per_quarter
        found = []
        for x, mask in zip(self.x, self.mask, strict=True):
            n = int(mask.sum()) // size
            found += list((x[: n * size] > 0).reshape(n, size, x.shape[1]))
        return found


def empty_bar_rate(rolls: Rolls) -> float:
    """Share of the bars in which nothing sounds; NaN without a whole bar.

    MuseGAN's own code returns the share of the others under this name.

    Example:
        >>> empty_bar_rate(Rolls(np.zeros((1, 32, 88)), np.ones((1, 32), bool), 4))
        1.0
    """
    return _mean([not bar.any() for bar in rolls.bars()])


def used_pitch_classes(rolls: Rolls) -> float:
    """Different pitch classes, 0 ... 12, of a bar in which something sounds; mean over such bars."""
    return _mean([int(_classes(np.asarray(bar.any(0))).sum()) for bar in rolls.bars() if bar.any()])


def polyphonic_rate(rolls: Rolls) -> float:
    """Share of the steps in which two notes sound or more."""
    return _mean(rolls.steps().sum(1) >= 2)


def qualified_note_rate(rolls: Rolls) -> float:
    """Share of the notes that last an eighth at least: fragments are no music.

    MuseGAN asks for a thirty-second, on a grid of 24 steps a quarter; coarser grids have nothing shorter.
    """
    least = max(1, -(-rolls.steps_per_quarter // 2))
    return _mean(_durations(rolls) >= least)


def in_scale_rate(rolls: Rolls) -> float:
    """Share of the sounding notes, step by step, that are in the major scale that has the most of a piece; mean."""
    each = []
    for x, mask in zip(rolls.x, rolls.mask, strict=True):
        counts = _pitch_class_counts(x[mask] > 0)
        if counts.sum():
            each.append(max(counts[(SCALE + key) % 12].sum() for key in range(12)) / counts.sum())
    return _mean(each)


def note_density(rolls: Rolls) -> float:
    """Notes that sound in a step, on average."""
    return _mean(rolls.steps().sum(1))


RATES: dict[str, Callable[[Rolls], float]] = {
    "empty_bar_rate": empty_bar_rate,
    "used_pitch_classes": used_pitch_classes,
    "polyphonic_rate": polyphonic_rate,
    "qualified_note_rate": qualified_note_rate,
    "in_scale_rate": in_scale_rate,
    "note_density": note_density,
}
"""The set, by name.

Source:
    Dong et al. 2018, MuseGAN: Multi-track Sequential Generative Adversarial Networks; tonal distance and drum patterns
    are of several tracks, which a roll has not.
"""


def note_ngram_distance(real: Rolls, fake: Rolls, n: int) -> float:
    """Jensen-Shannon divergence of n-grams of chord changes, in bits, 0 ... 1.

    A piece is told by its chords, a chord by its pitch classes above the lowest note, held ones once: neither key nor
    tempo matters. 1 where the generated rolls have no n-gram at all.
    """
    a, b = (_changes(rolls) for rolls in (real, fake))
    if not any(len(s) >= n for s in b):
        return 1.0
    return ngram_js(a, b, n)


def _changes(rolls: Rolls) -> list[list[tuple[int, ...]]]:
    """For each piece its chords, each relative to the lowest note of the one before, held ones once."""
    found = []
    for x, mask in zip(rolls.x, rolls.mask, strict=True):
        chords: list[tuple[int, ...]] = []
        for step in x[mask] > 0:
            chord = tuple(np.flatnonzero(step).tolist())
            if chord and (not chords or chord != chords[-1]):
                chords.append(chord)
        found.append([_above(before[0], now) for before, now in pairwise(chords)])
    return found


def _above(bass: int, chord: tuple[int, ...]) -> tuple[int, ...]:
    """The pitch classes of a chord above a note."""
    return tuple(sorted({(note - bass) % 12 for note in chord}))


def _classes(keys: np.ndarray) -> np.ndarray:
    """Which of the twelve pitch classes are among the keys, the first of which is an A."""
    found = np.zeros(12, bool)
    found[(np.flatnonzero(keys) + 9) % 12] = True
    return found


def _pitch_class_counts(x: np.ndarray) -> np.ndarray:
    counts = np.zeros(12, np.int64)
    np.add.at(counts, (np.arange(x.shape[1]) + 9) % 12, x.sum(0))
    return counts


def _durations(rolls: Rolls) -> np.ndarray:
    """Steps of each note."""
    on = (rolls.x > 0) & rolls.mask[:, :, None]
    edge = np.diff(np.pad(on, [(0, 0), (1, 1), (0, 0)]).astype(np.int8), axis=1)
    begins, ends = (np.argwhere(np.swapaxes(edge, 1, 2) == sign) for sign in (1, -1))  # by piece, key, step
    return ends[:, 2] - begins[:, 2]


def _mean(values: Any) -> float:
    return float(np.mean(values)) if len(values) else float("nan")
