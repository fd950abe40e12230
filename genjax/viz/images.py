"""Images as PNG, through pillow: grids, sheets with transparent gaps, files, notebooks."""

import io
import math
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from genjax import files

PAD = 1
"""Pixels between the images of `grid`; `tiles` relies on it."""


@dataclass(frozen=True)
class Png:
    """A PNG file in memory, with its size in pixels; the last expression of a notebook cell displays it."""

    data: bytes = field(repr=False)
    width: int
    height: int

    def _repr_png_(self) -> bytes:
        return self.data


def to_uint8(images: Any) -> UInt8[np.ndarray, "n h w c"]:
    """Pixels 0..255 of any number type as uint8: rounded and clipped; NaN and infinity are hatched, never black.

    A pixel that is no number (in any channel) is part of a pattern of two by two blocks: black and white, in three
    channels black and magenta. So a broken model's pictures do not look like dark ones.

    Example:
        >>> to_uint8(np.array([[[[-3.0], [99.6], [np.nan]]]])).ravel().tolist()
        [0, 100, 255]
    """
    images = np.asarray(images)
    if images.ndim != 4:
        raise ValueError(f"images of shape {images.shape} must be (n, h, w, c). Try x[None] or x[..., None].")
    if images.dtype == np.uint8:
        return images
    values = images.astype(np.float32)
    broken = np.asarray(~np.isfinite(values).all(-1))
    out = np.clip(np.round(np.where(broken[..., None], 0, values)), 0, 255).astype(np.uint8)
    if broken.any():
        h, w, c = out.shape[1:]
        light = np.add.outer(np.arange(h) // 2, np.arange(w) // 2) % 2 == 1
        out[broken & light] = (255, 0, 255) if c == 3 else 255
    return out


def grid(images: Any, ncols: int | None = None, pad: int = PAD, background: int = 255) -> UInt8[np.ndarray, "H W C"]:
    """One picture of n images in rows of `ncols` (default: about a square), `pad` pixels of `background` between them.

    Returns:
        uint8 (H, W, 1) or (H, W, 3).

    Example:
        >>> grid(np.zeros((6, 8, 8, 1)), ncols=3).shape
        (17, 26, 1)
    """
    images = _colours(to_uint8(images))
    n, h, w, c = images.shape
    if n == 0:
        raise ValueError("a grid needs at least one image; got an array of none.")
    ncols = ncols or math.ceil(math.sqrt(n))
    nrows = -(-n // ncols)
    cells = np.full((nrows * ncols, h + pad, w + pad, c), background, np.uint8)
    cells[:n, :h, :w] = images
    rows = cells.reshape(nrows, ncols, h + pad, w + pad, c).transpose(0, 2, 1, 3, 4)
    return rows.reshape(nrows * (h + pad), ncols * (w + pad), c)[: nrows * (h + pad) - pad, : ncols * (w + pad) - pad]


def tiles(picture: UInt8[np.ndarray, "H W C"], shape: tuple[int, int, int]) -> tuple[np.ndarray, int] | None:
    """The images of shape (h, w, c) that a `grid` holds, and its number of columns; None where it is no such grid.

    Example:
        >>> images, ncols = tiles(grid(np.ones((6, 8, 8, 1)), ncols=3), (8, 8, 1))
        >>> images.shape, ncols, int(images.min())
        ((6, 8, 8, 1), 3, 1)
    """
    h, w = shape[0], shape[1] * (1 if shape[2] in (1, 3) else shape[2])
    height, width, c = picture.shape
    (nrows, rest_h), (ncols, rest_w) = divmod(height + PAD, h + PAD), divmod(width + PAD, w + PAD)
    if rest_h or rest_w or not nrows or not ncols:
        return None
    padded = np.pad(picture, ((0, PAD), (0, PAD), (0, 0)))
    cells = padded.reshape(nrows, h + PAD, ncols, w + PAD, c).transpose(0, 2, 1, 3, 4)
    return cells.reshape(nrows * ncols, h + PAD, w + PAD, c)[:, :h, :w], ncols


def encode(picture: UInt8[np.ndarray, "H W C"], about: Mapping[str, str] | None = None) -> Png:
    """An array of 1 (grey), 2 (grey, alpha), 3 (RGB) or 4 (RGBA) channels as PNG, with text about it inside."""
    out, info = io.BytesIO(), PngInfo()
    for name, text in (about or {}).items():
        info.add_text(name, text)
    pixels = picture[:, :, 0] if picture.shape[2] == 1 else picture
    Image.fromarray(pixels).save(out, "PNG", optimize=True, pnginfo=info)
    return Png(out.getvalue(), picture.shape[1], picture.shape[0])


def decode(path: str | os.PathLike) -> UInt8[np.ndarray, "H W C"]:
    """The pixels of a PNG file: (H, W, 1) where it is grey, else (H, W, 3)."""
    with Image.open(io.BytesIO(_path(path).read_bytes()), formats=("PNG",)) as image:
        pixels = np.asarray(image.convert("L" if image.mode in ("1", "L", "LA") else "RGB"))
    return pixels[:, :, None] if pixels.ndim == 2 else pixels


def save_grid(path: str | os.PathLike, images: Any, ncols: int | None = None) -> None:
    """Writes `grid(images, ncols)` as a PNG file, whole or not at all: under another name first, then renamed."""
    target, png = _path(path), encode(grid(images, ncols)).data
    if isinstance(target, Path):
        files.replace(target, png)
        return
    files.write_durably(target, png)


def sheet(images: Any, ncols: int | None = None, gap: int = 2, scale: int = 1) -> Png:
    """A grid with transparent gaps, right on any background; every pixel drawn as `scale` x `scale`."""
    return encode(on_nothing(images, ncols, gap, scale))


def on_nothing(images: Any, ncols: int | None, gap: int, scale: int) -> UInt8[np.ndarray, "H W C"]:
    """The pixels of `sheet`, with opacity as the last channel."""
    opaque = grid(images, ncols, gap, 0)
    alpha = grid(np.full_like(to_uint8(images)[..., :1], 255).repeat(_n_side(images), axis=2), ncols, gap, 0)
    return np.concatenate([opaque, alpha], axis=2).repeat(scale, axis=0).repeat(scale, axis=1)


def enlargement(width: int) -> int:
    """How many pixels wide a pixel is drawn so that an image is some 56 pixels wide; larger images stay as they are.

    Example:
        >>> enlargement(8), enlargement(28), enlargement(100)
        (7, 2, 1)
    """
    return max(1, round(56 / width))


def show(images: Any, ncols: int | None = None, scale: int | None = None) -> Png:
    """Images for a notebook: the last expression of a cell displays them.

    `scale` is a whole number, so that every pixel stays a sharp square; by default an image is some 56 pixels wide.

    Example:
        >>> show(np.zeros((10, 8, 8, 1)), ncols=5).width
        308
    """
    scale = scale or enlargement(np.shape(images)[2])
    return sheet(images, ncols, gap=2 if scale < 4 else 1, scale=scale)


def neighbours(images: Any, found: Any, scale: int | None = None) -> Png:
    """Each image (n, h, w, c), and to its right the k that are nearest to it, `found` (n, k, h, w, c): a line each.

    With `near = metrics.nearest_neighbours(fakes, real, k)`: `viz.neighbours(fakes, real[near.index])`.

    Example:
        >>> neighbours(np.zeros((3, 8, 8, 1)), np.zeros((3, 5, 8, 8, 1))).width
        371
    """
    lines = np.concatenate([to_uint8(images)[:, None], np.stack([to_uint8(line) for line in found])], axis=1)
    return show(lines.reshape(-1, *lines.shape[2:]), ncols=lines.shape[1], scale=scale)


def _path(path: str | os.PathLike) -> Any:
    """A `pathlib` path, or the given object where it knows how to read and write by itself (`etils.epath`)."""
    return path if hasattr(path, "write_bytes") else Path(path)


def _n_side(images: Any) -> int:
    """How many channels stand side by side."""
    c = np.shape(images)[-1]
    return 1 if c in (1, 3) else c


def _colours(images: UInt8[np.ndarray, "n h w c"]) -> UInt8[np.ndarray, "n h w2 c2"]:
    """Images with 1 or 3 channels; those of another number side by side in grey."""
    n, h = images.shape[:2]
    return images if _n_side(images) == 1 else images.transpose(0, 1, 3, 2).reshape(n, h, -1, 1)
