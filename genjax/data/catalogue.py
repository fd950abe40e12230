"""Which data sets can be asked for by name, answered without importing jax, NumPy or TFDS."""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

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


def names() -> dict[str, str]:
    """The embedded and the synthetic sets, each with a line of description.

    Example:
        >>> list(names())
        ['digits', 'fashion_mini', 'ring', 'grid']
    """
    return EMBEDDED | SYNTHETIC


def data_dir_of(data_dir: str | os.PathLike | None = None) -> Path:
    """The TFDS folder: `data_dir`, else `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`."""
    return Path(data_dir or os.environ.get("TFDS_DATA_DIR") or "~/tensorflow_datasets").expanduser()


def prepared(data_dir: str | os.PathLike | None = None) -> list[Prepared]:
    """The data sets TFDS has prepared in a folder, newest version last; [] where there is no such folder."""
    root = data_dir_of(data_dir)
    found = [_read(root, info) for info in _infos(root)]
    return sorted((p for p in found if p is not None), key=lambda p: (p.name, _version_key(p.version)))


def _infos(root: Path) -> Iterator[Path]:
    """Every name/version/dataset_info.json and name/config/version/dataset_info.json."""
    for pattern in ("*/*/dataset_info.json", "*/*/*/dataset_info.json"):
        yield from (p for p in root.glob(pattern) if re.fullmatch(r"\d+\.\d+\.\d+", p.parent.name))


def _read(root: Path, info: Path) -> Prepared | None:
    """What a prepared folder says of itself; None where it cannot be read (half prepared, damaged)."""
    try:
        about = json.loads(info.read_text())
        features = (info.parent / "features.json").read_text()
        splits = {s["name"]: sum(int(n) for n in s.get("shardLengths", [])) for s in about.get("splits", [])}
        file_format = about.get("fileFormat", "tfrecord")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None
    folder = info.parent
    name = folder.parent.relative_to(root).as_posix()
    return Prepared(name, folder.name, folder, file_format, splits, "image_feature.Image" in features)


def _version_key(version: str) -> tuple[int, ...]:
    return tuple(int(v) for v in version.split("."))
