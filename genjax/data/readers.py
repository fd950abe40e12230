"""Which file reads which kind of data, a line a kind; images and points are read by `loading` itself.

Standard library only: names and suffixes are known before anything is imported. A reader is a module here with

- `load_path(path, like=None, **options) -> Dataset`: of a file with one of its suffixes, or a folder of such files;
- `load_embedded(name, like=None, **options) -> Dataset`, where it has `names`;
- `load_prepared(found, like=None, **options) -> Dataset`, where it has `prepared`: of a `catalogue.Prepared` TFDS set.

`like` is the `Spec` of the run that the data are for, whose alphabet or columns they get; `options` are the fields that
a recipe's `Config.reads` names.
"""

import importlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from genjax.formats import files


class Reader(NamedTuple):
    """How one kind of data is read."""

    module: str
    """Its module in `genjax.data`, imported when such data are asked for."""
    suffixes: tuple[str, ...] = ()
    """The ending of a file, or of the files in a folder."""
    names: Mapping[str, str] = {}
    """Embedded sets, with a line on each."""
    prepared: tuple[str, ...] = ()
    """TFDS sets that it reads once they are prepared, without version."""
    alone: tuple[str, ...] = ()
    """The ending of files that are read by themselves; in a folder they are left alone."""

    def load(self, how: str, *args: Any, **more: Any) -> Any:
        """Call its `load_path`, `load_embedded` or `load_prepared`."""
        return getattr(importlib.import_module(f"genjax.data.{self.module}"), f"load_{how}")(*args, **more)


READERS: dict[str, Reader] = {
    "prose": Reader(
        "text",
        (".txt",),
        {"psalms": "5,576 half-verses of the Psalms, up to 63 characters (King James Version, public domain)"},
        ("tiny_shakespeare",),
    ),
    "speech": Reader(
        "speech",
        (".wav", ".wave"),
        {"synthetic_speech": "600 + 120 synthetic digits, 1 s at 8 kHz, 10 classes (made here, not real speech)"},
        ("spoken_digit",),
    ),
    "music": Reader(
        "music",
        (".mid", ".midi"),
        {"tunes": "20 folk tunes with chords in 12 keys, on a grid of eighths"},
        ("jsb_chorales",),
        alone=(".json", ".json.gz"),
    ),
    "table": Reader("tables", (".csv",), {"penguins": "344 penguins, 8 columns, some values missing"}, ("adult",)),
}
"""Readers by the kind of data that they read, a name in `genjax.domains`."""

_SOUND = "Convert each to .wav: ffmpeg -i OLD NEW.wav."
_PACKED = "Unpack it, and name the folder."
_SHEET = "Save the sheet as .csv."
_SCORE = "Export it as MIDI (.mid), as MuseScore does."
REMEDIES: dict[str, str] = {
    ".npy": "Try np.savez('images.npz', image=np.load('images.npy')).",
    **dict.fromkeys((".zip", ".tar", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar"), _PACKED),
    ".gz": "Unpack it, and name what is in it; packed .json of chords is read as .json.gz.",
    ".tsv": "Rename it to .csv: tabs between fields are read.",
    ".tab": "Rename it to .csv: tabs between fields are read.",
    **dict.fromkeys((".xlsx", ".xls", ".xlsm", ".ods", ".numbers"), _SHEET),
    **dict.fromkeys(
        (".parquet", ".feather"), "Write it as .csv, as pandas.read_parquet(OLD).to_csv(NEW, index=False)."
    ),
    **dict.fromkeys((".jsonl", ".ndjson"), "Write it as .csv, or its texts as .txt, a line each."),
    **dict.fromkeys((".mp3", ".flac", ".ogg", ".opus", ".m4a", ".aac", ".aif", ".aiff", ".wma"), _SOUND),
    **dict.fromkeys((".musicxml", ".mxl", ".mscz", ".krn", ".abc"), _SCORE),
    **dict.fromkeys((".md", ".rst", ".text"), "Rename it to .txt."),
    ".json": "Name the .json of chords itself.",
}
"""What to do with files that are not read, by their suffix."""


def of_name(name: str) -> Reader | None:
    """The reader that has an embedded set of that name."""
    return next((r for r in READERS.values() if name in r.names), None)


def of_prepared(name: str) -> Reader | None:
    """The reader of a TFDS set, `name/config`."""
    return next((r for r in READERS.values() if {name, name.partition("/")[0]} & set(r.prepared)), None)


def of_file(path: Path) -> Reader | None:
    """The reader of a file, by its suffix."""
    name, suffix = path.name.lower(), path.suffix.lower()
    return next((r for r in READERS.values() if suffix in r.suffixes or name.endswith(r.alone)), None)


def of_folder(path: Path, others: tuple[str, ...]) -> Reader | None:
    """The reader of a folder: of most of its files that have one, unless there is a file with a suffix of `others`.

    Files whose names begin with a dot, and those that are left alone everywhere, do not count. Of images the first file
    is enough, whatever their number; texts count only where there is nothing else, for notes lie beside data.

    Raises:
        UsageError: a folder in it cannot be listed.
    """
    counts: Counter[str] = Counter()
    for file in _files(path):
        suffix = file.suffix.lower()
        if suffix in others:
            return None
        counts.update(name for name, r in READERS.items() if suffix in r.suffixes)
    texts = counts.pop("prose", 0)
    if counts:
        return READERS[max(counts, key=counts.__getitem__)]
    return READERS["prose"] if texts else None


def remedy(path: Path) -> str:
    """What to do with the files of a folder that are not read: with most of those that something is known of."""
    counts = Counter(f.suffix.lower() for f in _files(path) if f.suffix.lower() in REMEDIES)
    if not counts:
        return ""
    suffix, n = counts.most_common(1)[0]
    return f"\nOf the {n:,} {suffix} file{'s' * (n > 1)} in it: {REMEDIES[suffix]}"


def _files(path: Path) -> Iterator[Path]:
    """Files in a folder, then those in its folders, each folder once."""
    todo, seen = [path], set[tuple[int, int]]()
    while todo:
        here = todo.pop(0)
        inside = files.listing(here)
        yield from (e.path for e in inside if e.kind == "file")
        for e in inside:
            if e.kind == "folder" and (who := _identity(e.path)) not in seen:
                seen.add(who)
                todo.append(e.path)


def _identity(folder: Path) -> tuple[int, int]:
    try:
        about = os.stat(folder)
    except OSError as e:
        raise files.refused(folder, e) from e
    return about.st_dev, about.st_ino


def names() -> dict[str, str]:
    """All embedded sets of these readers, with a line on each."""
    return {name: line for r in READERS.values() for name, line in r.names.items()}
