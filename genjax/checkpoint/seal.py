"""Seals: a step's folder is fsynced, then closed with a SHA-256 of every file in it.

Orbax loads a flipped bit without a word (its chunks carry no checksum) and does not fsync its own metadata. So a
checkpoint counts only once its seal is there: written last, after every file and folder reached the disk, and
carrying a hash of itself. No jax and no Orbax here: files in, facts out. Paths are `etils.epath`, local or `gs://`.
"""

import contextlib
import hashlib
import json
import os
from collections.abc import Iterator
from typing import Any

from etils import epath

from genjax.checked import Each, checked
from genjax.errors import UsageError
from genjax.files import fsync, is_local, write_durably

SEAL = "seal.json"
FORMAT = 2
"""Version of the seal's fields; a reader refuses a newer one. Before 2 there were neither `mark` nor `ranked`."""


FIELDS = {
    "format": int, "step": int, "metric": (float, None), "digest": str, "leaves": [[(str, [int])]],
    "extra": dict, "files": Each([(int, str)]),
}  # fmt: skip
"""What a seal holds; see `genjax.checked`."""


class Damage(Exception):
    """A sealed folder is not what was sealed: `file` (relative, or the folder's name) and `what` is wrong with it."""

    def __init__(self, file: str, what: str):
        super().__init__(f"{file}: {what}")
        self.file, self.what = file, what


def is_link(path: epath.Path) -> bool:
    """Whether a local path is a symbolic link."""
    return is_local(path) and os.path.islink(path)


def remove_if_empty(folder: epath.Path) -> None:
    """Remove a local folder that nothing is in; an object store has no empty ones."""
    if is_local(folder):
        with contextlib.suppress(OSError):
            os.rmdir(folder)


def write(folder: epath.Path, body: dict[str, Any]) -> None:
    """Fsync everything under `folder`, then seal it.

    Args:
        folder: the folder to seal, under its final name; nothing may write to it any more.
        body: JSON facts to keep in the seal; `format`, `files` and `sha256` are added.
    """
    files = {name: _fingerprint(folder / name) for name in _files(folder)}
    for name in files:
        fsync(folder / name)
    below = {name.rsplit("/", n)[0] for name in files for n in range(1, name.count("/") + 1)}
    for sub in sorted(below, key=len, reverse=True):
        fsync(folder / sub)
    # Up to the name of the folder of steps; by `..`, as the path may be that of an open folder (`open_folder`).
    for path in (folder, folder.parent, f"{os.fspath(folder.parent)}/.."):
        fsync(path)
    body = {**body, "format": FORMAT, "files": files}
    write_durably(folder / SEAL, _dump({**body, "sha256": own_hash(body)}))


def read(folder: epath.Path) -> dict[str, Any]:
    """The seal's facts, its own hash checked (the sealed files are not looked at).

    Raises:
        Damage: the seal is missing or was changed.
        UsageError: a newer genjax wrote it.
    """
    try:
        raw = (folder / SEAL).read_bytes()
    except OSError as e:
        raise Damage(SEAL, "missing" if isinstance(e, FileNotFoundError) else f"unreadable ({e.strerror})") from e
    try:
        body = json.loads(raw)
        claimed = body.pop("sha256")
        # Byte for byte: also a changed blank or a key in other letters is a changed seal.
        intact = claimed == own_hash(body) and _dump({**body, "sha256": claimed}) == raw
    except (ValueError, KeyError, AttributeError, TypeError, RecursionError):
        intact = False
    if not intact:
        raise Damage(SEAL, "changed since it was written (its own hash does not match)")
    if isinstance(body.get("format"), int) and body["format"] > FORMAT:
        raise UsageError(
            f"{folder / SEAL} has format {body['format']}, this genjax reads up to {FORMAT}. Install a newer genjax."
        )
    try:  # somebody may have made it so, hash and all
        checked(body, FIELDS, SEAL)
    except UsageError as e:
        raise Damage(SEAL, str(e).partition(" is damaged: ")[2]) from None
    lengths = {*(len(leaf) for leaf in body["leaves"])} - {3}, {*(len(file) for file in body["files"].values())} - {2}
    if any(lengths) or not all(map(_is_leaf, body["leaves"])):
        raise Damage(SEAL, "lists leaves or files that are none")
    return body


def _is_leaf(leaf: list[Any]) -> bool:
    """Whether it is `[name, dtype, shape]`."""
    name, dtype, shape = leaf
    return isinstance(name, str) and isinstance(dtype, str) and isinstance(shape, list) and all(n >= 0 for n in shape)


def verify(folder: epath.Path) -> dict[str, Any]:
    """The seal's facts after every file was found as sealed: name, size, SHA-256, none missing, none added.

    Raises:
        Damage: naming the first file that differs and how.
        UsageError: a newer genjax wrote it.
    """
    body = read(folder)
    try:
        present = set(_files(folder))
        for name, (size, sha) in body["files"].items():
            if name not in present:
                raise Damage(name, "missing")
            found_size, found_sha = _fingerprint(folder / name)
            if found_size != size:
                raise Damage(name, f"{found_size} bytes, sealed with {size}")
            if found_sha != sha:
                raise Damage(name, "contents changed since they were written (SHA-256 does not match)")
    except OSError as e:
        raise Damage(os.path.basename(e.filename or str(folder)), f"unreadable ({e.strerror})") from e
    added = sorted(present - set(body["files"]))
    if added:
        raise Damage(added[0], "was not there when the checkpoint was sealed")
    return body


def remove(folder: epath.Path) -> bool:
    """Remove the files that a folder was sealed with, its seal last; whether that was all that was in it.

    What was put there since stays, and the seal with it. A kill on the way leaves the seal, which says whose it is.

    Raises:
        Damage: the seal cannot be read: nothing is removed.
    """
    names = list(read(folder)["files"])
    for name in names:
        (folder / name).unlink(missing_ok=True)
    below = {name.rsplit("/", n)[0] for name in names for n in range(1, name.count("/") + 1)}
    for sub in sorted(below, key=lambda s: s.count("/"), reverse=True):
        remove_if_empty(folder / sub)
    if [p.name for p in folder.iterdir()] != [SEAL]:
        return False
    (folder / SEAL).unlink()
    remove_if_empty(folder)
    return True


def _files(folder: epath.Path) -> list[str]:
    """All files below `folder` but its seal, as sorted relative POSIX paths."""

    def walk(path: epath.Path, prefix: str) -> Iterator[str]:
        for child in path.iterdir():
            name = prefix + child.name
            if child.is_dir():
                yield from walk(child, name + "/")
            elif name != SEAL:
                yield name

    return sorted(walk(folder, ""))


def _fingerprint(path: epath.Path) -> list[Any]:
    """`[bytes, SHA-256]` of a file."""
    sha, size = hashlib.sha256(), 0
    with path.open("rb") as f:
        while block := f.read(1 << 20):
            sha.update(block)
            size += len(block)
    return [size, sha.hexdigest()]


def _dump(body: dict[str, Any]) -> bytes:
    return (json.dumps(body, sort_keys=True, indent=1, allow_nan=False) + "\n").encode()


def own_hash(body: dict[str, Any]) -> str:
    """The hash of a seal's facts that the seal carries beside them."""
    return hashlib.sha256(_dump(body)).hexdigest()
