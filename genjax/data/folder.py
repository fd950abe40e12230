"""Images from a folder: class folders give labels; sizes and modes are read from the headers before any is decoded."""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageOps

from genjax import progress
from genjax.data.images import Dataset, Images, Records, dataset
from genjax.data.resize import square
from genjax.errors import UsageError

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
"""Files taken for images, upper or lower case; others are left alone."""
GRAY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
ORIENTATION = 0x0112


class Header(NamedTuple):
    """What a file's header says of its picture."""

    size: tuple[int, int]
    """(H, W), turned as EXIF says."""
    gray: bool


def load_folder(path: Path, image_size: int | None = None, stream_above: int = sys.maxsize) -> Dataset:
    """A folder of images as a data set without a test part.

    Images in the folder itself have no label; images in its subfolders (at any depth) have the class of the
    subfolder of the first level, numbered in sorted order of names; subfolders without an image do not count, and
    none is special (`train/` and `test/` would be two classes: give the one meant). Hidden files and folders are
    left alone. Pictures are turned as EXIF says, transparency is laid on white, 16-bit gray becomes 8-bit; one
    channel if all are gray, else RGB. Of an animation the first frame counts.

    Args:
        path: the folder.
        image_size: side of the square to resize (short side) and crop (centre) to; None to take them as they are.
        stream_above: bytes of decoded pixels above which the images are decoded on demand.

    Raises:
        UsageError: no image, a file that is none (named), mixed sizes without `image_size`, images both in the
            folder and in subfolders.
    """
    files, label, classes = find_images(path)
    headers = _in_threads(_header, files)
    channels = 1 if all(h.gray for h in headers) else 3
    h, w = (image_size, image_size) if image_size else _common_size(path, files, headers)

    def read(indices: np.ndarray) -> Images:
        chosen = [files[i] for i in indices]
        decoded = _in_threads(lambda file: decode(file, channels, image_size), chosen)
        for file, image in zip(chosen, decoded, strict=True):
            if image.shape != (h, w, channels):
                raise UsageError(f"{file}: is {image.shape} now and was {(h, w, channels)} (H, W, C) at the start.")
        return Images(np.stack(decoded), None if label is None else label[indices])

    records = Records(len(files), (h, w, channels), read, label)
    large = len(files) * h * w * channels > stream_above
    return dataset(path.resolve().name, records if large else read(np.arange(len(files))), None, classes)


def find_images(path: Path) -> tuple[list[Path], np.ndarray | None, list[str]]:
    """Image files in sorted order, their labels (or None), and the names of the classes."""
    direct = sorted(p for p in path.iterdir() if _is_image(p))
    folders = sorted((p for p in path.iterdir() if p.is_dir() and not _hidden(p.name)), key=lambda p: p.name)
    by_class = {p.name: inside for p in folders if (inside := sorted(_below(p)))}
    if direct and by_class:
        raise UsageError(
            f"{path}: holds images itself ({direct[0].name}) and in subfolders ({next(iter(by_class))}/). "
            "Keep all in the folder (no labels), or all in class folders."
        )
    if not direct and not by_class:
        raise UsageError(
            f"{path}: holds no image. Wanted files ending in {' '.join(SUFFIXES)}, or class folders of them."
        )
    if direct:
        return direct, None, []
    label = np.concatenate([np.full(len(files), i, np.int32) for i, files in enumerate(by_class.values())])
    return [file for files in by_class.values() for file in files], label, list(by_class)


def decode(file: Path, channels: int, image_size: int | None) -> np.ndarray:
    """One file as uint8 (H, W, channels); `UsageError` names it where it cannot be read."""
    try:
        with Image.open(file) as opened:
            image = ImageOps.exif_transpose(_eight_bits(opened, file))
            if image.has_transparency_data:
                white = Image.new("RGBA", image.size, "white")
                image = Image.alpha_composite(white, image.convert("RGBA"))
            image = image.convert("L" if channels == 1 else "RGB")
    except UsageError:
        raise
    except Exception as e:
        raise _unreadable(file, e) from None
    a = np.asarray(square(image, image_size) if image_size else image)
    return a[..., None] if channels == 1 else a


def _header(file: Path) -> Header:
    try:
        with Image.open(file) as image:
            w, h = image.size
            turned = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8)
            return Header((w, h) if turned else (h, w), image.mode in GRAY)
    except Exception as e:
        raise _unreadable(file, e) from None


def _eight_bits(image: Image.Image, file: Path) -> Image.Image:
    """16-bit gray scaled to 8 bits, which a plain conversion would clip."""
    if image.mode == "F":
        raise UsageError(f"{file}: holds floating-point pixels; wanted 8 or 16 bits a channel.")
    if not image.mode.startswith("I"):
        return image
    a = np.asarray(image).astype(np.int64)
    if a.min() < 0 or a.max() > 65535:
        raise UsageError(f"{file}: holds pixels {a.min()} ... {a.max()}; wanted 8 or 16 bits a channel.")
    eight = Image.fromarray(np.rint(a / 257).astype(np.uint8))
    eight.getexif().update(image.getexif())
    return eight


def _common_size(path: Path, files: list[Path], headers: list[Header]) -> tuple[int, int]:
    first = headers[0].size
    for file, header in zip(files, headers, strict=True):
        if header.size != first:
            side = min(min(h.size) for h in headers)
            raise UsageError(
                f"{path}: images of mixed sizes: {files[0].name} is {first[0]}x{first[1]}, {file.name} is "
                f"{header.size[0]}x{header.size[1]} (H x W). "
                f"Give --image-size to resize and crop, as --image-size {side}."
            )
    return first


def _unreadable(file: Path, error: Exception) -> UsageError:
    what = str(error).splitlines()[0] if str(error) else type(error).__name__
    return UsageError(
        f"{file}: cannot be read as an image ({what.replace(str(file), file.name)}). Repair or remove it."
    )


def _in_threads(f, items: list) -> list:
    """[f(item), ...] in order; decoding leaves the interpreter lock."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        return list(progress.counted(pool.map(f, items), "files read", len(items)))


def _below(folder: Path) -> list[Path]:
    """Image files below a folder at any depth, none in a hidden folder."""
    return [p for p in folder.rglob("*") if _is_image(p) and not any(map(_hidden, p.relative_to(folder).parts))]


def _is_image(p: Path) -> bool:
    return p.suffix.lower() in SUFFIXES and not _hidden(p.name) and p.is_file()


def _hidden(name: str) -> bool:
    return name.startswith(".") or name == "__MACOSX"
