"""`load`: a data set by name, from a file, a folder or arrays."""

import contextlib
import difflib
import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genjax.data import archive, readers
from genjax.data.arrays import load_array, load_npz
from genjax.data.catalogue import EMBEDDED, SYNTHETIC, data_dir_of, prepared
from genjax.data.embedded import load_embedded
from genjax.data.examples import Dataset, Examples, Lazy, Spec, dataset
from genjax.data.folder import load_folder
from genjax.data.image_channels import of_channels
from genjax.data.resize import check_image_size, resize_all
from genjax.data.synthetic import load_synthetic
from genjax.data.tree import SUFFIXES
from genjax.errors import UsageError, shown
from genjax.formats import files

MOST_NAME = 200
"""Letters beyond which a word is no name of a data set."""
RESIDENT_BYTES = 2 * 2**30
"""Decoded pixels above which a TFDS set or a folder is decoded on demand instead of held in memory."""


def load(
    what: Any,
    *,
    data_dir: str | os.PathLike | None = None,
    image_size: int | None = None,
    stream: bool | None = None,
    like: Spec | None = None,
    options: Mapping[str, Any] = {},
) -> Dataset:
    """A data set: images as uint8 (N, H, W, C) with int32 labels; other kinds as `Examples` says.

    Args:
        what: one of
            - an embedded name (`digits`, `fashion_mini`), or that of points in the plane (`ring`, `grid`: float32
              coordinates in the place of pixels, see `synthetic.load_synthetic`);
            - the name of an image set that TFDS has prepared in `data_dir`, also `name/config` and `name:version`
              (its `test` split, else its `validation` split, becomes the test part);
            - a name, a file or a folder of one of the kinds of data in `readers`, or an `.npz` of samples of any kind;
            - a folder of images, class folders giving labels (see `folder.load_folder`), an image file, or an `.npz`
              file (see `arrays.load_npz`). A plain word is a name first; write `./word` for a folder;
            - an array of images, or a tuple (images, labels).
            Where a set has no test part all its images are for training and `test` is None. Float pixels are
            quantised to 8 bits. Classes are numbered 0 ... k - 1 in the order of their names or numbers; those
            without an image are left out.
        data_dir: the TFDS folder; by default `$TFDS_DATA_DIR`, else `~/tensorflow_datasets`. Nothing is downloaded.
        image_size: side of the square that images are resized (short side) and cropped (centre) to, antialiased.
        stream: True to decode on demand (`Lazy`), False to hold all in memory, None to decide by
            `RESIDENT_BYTES`. Embedded sets, arrays and `.npz` files are always in memory.
        like: what a run was trained on, where the images are for that run: its white is theirs, and colour images
            become gray, or gray ones colour, as its own are; a note says so.
        options: of the reader of data that are no images: the fields that a recipe's `Config.reads` names.

    Raises:
        UsageError: anything wrong with it, saying what was found, what is allowed, and what to try.

    Example:
        >>> load("digits").test.x.shape
        (297, 8, 8, 1)
    """
    check_image_size(image_size)
    above = {None: RESIDENT_BYTES, True: -1, False: sys.maxsize}[stream]
    found = _found(what, data_dir, image_size, above, like, dict(options))
    if found.spec.domain != "image":
        if image_size is not None:
            raise UsageError(f"image_size={image_size}: {shown(found.spec.name)} holds no images. Leave it out.")
        return found
    return found if like is None or like.domain != "image" else of_channels(found, like.shape[-1])


def _found(
    what: Any, data_dir: str | os.PathLike | None, image_size: int | None, above: int, like: Spec | None,
    options: dict[str, Any],
) -> Dataset:  # fmt: skip
    white = None if like is None or like.white == 255 else like.white
    if not isinstance(what, str | os.PathLike):
        return load_array(what, image_size, white=white)
    name = os.fspath(what)
    if isinstance(what, str) and name in EMBEDDED:
        return _resized(load_embedded(name), image_size)
    if isinstance(what, str) and name in SYNTHETIC:
        return load_synthetic(name)
    if isinstance(what, str) and (reader := readers.of_name(name)) is not None:
        return reader.load("embedded", name, like=like, **options)
    if not name:
        raise UsageError(f"data={what!r}: empty. Name a data set, a folder (`.` for this one) or a file.")
    try:
        path = Path(name).expanduser()
    except RuntimeError:
        raise UsageError(f"data={shown(name)}: there is no such user. Write the folder out.") from None
    if isinstance(what, os.PathLike) or _looks_like_a_path(name, data_dir):
        return _load_path(path, image_size, above, white, like, options)
    from genjax.data import tfds  # TFDS takes most of a second to import

    found = tfds.find(name, data_dir)
    if found is not None and (reader := readers.of_prepared(found.name)) is not None:
        return reader.load("prepared", found, like=like, **options)
    if found is not None:
        return tfds.load_prepared(name, found, image_size, above)
    if files.kind_of(path) is not None:
        return _load_path(path, image_size, above, white, like, options)
    raise _unknown(name, data_dir)


def _resized(d: Dataset, image_size: int | None) -> Dataset:
    if image_size is None:
        return d
    train, test = (_resized_part(part, image_size) for part in (d.train, d.test))
    assert train is not None
    return dataset(d.spec.name, train, test, d.spec.classes)


def _resized_part(part: Examples | Lazy | None, image_size: int) -> Examples | None:
    return Examples(resize_all(part.x, image_size), part.y) if isinstance(part, Examples) else None


def _looks_like_a_path(name: str, data_dir: str | os.PathLike | None) -> bool:
    """Whether a string is meant as a path: `name/config` of a prepared set is not."""
    if name.startswith((".", "~", os.sep)) or name.endswith((".npz", os.sep)) or "\\" in name or not name.isprintable():
        return True
    if readers.of_file(Path(name)) is not None:
        return True
    if os.sep not in name:
        return len(name) > MOST_NAME
    return files.kind_of(data_dir_of(data_dir) / name.partition(":")[0]) != "folder"


def _load_path(
    path: Path, image_size: int | None, above: int, white: int | None, like: Spec | None, options: dict[str, Any]
) -> Dataset:
    """A folder, an image, an .npz file, or a file of another kind of data."""
    kind, said = files.kind_of(path), shown(path)
    if kind is None:
        siblings: list[str] = []
        with contextlib.suppress(OSError):
            siblings = [p.name for p in path.parent.iterdir()]
        near = difflib.get_close_matches(path.name, siblings, n=3)
        hint = f" Nearest in {shown(path.parent)}: {', '.join(map(shown, near))}." if near else ""
        raise UsageError(f"data={said}: there is no such file or folder.{hint}")
    suffix = path.suffix.lower()
    if kind != "other":
        reader = readers.of_file(path) if kind == "file" else readers.of_folder(path, tuple(SUFFIXES))
        if reader is not None:
            return reader.load("path", path, like=like, **options)
    if kind == "folder" or (kind == "file" and suffix in SUFFIXES):
        return load_folder(path, image_size, above, white)
    if kind == "file" and suffix == ".npz":
        domain = archive.domain_of(path)
        return load_npz(path, image_size, white) if domain in ("", "image") else archive.load_archive(path, domain)
    if kind == "other":
        raise files.not_a_file(path)
    hint = f"\n{readers.REMEDIES[suffix]}" if suffix in readers.REMEDIES else ""
    known = [".npz", *(s for r in readers.READERS.values() for s in (*r.suffixes, *r.alone))]
    raise UsageError(
        f"data={said}: is neither a folder that genjax reads nor a file of {', '.join(known)} or of an image.{hint}"
    )


def _unknown(name: str, data_dir: str | os.PathLike | None) -> UsageError:
    """The error for a name that is neither embedded nor prepared: a TFDS name to prepare, or an unknown one."""
    from genjax.data import tfds

    root = data_dir_of(data_dir)
    known = tfds.known()
    plain = name.partition(":")[0].partition("/")[0]
    if plain in known:
        return UsageError(tfds.how_to_prepare(name, root))
    here = [p.name for p in prepared(root) if p.has_images or readers.of_prepared(p.name)]
    others = readers.names()
    near = difflib.get_close_matches(name, [*EMBEDDED, *SYNTHETIC, *others, *here, *known], n=4, cutoff=0.5)
    nearest = f" Nearest: {', '.join(near)}." if near else ""
    return UsageError(
        f"data={name!r}: no data set of this name, nor a folder.{nearest} "
        f"Embedded: {', '.join([*EMBEDDED, *others])}; points: {', '.join(SYNTHETIC)}. "
        f"Prepared by TFDS in {root}: {', '.join(here) or 'none'}."
    )
