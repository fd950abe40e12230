"""Image sets of TensorFlow Datasets, read without TensorFlow. The only file that imports TFDS.

Reads what TFDS has prepared as `array_record`, through `builder_from_directory` and `as_data_source`. It never
downloads: `tfds.load` and `tfds.data_source` on a set that is not prepared retry the network for minutes.
"""

import contextlib
import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from genjax import headroom, progress
from genjax.data.cache import cached, identity
from genjax.data.catalogue import Prepared, survey
from genjax.data.classes import numbered
from genjax.data.examples import Dataset, Examples, Lazy, dataset
from genjax.data.resize import resize_array
from genjax.data.tree import PARTS
from genjax.errors import UsageError, shown
from genjax.figures import by
from genjax.formats import files
from genjax.formats.picture import stored_pixels

OWN_FEATURES = "tensorflow_datasets.core.features."
CHUNK = 1024
"""Examples decoded at a time: `__getitems__` is twice as fast as single reads."""


def find(name: str, data_dir: str | os.PathLike | None) -> Prepared | None:
    """The prepared set `name[/config][:version]`, the newest version where none is asked for; None if not there.

    A set with configurations needs its config named, but where just one is prepared.

    Raises:
        UsageError: one of that name is there and cannot be used, or has several configurations.
    """
    wanted, _, version = name.partition(":")
    good, bad = survey(data_dir)
    for b in bad:  # else an older version, or nothing, would be taken for it
        same = f"{b.name}/".startswith(f"{wanted}/") or (not b.version and wanted.startswith(f"{b.name}/"))
        if same and (not version or not b.version or version == b.version):
            raise UsageError(f"data={shown(name)!r}: {b.why}")
    here = [p for p in good if not version or p.version == version]
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
    _check_format(name, found)
    if found.splits.get("train", 0) < 1:
        raise UsageError(
            f"data={name!r}: {found.path} has no 'train' split; it has {', '.join(found.splits) or 'none'}."
        )
    reader = _Reader(name, found, image_size)
    test_split = next((s for s in ("test", "validation") if found.splits.get(s, 0) > 0), None)
    train = reader.part("train", stream_above)
    test = reader.part(test_split, stream_above) if test_split else None
    classes: Sequence[str] = reader.classes
    if isinstance(train, Examples) and not isinstance(test, Lazy):  # else labels are known when they are decoded
        raw = [train.y, *([] if test is None else [test.y])]
        labels, classes = numbered(raw, reader.classes, f"data={name!r}")
        train = train._replace(y=labels[0])
        test = None if test is None else test._replace(y=labels[1])
    return dataset(name, train, test, classes, notes=reader.notes)


def open_split(name: str, found: Prepared, split: str) -> Any:
    """The examples of a split of any prepared set, as TFDS decodes them: `source[i]` is a dict of features.

    For readers of data that are no images.

    Raises:
        UsageError: another file format than array_record, no such split, or features of code that is not TFDS's own.
    """
    import tensorflow_datasets as tfds

    _check_format(name, found)
    if found.splits.get(split, 0) < 1:
        raise UsageError(f"data={name!r}: {found.path} has no {split!r} split; it has {', '.join(found.splits)}.")
    _check_code(found)
    with _reading(name, found):
        return tfds.builder_from_directory(found.path).as_data_source(split=split)


def all_of(source: Any) -> Iterator[dict[str, Any]]:
    """The examples of a split one after the other, decoded `CHUNK` at a time."""
    for start in range(0, len(source), CHUNK):
        yield from source.__getitems__(range(start, min(start + CHUNK, len(source))))


def open_parts(found: Prepared) -> dict[str, Any]:
    """The parts of a prepared set, each as `open_split` gives it: `train`, and `test` and `validation` where they are.

    Where there is no test split, the validation split is the test part.

    Raises:
        UsageError: as `open_split`.
    """
    splits = {PARTS[s]: s for s, n in found.splits.items() if n > 0 and s in PARTS}
    if "test" not in splits and "validation" in splits:
        splits["test"] = splits.pop("validation")
    splits.setdefault("train", "train")
    return {part: open_split(found.name, found, split) for part, split in splits.items()}


def _check_format(name: str, found: Prepared) -> None:
    if found.file_format != "array_record":
        root = found.path.parents[found.name.count("/") + 1]
        raise UsageError(
            f"data={name!r}: {found.path} is prepared as {found.file_format}, which cannot be read without TensorFlow. "
            f"Move that folder away and prepare it as array_record:\n{_commands(name, root)}"
        )


@contextlib.contextmanager
def _reading(name: str, found: Prepared) -> Iterator[None]:
    """What TFDS and its reader make of damaged files, told by the set's folder."""
    try:
        yield
    except UsageError:
        raise
    except Exception as e:
        what = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise UsageError(
            f"data={name!r}: {shown(found.path)} cannot be read ({shown(what)}). "
            "Remove that folder and prepare it again."
        ) from e


class _Reader:
    """An opened builder: which features hold image and label, and how to read a split."""

    def __init__(self, name: str, found: Prepared, image_size: int | None):
        import tensorflow_datasets as tfds

        self.name, self.found, self.image_size = name, found, image_size
        self.notes: list[str] = []
        _check_code(found)
        with self._reading():
            self.builder = tfds.builder_from_directory(found.path)
        features = self.builder.info.features
        self.image_key = _only(name, features, tfds.features.Image, "image", found)
        self.label_key = _label_key(features, tfds.features.ClassLabel)
        self.classes = [shown(c) for c in features[self.label_key].names or ()] if self.label_key else []
        # Pixels are decoded here: TFDS would take another decoder where there is one, and open any format.
        self.decoders: Any = {self.image_key: tfds.decode.SkipDecoding()}
        image = features[self.image_key]
        if np.dtype(image.np_dtype) != np.uint8:
            raise UsageError(f"data={name!r}: images are {np.dtype(image.np_dtype)}; wanted uint8.")
        self.channels = image.shape[-1]
        self.shape = self._shape(image.shape)

    def part(self, split: str, stream_above: int) -> Examples | Lazy:
        """The split decoded, or to be decoded on demand where its pixels are more than `stream_above` bytes."""
        n = self.found.splits[split]
        here = [e for e in files.listing(self.found.path) if e.kind != "folder"]
        if odd := next((e for e in here if e.kind != "file"), None):
            raise files.not_a_file(odd.path)
        with self._reading():
            source = self.builder.as_data_source(split=split, decoders=self.decoders)
            if len(source) != n:
                raise ValueError(f"{len(source)} examples of {n}")
        n_bytes = n * math.prod(self.shape)
        if n_bytes > stream_above:
            return Lazy(n, self.shape, lambda indices: self.read(source, indices))
        remedy = "Give --image-size to make the images smaller."
        headroom.check(2 * n_bytes, f"data={self.name!r}: {n:,} images of {by(self.shape)}", remedy)
        key = identity(self.builder.info.full_name, split, self.image_size, files=[e.path for e in here])
        label = f"{self.builder.info.full_name.replace('/', '-')}-{split}-{key}"

        def decode() -> Examples:
            images = np.empty((n, *self.shape), np.uint8)
            labels = []
            for i in progress.over(range(0, n, CHUNK), "images decoded", CHUNK):
                some = self.read(source, np.arange(i, min(i + CHUNK, n)))
                images[i : i + CHUNK] = some.x
                labels += [] if some.y is None else [some.y]
            return Examples(images, np.concatenate(labels) if labels else None)

        images = cached(label, decode, self.notes.append)
        if images.x.shape != (n, *self.shape):  # a file of that name by another hand
            images = decode()
        return images

    def read(self, source: Any, indices: np.ndarray) -> Examples:
        """Examples decoded, made of one size, labels checked."""
        with self._reading():
            rows = source.__getitems__([int(i) for i in indices])
        image = np.empty((len(rows), *self.shape), np.uint8)
        for i, row in enumerate(rows):
            one = self._decoded(row[self.image_key], int(indices[i]))
            if one.shape != self.shape:
                raise UsageError(f"{self._at(int(indices[i]))}: is {one.shape}; wanted {self.shape} (H, W, C).")
            image[i] = one
        if not self.label_key:
            return Examples(image)
        label = np.array([row[self.label_key] for row in rows], np.int32)
        if label.min() < 0 or label.max() >= len(self.classes):
            raise UsageError(
                f"data={self.name!r}: holds label {label.min() if label.min() < 0 else label.max()} (an unlabelled "
                f"split?); wanted 0 ... {len(self.classes) - 1}."
            )
        return Examples(image, label)

    def _decoded(self, content: bytes, place: int) -> np.ndarray:
        image = stored_pixels(io.BytesIO(content), self._at(place), self.channels)
        return image if self.image_size is None else resize_array(image, self.image_size)

    def _at(self, place: int) -> str:
        return f"{shown(self.found.path)}: example {place}"

    def _reading(self) -> contextlib.AbstractContextManager[None]:
        return _reading(self.name, self.found)

    def _shape(self, shape: tuple[int | None, ...]) -> tuple[int, int, int]:
        h, w, c = shape
        if self.image_size is not None:
            h = w = self.image_size
        if h is None or w is None or c is None:
            raise UsageError(
                f"data={self.name!r}: its images are of mixed sizes {shape}. Give --image-size, as --image-size 64."
            )
        return h, w, c


def _check_code(found: Prepared) -> None:
    """Refuses features of classes that are not TFDS's own: it would import whatever module they name.

    Raises:
        UsageError: there is such a class; or the file cannot be read.
    """
    path = found.path / "features.json"
    try:
        todo = [json.loads(files.read_text(path))]
    except (ValueError, RecursionError) as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f"{shown(path)}: is damaged ({shown(e)}). Remove the folder and prepare it again.") from e
    while todo:
        value = todo.pop()
        if isinstance(value, list):
            todo += value
        elif isinstance(value, dict):
            todo += value.values()
            for key in ("pythonClassName", "python_class_name", "type"):
                name = value.get(key)
                if isinstance(name, str) and "." in name and not name.startswith(OWN_FEATURES):
                    raise UsageError(
                        f"{shown(path)}: names {shown(name)}, code that is not TFDS's own and is not run. "
                        "Prepare the set with features of tensorflow_datasets."
                    )


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
