"""One image file: its header, and its pixels as uint8. Only the formats that are meant are opened.

Pillow would open any format it knows whatever a file is called: PostScript named `a.png` would be run by Ghostscript.
"""

import contextlib
import math
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, NamedTuple

import numpy as np
from PIL import Image, ImageOps

from genjax.errors import UsageError, shown
from genjax.figures import by
from genjax.formats import files
from genjax.formats.depth import eight_bits

FORMATS = ("PNG", "JPEG", "BMP", "GIF", "TIFF", "WEBP", "PPM")
"""What a file may be, whatever its name says."""
MOST_PIXELS = 89_478_485
"""Pixels of a picture that is still decoded: beyond it Pillow warns of decompression bombs."""
GRAY = ("1", "L", "LA", "La", "I", "I;16", "I;16B", "I;16L", "I;16N")
ORIENTATION, TIFF_WIDTH, TIFF_HEIGHT = 0x0112, 256, 257
AGAIN_SECONDS = 0.5
"""After which a file is read once more that a disk or a network failed to give."""


class Header(NamedTuple):
    """What a file's header says of its picture."""

    size: tuple[int, int]
    """(H, W), turned as EXIF says."""
    gray: bool
    deep: Literal["", "gray", "colour"]
    """Pixels of 16 bits whose white the format does not say."""


def header_of(file: Path) -> Header:
    """What a file says of its picture.

    Raises:
        UsageError: it cannot be read, is of another format, is too large or holds floating-point pixels.
    """
    with files.open_file(file) as f, _opened(file, f) as image:
        w, h = image.size
        depth = _depth(image)  # before EXIF, which of a PNG may stand at its end: Pillow decodes it to get there
        turned = image.getexif().get(ORIENTATION, 1) in (5, 6, 7, 8) and not _turned_already(image)
        return Header((w, h) if turned else (h, w), image.mode in GRAY, depth)


def _turned_already(image: Any) -> bool:
    """Whether the size is of the picture as it is shown: so newer versions of Pillow open a TIFF."""
    return image.format == "TIFF" and image.size == (image.tag_v2[TIFF_HEIGHT], image.tag_v2[TIFF_WIDTH])


def largest_value(file: Path) -> int:
    """The largest stored value of a picture of 16 bits; of a colour one, of its upper 8 bits.

    Raises:
        UsageError: it cannot be read, or its values are not of 16 bits.
    """
    with files.open_file(file) as f, _opened(file, f) as image:
        if not image.mode.startswith("I"):
            return int(np.asarray(image.convert("RGB")).max())
        return int(_sixteen_bits(image, file).max())


def decode(file: Path, channels: int, image_size: int | None, white: int = 65535) -> np.ndarray:
    """One file as uint8 (H, W, channels), `white` of 16-bit gray pixels as 255.

    A failure that may pass (a network's file system, a disk) is met by a second try.

    Raises:
        UsageError: it cannot be read; the file is named.
    """
    try:
        with files.open_file(file) as f:
            return pixels_of(f, file, channels, image_size, white)
    except UsageError as e:
        if not files.is_transient(e):
            raise
    time.sleep(AGAIN_SECONDS)
    with files.open_file(file) as f:
        return pixels_of(f, file, channels, image_size, white)


def pixels_of(f: Any, name: str | Path, channels: int, image_size: int | None, white: int = 65535) -> np.ndarray:
    """`decode` of an open file."""
    with _opened(name, f) as opened:
        image = ImageOps.exif_transpose(_of_eight_bits(opened, name, white))
        if image.has_transparency_data:
            paper = Image.new("RGBA", image.size, "white")
            image = Image.alpha_composite(paper, image.convert("RGBA"))
        image = image.convert("L" if channels == 1 else "RGB")
        a = np.asarray(square(image, image_size) if image_size else image)
    return a[..., None] if channels == 1 else a


def square(image: Image.Image, image_size: int) -> Image.Image:
    """The largest centred square of a picture, resized to image_size x image_size."""
    w, h = image.size
    if w == h == image_size:
        return image
    s = min(w, h)
    box = ((w - s) / 2, (h - s) / 2, (w + s) / 2, (h + s) / 2)
    return image.resize((image_size, image_size), Image.Resampling.LANCZOS, box=box)


def stored_pixels(f: Any, name: str, channels: int) -> np.ndarray:
    """A picture as it is stored, uint8 (H, W, channels): as TFDS reads its own, which it wrote with these channels.

    Raises:
        UsageError: it cannot be read, or has others.
    """
    with _opened(name, f) as image:
        a = np.asarray(image, dtype=np.uint8)
    a = a[..., None] if a.ndim == 2 else a
    if a.shape[-1] != channels:
        raise UsageError(f"{shown(name)}: has {a.shape[-1]} channels; wanted {channels}.")
    return a


@contextlib.contextmanager
def _opened(name: str | Path, f: Any) -> Iterator[Image.Image]:
    """Opens a picture; an error while it is used names its file."""
    try:
        with Image.open(f, formats=FORMATS) as image:
            _check(image, name)
            yield image
    except UsageError:
        raise
    except (Image.DecompressionBombError, Image.DecompressionBombWarning) as e:
        raise UsageError(_too_large(name, str(e))) from e
    except MemoryError as e:
        raise UsageError(f"{shown(name)}: is too large for the memory there is. Make it smaller first.") from e
    except Image.UnidentifiedImageError as e:
        kinds = ", ".join(FORMATS)
        raise UsageError(
            f"{shown(name)}: cannot be read as an image (it is none of {kinds}, or damaged). {ADVICE}"
        ) from e
    except Exception as e:  # whatever Pillow and its libraries make of bytes at random
        what = str(e).splitlines()[0] if str(e) else type(e).__name__
        raise UsageError(f"{shown(name)}: cannot be read as an image ({shown(what)}). {ADVICE}") from e


ADVICE = "Put a whole copy in its place, or leave it out of a new run."


def _check(image: Image.Image, name: str | Path) -> None:
    if math.prod(image.size) > MOST_PIXELS:
        raise UsageError(_too_large(name, by(image.size[::-1])))
    if min(image.size) < 1:
        raise UsageError(f"{shown(name)}: is empty, {by(image.size[::-1])} pixels. {ADVICE}")
    if image.mode == "F":
        raise UsageError(f"{shown(name)}: holds floating-point pixels; wanted 8 or 16 bits a channel.")


def _too_large(name: str | Path, size: str) -> str:
    return f"{shown(name)}: is too large ({shown(size)}); at most {MOST_PIXELS:,} pixels are decoded. Make it smaller."


def _depth(image: Image.Image) -> Literal["", "gray", "colour"]:
    if image.format == "PPM":  # says its own white, and Pillow scales by it
        return ""
    if image.mode.startswith("I"):
        return "gray"
    return "colour" if any(";16" in str(tile.args) for tile in getattr(image, "tile", ())) else ""


def _sixteen_bits(image: Image.Image, name: str | Path) -> np.ndarray:
    a = np.asarray(image).astype(np.int64)
    if a.min() < 0 or a.max() > 65535:
        raise UsageError(f"{shown(name)}: holds pixels {a.min()} ... {a.max()}; wanted 8 or 16 bits a channel.")
    return a


def _of_eight_bits(image: Image.Image, name: str | Path, white: int) -> Image.Image:
    """16-bit gray scaled to 8 bits, which a plain conversion would clip."""
    if not image.mode.startswith("I"):
        return image
    a = _sixteen_bits(image, name)
    of_file = 65535 if image.format == "PPM" else white
    if a.max() > of_file:
        raise UsageError(f"{shown(name)}: holds {a.max()} now and none above {of_file} at the start. {ADVICE}")
    eight = Image.fromarray(eight_bits(a, of_file))
    eight.getexif().update(image.getexif())
    return eight
