"""Decoded images kept on disk between runs: decoding 60,000 takes seconds, reading them back a fraction of one.

One uncompressed `.npz` a split, in `$GENJAX_CACHE`, else `$XDG_CACHE_HOME/genjax`, else `~/.cache/genjax`, under
`decoded/`. It appears by renaming, so that concurrent writers and kills leave whole files; zip's checksums catch a
damaged one, which is then made anew; where it cannot be written, everything works without it.
"""

import contextlib
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np

from genjax.data.examples import Examples
from genjax.errors import UsageError
from genjax.files import replacing
from genjax.formats import npz
from genjax.formats.files import kind_of, refused

FORMAT = "1"


def cache_dir() -> Path:
    """The folder of decoded sets."""
    chosen = os.environ.get("GENJAX_CACHE")
    base = Path(chosen) if chosen else Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "genjax"
    return base.expanduser() / "decoded"


def identity(*parts: object, files: list[Path]) -> str:
    """A key over `parts` and over the name, size and time of every file, so that a prepared-anew set is another.

    Raises:
        UsageError: a file cannot be looked at.
    """
    digest = hashlib.sha256(repr((FORMAT, *parts)).encode("utf-8", "surrogateescape"))
    for file in sorted(files):
        try:
            stat = file.stat()
        except OSError as e:
            raise refused(file, e) from e
        digest.update(repr((file.name, stat.st_size, stat.st_mtime_ns)).encode("utf-8", "surrogateescape"))
    return digest.hexdigest()[:24]


def cached(name: str, make: Callable[[], Examples], say: Callable[[str], None] = lambda line: None) -> Examples:
    """`make()`, or what an earlier call of the same name made; `say` is called for a file that cannot be read."""
    file = cache_dir() / f"{name}.npz"
    try:
        if kind_of(file) is not None:
            return _read(file)
    except UsageError as e:
        say(f"decoded images kept from an earlier run are made again: {e}")
    images = make()
    with contextlib.suppress(OSError):
        _write(file, images)
    return images


def _read(file: Path) -> Examples:
    """What the file holds.

    Raises:
        UsageError: it is damaged, or cannot be read.
    """
    a, _ = npz.read(file, ["image", "label"])
    image, label = a.get("image"), a.get("label")
    if image is None or label is None or image.dtype != np.uint8 or image.ndim != 4 or label.dtype.kind not in "iu":
        raise UsageError(f"{file}: holds no images.")
    if label.shape not in (image.shape[:1], (0,)):
        raise UsageError(f"{file}: holds {label.shape} labels for {image.shape[:1]} images.")
    return Examples(image, label.astype(np.int32) if label.shape == image.shape[:1] else None)


def _write(file: Path, images: Examples) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    with replacing(file) as f:
        np.savez(f, image=images.x, label=np.zeros(0, np.int32) if images.y is None else images.y)
