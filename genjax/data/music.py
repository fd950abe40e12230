"""Music as piano rolls: `.mid` files, a folder of them, lists of chords in JSON, the tunes that come with genjax."""

import gzip
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from genjax import headroom
from genjax.data.catalogue import Prepared
from genjax.data.examples import Dataset, Examples, Spec, dataset
from genjax.errors import UsageError, shown
from genjax.formats import files
from genjax.formats.midi import KEYS, LOW, STEPS_PER_QUARTER, TEMPO, Piece, of_chords, read_midi

MOST_STEPS = 4096
"""Steps of the longest piece that is taken whole."""
MOST_BYTES = 2**28
"""Bytes of the largest `.json` of chords, unpacked; the largest published set has a thousandth of it."""
PARTS = {"train": "train", "test": "test", "valid": "validation", "validation": "validation"}


def load_path(
    path: Path, like: Spec | None = None, *, window: int = 0, steps_per_quarter: int = 0, **options: Any
) -> Dataset:
    """A `.mid` file, a folder of them, or a `.json` of chords.

    Folders named `train`, `test` and `valid` in a folder are its parts. JSON holds `{"train": [piece, ...], ...}`, a
    piece being a list of steps and a step a list of MIDI numbers, as the published chorales have it; `.json.gz` too.

    Args:
        path: file or folder.
        like: of the run that the pieces are for: its length and its grid.
        window: steps of an example; longer pieces are cut into several, the last one filled up with what does not
            count. 0 takes pieces whole.
        steps_per_quarter: of the grid; 0 for 4, or what a `.json` says (`steps_per_quarter`, else 1).

    Raises:
        UsageError: a file that cannot be read, saying what to do.
    """
    if path.suffix.lower() in (".json", ".gz"):
        parts, grid = _chords(path)
        grid = steps_per_quarter or grid
        return _dataset(path.name.partition(".")[0], parts, grid, window, like)
    grid = steps_per_quarter or (int(like.about.get("steps_per_quarter", 0)) if like else 0) or STEPS_PER_QUARTER
    if files.kind_of(path) != "folder":
        return _dataset(path.stem, {"train": [read_midi(path, grid)]}, grid, window, like)
    by_part: dict[str, list[Piece]] = {}
    found = [e.path for e in files.below(path) if e.path.suffix.lower() in (".mid", ".midi")]
    for file in found:
        inner = file.relative_to(path).parts
        part = PARTS.get(inner[0].lower(), "train") if len(inner) > 1 else "train"
        by_part.setdefault(part, []).append(read_midi(file, grid))
    if "train" not in by_part:
        raise UsageError(f"{shown(path)}: has no .mid file to train on.\nPut them there, or into a folder `train`.")
    return _dataset(path.name, by_part, grid, window, like)


def load_embedded(name: str, like: Spec | None = None, *, window: int = 0, **options: Any) -> Dataset:
    """`tunes`: folk tunes in twelve keys, on a grid of eighths.

    Example:
        >>> d = load_embedded("tunes", window=32)
        >>> d.spec.domain, d.spec.shape, d.spec.n_values, d.spec.about["steps_per_quarter"]
        ('music', (32, 88), 2, 2)
    """
    from genjax.data import tunes

    parts = {part: [Piece(r) for r in rolls] for part, rolls in tunes.rolls().items()}
    return _dataset(name, parts, tunes.STEPS_PER_QUARTER, window, like)


def load_prepared(
    found: Prepared, like: Spec | None = None, *, window: int = 0, steps_per_quarter: int = 0, **options: Any
) -> Dataset:
    """A set of chorales that TFDS has prepared: `notes` (steps, voices), MIDI numbers, below 0 where a voice rests.

    Args:
        found: the set.
        like: as of `load_path`.
        window: as of `load_path`.
        steps_per_quarter: 0 for 4, the sixteenths of the published chorales; less takes every so many steps.

    Raises:
        UsageError: as `tfds.open_split`; no such feature; notes that no piano has; a grid that 4 is no multiple of.
    """
    from genjax.data import tfds

    grid = steps_per_quarter or STEPS_PER_QUARTER
    if STEPS_PER_QUARTER % grid:
        raise UsageError(f"--steps-per-quarter={grid}: {shown(found.name)} has 4 steps a quarter. Try 1, 2 or 4.")
    parts: dict[str, list[Piece]] = {}
    for part, source in tfds.open_parts(found).items():
        rows = [np.asarray(row.get("notes", 0)) for row in tfds.all_of(source)]
        if any(row.ndim != 2 for row in rows):
            raise UsageError(f"{shown(found.name)}: has no `notes` (steps, voices).\nWrite its pieces as .mid files.")
        steps = [[[n for n in chord if n >= 0] for chord in row[:: STEPS_PER_QUARTER // grid].tolist()] for row in rows]
        try:
            parts[part] = [Piece(of_chords(s)) for s in steps]
        except ValueError as e:
            raise UsageError(f"{shown(found.name)}, {part}: {e}.\nA piano has the notes 21 to 108.") from None
    return _dataset(found.name, parts, grid, window, like)


def _chords(path: Path) -> tuple[dict[str, list[Piece]], int]:
    """Pieces by part, and the steps in a quarter."""
    try:
        found = json.loads(_content(path))
        grid = int(found.pop("steps_per_quarter", 1)) if isinstance(found, dict) else 1
        if grid < 1:
            raise ValueError(f"steps_per_quarter is {grid}")
        pieces = {PARTS[k]: [Piece(of_chords(p)) for p in v] for k, v in found.items() if k in PARTS}
    except UsageError:
        raise
    except Exception as e:  # whatever json and NumPy make of strange values; deep nesting is a RecursionError
        raise UsageError(
            f"{shown(path)}: is no JSON of chords ({shown(e)}).\n"
            'Write {"train": [[[60, 64, 67], [62, 65, 69]]]}: pieces of steps of MIDI numbers 21 ... 108.'
        ) from None
    if not pieces.get("train"):
        raise UsageError(f'{shown(path)}: has no pieces under `train`.\nWrite {{"train": [[[60, 64, 67], ...]]}}.')
    return pieces, grid


def _content(path: Path) -> bytes:
    """The bytes of a file, unpacked where they are gzip's."""
    with files.open_file(path) as f:
        packed = f.read(2) == b"\x1f\x8b"
        f.seek(0)
        content = (gzip.GzipFile(fileobj=f) if packed else f).read(MOST_BYTES + 1)
    if len(content) > MOST_BYTES:
        raise UsageError(
            f"{shown(path)}: has more than {MOST_BYTES >> 20} MB, unpacked.\nKeep fewer pieces in a file of chords."
        )
    return content


def _dataset(name: str, parts: dict[str, list[Piece]], grid: int, window: int, like: Spec | None) -> Dataset:
    longest = max(len(p.roll) for pieces in parts.values() for p in pieces)
    steps = like.shape[0] if like is not None else window or longest
    if steps > MOST_STEPS:
        raise UsageError(
            f"{shown(name)}: its longest piece has {longest:,} steps, and an example has at most {MOST_STEPS:,}.\n"
            "Cut pieces into windows: --window 64."
        )
    n = sum(-(-len(p.roll) // steps) for pieces in parts.values() for p in pieces)
    headroom.check(n * steps * KEYS, f"{shown(name)}: {n:,} examples of {steps:,} steps", "Cut pieces: --window 64.")
    made = {part: examples([p.roll for p in pieces], steps) for part, pieces in parts.items()}
    notes = []
    outside, drums = (sum(getattr(p, k) for of in parts.values() for p in of) for k in ("outside", "drums"))
    if outside:
        notes.append(f"{shown(name)}: {outside:,} notes that no piano has are left out.")
    if drums:
        notes.append(f"{shown(name)}: {drums:,} drum beats (channel 10) are left out.")
    about = {"steps_per_quarter": grid, "low": LOW, "tempo": TEMPO}
    return dataset(
        name, made["train"], made.get("test"), (), made.get("validation"),
        domain="music", n_values=2, about=about, notes=notes,
    )  # fmt: skip


def examples(rolls: Sequence[np.ndarray], steps: int) -> Examples:
    """Rolls as examples of so many steps: longer ones in several, filled up at the end with what does not count.

    Example:
        >>> found = examples([np.ones((5, 88), np.uint8), np.ones((2, 88), np.uint8)], 4)
        >>> found.x.shape, found.event_mask.sum(1).tolist()
        ((3, 4, 88), [4, 1, 2])
    """
    pieces = [roll[i : i + steps] for roll in rolls for i in range(0, len(roll), steps)]
    x, mask = np.zeros((len(pieces), steps, KEYS), np.uint8), np.zeros((len(pieces), steps), bool)
    for i, piece in enumerate(pieces):
        x[i, : len(piece)], mask[i, : len(piece)] = piece, True
    return Examples(x, None, mask)


def lengths(mask: Bool[np.ndarray, "n t"] | None, n: int, steps: int) -> np.ndarray:
    """Steps of each example that count."""
    return np.full(n, steps) if mask is None else mask.sum(1)
