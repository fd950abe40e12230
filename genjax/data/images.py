"""What a data set is once loaded: `Images` or `Records`, `Spec`, `Dataset`. NumPy only."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from genjax import room
from genjax.data.depth import said_of_dark
from genjax.errors import DataFailure, UsageError, shown

Part = TypeVar("Part")
SAMPLED = 256
"""Examples, spread evenly, that the contrast and the fingerprint of a set read on demand look at."""
CHUNK_BYTES = 64 * 2**20
"""Decoded pixels at a time, where an array of all is not needed."""


class Images(NamedTuple):
    """Decoded images, whole in memory."""

    image: UInt8[np.ndarray, "n h w c"] | Float32[np.ndarray, "n h w c"]
    """Pixels 0..255, uint8; the coordinates of synthetic points, float32."""
    label: Int32[np.ndarray, " n"] | None = None
    """Class, 0 <= label < n_classes; None where the set has none."""

    def __repr__(self) -> str:
        n, *shape = self.image.shape
        return f"Images({n:,} of {by(shape)}, {self.image.dtype}{'' if self.label is None else ', labels'})"


@dataclass(frozen=True, repr=False)
class Records:
    """Images decoded on demand: a set too large to hold.

    Attributes:
        n: number of examples.
        shape: (H, W, C) of every one.
        read: `read(indices) -> Images` of those examples, in that order; safe to call from several threads.
        label: every label, where they are known without decoding; None otherwise.
    """

    n: int
    shape: tuple[int, int, int]
    read: Callable[[Int[np.ndarray, " b"]], Images]
    label: np.ndarray | None = None

    def __repr__(self) -> str:
        return f"Records({self.n:,} of {by(self.shape)}, decoded on demand{'' if self.label is None else ', labels'})"


@dataclass(frozen=True)
class Spec:
    """What nets and a run's folder need to know of a data set.

    Attributes:
        name: the name it was asked by, or of its folder or file.
        shape: (H, W, C) of an image.
        n_classes: number of classes, 0 where there are no labels.
        n_train: number of training examples.
        fingerprint: SHA-256 of the training part, see `fingerprint`.
        fingerprint_test: of the test part; empty where there is none.
        fingerprint_validation: of the part held out; empty where none was.
        classes: the name of each class; () where there are none, or none are known (runs of older versions).
        white: the stored value that is white: above 255 where the images had more than 8 bits.
        contrast: how nearly its pixels are black and white, see `contrast`; None of points, and where nobody looked.
    """

    name: str
    shape: tuple[int, int, int]
    n_classes: int
    n_train: int
    fingerprint: str
    fingerprint_test: str = ""
    fingerprint_validation: str = ""
    classes: tuple[str, ...] = ()
    white: int = 255
    contrast: float | None = None

    @property
    def points(self) -> bool:
        """Whether the examples are points in the plane instead of images; images of one pixel are images."""
        return tuple(self.shape) == (1, 1, 2)


@dataclass(frozen=True, repr=False)
class Dataset:
    """A data set: its training part, its test part (None where it has none), what it is, and what was held out."""

    train: Images | Records
    test: Images | Records | None
    spec: Spec
    validation: Images | Records | None = None
    """Images that nothing is trained on, held out of the training part or given apart; None where there are none."""
    files: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """The file of each example of `train`, `test`, `validation`, relative to the folder; {} where there are none."""
    notes: tuple[str, ...] = ()
    """What a person should know of how the data were taken, a line each."""

    def __repr__(self) -> str:
        s = self.spec
        parts = (("training", self.train), ("validation", self.validation), ("test", self.test))
        counts = [f"{size(part):,} {name}" for name, part in parts if part is not None]
        names = [shown(c) for c in s.classes]
        if len(names) > 10:
            names = [*names[:4], "...", names[-1]]
        classes = f", {s.n_classes} classes ({', '.join(names)})" if s.n_classes else ""
        lazy = ", decoded on demand" if isinstance(self.train, Records) else ""
        first = f"Dataset {shown(s.name)}: {' + '.join(counts)} of {by(s.shape)}{classes}{lazy}"
        return "\n".join([first, *self.notes])


def size(part: Images | Records) -> int:
    """Number of examples."""
    return part.n if isinstance(part, Records) else part.image.shape[0]


def take(part: Images | Records, indices: Int[np.ndarray, " b"]) -> Images:
    """The examples at `indices`, in that order, decoded, in memory.

    Raises:
        UsageError: memory does not hold them, or one cannot be read.
    """
    indices = np.asarray(indices)
    if isinstance(part, Records):
        n_bytes = len(indices) * math.prod(part.shape)
        room.check(n_bytes, f"{len(indices):,} images of {by(part.shape)}", "Ask for fewer, or give --image-size.")
        return part.read(indices)
    return Images(part.image[indices], None if part.label is None else part.label[indices])


def fingerprint(part: Images | Records) -> str:
    """SHA-256 over the shape and bytes of images and labels, in hexadecimal.

    Of `Records` it covers the number of examples, their shape, and `SAMPLED` examples spread evenly: it notices
    another data set, not one changed image; it is marked by a leading `sampled-`.

    Example:
        >>> fingerprint(Images(np.zeros((1, 2, 2, 1), np.uint8)))[:8]
        '6c302b29'
    """
    if isinstance(part, Records):
        return _look(part)[0]
    digest = hashlib.sha256()
    for array in part:
        if array is not None:
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _look(records: Records) -> tuple[str, np.ndarray]:
    """The fingerprint of a set read on demand, and how often each value of a pixel is in it.

    Examples are read a few at a time: all of them at once may fill the memory where they are large.
    """
    indices, step = _spread(records.n), max(1, CHUNK_BYTES // math.prod(records.shape))
    digest, counts, labels = hashlib.sha256(f"{records.n}".encode()), np.zeros(256, np.int64), []
    digest.update(f"{(len(indices), *records.shape)}".encode())
    for first in range(0, len(indices), step):
        images = records.read(indices[first : first + step])
        digest.update(np.ascontiguousarray(images.image).data)
        counts += np.bincount(images.image.reshape(-1), minlength=256)
        labels += [] if images.label is None else [images.label]
    if labels:
        label = np.concatenate(labels)
        digest.update(f"{label.shape}".encode())
        digest.update(np.ascontiguousarray(label).data)
    return f"sampled-{digest.hexdigest()}", counts


def _spread(n: int) -> np.ndarray:
    """`SAMPLED` places among n, spread evenly; all where there are fewer."""
    return np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(np.int64))


def spec_of(stored: Mapping[str, Any]) -> Spec:
    """The `Spec` from its JSON form, also from an older version without the newer fields.

    Raises:
        UsageError: a field is missing or is not what it should be.

    Example:
        >>> about = {"name": "a", "shape": [8, 8, 1], "n_classes": 1, "n_train": 9, "fingerprint": ""}
        >>> spec_of(about | {"classes": ["x"]}).classes, spec_of(about).classes
        (('x',), ())
    """
    try:
        height, width, channels = map(int, stored["shape"])
        return Spec(
            name=str(stored["name"]), shape=(height, width, channels),
            n_classes=int(stored["n_classes"]), n_train=int(stored["n_train"]), fingerprint=str(stored["fingerprint"]),
            fingerprint_test=str(stored.get("fingerprint_test", "")),
            fingerprint_validation=str(stored.get("fingerprint_validation", "")),
            classes=tuple(map(str, stored.get("classes") or ())), white=int(stored.get("white") or 255),
            contrast=None if stored.get("contrast") is None else float(stored["contrast"]),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise UsageError(f"what is stored of the run's data is damaged ({type(e).__name__}: {e}).") from None


def dataset(
    name: str, train: Images | Records, test: Images | Records | None, classes: Sequence[str],
    validation: Images | Records | None = None, *,
    white: int = 255, files: Mapping[str, tuple[str, ...]] | None = None, notes: Sequence[str] = (),
) -> Dataset:  # fmt: skip
    """Parts put together into a `Dataset`, with its `Spec`.

    Raises:
        UsageError: where another part has another image shape than the training part.
    """
    shape = _shape(train)
    for what, part in (("test", test), ("validation", validation)):
        if part is not None and _shape(part) != shape:
            raise UsageError(
                f"{shown(name)}: {what} images are {_shape(part)}, training images {shape} (H, W, C); they must agree."
            )
    test_, validation_ = ("" if part is None else fingerprint(part) for part in (test, validation))
    if isinstance(train, Records):
        train_, counts = _look(train)
        toned = _contrast(counts)
    else:
        train_, toned = fingerprint(train), contrast(train.image[_spread(size(train))])
        if train.image.dtype == np.uint8:
            notes = [*notes, *said_of_dark(shown(name), int(train.image.max()))]
    classes = tuple(classes)
    spec = Spec(name, shape, len(classes), size(train), train_, test_, validation_, classes, white, toned)
    made = Dataset(train, test, spec, validation, files or {})
    if without := untrained(made):
        some = ", ".join(without[:5]) + (f" and {len(without) - 5} more" if len(without) > 5 else "")
        notes = [*notes, f"{shown(name)}: no training image of class {some}."]
    return dataclasses.replace(made, notes=tuple(dict.fromkeys(notes)))


def contrast(image: np.ndarray) -> float | None:
    """How much of a pixel survives if it is made black or white by a coin whose probability is the grey value.

    It is the share of the variance of such coin flips that the grey values themselves have, p (1 - p) being that of
    the flips: 1 for black and white, 0 for one grey everywhere. MNIST has 0.83, Fashion-MNIST 0.6, photographs 0.2 to
    0.3. Rounded to three digits; None of points.

    Example:
        >>> contrast(np.array([[0, 255]], np.uint8)), contrast(np.array([[64, 191]], np.uint8))
        (1.0, 0.248)
    """
    if image.dtype != np.uint8:
        return None
    return _contrast(np.bincount(image.reshape(-1), minlength=256))


def _contrast(counts: np.ndarray) -> float:
    level = np.arange(256) / 255
    mean, square = (float((counts * v).sum() / counts.sum()) for v in (level, level**2))
    return round((square - mean**2) / (mean * (1 - mean)), 3) if 0 < mean < 1 else 1.0


def guarded(part: Part) -> Part:
    """A part for a run that has begun: an example that can no longer be read raises `DataFailure`, not `UsageError`."""
    if isinstance(part, Dataset):
        parts = (guarded(p) for p in (part.train, part.test, part.validation))
        return dataclasses.replace(part, **dict(zip(("train", "test", "validation"), parts, strict=True)))
    if not isinstance(part, Records):
        return part

    def read(indices: np.ndarray) -> Images:
        try:
            return part.read(indices)
        except UsageError as e:
            raise DataFailure(
                f"{e}\nIt was whole when the run began: put it back as it was, and the run continues to the same bits. "
                "Data without it are other data, for a new --run-dir."
            ) from e

    return dataclasses.replace(part, read=read)


def untrained(whole: Dataset) -> list[str]:
    """The names of classes without a training image; [] where labels are not known without decoding.

    Example:
        >>> part = Images(np.zeros((2, 1, 1, 1), np.uint8), np.array([0, 2], np.int32))
        >>> untrained(dataset("a", part, None, ["x", "y", "z"]))
        ['y']
    """
    label = whole.train.label
    if label is None:
        return []
    counts = np.bincount(label, minlength=whole.spec.n_classes)
    return [name for name, n in zip(whole.spec.classes, counts, strict=False) if n == 0]


def by(shape: Iterable[int]) -> str:
    """A shape as people write it: 28x28x1."""
    return "x".join(str(n) for n in shape)


def _shape(part: Images | Records) -> tuple[int, int, int]:
    h, w, c = part.shape if isinstance(part, Records) else part.image.shape[1:]
    return int(h), int(w), int(c)
