"""Which data sets can be asked for by name, answered without importing jax, NumPy or TFDS."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from genjax.data import readers
from genjax.errors import UsageError, shown
from genjax.formats import files

EMBEDDED = {
    "digits": "1,797 handwritten digits, 8x8x1, 10 classes (UCI, CC BY 4.0)",
    "fashion_mini": "6,000 + 1,000 images of Fashion-MNIST, 28x28x1, 10 classes (Zalando, MIT)",
}
"""Sets that ship inside the package, with a line on each."""

SYNTHETIC = {
    "ring": "60,000 points of 8 narrow Gaussians on a ring, 1x1x2, 8 classes (made here)",
    "grid": "60,000 points of 25 narrow Gaussians on a grid, 1x1x2, 25 classes (made here)",
}
"""Sets of points in the plane, made when asked for, with a line on each."""


class Prepared(NamedTuple):
    """A data set that TFDS has prepared in a folder."""

    name: str
    """Name, with `/config` where it has configurations."""
    version: str
    path: Path
    file_format: str
    """`array_record` can be read; `tfrecord` would need TensorFlow."""
    splits: dict[str, int]
    """Number of examples of each split."""
    has_images: bool


class Unusable(NamedTuple):
    """A folder where a data set should be."""

    name: str
    version: str
    """Empty where its versions cannot be listed."""
    why: str


VERSION = re.compile(r"\d+\.\d+\.\d+")


def names() -> dict[str, str]:
    """The embedded and the synthetic sets of all kinds of data, each with a line of description.

    Example:
        >>> {"digits", "fashion_mini", "ring", "grid"} <= set(names())
        True
    """
    return EMBEDDED | readers.names() | SYNTHETIC


def data_dir_of(data_dir: str | os.PathLike | None = None) -> Path:
    """The TFDS folder: `data_dir`, else `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared(data_dir: str | os.PathLike | None = None) -> list[Prepared]:
    """The data sets TFDS has prepared in a folder, newest version last; [] where there is no such folder.

    Raises:
        UsageError: as `survey`.
    """
    return survey(data_dir)[0]


def survey(data_dir: str | os.PathLike | None = None) -> tuple[list[Prepared], list[Unusable]]:
    """What `prepared` finds, and what is there and cannot be used: half prepared, damaged, or closed to this user.

    Raises:
        UsageError: the folder of all sets cannot be listed.
    """
    root = data_dir_of(data_dir)
    if files.kind_of(root) != "folder":
        return [], []
    good, bad = [], []
    for name in _folders(root):
        try:
            folders = list(_versions(name))
        except UsageError as e:
            bad.append(Unusable(name.name, "", str(e)))
            continue
        for folder in folders:
            try:
                good.append(_read(root, folder))
            except UsageError as e:
                bad.append(Unusable(folder.parent.relative_to(root).as_posix(), folder.name, str(e)))
    return sorted(good, key=lambda p: (p.name, _version_key(p.version))), bad


def _versions(name: Path) -> Iterator[Path]:
    """Every name/version and name/config/version."""
    for inner in _folders(name):
        if VERSION.fullmatch(inner.name):
            yield inner
        else:
            yield from (version for version in _folders(inner) if VERSION.fullmatch(version.name))


def _folders(folder: Path) -> list[Path]:
    return [e.path for e in files.listing(folder) if e.kind == "folder"]


def _read(root: Path, folder: Path) -> Prepared:
    """What a prepared folder says of itself.

    Raises:
        UsageError: it says nothing that can be read.
    """
    info = folder / "dataset_info.json"
    if files.kind_of(info) is None:
        raise UsageError(f"{shown(folder)}: has no {info.name}: half prepared. Remove the folder and prepare it again.")
    try:
        about = json.loads(files.read_text(info))
        features = files.read_text(folder / "features.json")
        splits = {str(s["name"]): sum(int(n) for n in s.get("shardLengths", [])) for s in about.get("splits", [])}
        file_format = str(about.get("fileFormat", "tfrecord"))
    except UsageError:
        raise
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as e:
        what = shown(str(e) or type(e).__name__)
        raise UsageError(f"{shown(info)}: is damaged ({what}). Remove the folder and prepare it again.") from e
    name = folder.parent.relative_to(root).as_posix()
    return Prepared(name, folder.name, folder, file_format, splits, "image_feature.Image" in features)


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(v) for v in version.split("."))
