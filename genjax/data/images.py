"""What a data set is once loaded: `Images` or `Records`, `Spec`, `Dataset`. NumPy only."""

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from genjax.errors import UsageError

SAMPLED = 256
"""Examples, spread evenly, that the contrast and the fingerprint of a set read on demand look at."""


class Images(NamedTuple):
    """Decoded images, whole in memory."""

    image: UInt8[np.ndarray, "n h w c"] | Float32[np.ndarray, "n h w c"]
    """Pixels 0..255, uint8; the coordinates of synthetic points, float32."""
    label: Int32[np.ndarray, " n"] | None = None
    """Class, 0 <= label < n_classes; None where the set has none."""


@dataclass(frozen=True)
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


@dataclass(frozen=True)
class Spec:
    """What nets and a run's record need to know of a data set.

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


@dataclass(frozen=True)
class Dataset:
    """A data set: its training part, its test part (None where it has none), what it is, and what was held out."""

    train: Images | Records
    test: Images | Records | None
    spec: Spec
    validation: Images | Records | None = None
    """Training images that nothing is trained on; None where none were held out."""


def size(part: Images | Records) -> int:
    """Number of examples."""
    return part.n if isinstance(part, Records) else part.image.shape[0]


def take(part: Images | Records, indices: Int[np.ndarray, " b"]) -> Images:
    """The examples at `indices`, in that order, decoded, in memory."""
    indices = np.asarray(indices)
    if isinstance(part, Records):
        return part.read(indices)
    return Images(part.image[indices], None if part.label is None else part.label[indices])


def fingerprint(part: Images | Records, sample: Images | None = None) -> str:
    """SHA-256 over the shape and bytes of images and labels, in hexadecimal.

    Of `Records` it covers the number of examples, their shape, and `SAMPLED` examples spread evenly: it notices
    another data set, not one changed image; it is marked by a leading `sampled-`. `sample` saves reading them again.

    Example:
        >>> fingerprint(Images(np.zeros((1, 2, 2, 1), np.uint8)))[:8]
        '6c302b29'
    """
    digest = hashlib.sha256()
    n = size(part)
    if isinstance(part, Records):
        digest.update(f"{n}".encode())
        whole = sampled(part) if sample is None else sample
    else:
        whole = part
    for array in whole:
        if array is not None:
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return ("sampled-" if isinstance(part, Records) else "") + digest.hexdigest()


def spec_of(stored: Mapping[str, Any]) -> Spec:
    """The `Spec` that `dataclasses.asdict` and JSON have made plain; of an older version, without the newer fields.

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
    validation: Images | Records | None = None, white: int = 255,
) -> Dataset:  # fmt: skip
    """Parts put together into a `Dataset`, with its `Spec`.

    Raises:
        UsageError: where another part has another image shape than the training part.
    """
    shape = _shape(train)
    for what, part in (("test", test), ("validation", validation)):
        if part is not None and _shape(part) != shape:
            raise UsageError(
                f"{name}: {what} images are {_shape(part)}, training images {shape} (H, W, C); they must agree."
            )
    sample = sampled(train)
    test_, validation_ = ("" if part is None else fingerprint(part) for part in (test, validation))
    classes, toned = tuple(classes), contrast(sample.image)
    spec = Spec(
        name, shape, len(classes), size(train), fingerprint(train, sample), test_, validation_, classes, white, toned
    )
    return Dataset(train, test, spec, validation)


def sampled(part: Images | Records) -> Images:
    """`SAMPLED` examples of a part, spread evenly; all where there are fewer."""
    n = size(part)
    return take(part, np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(np.int64)))


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
    counts = np.bincount(image.reshape(-1), minlength=256)
    level = np.arange(256) / 255
    mean, square = (float((counts * v).sum() / counts.sum()) for v in (level, level**2))
    return round((square - mean**2) / (mean * (1 - mean)), 3) if 0 < mean < 1 else 1.0


def _shape(part: Images | Records) -> tuple[int, int, int]:
    h, w, c = part.shape if isinstance(part, Records) else part.image.shape[1:]
    return int(h), int(w), int(c)
