"""Images from a folder: class folders give labels; sizes and modes are read from the headers before any is decoded."""

import math
import os
import sys
import warnings
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from genjax import headroom, progress
from genjax.data.classes import numbered
from genjax.data.examples import Dataset, Examples, Lazy, dataset
from genjax.data.tree import Tree, trees_of
from genjax.errors import UsageError, shown
from genjax.figures import by
from genjax.formats.depth import said_of_white, white_of
from genjax.formats.picture import Header, decode, header_of, largest_value

WORK = 3
"""Times its decoded bytes (of four channels) that decoding one picture may take."""


class Layout(NamedTuple):
    """What all images of a data set have in common."""

    h: int
    w: int
    c: int
    image_size: int | None
    white: int


def load_folder(
    path: Path, image_size: int | None = None, stream_above: int = sys.maxsize, white: int | None = None
) -> Dataset:
    """A folder of images as a data set.

    Images in the folder itself have no label; images in its subfolders (at any depth) have the class of the
    subfolder of the first level, numbered in sorted order of names; subfolders without an image do not count. Folders
    named as parts of a data set (`train` and `test`, `validation`; see `tree`) are these parts, each of images or of
    class folders. Hidden files and folders are left alone. Pictures are turned as EXIF says, transparency is laid on
    white; one channel if all are gray, else RGB. Of an animation the first frame counts. Gray pictures of 16 bits
    become 8-bit by the range of all of them, see `depth`.

    Args:
        path: the folder, or one image file.
        image_size: side of the square to resize (short side) and crop (centre) to; None to take them as they are.
        stream_above: bytes of decoded pixels above which the images are decoded on demand.
        white: the stored value that is white in 16-bit pictures; None to find it in them.

    Raises:
        UsageError: no image; a file that is none or cannot be read, a folder that cannot be listed (named); mixed
            sizes without `image_size`; images both in the folder and in subfolders; more than memory holds.
    """
    trees, notes = trees_of(path)
    files = [file for tree in trees.values() for file in tree.files]
    headers = _headers(files)
    channels = 1 if all(h.gray for h in headers) else 3
    h, w = (image_size, image_size) if image_size else _common_size(path, files, headers)
    said = shown(path)
    of_set, most = _white(said, files, headers, white)
    layout = Layout(h, w, channels, image_size, of_set)
    names = sorted({name for tree in trees.values() for name in tree.names or ()})
    place = {name: i for i, name in enumerate(names)}
    raw = [None if t.names is None else np.array([place[n] for n in t.names]) for t in trees.values()]
    labels, classes = numbered(raw, names, said)
    n_bytes = len(files) * h * w * channels
    if n_bytes <= stream_above:
        remedy = "Give --image-size to make the images smaller, or take fewer."
        headroom.check(2 * n_bytes, f"{said}: {len(files):,} images of {by((h, w, channels))}", remedy)
    parts: dict[str, Examples | Lazy] = {}
    for (name, tree), label in zip(trees.items(), labels, strict=True):
        records = Lazy(len(tree.files), (h, w, channels), _reader(tree, layout, label), label)
        parts[name] = records if n_bytes > stream_above else records.read(np.arange(records.n))
    if most is not None:
        notes += said_of_white(said, most, of_set)
    name = shown(os.path.basename(os.path.realpath(path)) or path)
    return dataset(
        name, parts["train"], parts.get("test"), classes, parts.get("validation"), white=of_set, notes=notes,
        files={n: tuple(f.relative_to(t.root).as_posix() for f in t.files) for n, t in trees.items()},
    )  # fmt: skip


def _reader(tree: Tree, layout: Layout, label: np.ndarray | None) -> Callable[[np.ndarray], Examples]:
    """Reads pictures of a part by their places."""
    shape = layout[:3]

    def read(indices: np.ndarray) -> Examples:
        out = np.empty((len(indices), *shape), np.uint8)

        def fill(place: int) -> None:
            file = tree.files[int(indices[place])]
            image = decode(file, layout.c, layout.image_size, layout.white)
            if image.shape != shape:
                raise UsageError(f"{shown(file)}: is {image.shape} now and was {shape} (H, W, C) at the start.")
            out[place] = image

        _in_threads(fill, range(len(indices)))
        return Examples(out, None if label is None else label[indices])

    return read


def _headers(files: Sequence[Path]) -> list[Header]:
    with warnings.catch_warnings():  # of large pictures, which `header_of` refuses in our words
        warnings.simplefilter("ignore", Image.DecompressionBombWarning)
        headers = _in_threads(header_of, files)
    largest = max(math.prod(h.size) for h in headers)
    i = next(i for i, h in enumerate(headers) if math.prod(h.size) == largest)
    threads = min(_n_threads(), len(files))
    what = f"{shown(files[i])}: is {by(headers[i].size)}; decoding {threads} such pictures at once"
    headroom.check(WORK * 4 * largest * threads, what, "Make it smaller first.")
    return headers


def _white(name: str, files: Sequence[Path], headers: Sequence[Header], white: int | None) -> tuple[int, int | None]:
    """White of the set and its largest value, where it has pictures of 16 bits whose white their format leaves open."""
    deep = [file for file, h in zip(files, headers, strict=True) if h.deep == "gray"]
    coloured = [file for file, h in zip(files, headers, strict=True) if h.deep == "colour"]
    if coloured and (top := max(_in_threads(largest_value, coloured))) < 64:  # of the upper 8 bits alone
        raise UsageError(
            f"{name}: colour images of 16 bits ({shown(coloured[0].name)}) hold values below {256 * (top + 1)} of "
            "65535: they have fewer bits. Save them with 8 bits, their white as 255."
        )
    if not deep:
        return 255, None
    most = max(_in_threads(largest_value, deep))
    return white_of(most, name, white if white != 255 else None), most


def _common_size(path: Path, files: Sequence[Path], headers: Sequence[Header]) -> tuple[int, int]:
    first = headers[0].size
    for file, header in zip(files, headers, strict=True):
        if header.size != first:
            side = min(min(h.size) for h in headers)
            raise UsageError(
                f"{shown(path)}: images of mixed sizes: {shown(files[0].name)} is {by(first)}, {shown(file.name)} is "
                f"{by(header.size)} (H x W). Give --image-size to resize and crop, as --image-size {side}."
            )
    return first


def _n_threads() -> int:
    return min(8, os.cpu_count() or 1)


def _in_threads(f, items: Sequence) -> list:
    """[f(item), ...] in order; decoding leaves the interpreter lock."""
    with ThreadPoolExecutor(_n_threads()) as pool:
        return list(progress.counted(pool.map(f, items), "files read", len(items)))
