"""Speech as a data set: a folder of .wav files, the spoken digits that TFDS prepares, or synthetic ones.

An example is the beginning of a recording at 8 kHz, int16, 8,192 samples where nothing else is said; silence follows a
shorter one.
"""

import functools
import os
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from genjax import headroom, progress
from genjax.data import formants
from genjax.data.catalogue import Prepared
from genjax.data.classes import numbered
from genjax.data.examples import Dataset, Examples, Spec, dataset
from genjax.data.tree import Tree, Wanted, trees_of
from genjax.errors import UsageError, shown
from genjax.formats.wav import RATE, Recording, fitted, read_wav

RECORDINGS = Wanted(
    "recording", "recordings", (".wav", ".wave"),
    (".mp3", ".flac", ".ogg", ".oga", ".opus", ".m4a", ".aac", ".wma", ".aif", ".aiff", ".au", ".raw", ".npy", ".npz",
     ".zip", ".tar", ".tgz", ".gz"),
)  # fmt: skip
SAMPLES = 8192
"""Samples of an example where nothing else is said."""
LEAST = 32
"""The fewest samples of an example."""
SPOKEN_DIGIT = re.compile(r"(\d)_([a-z]+)_(\d+)\.wav")
"""How the Free Spoken Digit Dataset names its files: digit, speaker, number of the recording."""
TEST_NUMBERS = range(5)
"""The recordings that are its test part, by its own README."""
DIGITS = tuple("0123456789")


def load_path(path: Path, like: Spec | None = None, samples: int = SAMPLES) -> Dataset:
    """A folder of .wav files, or one file: class folders give labels, `train/` and `test/` the parts.

    Files of the Free Spoken Digit Dataset in one folder, known by their names (`7_jackson_32.wav`), are labelled by the
    digit and split by the number of the recording: 0 to 4 are for testing, all others for training.

    Args:
        path: the folder or file.
        like: what the run was trained on that the recordings are for: they get its length.
        samples: of an example.

    Raises:
        UsageError: no recording; one that cannot be read (named); recordings both in the folder and in class folders.
    """
    name, samples = shown(os.path.basename(os.path.realpath(path)) or path), _samples(like, samples)
    trees, notes = trees_of(path, RECORDINGS)
    if list(trees) == ["train"] and trees["train"].names is None:
        paths = trees["train"].files
        if len(paths) > 1 and all(_named(file.name) for file in paths):
            notes.append(f"{name}: spoken digits by their file names; recordings 0 to 4 are the test part.")
            return _digits(name, trees["train"], notes, samples)
    names = sorted({n for tree in trees.values() for n in tree.names or ()})
    place = {n: i for i, n in enumerate(names)}
    raw = [None if t.names is None else np.array([place[n] for n in t.names]) for t in trees.values()]
    labels, classes = numbered(raw, names, name)
    read, said = _read([file for tree in trees.values() for file in tree.files], name, samples)
    ends = np.cumsum([len(t.files) for t in trees.values()])[:-1]
    parts = {
        part: Examples(x, y) for part, x, y in zip(trees, np.split(read, ends), labels, strict=True)
    }  # fmt: skip
    files = {n: _relative(t, t.files) for n, t in trees.items()}
    return _made(name, parts, classes, [*notes, *said], files)


def load_embedded(name: str, like: Spec | None = None, samples: int = SAMPLES) -> Dataset:
    """Synthetic digits, made here by `formants`: not real speech.

    Example:
        >>> load_embedded("synthetic_speech").train.x.shape
        (600, 8192)
    """
    samples = _samples(like, samples)
    parts = {
        part: whole._replace(x=np.stack([fitted(x, samples) for x in whole.x]))
        for part, whole in (("train", _synthetic(formants.N_TRAIN, 0)), ("test", _synthetic(formants.N_TEST, 1)))
    }
    return _made(name, parts, DIGITS, [f"{name}: made by a formant synthesiser, not real speech."], {})


@functools.cache
def _synthetic(n: int, seed: int) -> Examples:
    label = (np.arange(n) % 10).astype(np.int32)
    x = formants.spoken(label, seed)
    x.flags.writeable = label.flags.writeable = False
    return Examples(x, label)


def load_prepared(found: Prepared, like: Spec | None = None, samples: int = SAMPLES) -> Dataset:
    """`spoken_digit` as TFDS prepares it: one split, divided by the number of the recording as the set's README has it.

    Raises:
        UsageError: it cannot be read, or a file name in it is not that of a spoken digit.
    """
    from genjax.data.tfds import open_split  # TFDS takes most of a second to import

    samples, source, rows = _samples(like, samples), open_split(found.name, found, "train"), []
    for i in progress.counted(range(len(source)), "recordings read", len(source)):
        row = source[i]
        file = os.path.basename(bytes(row["audio/filename"]).decode("utf-8", "replace"))
        about = _named(file if file.endswith(".wav") else f"{file}.wav")
        if about is None:
            raise UsageError(f"{shown(found.path)}: {shown(file)} is no name of a spoken digit. Prepare the set again.")
        rows.append((about, np.asarray(row["audio"]).astype(np.int16)))
    rows.sort(key=lambda row: row[0])
    parts, classes = _split(np.stack([fitted(wave, samples) for _, wave in rows]), [about for about, _ in rows])
    notes = [
        f"{found.name}: recordings 0 to 4 are the test part.",
        *_lengths([len(w) for _, w in rows], found.name, samples),
    ]
    return _made(found.name, parts, classes, notes, {})


class _Name(NamedTuple):
    """What the name of a file of spoken digits says, in the order in which they are kept."""

    number: int
    digit: int
    speaker: str


def _named(name: str) -> _Name | None:
    """What a file name says; None of a name of another kind."""
    found = SPOKEN_DIGIT.fullmatch(name)
    return None if found is None else _Name(int(found.group(3)), int(found.group(1)), found.group(2))


def _digits(name: str, tree: Tree, notes: Sequence[str], samples: int) -> Dataset:
    """The Free Spoken Digit Dataset's own labels and split, one number of recordings after the other."""
    found = sorted((about, file) for file in tree.files if (about := _named(file.name)) is not None)
    about, paths = [a for a, _ in found], [file for _, file in found]
    x, said = _read(paths, name, samples)
    test = [a.number in TEST_NUMBERS for a in about]
    files = {
        part: _relative(tree, [f for f, t in zip(paths, test, strict=True) if t == (part == "test")])
        for part in ("train", "test")
    }
    parts, classes = _split(x, about)
    return _made(name, parts, classes, [*notes, *said], {part: files[part] for part in parts})


def _split(x: np.ndarray, about: Sequence[_Name]) -> tuple[dict[str, Examples], list[str]]:
    """The parts of spoken digits, and the digits that occur."""
    classes, y = np.unique([a.digit for a in about], return_inverse=True)
    y, names = y.astype(np.int32), [str(c) for c in classes]
    test = np.array([a.number in TEST_NUMBERS for a in about])
    if test.all() or not test.any():  # a few of them, copied out
        return {"train": Examples(x, y)}, names
    return {"train": Examples(x[~test], y[~test]), "test": Examples(x[test], y[test])}, names


def _samples(like: Spec | None, samples: int) -> int:
    """Samples of an example: those of the run that the data are for, or as they are asked for.

    Raises:
        UsageError: fewer than the smallest net takes.
    """
    if samples < LEAST:
        raise UsageError(f"samples={samples}: recordings of at least {LEAST} samples are taken. Try {SAMPLES}.")
    return samples if like is None else like.shape[0]


def _read(paths: Sequence[Path], name: str, samples: int) -> tuple[np.ndarray, list[str]]:
    """All recordings, (n, samples), and what should be said of them."""
    headroom.check(2 * len(paths) * samples, f"{name}: {len(paths):,} recordings", "Take fewer.")
    x, lengths, changes = np.empty((len(paths), samples), np.int16), [], Counter()
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        for i, found in enumerate(progress.counted(pool.map(read_wav, paths), "files read", len(paths))):
            recording: Recording = found
            x[i] = fitted(recording.samples, samples)
            lengths.append(len(recording.samples))
            changes.update(recording.changes)
    notes = [f"{name}: {n:,} of {len(paths):,} recordings {change}." for change, n in changes.most_common()]
    if silent := int((x == 0).all(1).sum()):
        notes.append(f"{name}: {silent:,} of {len(paths):,} recordings are silent.")
    return x, notes + _lengths(lengths, name, samples)


def _lengths(lengths: Sequence[int], name: str, samples: int) -> list[str]:
    long = sum(n > samples for n in lengths)
    if not long:
        return []
    return [
        f"{name}: {long:,} of {len(lengths):,} recordings are cut after {samples / RATE:.2f} s ({samples:,} samples)."
    ]


def _relative(tree: Tree, paths: Sequence[Path]) -> tuple[str, ...]:
    return tuple(f.relative_to(tree.root).as_posix() for f in paths)


def _made(
    name: str, parts: Mapping[str, Examples], classes: Sequence[str], notes: Sequence[str],
    files: Mapping[str, tuple[str, ...]],
) -> Dataset:  # fmt: skip
    about: dict[str, Any] = {"rate": RATE}
    return dataset(
        name, parts["train"], parts.get("test"), classes, parts.get("validation"), domain="speech", n_values=65536,
        about=about, notes=notes, files=files,
    )  # fmt: skip
