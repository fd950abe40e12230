"""Images from an array in a notebook or from an `.npz` file, checked where they enter."""

import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Int32, Shaped, UInt8

from genjax.data.images import Dataset, Images, dataset
from genjax.data.resize import resize_all
from genjax.errors import UsageError

TOLERANCE = 1e-6
"""How far float pixels may leave [0, 1]: rounding of a division, clipped."""


def load_array(what: Any, image_size: int | None = None, name: str = "array") -> Dataset:
    """An array of images, or a tuple (images, labels), as a data set without a test part."""
    image, label = what if isinstance(what, tuple) and len(what) == 2 else (what, None)
    image = pixels(image, name)
    train = Images(resize_all(image, image_size), labels(label, len(image), name))
    return dataset(name, train, None, classes_of(train.label))


def load_npz(path: Path, image_size: int | None = None) -> Dataset:
    """A data set from an `.npz` file.

    Its arrays are `image` (N, H, W[, C], uint8 or float in [0, 1]) and optionally `label`, or `train_image`,
    `train_label`, `test_image`, `test_label`; others are ignored. Without a test part every image is for training.

    Raises:
        UsageError: a damaged file, no images in it, images or labels refused by `pixels` or `labels`.
    """
    a = _read_npz(path)
    prefix = "train_" if "train_image" in a else ""
    if f"{prefix}image" not in a:
        held = ", ".join(sorted(a)) or "nothing"
        raise UsageError(f"{path}: has no array 'image' (N, H, W[, C]) nor 'train_image'. It holds: {held}.")
    if prefix and "image" in a:
        raise UsageError(f"{path}: holds both 'image' and 'train_image'. Keep one of them.")
    train = _part(a, prefix, path, image_size)
    test = _part(a, "test_", path, image_size) if "test_image" in a else None
    if test is not None and (train.label is None) != (test.label is None):
        has, lacks = ("test", "train") if train.label is None else ("train", "test")
        raise UsageError(f"{path}: the {has} part has labels, the {lacks} part has none. Give both or neither.")
    return dataset(path.stem, train, test, classes_of(train.label, None if test is None else test.label))


def pixels(image: Any, name: str) -> UInt8[np.ndarray, "n h w c"]:
    """Images as uint8, (N, H, W, C).

    uint8 stays; other integers must lie in 0..255; bool becomes 0 and 255; floats must lie in [0, 1] and are
    quantised to round(255 x), 8 bits, halves to even. (N, H, W) gets a channel axis.

    Raises:
        UsageError: an empty or ragged array, another number of axes, channels first, NaN, values out of range (the
            found range is named), pixels 0 and 1 where 0..255 is meant.

    Example:
        >>> pixels(np.array([[[0.0, 1.0]]]), "mine").ravel().tolist()
        [0, 255]
    """
    a = _array(image, name, "images")
    if a.ndim == 3:
        a = a[..., None]
    if a.ndim != 4:
        raise UsageError(f"{name}: images have {a.ndim} axes {a.shape}; wanted (N, H, W) or (N, H, W, C).")
    if a.size == 0:
        raise UsageError(f"{name}: images of shape {a.shape} are empty; wanted at least one of one pixel.")
    if a.shape[1] in (1, 3, 4) and a.shape[3] > 4 and a.shape[2] > 4:
        raise UsageError(
            f"{name}: images of shape {a.shape} look channels-first; wanted (N, H, W, C). "
            "Try image.transpose(0, 2, 3, 1)."
        )
    if a.dtype == np.bool_:
        return a.astype(np.uint8) * np.uint8(255)
    if np.issubdtype(a.dtype, np.integer):
        return _from_integers(a, name)
    if np.issubdtype(a.dtype, np.floating):
        return _from_floats(a, name)
    raise UsageError(f"{name}: images have dtype {a.dtype}; wanted uint8 (0..255), bool, or float in [0, 1].")


def labels(label: Any, n: int, name: str) -> Int32[np.ndarray, " n"] | None:
    """Labels as int32, None where there are none.

    Raises:
        UsageError: not one integer per image, or negative.
    """
    if label is None:
        return None
    a = _array(label, name, "labels")
    if a.ndim != 1:
        hint = " One-hot? Try label.argmax(-1)." if a.ndim == 2 else ""
        raise UsageError(f"{name}: labels have shape {a.shape}; wanted ({n},), one integer per image.{hint}")
    if a.shape[0] != n:
        raise UsageError(f"{name}: {a.shape[0]} labels for {n} images; wanted one per image.")
    if not np.issubdtype(a.dtype, np.integer):
        raise UsageError(f"{name}: labels have dtype {a.dtype}; wanted integers 0, 1, ...")
    if a.size and (a.min() < 0 or a.max() >= 2**31 - 1):
        raise UsageError(f"{name}: labels lie in {a.min()} ... {a.max()}; wanted integers 0, 1, ...")
    return a.astype(np.int32)


def classes_of(*label: np.ndarray | None) -> list[str]:
    """Names of the classes 0 ... largest label."""
    return [str(i) for i in range(max((int(a.max()) + 1 for a in label if a is not None), default=0))]


def _array(value: Any, name: str, kind: str) -> Shaped[np.ndarray, "..."]:
    try:
        a = np.asarray(value)
    except ValueError as e:
        raise UsageError(f"{name}: {kind} are not one array ({e}). All must have the same shape.") from None
    if a.dtype == object:
        raise UsageError(f"{name}: {kind} are an array of objects; wanted numbers of one shape.")
    return a


def _from_integers(a: np.ndarray, name: str) -> np.ndarray:
    low, high = int(a.min()), int(a.max())
    if low < 0 or high > 255:
        raise UsageError(f"{name}: integer images lie in {low} ... {high}; wanted 0 ... 255.")
    if high == 1:
        raise UsageError(f"{name}: integer images hold only 0 and 1, which as 0..255 is black. Try image.astype(bool).")
    return np.ascontiguousarray(a.astype(np.uint8))


def _from_floats(a: np.ndarray, name: str) -> np.ndarray:
    if not np.isfinite(a).all():
        bad = int(np.argmin(np.isfinite(a).reshape(len(a), -1).all(axis=1)))
        raise UsageError(f"{name}: image {bad} holds NaN or infinity; wanted floats in [0, 1].")
    low, high = float(a.min()), float(a.max())
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        hint = "(x + 1) / 2" if low >= -1 and high <= 1 else "x / 255" if low >= 0 and high <= 255 else "to rescale"
        raise UsageError(f"{name}: float images lie in [{low:.4g}, {high:.4g}]; wanted [0, 1]. Try {hint}.")
    return np.rint(np.clip(a.astype(np.float32), 0, 1) * np.float32(255)).astype(np.uint8)


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    """The arrays of the file that matter, and the names of all."""
    wanted = {f"{p}{kind}" for p in ("", "train_", "test_") for kind in ("image", "label")}
    try:
        with path.open("rb") as opened:
            f = np.load(opened, allow_pickle=False)
            if not isinstance(f, np.lib.npyio.NpzFile):
                raise UsageError(f"{path}: is one array, not an .npz archive. Try np.savez(path, image=array).")
            return {k: f[k] if k in wanted else np.empty(0) for k in f.files}
    except (OSError, ValueError, EOFError, KeyError, zipfile.BadZipFile, zlib.error, NotImplementedError) as e:
        if isinstance(e, UsageError):
            raise
        reason = "holds pickled objects, which are not read" if "allow_pickle" in str(e) else "cannot be read"
        what = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise UsageError(f"{path}: {reason} as .npz ({what}).") from None


def _part(a: dict[str, np.ndarray], prefix: str, path: Path, image_size: int | None) -> Images:
    image = pixels(a[f"{prefix}image"], f"{path}: {prefix}image")
    label = labels(a.get(f"{prefix}label"), len(image), f"{path}: {prefix}label")
    return Images(resize_all(image, image_size), label)
