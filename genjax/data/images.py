"""What a data set is once loaded: `Images` or `Records`, `Spec`, `Dataset`. NumPy only."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32, Int, Int32, UInt8

from genjax.errors import UsageError

SAMPLED = 256
"""Examples that the fingerprint of a set read on demand looks at."""


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
    """

    name: str
    shape: tuple[int, int, int]
    n_classes: int
    n_train: int
    fingerprint: str
    fingerprint_test: str = ""
    fingerprint_validation: str = ""


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


def fingerprint(part: Images | Records) -> str:
    """SHA-256 over the shape and bytes of images and labels, in hexadecimal.

    Of `Records` it covers the number of examples, their shape, and `SAMPLED` examples spread evenly: it notices
    another data set, not one changed image; it is marked by a leading `sampled-`.

    Example:
        >>> fingerprint(Images(np.zeros((1, 2, 2, 1), np.uint8)))[:8]
        '6c302b29'
    """
    digest = hashlib.sha256()
    n = size(part)
    if isinstance(part, Records):
        digest.update(f"{n}".encode())
        whole = take(part, np.unique(np.linspace(0, n - 1, min(n, SAMPLED)).astype(np.int64)))
    else:
        whole = part
    for array in whole:
        if array is not None:
            digest.update(f"{array.shape}".encode())
            digest.update(np.ascontiguousarray(array).data)
    return ("sampled-" if isinstance(part, Records) else "") + digest.hexdigest()


def dataset(name: str, train: Images | Records, test: Images | Records | None, n_classes: int) -> Dataset:
    """Parts put together into a `Dataset`, with its `Spec`.

    Raises:
        UsageError: where the test part has another image shape than the training part.
    """
    shape = _shape(train)
    if test is not None and _shape(test) != shape:
        raise UsageError(f"{name}: test images are {_shape(test)}, training images {shape} (H, W, C); they must agree.")
    of_test = "" if test is None else fingerprint(test)
    return Dataset(train, test, Spec(name, shape, n_classes, size(train), fingerprint(train), of_test))


def _shape(part: Images | Records) -> tuple[int, int, int]:
    h, w, c = part.shape if isinstance(part, Records) else part.image.shape[1:]
    return int(h), int(w), int(c)
