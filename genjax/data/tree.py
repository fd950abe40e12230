"""Which files of a folder are examples, of which part of the data set, and of which class."""

import errno
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from genjax.data.readers import READERS, remedy
from genjax.errors import UsageError, shown
from genjax.formats import files
from genjax.formats.files import Entry

SUFFIXES = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp", ".ppm", ".pgm", ".pbm")
"""Files taken for images, upper or lower case; others are left alone."""
OTHER_IMAGES = (
    ".heic", ".heif", ".avif", ".jxl", ".jp2", ".j2k", ".tga", ".psd", ".svg", ".ico", ".eps", ".pdf", ".dcm", ".exr",
    ".hdr", ".raw", ".dng", ".nef", ".cr2", ".arw", ".jfif", ".npy", ".npz", ".zip", ".tar", ".tgz", ".gz",
)  # fmt: skip
"""Files that may hold images too and are not read: their number is said."""
PARTS = {
    "train": "train", "training": "train", "test": "test", "testing": "test",
    "val": "validation", "valid": "validation", "validation": "validation",
}  # fmt: skip
"""First-level folders that are a part of a data set, by name in lower case."""


class Wanted(NamedTuple):
    """The files that are looked for."""

    one: str
    """What an example is called, and several of them."""
    many: str
    suffixes: tuple[str, ...]
    """The endings of files that are taken, upper or lower case; others are left alone."""
    others: tuple[str, ...]
    """The endings of files that may hold examples too and are not read: their number is said."""


IMAGES = Wanted("image", "images", SUFFIXES, OTHER_IMAGES)


class Tree(NamedTuple):
    """The examples of a part, in order."""

    root: Path
    """What the names of files are relative to."""
    files: list[Path]
    names: list[str] | None
    """The class of each; None where the examples are not in class folders."""


def trees_of(path: Path, wanted: Wanted = IMAGES) -> tuple[dict[str, Tree], list[str]]:
    """The parts `train`, `test`, `validation` that a folder has, and what should be said of it.

    Where every first-level folder with examples has a name of `PARTS`, these are the parts; with `train` and
    `validation` alone the latter is the test part, as in the sets of TFDS. Else all is the training part.

    Raises:
        UsageError: as `files.below`; no example; examples both beside folders and in them; parts without `train`, one
            given twice, or some with classes and some without.
    """
    kind = files.kind_of(path)
    if kind is None:
        raise files.refused(path, FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT)))
    if kind == "file":
        return {"train": Tree(path.parent, [path], None)}, []
    left: Counter[str] = Counter()
    direct, by_folder = _level(path, wanted, left)
    names = {name: PARTS.get(name.lower()) for name in by_folder}
    if not direct and by_folder and None not in names.values():
        parts = _parts(path, wanted, names, left)
    elif len({part for part in names.values() if part}) > 1:
        other = next(name for name, part in names.items() if part is None)
        raise UsageError(
            f"{shown(path)}: has parts of a data set ({', '.join(f'{shown(n)}/' for n in names if names[n])}) and "
            f"{shown(other)}/, which is none. Move it away, or give the folder of classes that is meant."
        )
    else:
        parts = {"train": _tree(path, path, wanted, direct, by_folder)}
    notes = []
    if left:
        most = ", ".join(f"{n:,} {suffix}" for suffix, n in left.most_common(3))
        notes.append(f"{shown(path)}: files that are not read as {wanted.many} were left alone: {most}.")
    return parts, notes


def _parts(path: Path, wanted: Wanted, names: dict[str, str | None], left: Counter[str]) -> dict[str, Tree]:
    of = {part: [name for name in names if names[name] == part] for part in ("train", "test", "validation")}
    if twice := next((folders for folders in of.values() if len(folders) > 1), None):
        raise UsageError(f"{shown(path)}: {' and '.join(map(shown, twice))} are the same part. Keep one of them.")
    if not of["train"]:
        first = next(iter(names))
        raise UsageError(
            f"{shown(path)}: has {', '.join(f'{shown(n)}/' for n in names)} and no train/. "
            f"Name the folder that is meant, as {shown(path / first)}."
        )
    left.clear()  # counted anew, below
    found = {}
    for part, folders in of.items():
        if folders:
            root = path / folders[0]
            found[part] = _tree(path, root, wanted, *_level(root, wanted, left))
    with_classes = {tree.names is not None for tree in found.values()}
    if len(with_classes) > 1:
        has, lacks = (next(p for p in found if (found[p].names is not None) == yes) for yes in (True, False))
        raise UsageError(
            f"{shown(path)}: the {has} part has class folders, the {lacks} part has none. Give all or none."
        )
    if "test" not in found and "validation" in found:
        found["test"] = found.pop("validation")
    return {part: found[part] for part in ("train", "test", "validation") if part in found}


def _level(path: Path, wanted: Wanted, left: Counter[str]) -> tuple[list[Path], dict[str, list[Path]]]:
    """The examples of a folder itself, and those of each of its folders at any depth, where there are any."""
    inside = files.listing(path)
    direct = _examples([e for e in inside if e.kind != "folder"], wanted, left)
    folders = {e.name: _examples(files.below(e.path), wanted, left) for e in inside if e.kind == "folder"}
    return direct, {name: found for name, found in folders.items() if found}


def _tree(root: Path, path: Path, wanted: Wanted, direct: list[Path], by_class: dict[str, list[Path]]) -> Tree:
    if direct and by_class:
        raise UsageError(
            f"{shown(path)}: holds {wanted.many} itself ({shown(direct[0].name)}) and in subfolders "
            f"({shown(next(iter(by_class)))}/). Keep all in the folder (no labels), or all in class folders."
        )
    if direct:
        return Tree(root, direct, None)
    if by_class:
        named = [(file, name) for name, found in by_class.items() for file in found]
        return Tree(root, [file for file, _ in named], [name for _, name in named])
    others = [suffix for reader in READERS.values() for suffix in reader.suffixes if suffix not in wanted.suffixes]
    raise UsageError(
        f"{shown(path)}: holds no {wanted.one}. Wanted files ending in {' '.join(wanted.suffixes)}, "
        f"or class folders of them; other kinds of data end in {' '.join(others)}.{remedy(path)}"
    )


def _examples(entries: Sequence[Entry], wanted: Wanted, left: Counter[str]) -> list[Path]:
    """The wanted files among entries; others that may hold examples are counted."""
    found = []
    for e in entries:
        suffix = e.path.suffix.lower()
        if suffix in wanted.suffixes:
            if e.kind != "file":
                raise files.not_a_file(e.path)
            found.append(e.path)
        elif suffix in wanted.others:
            left[suffix] += 1
    return found
