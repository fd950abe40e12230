"""Which files a run was trained on: `data.json`, a mark for each, so that a changed one can be named.

Fingerprints say that data are other data; of a folder of images this says which files. Of a set in memory the mark is
of the decoded example with its label; of one that is read on demand it is the file's size, and the contents of a
changed file of the same size go unnoticed.
"""

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genjax import data
from genjax.errors import shown
from genjax.jsonfile import read_json, write_json

LISTING = "data.json"
SHOWN = 3
"""Files that are named before the rest is counted."""


def marks(dataset: data.Dataset, what: Any) -> dict[str, str]:
    """The mark of each file of a data set by its name; nothing for a set that is no folder."""
    parts = {"train": dataset.train, "validation": dataset.validation, "test": dataset.test}
    found = {}
    for part, names in dataset.files.items():
        examples = parts[part]
        if examples is None:
            continue
        for i, name in enumerate(names):
            mark = _mark(examples, i) if isinstance(examples, data.Examples) else _size(what, name)
            found[name] = mark if name not in found or found[name] == mark else _both(found[name], mark)
    return found


def write(run: Path, dataset: data.Dataset, what: Any) -> None:
    """Write a new run's `data.json`; nothing for data that are no folder."""
    if found := marks(dataset, what):
        write_json(run / LISTING, found)


def changed(run: Path, dataset: data.Dataset, what: Any) -> str:
    """What of the files is not what it was when the run was trained: `a.png has changed, b.png is new`; else empty."""
    old: Mapping[str, str] | None = read_json(run / LISTING)
    if not isinstance(old, dict):
        return ""
    new = marks(dataset, what)
    said = [
        f"{shown(n)} {'is new' if n not in old else 'is gone' if n not in new else 'has changed'}"
        for n in sorted({*old, *new})
        if old.get(n) != new.get(n)
    ]
    return ", ".join([*said[:SHOWN], *([f"{len(said) - SHOWN:,} more"] if len(said) > SHOWN else [])])


def _mark(part: data.Examples, i: int) -> str:
    digest = hashlib.blake2b(np.ascontiguousarray(part.x[i]).data, digest_size=8)
    digest.update(b"" if part.y is None else str(int(part.y[i])).encode())
    digest.update(b"" if part.event_mask is None else np.ascontiguousarray(part.event_mask[i]).data)
    return digest.hexdigest()


def _both(mark: str, more: str) -> str:
    """The mark of a file that holds several examples."""
    return hashlib.blake2b(f"{mark} {more}".encode(), digest_size=8).hexdigest()


def _size(what: Any, name: str) -> str:
    try:
        return f"{os.stat(Path(what).expanduser() / name).st_size} bytes"
    except OSError:
        return "unreadable"
