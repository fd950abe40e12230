"""Gray and colour: the images of a data set as a run's own are."""

import dataclasses

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from genjax.data.examples import CHUNK_BYTES, Dataset, Examples, Lazy
from genjax.errors import UsageError

WORDS = {1: "gray", 3: "RGB"}


def of_channels(d: Dataset, channels: int) -> Dataset:
    """The data set with images of 1 or 3 channels: colour becomes gray by luma, gray is repeated; a note says so.

    One rule for files, folders, arrays and named sets: RGB as Pillow's L, 0.299 R + 0.587 G + 0.114 B rounded.

    Raises:
        UsageError: its images have another number of channels, and neither can be made of the other.
    """
    h, w, c = d.spec.shape
    if c == channels:
        return d
    if c not in WORDS or channels not in WORDS or (isinstance(d.train, Examples) and d.train.x.dtype != np.uint8):
        raise UsageError(f"{d.spec.name}: images of {c} channels cannot be made into images of {channels}.")
    shape = (h, w, channels)

    def converted(part: Examples | Lazy | None) -> Examples | Lazy | None:
        if part is None:
            return None
        if isinstance(part, Lazy):
            return Lazy(part.n, shape, lambda i: _images(part.read(i), channels), part.y)
        return _images(part, channels)

    train, test, validation = (converted(part) for part in (d.train, d.test, d.validation))
    assert train is not None
    note = f"{d.spec.name}: {WORDS[c]} images are taken as {WORDS[channels]}, as the run was trained on."
    spec = dataclasses.replace(d.spec, shape=shape)
    return dataclasses.replace(d, train=train, test=test, validation=validation, spec=spec, notes=(*d.notes, note))


def _images(images: Examples, channels: int) -> Examples:
    return Examples(_pixels(images.x, channels), images.y)


def _pixels(image: UInt8[np.ndarray, "n h w c"], channels: int) -> UInt8[np.ndarray, "n h w c2"]:
    if channels == 3:
        return np.repeat(image, 3, axis=-1)
    n, h, w, _ = image.shape
    gray = np.empty((n, h, w, 1), np.uint8)
    rows = max(1, CHUNK_BYTES // max(1, 3 * h * w))
    for i in range(0, n, rows):  # Pillow knows pictures, not batches: some of them as one tall picture
        some = image[i : i + rows]
        gray[i : i + rows, ..., 0] = np.asarray(Image.fromarray(some.reshape(-1, w, 3)).convert("L")).reshape(-1, h, w)
    return gray
