"""Decoded images kept on disk between runs: decoding 60,000 takes seconds, reading them back a fraction of one.

One uncompressed `.npz` a split, in `$GENJAX_CACHE`, else `$XDG_CACHE_HOME/genjax`, else `~/.cache/genjax`, under
`decoded/`. It appears by renaming, so that concurrent writers and kills leave whole files; zip's checksums catch a
damaged one, which is then made anew; where it cannot be written, everything works without it.
"""

import contextlib
import hashlib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np

from genjax.data.images import Images
from genjax.files import replacing

FORMAT = "1"


def cache_dir() -> Path:
    """The folder of decoded sets."""
    chosen = os.environ.get("GENJAX_CACHE")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "genjax"
    return base.expanduser() / "decoded"


def identity(*parts: object, files: list[Path]) -> str:
    """A key over `parts` and over the name, size and time of every file, so that a prepared-anew set is another."""
    digest = hashlib.sha256(repr((FORMAT, *parts)).encode())
    for file in sorted(files):
        stat = file.stat()
        digest.update(repr((file.name, stat.st_size, stat.st_mtime_ns)).encode())
    return digest.hexdigest()[:24]


def cached(name: str, make: Callable[[], Images]) -> Images:
    """`make()`, or what an earlier call of the same name made."""
    file = cache_dir() / f"{name}.npz"
    kept = _read(file)
    if kept is not None:
        return kept
    images = make()
    with contextlib.suppress(OSError):
        _write(file, images)
    return images


def _read(file: Path) -> Images | None:
    """What the file holds, None where it is absent or damaged."""
    try:
        with file.open("rb") as f, np.load(f, allow_pickle=False) as a:  # np.load(path) leaks its file on errors
            image, label = a["image"], a["label"]
    except (OSError, ValueError, EOFError, KeyError, SyntaxError, NotImplementedError, zipfile.BadZipFile):
        return None
    has_label = label.shape == image.shape[:1]
    sound = image.dtype == np.uint8 and image.ndim == 4 and (has_label or label.size == 0)
    return Images(image, label.astype(np.int32) if has_label else None) if sound else None


def _write(file: Path, images: Images) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as f:
        np.savez(f, image=images.image, label=np.zeros(0, np.int32) if images.label is None else images.label)
