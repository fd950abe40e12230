"""Image sets of TensorFlow Datasets, read without TensorFlow. The only file that imports TFDS.

Reads what TFDS has prepared as `array_record`, through `builder_from_directory` and `as_data_source`. It never
downloads: `tfds.load` and `tfds.data_source` on a set that is not prepared retry the network for minutes.
"""

import logging
import os
from pathlib import Path
from typing import Any

import numpy as np

from genjax import progress
from genjax.data.cache import cached, identity
from genjax.data.catalogue import Prepared, prepared
from genjax.data.images import Dataset, Images, Records, dataset
from genjax.data.resize import resize_array
from genjax.errors import UsageError

CHUNK = 1024
"""Examples decoded at a time: `__getitems__` is twice as fast as single reads."""


def find(name: str, data_dir: str | os.PathLike | None) -> Prepared | None:
    """The prepared set `name[/config][:version]`, the newest version where none is asked for; None if not there.

    A set with configurations needs its config named, but where just one is prepared.
    """
    wanted, _, version = name.partition(":")
    here = [p for p in prepared(data_dir) if not version or p.version == version]
    exact = [p for p in here if p.name == wanted]
    below = [p for p in here if p.name.startswith(f"{wanted}/")]
    if not exact and len({p.name for p in below}) > 1:
        raise UsageError(
            f"data={name!r}: has several configurations prepared. Try one of {', '.join(p.name for p in below)}."
        )
    return (exact or below or [None])[-1]


def known() -> list[str]:
    """Names that TFDS has builders for."""
    import tensorflow_datasets as tfds

    return tfds.list_builders(with_community_datasets=False)


def how_to_prepare(name: str, root: Path) -> str:
    """The message for a set that TFDS knows and that is not prepared in `root`."""
    return (
        f"data={name!r}: TFDS knows it, but it is not prepared in {root} (--data-dir or $TFDS_DATA_DIR name another "
        f"folder), and genjax downloads nothing. To prepare it, with network, once:\n{_commands(name, root)}"
    )


def load_prepared(name: str, found: Prepared, image_size: int | None, stream_above: int) -> Dataset:
    """A prepared set as a data set: its `train` split, and `test`, else `validation`.

    Raises:
        UsageError: another file format than array_record, no images or no `train` split in it, images that are not
            8 bits, mixed sizes without `image_size`.
    """
    if found.file_format != "array_record":
        root = found.path.parents[found.name.count("/") + 1]
        raise UsageError(
            f"data={name!r}: {found.path} is prepared as {found.file_format}, which cannot be read without TensorFlow. "
            f"Move that folder away and prepare it as array_record:\n{_commands(name, root)}"
        )
    if found.splits.get("train", 0) < 1:
        raise UsageError(
            f"data={name!r}: {found.path} has no 'train' split; it has {', '.join(found.splits) or 'none'}."
        )
    reader = _Reader(name, found, image_size)
    test_split = next((s for s in ("test", "validation") if found.splits.get(s, 0) > 0), None)
    train = reader.part("train", stream_above)
    test = reader.part(test_split, stream_above) if test_split else None
    return dataset(name, train, test, reader.classes)


class _Reader:
    """An opened builder: which features hold image and label, and how to read a split."""

    def __init__(self, name: str, found: Prepared, image_size: int | None):
        import tensorflow_datasets as tfds

        self.name, self.found, self.image_size = name, found, image_size
        logging.getLogger("absl").addFilter(_not_about_opencv)
        self.builder = tfds.builder_from_directory(found.path)
        features = self.builder.info.features
        self.image_key = _only(name, features, tfds.features.Image, "image", found)
        self.label_key = _label_key(features, tfds.features.ClassLabel)
        self.classes = features[self.label_key].names if self.label_key else []
        image = features[self.image_key]
        if np.dtype(image.np_dtype) != np.uint8:
            raise UsageError(f"data={name!r}: images are {np.dtype(image.np_dtype)}; wanted uint8.")
        self.shape = self._shape(image.shape)

    def part(self, split: str, stream_above: int) -> Images | Records:
        """The split decoded, or to be decoded on demand where its pixels are more than `stream_above` bytes."""
        n = self.found.splits[split]
        source = self.builder.as_data_source(split=split)
        if n * int(np.prod(self.shape)) > stream_above:
            return Records(n, self.shape, lambda indices: self.read(source, indices))
        files = [p for p in self.found.path.iterdir() if p.is_file()]
        key = identity(self.builder.info.full_name, split, self.image_size, files=files)
        label = f"{self.builder.info.full_name.replace('/', '-')}-{split}-{key}"

        def decode() -> Images:
            starts = progress.over(range(0, n, CHUNK), "images decoded", CHUNK)
            chunks = [self.read(source, np.arange(i, min(i + CHUNK, n))) for i in starts]
            labels = [c.label for c in chunks if c.label is not None]
            return Images(np.concatenate([c.image for c in chunks]), np.concatenate(labels) if labels else None)

        images = cached(label, decode)
        if images.image.shape != (n, *self.shape):  # a file of that name by another hand
            images = decode()
        return images

    def read(self, source: Any, indices: np.ndarray) -> Images:
        """Examples decoded, made of one size, labels checked."""
        rows = source.__getitems__([int(i) for i in indices])
        image = np.stack([self._fit(row[self.image_key]) for row in rows])
        if not self.label_key:
            return Images(image)
        label = np.array([row[self.label_key] for row in rows], np.int32)
        if label.min() < 0:
            raise UsageError(f"data={self.name!r}: holds label {label.min()} (an unlabelled split?); wanted 0, 1, ...")
        return Images(image, label)

    def _fit(self, image: np.ndarray) -> np.ndarray:
        return image if self.image_size is None else resize_array(image, self.image_size)

    def _shape(self, shape: tuple[int | None, ...]) -> tuple[int, int, int]:
        h, w, c = shape
        if self.image_size is not None:
            h = w = self.image_size
        if h is None or w is None or c is None:
            raise UsageError(
                f"data={self.name!r}: its images are of mixed sizes {shape}. Give --image-size, as --image-size 64."
            )
        return h, w, c


def _not_about_opencv(record: logging.LogRecord) -> bool:
    """Keeps TFDS's advice to install OpenCV off the user's terminal: decoded sets are cached."""
    return "OpenCV" not in record.getMessage()


def _only(name: str, features: Any, kind: type, preferred: str, found: Prepared) -> str:
    """The feature of a kind: the one of the preferred name, else the only one."""
    features = dict(features.items()) if hasattr(features, "items") else {}
    keys = [k for k, f in features.items() if isinstance(f, kind)]
    if preferred in keys:
        return preferred
    if len(keys) == 1:
        return keys[0]
    has = f"several images ({', '.join(keys)})" if keys else "no image"
    raise UsageError(
        f"data={name!r}: {found.path} has {has} in an example; wanted one named 'image'. "
        f"Its features: {', '.join(features)}."
    )


def _label_key(features: Any, kind: type) -> str | None:
    keys = [k for k, f in features.items() if isinstance(f, kind)]
    return "label" if "label" in keys else keys[0] if len(keys) == 1 else None


def _commands(name: str, root: Path) -> str:
    plain = name.partition(":")[0]
    return (
        "  pip install -e '.[tfds]'        # in genjax's checkout; only preparing needs TensorFlow\n"
        f'  python -c "import tensorflow_datasets as tfds; tfds.builder({plain!r}, data_dir={os.fspath(root)!r})'
        ".download_and_prepare(file_format='array_record')\""
    )
