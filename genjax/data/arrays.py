"""Images from an array in a notebook or from an `.npz` file, checked where they enter."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Shaped, UInt8

from genjax.data.classes import numbered, raw_labels
from genjax.data.examples import CHUNK_BYTES, Dataset, Examples, dataset
from genjax.data.resize import resize_all
from genjax.errors import UsageError, shown
from genjax.formats import npz
from genjax.formats.depth import eight_bits, said_of_white, white_of

TOLERANCE = 1e-6
"""How far float pixels may leave [0, 1]: rounding of a division, clipped."""

OF_SAMPLES = {"z", "run", "step", "digest", "seed", "temperature"}
"""What `genjax sample --out F.npz` writes beside its images."""


def load_array(what: Any, image_size: int | None = None, name: str = "array", white: int | None = None) -> Dataset:
    """An array of images, or a tuple (images, labels), as a data set without a test part."""
    image, label = what if isinstance(what, tuple) and len(what) == 2 else (what, None)
    return _dataset(name, {"": image}, {"": label}, name, image_size, white)


def load_npz(path: Path, image_size: int | None = None, white: int | None = None) -> Dataset:
    """A data set from an `.npz` file.

    Its arrays are `image` (N, H, W[, C], uint8, uint16, bool or float in [0, 1]) and optionally `label` (whole numbers
    or texts), or `train_image`, `train_label`, `test_image`, `test_label`; and optionally `classes`, the names of the
    classes whose places labels are. Others are left alone, and a note names them. Without a test part every image is
    for training.

    Raises:
        UsageError: a damaged file, one that memory does not hold, no images in it, images or labels refused by
            `pixels`, `classes.raw_labels` or `classes.numbered`.
    """
    said, wanted = shown(path), [f"{p}{kind}" for p in ("", "train_", "test_") for kind in ("image", "label")]

    def accept(name: str, header: npz.Header) -> None:
        if name.endswith("image"):
            _check_kind(header.shape, header.dtype, f"{said}: {name}")

    a, held = npz.read(path, [*wanted, "classes"], accept)
    prefix = "train_" if "train_image" in a else ""
    if f"{prefix}image" not in a:
        there = ", ".join(shown(name) for name in sorted(held)) or "nothing"
        raise UsageError(f"{said}: has no array 'image' (N, H, W[, C]) nor 'train_image'. It holds: {there}.")
    if prefix and "image" in a:
        raise UsageError(f"{said}: holds both 'image' and 'train_image'. Keep one of them.")
    prefixes = [prefix, *(["test_"] if "test_image" in a else [])]
    image, label = ({p: a.get(f"{p}{kind}") for p in prefixes} for kind in ("image", "label"))
    if len(prefixes) == 2 and (label[prefix] is None) != (label["test_"] is None):
        has, lacks = ("test", "train") if label[prefix] is None else ("train", "test")
        raise UsageError(f"{said}: the {has} part has labels, the {lacks} part has none. Give both or neither.")
    names = a.get("classes")
    named = None if names is None or names.ndim != 1 or names.dtype.kind != "U" else names.tolist()
    used = {f"{p}{kind}" for p in prefixes for kind in ("image", "label")} | ({"classes"} if named else set())
    found = _dataset(shown(path.stem), image, label, said, image_size, white, named)
    left = ", ".join(shown(name) for name in sorted({*held} - used - OF_SAMPLES))
    note = f"{said}: arrays that are not read were left alone: {left}. Read are {', '.join(wanted)}, classes (texts)."
    return dataclasses.replace(found, notes=(*found.notes, note)) if left else found


def _dataset(
    name: str, image: dict[str, Any], label: dict[str, Any], said: str, image_size: int | None, white: int | None,
    names: list[str] | None = None,
) -> Dataset:  # fmt: skip
    """One part or two, by prefix: white and the numbers of classes are looked for over both."""
    called = {p: f"{said}: {p}image" if said != name else said for p in image}
    image = {p: as_images(a, called[p]) for p, a in image.items()}
    deep = [int(a.max()) for a in image.values() if a.dtype == np.uint16]
    most = max(deep, default=0)
    of_set = white_of(most, said, white) if most > 255 else 255
    pixel = {p: pixels(a, called[p], of_set) for p, a in image.items()}
    of_label = {p: f"{said}: {p}label" if said != name else said for p in label}
    raw = [raw_labels(label[p], len(pixel[p]), of_label[p]) for p in image]
    numbers, classes = numbered(raw, names, said)
    parts = [Examples(resize_all(a, image_size), y) for a, y in zip(pixel.values(), numbers, strict=True)]
    notes = said_of_white(said, most, of_set) if most > 255 else []
    return dataset(name, parts[0], parts[1] if len(parts) > 1 else None, classes, white=of_set, notes=notes)


def pixels(image: Any, name: str, white: int | None = None) -> UInt8[np.ndarray, "n h w c"]:
    """Images as uint8, (N, H, W, C).

    uint8 stays; uint16 is scaled by `white`, by default that of `depth.white_of`; other integers must lie in 0..255;
    bool becomes 0 and 255; floats must lie in [0, 1] and are quantised to round(255 x), 8 bits, halves to even.
    (N, H, W) gets a channel axis.

    Raises:
        UsageError: an empty or ragged array, another number of axes, one image alone, channels first, NaN, values out
            of range (the found range is named), pixels 0 and 1 where 0..255 is meant.

    Example:
        >>> pixels(np.array([[[0.0, 1.0]]]), "mine").ravel().tolist()
        [0, 255]
    """
    a = as_images(image, name)
    if a.dtype == np.bool_:
        return a.astype(np.uint8) * np.uint8(255)
    if a.dtype == np.uint16 and (most := int(a.max())) > 255:
        return eight_bits(a, white_of(most, name, white))
    if np.issubdtype(a.dtype, np.integer):
        return _from_integers(a, name)
    return _from_floats(a, name)


def as_images(image: Any, name: str) -> Shaped[np.ndarray, "n h w c"]:
    """An array of images as it comes, with four axes, its shape and kind checked; errors as `pixels`."""
    a = _array(image, name, "images")
    _check_kind(a.shape, a.dtype, name)
    return a[..., None] if a.ndim == 3 else a


def _check_kind(shape: tuple[int, ...], dtype: np.dtype, name: str) -> None:
    """Raises `UsageError` for what no images can have; the header of a file is enough to tell."""
    wanted = "wanted (N, H, W) or (N, H, W, C)"
    if len(shape) == 2:
        side = math.isqrt(shape[1])
        flat = f"; images laid flat? Try x.reshape(-1, {side}, {side})" if side > 1 and side**2 == shape[1] else ""
        raise UsageError(f"{name}: images have 2 axes {shape}; {wanted}. One image? Try x[None]{flat}.")
    if len(shape) not in (3, 4):
        raise UsageError(f"{name}: images have {len(shape)} axes {shape}; {wanted}.")
    if math.prod(shape) == 0:
        raise UsageError(f"{name}: images of shape {shape} are empty; wanted at least one of one pixel.")
    if len(shape) == 3 and shape[2] in (1, 3, 4) and min(shape[:2]) >= 8:
        raise UsageError(
            f"{name}: images of shape {shape} look like one image (H, W, C) without an axis of examples; {wanted}. "
            f"Try x[None]; or x[..., None] where they are {shape[0]} images of {shape[1]}x{shape[2]}."
        )
    if len(shape) == 4 and shape[1] in (1, 3, 4) and shape[3] > 4 and shape[2] > 4:
        raise UsageError(
            f"{name}: images of shape {shape} look channels-first; wanted (N, H, W, C). "
            "Try image.transpose(0, 2, 3, 1)."
        )
    if not any(np.issubdtype(dtype, kind) for kind in (np.bool_, np.integer, np.floating)):
        raise UsageError(f"{name}: images have dtype {dtype}; wanted uint8 (0..255), bool, or float in [0, 1].")


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
        hint = "" if low < 0 else f" Where {high} is white, try np.rint(x / {high} * 255).astype(np.uint8)."
        raise UsageError(f"{name}: integer images lie in {low} ... {high}; wanted 0 ... 255, or uint16.{hint}")
    if high == 1:
        raise UsageError(f"{name}: integer images hold only 0 and 1, which as 0..255 is black. Try image.astype(bool).")
    return np.ascontiguousarray(a.astype(np.uint8))


def _from_floats(a: np.ndarray, name: str) -> np.ndarray:
    bad = np.flatnonzero(~np.isfinite(a).reshape(len(a), -1).all(axis=1))
    if len(bad):
        raise UsageError(
            f"{name}: image {bad[0]} holds NaN or infinity ({len(bad)} of {len(a)} images do); wanted floats in [0, 1]."
        )
    low, high = float(a.min()), float(a.max())
    if low < -TOLERANCE or high > 1 + TOLERANCE:
        by_white = low >= 0 and high <= 255
        scale = f"x / {255 if high > 16 else round(high, 6):g}"
        hint = "(x + 1) / 2" if low >= -1 and high <= 1 else scale if by_white else "to rescale"
        raise UsageError(f"{name}: float images lie in [{low:.4g}, {high:.4g}]; wanted [0, 1]. Try {hint}.")
    out = np.empty(a.shape, np.uint8)
    step = max(1, CHUNK_BYTES // max(1, a[0].size * 4))
    for i in range(0, len(a), step):  # a few at a time: a copy in float32 of all may not fit
        out[i : i + step] = np.rint(np.clip(a[i : i + step].astype(np.float32), 0, 1) * np.float32(255))
    return out
