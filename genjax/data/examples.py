"""What a data set is once loaded: `Examples` or `Lazy`, `Spec`, `Dataset`. NumPy only."""

import dataclasses
import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar

import numpy as np
from jaxtyping import Bool, Int, Int32, Shaped

from genjax import headroom
from genjax.data.tones import contrast, contrast_of, counts_of
from genjax.errors import DataFailure, UsageError, shown
from genjax.figures import by
from genjax.formats.depth import said_of_dark

Part = TypeVar("Part")
SAMPLED = 256
"""Examples, spread evenly, that the contrast and the fingerprint of a set read on demand look at."""
CHUNK_BYTES = 64 * 2**20
"""Decoded examples at a time, where an array of all is not needed."""
POINTS = (1, 1, 2)
"""The stored shape of a point in the plane."""


class Examples(NamedTuple):
    """Examples of any kind of data, decoded, whole in memory.

    How each kind is stored: images uint8 (h, w, c); points float32 (1, 1, 2); music uint8 (t, 88), 0 and 1; prose the
    numbers of symbols, (t,); speech int16 (t,); rows of a table float32 (columns,).
    """

    x: Shaped[np.ndarray, "n *event"]
    y: Int32[np.ndarray, " n"] | None = None
    """Class, 0 <= y < n_classes; None where the set has none."""
    event_mask: Bool[np.ndarray, "n *leading"] | None = None
    """Which elements of an event count, over the first axes of an event: the steps of a sequence, the known columns of
    a row. None where all count. What does not count holds zeros."""

    def __repr__(self) -> str:
        n, *shape = self.x.shape
        labels, masked = "" if self.y is None else ", labels", "" if self.event_mask is None else ", masked"
        return f"Examples({n:,} of {by(shape)}, {self.x.dtype}{labels}{masked})"


@dataclass(frozen=True, repr=False)
class Lazy:
    """Examples decoded on demand: a set too large to hold.

    Attributes:
        n: number of examples.
        shape: of every one.
        read: `read(indices) -> Examples` of those examples, in that order; safe to call from several threads.
        y: every label, where they are known without decoding; None otherwise.
        dtype: of the arrays that `read` gives.
        masked: first axes of an event that the masks are over; 0 where there are none.
    """

    n: int
    shape: tuple[int, ...]
    read: Callable[[Int[np.ndarray, " b"]], Examples]
    y: np.ndarray | None = None
    dtype: str = "uint8"
    masked: int = 0

    @property
    def n_bytes(self) -> int:
        """Bytes of one example, decoded."""
        return math.prod(self.shape) * np.dtype(self.dtype).itemsize

    def __repr__(self) -> str:
        return f"Lazy({self.n:,} of {by(self.shape)}, decoded on demand{'' if self.y is None else ', labels'})"


@dataclass(frozen=True)
class Spec:
    """What nets and a run's folder need to know of a data set.

    Attributes:
        name: the name it was asked by, or of its folder or file.
        shape: of an example: (H, W, C) of an image.
        n_classes: number of classes, 0 where there are no labels.
        n_train: number of training examples.
        fingerprint: SHA-256 of the training part, see `fingerprint`.
        fingerprint_test: of the test part; empty where there is none.
        fingerprint_validation: of the part held out; empty where none was.
        classes: the name of each class; () where there are none, or none are known (runs of older versions).
        white: the stored value that is white: above 255 where the images had more than 8 bits.
        contrast: how nearly its pixels are black and white, see `tones.contrast`; None of other data than images, and
            where nobody looked.
        domain: what kind of data it is, a name in `genjax.domains`.
        dtype: of stored examples.
        n_values: how many values an element takes: 256 of an image, 2 of a piano roll, the size of the alphabet of
            prose; 0 of real numbers.
        columns: of a table, a mapping for each column that JSON can hold; () of other data.
        about: constants of the kind of data that JSON can hold: the `rate` of speech in Hz, the `alphabet` of prose.
        masked: first axes of an event that its mask is over; 0 where there is none.
    """

    name: str
    shape: tuple[int, ...]
    n_classes: int
    n_train: int
    fingerprint: str
    fingerprint_test: str = ""
    fingerprint_validation: str = ""
    classes: tuple[str, ...] = ()
    white: int = 255
    contrast: float | None = None
    domain: str = "image"
    dtype: str = "uint8"
    n_values: int = 256
    columns: tuple[Mapping[str, Any], ...] = ()
    about: Mapping[str, Any] = field(default_factory=dict)
    masked: int = 0

    @property
    def grey(self) -> bool:
        """Whether images have one channel."""
        return self.shape[-1] == 1


@dataclass(frozen=True, repr=False)
class Dataset:
    """A data set: its training part, its test part (None where it has none), what it is, and what was held out."""

    train: Examples | Lazy
    test: Examples | Lazy | None
    spec: Spec
    validation: Examples | Lazy | None = None
    """Examples that nothing is trained on, held out of the training part or given apart; None where there are none."""
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
        lazy = ", decoded on demand" if isinstance(self.train, Lazy) else ""
        first = f"Dataset {shown(s.name)}: {' + '.join(counts)} of {by(s.shape)}{classes}{lazy}"
        return "\n".join([first, *self.notes])


def size(part: Examples | Lazy) -> int:
    """Number of examples."""
    return part.n if isinstance(part, Lazy) else part.x.shape[0]


def take(part: Examples | Lazy, indices: Int[np.ndarray, " b"]) -> Examples:
    """The examples at `indices`, in that order, decoded, in memory.

    Raises:
        UsageError: memory does not hold them, or one cannot be read.
    """
    indices = np.asarray(indices)
    if isinstance(part, Lazy):
        what = f"{len(indices):,} examples of {by(part.shape)}"
        headroom.check(
            len(indices) * part.n_bytes, what, "Ask for fewer, or make them smaller (--image-size of images)."
        )
        return part.read(indices)
    y, event_mask = (None if a is None else a[indices] for a in part[1:])
    return Examples(part.x[indices], y, event_mask)


def fingerprint(part: Examples | Lazy) -> str:
    """SHA-256 over the shape and bytes of examples, labels and masks, in hexadecimal.

    Of `Lazy` ones it covers the number of examples, their shape, and `SAMPLED` examples spread evenly: it notices
    another data set, not one changed example; it is marked by a leading `sampled-`.

    Example:
        >>> fingerprint(Examples(np.zeros((1, 2, 2, 1), np.uint8)))[:8]
        '6c302b29'
    """
    if isinstance(part, Lazy):
        return _look(part, lambda x: None)
    digest = hashlib.sha256()
    for array in part:
        if array is not None:
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def _look(part: Lazy, see: Callable[[np.ndarray], None]) -> str:
    """The fingerprint of a set read on demand; what is read for it is shown to `see`.

    Examples are read a few at a time: all of them at once may fill the memory where they are large.
    """
    indices, step = _spread(part.n), max(1, CHUNK_BYTES // max(1, part.n_bytes))
    digest, rest = hashlib.sha256(f"{part.n}".encode()), []
    digest.update(f"{(len(indices), *part.shape)}".encode())
    for first in range(0, len(indices), step):
        some = part.read(indices[first : first + step])
        digest.update(np.ascontiguousarray(some.x).data)
        see(some.x)
        rest.append(some[1:])
    for arrays in zip(*rest, strict=True):  # labels, then masks
        if arrays[0] is not None:
            whole = np.concatenate(arrays)
            digest.update(f"{whole.shape}".encode())
            digest.update(np.ascontiguousarray(whole).data)
    return f"sampled-{digest.hexdigest()}"


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
        shape = tuple(map(int, stored["shape"]))
        older = "points" if shape == POINTS and stored.get("contrast") is None else "image"
        domain = str(stored.get("domain") or older)
        if not shape or (domain == "image" and len(shape) != 3):
            raise ValueError(f"shape {list(shape)}")
        real = domain == "points"
        return Spec(
            name=str(stored["name"]), shape=shape,
            n_classes=int(stored["n_classes"]), n_train=int(stored["n_train"]), fingerprint=str(stored["fingerprint"]),
            fingerprint_test=str(stored.get("fingerprint_test", "")),
            fingerprint_validation=str(stored.get("fingerprint_validation", "")),
            classes=tuple(map(str, stored.get("classes") or ())), white=int(stored.get("white") or 255),
            contrast=None if stored.get("contrast") is None else float(stored["contrast"]),
            domain=domain, dtype=np.dtype(stored.get("dtype") or ("float32" if real else "uint8")).name,
            n_values=int(stored.get("n_values", 0 if real else 256)),
            columns=tuple(map(dict, stored.get("columns") or ())), about=dict(stored.get("about") or {}),
            masked=int(stored.get("masked") or 0),
        )  # fmt: skip
    except (KeyError, TypeError, ValueError, AttributeError) as e:
        raise UsageError(f"what is stored of the run's data is damaged ({type(e).__name__}: {e}).") from None


def dataset(
    name: str, train: Examples | Lazy, test: Examples | Lazy | None, classes: Sequence[str],
    validation: Examples | Lazy | None = None, *,
    domain: str = "image", n_values: int = 256, columns: Sequence[Mapping[str, Any]] = (),
    about: Mapping[str, Any] | None = None,
    white: int = 255, files: Mapping[str, tuple[str, ...]] | None = None, notes: Sequence[str] = (),
) -> Dataset:  # fmt: skip
    """Parts put together into a `Dataset`, with its `Spec`; a reader's last line.

    Raises:
        UsageError: where another part has another shape, dtype or mask than the training part, or a mask does not fit.
    """
    shape, dtype, masked = _like(train)
    for what, part in (("test", test), ("validation", validation)):
        if part is not None and _like(part) != (shape, dtype, masked):
            of, axes = ("images", " (H, W, C)") if domain == "image" else ("examples", "")
            raise UsageError(
                f"{shown(name)}: {what} {of} are {_like(part)[0]}, training {of} {shape}{axes}; they must agree."
            )
    test_, validation_ = ("" if part is None else fingerprint(part) for part in (test, validation))
    toned, dark = None, []
    if domain != "image":
        train_ = fingerprint(train)
    elif isinstance(train, Lazy):
        counts: list[np.ndarray] = []
        train_ = _look(train, lambda x: counts.append(counts_of(x)))
        toned = contrast_of(np.sum(counts, axis=0))
    else:
        train_, toned = fingerprint(train), contrast(train.x[_spread(size(train))])
        dark = said_of_dark(shown(name), int(train.x.max()))
    classes = tuple(classes)
    spec = Spec(
        name, shape, len(classes), size(train), train_, test_, validation_, classes, white, toned,
        domain, dtype, n_values, tuple(columns), dict(about or {}), masked,
    )  # fmt: skip
    made = Dataset(train, test, spec, validation, files or {})
    if without := untrained(made):
        some = ", ".join(without[:5]) + (f" and {len(without) - 5} more" if len(without) > 5 else "")
        of = "image" if domain == "image" else "example"
        dark = [*dark, f"{shown(name)}: no training {of} of class {some}."]
    return dataclasses.replace(made, notes=tuple(dict.fromkeys([*notes, *dark])))


def guarded(part: Part) -> Part:
    """A part for a run that has begun: an example that can no longer be read raises `DataFailure`, not `UsageError`."""
    if isinstance(part, Dataset):
        parts = (guarded(p) for p in (part.train, part.test, part.validation))
        return dataclasses.replace(part, **dict(zip(("train", "test", "validation"), parts, strict=True)))
    if not isinstance(part, Lazy):
        return part

    def read(indices: np.ndarray) -> Examples:
        try:
            return part.read(indices)
        except UsageError as e:
            raise DataFailure(
                f"{e}\nIt was whole when the run began: put it back as it was, and the run continues to the same bits. "
                "Data without it are other data, for a new --run-dir."
            ) from e

    return dataclasses.replace(part, read=read)


def untrained(whole: Dataset) -> list[str]:
    """The names of classes without a training example; [] where labels are not known without decoding.

    Example:
        >>> part = Examples(np.zeros((2, 1, 1, 1), np.uint8), np.array([0, 2], np.int32))
        >>> untrained(dataset("a", part, None, ["x", "y", "z"]))
        ['y']
    """
    label = whole.train.y
    if label is None:
        return []
    counts = np.bincount(label, minlength=whole.spec.n_classes)
    return [name for name, n in zip(whole.spec.classes, counts, strict=False) if n == 0]


def _like(part: Examples | Lazy) -> tuple[tuple[int, ...], str, int]:
    """Shape and dtype of an example, and the axes of its mask.

    Raises:
        UsageError: a mask that is not over the first axes of an event.
    """
    if isinstance(part, Lazy):
        return tuple(part.shape), np.dtype(part.dtype).name, part.masked
    mask = part.event_mask
    if mask is not None and (mask.dtype != np.bool_ or mask.ndim < 2 or mask.shape != part.x.shape[: mask.ndim]):
        raise UsageError(
            f"event_mask is {mask.dtype} {mask.shape} of examples {part.x.shape}; wanted bool over the first axes."
        )
    return tuple(map(int, part.x.shape[1:])), part.x.dtype.name, 0 if mask is None else mask.ndim - 1
