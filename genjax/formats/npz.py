"""Arrays of an `.npz` archive, checked from their headers before memory is taken: the file may come from anybody."""

import math
import os
import sys
import zipfile
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Shaped

from genjax import headroom
from genjax.errors import UsageError, shown
from genjax.figures import by
from genjax.formats import files

STORED = (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED)
"""How `np.savez` and `np.savez_compressed` write."""
WORK = 2
"""Bytes a number that converting an array to uint8 may take, beside the array."""


class Header(NamedTuple):
    """What an array in an archive says of itself."""

    shape: tuple[int, ...]
    dtype: np.dtype


def read(
    path: str | os.PathLike[str], wanted: Sequence[str], accept: Callable[[str, Header], None] | None = None
) -> tuple[dict[str, Shaped[np.ndarray, "..."]], list[str]]:
    """The arrays of those names that an archive holds, and the names of all that it holds.

    Args:
        path: the archive.
        wanted: names to read; the others are left alone.
        accept: raises `UsageError` for an array that is not wanted after all, by its header.

    Raises:
        UsageError: it is no archive of arrays, or damaged; it holds a name twice, objects, a header that does not fit
            its array, or more than there is memory for.
    """
    with files.open_file(path) as opened:
        try:
            if opened.read(6) == b"\x93NUMPY":
                raise UsageError(f"{shown(path)}: is one array, not an .npz archive. Try np.savez(path, image=array).")
            opened.seek(0)
            with zipfile.ZipFile(opened) as archive:
                return _arrays(os.fspath(path), archive, wanted, accept)
        except UsageError:
            raise
        except Exception as e:  # whatever zipfile, zlib and NumPy make of bytes at random
            what = str(e).splitlines()[0] if str(e) else type(e).__name__
            raise UsageError(f"{shown(path)}: cannot be read as .npz ({shown(what)}). Write it again.") from e


def _arrays(path: str, archive: zipfile.ZipFile, wanted: Sequence[str], accept) -> tuple[dict, list[str]]:
    members: dict[str, zipfile.ZipInfo] = {}
    for info in archive.infolist():
        name = info.filename.removesuffix(".npy")
        if name in members:
            raise UsageError(f"{shown(path)}: holds two arrays named {shown(name)!r}. Write it again with np.savez.")
        members[name] = info
    there = [name for name in wanted if name in members]
    headers = {name: _header(path, archive, name, members[name]) for name in there}
    for name, header in headers.items():
        if accept is not None:
            accept(name, header)
    n_bytes = sum(math.prod(h.shape) * (h.dtype.itemsize + WORK) for h in headers.values())
    most = " and ".join(f"{name} {by(h.shape)} {h.dtype}" for name, h in headers.items() if len(h.shape) > 1)
    headroom.check(n_bytes, f"{shown(path)}: {most or 'its arrays'}", "Save smaller images, or fewer, or as uint8.")
    arrays = {}
    for name in there:
        with archive.open(members[name]) as f:
            arrays[name] = np.lib.format.read_array(f, allow_pickle=False)
            if arrays[name].dtype.kind == "U" and _beyond_unicode(arrays[name]):
                raise UsageError(f"{shown(path)}: {name} is damaged, it holds what is no letter. Write it again.")
            if f.read(1):
                raise UsageError(f"{shown(path)}: {name} holds more than its header says. Write it again.")
    return arrays, list(members)


def _beyond_unicode(a: np.ndarray) -> bool:
    native = np.ascontiguousarray(a.astype(a.dtype.newbyteorder("=")))
    return bool(native.size and native.dtype.itemsize and native.view(np.uint32).max() > sys.maxunicode)


def _header(path: str, archive: zipfile.ZipFile, name: str, info: zipfile.ZipInfo) -> Header:
    """What the header of an array says, held against the bytes that the archive has of it."""
    if info.compress_type not in STORED or info.flag_bits & 1:
        raise UsageError(f"{shown(path)}: {name} is packed as np.savez does not, or encrypted. Write it again.")
    with archive.open(info) as f:
        version = np.lib.format.read_magic(f)
        read_header = {1: np.lib.format.read_array_header_1_0, 2: np.lib.format.read_array_header_2_0}.get(version[0])
        if read_header is None:
            raise UsageError(f"{shown(path)}: {name} is of array format {version[0]}, which holds no plain numbers.")
        shape, _, dtype = read_header(f)
        begin = f.tell()
    header = Header(shape, dtype)
    if dtype.hasobject:
        raise UsageError(f"{shown(path)}: {name} holds pickled objects, which are not read. Save numbers of one shape.")
    if any(n < 0 for n in header.shape) or len(header.shape) > 32:
        raise UsageError(f"{shown(path)}: {name} is damaged, its header says {shown(header.shape)}. Write it again.")
    n_bytes = math.prod(header.shape) * header.dtype.itemsize
    if begin + n_bytes != info.file_size:
        raise UsageError(
            f"{shown(path)}: {name} is damaged, its header says {by(header.shape)} {header.dtype}, {n_bytes} bytes, "
            f"and it holds {max(0, info.file_size - begin)}. Write it again."
        )
    return header
