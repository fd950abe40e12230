"""The one home of atomic writes: files whole or not at all. Lets several processes change one file in turn, too.

Standard library only.

A file that is read, changed and written back is changed within `locked`, and read there: else of two processes the
second writes over what the first has added.
"""

import contextlib
import errno
import json
import os
import shutil
import socket
import stat
import time
import zlib
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any, BinaryIO

from genjax.errors import RunFailure, UsageError

NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT})
"""What a full disk answers."""
FAILING = NO_ROOM | {errno.EIO, errno.EFBIG}
"""What a disk answers that is at fault itself; any other answer is about the path."""
SOFTWARE = {"Software": "genjax"}
"""What a run's pictures of its samples say of themselves inside: so it knows its own."""
LOCK_SECONDS = 60.0
"""So long a process waits for another one that changes the same file."""
RUN_FILES = ("config.json", "manifest.json", "metrics.jsonl", "validation.jsonl", "eval.json", "lock")
RUN_FOLDERS = ("checkpoints", "samples", "tensorboard", "recipe")
"""What a run's folder keeps itself, and no `--out` may replace."""
_COUNT = count()
_HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_PREFIX = ".genjax-tmp-"


@contextlib.contextmanager
def replacing(path: str | os.PathLike[str]) -> Iterator[BinaryIO]:
    """A file to write to that takes the place of `path` at the end, whole or not at all, durably.

    Temporary file, fsync, rename, fsync of the folder. What killed processes left of such writes there is cleared.

    Raises:
        OSError: the old file is as it was, and nothing else is left.
    """
    path = Path(path)
    tmp = _temporary(path)
    try:
        with tmp.open("wb") as f:
            yield f
            f.flush()
            os.fsync(f.fileno())
        tmp.replace(path)
        fsync(path.parent)
    finally:
        _remove(tmp)


@contextlib.contextmanager
def building(path: str | os.PathLike[str]) -> Iterator[Path]:
    """A new folder to fill that becomes `path` at the end, whole or not at all; `path` is new, or an empty folder.

    What is written into it is the caller's to flush.

    Raises:
        OSError: `path` is as it was, and nothing else is left.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    tmp = _temporary(path)
    try:
        tmp.mkdir()
        yield tmp
        tmp.replace(path)
        fsync(path.parent)
    finally:
        _remove(tmp)


def replace(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace a file's content; see `replacing`.

    Raises:
        OSError: the old file is as it was, and nothing else is left.
    """
    with replacing(path) as f:
        f.write(content)


def write_durably(path: Any, content: bytes, beside: str = "", flush: bool = True) -> None:
    """`replace` for a path object of any file system, such as `etils.epath.Path`; no residue on failure.

    Args:
        path: the file; an object store is durable when it is written.
        content: all of it.
        beside: its temporary name; by default one that no other process has.
        flush: whether file and folder are fsynced.
    """
    tmp = path.parent / (beside or f".{path.name}.tmp-{os.getpid()}")
    try:
        tmp.write_bytes(content)
        if flush:
            fsync(tmp)
        tmp.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            tmp.unlink(missing_ok=True)
        raise
    if flush:
        fsync(path.parent)


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """`replace` for what a run writes of its own.

    Raises:
        RunFailure: the disk is full or fails; the old file is as it was.
    """
    try:
        replace(path, content)
    except OSError as e:
        raise failed_write(Path(path), len(content), e) from e


def write_out(path: str | os.PathLike[str], content: bytes, flag: str = "--out") -> None:
    """`replace` for a file that was asked for by `flag`; its folder is made where there is none.

    Raises:
        UsageError: there can be no such file; or it is a part of a run.
        RunFailure: the disk is full or fails.
    """
    refuse_part_of_a_run(path, flag)
    try:
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        replace(path, content)
    except OSError as e:
        if e.errno in FAILING:
            raise failed_write(Path(path), len(content), e) from e
        raise UsageError(f"{flag}={os.fspath(path)}: cannot be written ({e.strerror or e}).") from None


def refuse_part_of_a_run(out: str | os.PathLike[str], flag: str = "--out") -> None:
    """Refuse a path that would replace what a run's folder itself keeps.

    Raises:
        UsageError: it names such a file.
    """
    path = Path(os.path.realpath(out))
    for parent in path.parents:
        first = path.relative_to(parent).parts[0]
        if first in (*RUN_FILES, *RUN_FOLDERS) and _is_run(parent):
            raise UsageError(f"{flag}={os.fspath(out)}: the run in {parent} keeps {first} itself. Name another place.")


def _is_run(folder: Path) -> bool:
    """Whether a folder has the `config.json` of a run."""
    try:
        with open(folder / "config.json", "rb", opener=regular) as f:
            found = json.loads(f.read(1 << 22))
    except (OSError, ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "format" in found and "experiment" in found


def failed_write(path: Path, n_bytes: int, e: OSError) -> RunFailure:
    """The failure to raise where writing `path` met `e`: names the path, and room needed and free on a full disk."""
    if e.errno in NO_ROOM:
        return RunFailure(f"no space left for {path}: needs {n_bytes / 1e6:.3f} MB, {free(path) / 1e6:.3f} MB free.")
    return RunFailure(f"writing {path} failed: {e.strerror or e}.")


def free(path: str | os.PathLike[str]) -> int:
    """Bytes free on the disk where `path` is, or would be."""
    path = Path(path).absolute()
    return shutil.disk_usage(next(p for p in (path, *path.parents) if p.exists())).free


@contextlib.contextmanager
def locked(path: str | os.PathLike[str]) -> Iterator[None]:
    """Holds the lock of a file: of all processes that change it within, one at a time is there.

    The lock is the kernel's on a file beside it, which goes with the lock; after a kill an empty one stays, and means
    nothing.

    Raises:
        RunFailure: the folder cannot be written, its file system has no locks, or another process holds the lock for
            longer than a minute.
    """
    import fcntl  # not on Windows, where genjax still imports

    path = Path(path)
    beside = path.parent / os.fsdecode(b".%s.lock" % os.fsencode(path.name)[:200])
    end = time.monotonic() + LOCK_SECONDS
    while True:
        try:
            fd = os.open(beside, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as e:
            raise failed_write(path, 0, e) from e
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is(fd, beside):
                break
        except BlockingIOError:
            if time.monotonic() > end:
                os.close(fd)
                raise RunFailure(f"{path} is being changed by another process for a minute. Try again later.") from None
        except OSError as e:
            os.close(fd)
            raise RunFailure(
                f"{path} cannot be changed safely: its file system has no locks ({e.strerror}). "
                "Work on a copy that is on a local disk."
            ) from e
        os.close(fd)
        time.sleep(0.01)
    try:
        yield
    finally:
        try:
            with contextlib.suppress(OSError):
                beside.unlink()  # while it is held: who waits for it then finds that it is gone, and makes a new one
        finally:
            os.close(fd)


def copy_folder(source: Path, target: Path) -> None:
    """Copies the files of a folder, where there is one, and of those within; links are no part of it.

    Raises:
        OSError: the first that was met (`shutil.copytree` hides it in a list).
    """
    if not source.is_dir():
        return
    target.mkdir()
    for entry in sorted(os.scandir(source), key=lambda e: e.name):
        if entry.is_dir(follow_symlinks=False):
            copy_folder(Path(entry.path), target / entry.name)
        elif entry.is_file(follow_symlinks=False):
            shutil.copyfile(entry.path, target / entry.name)


def is_local(path: str | os.PathLike[str]) -> bool:
    """Whether `path` is on a file system of this machine (renames and fsync mean what POSIX says)."""
    return "://" not in os.fspath(path)


def fsync(path: str | os.PathLike[str]) -> None:
    """Flush a local file or folder to its disk; nothing for an object store, which is durable when written."""
    if is_local(path):
        fd = os.open(path, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)


def regular(path: str, flags: int) -> int:
    """The `opener` for `open` that opens regular files alone: a pipe in the place of one is an error, not a wait.

    Raises:
        OSError: it is a folder, a pipe, a device; or cannot be opened.
    """
    fd = os.open(path, flags | getattr(os, "O_NONBLOCK", 0))
    if stat.S_ISREG(os.fstat(fd).st_mode):
        return fd
    os.close(fd)
    raise OSError(errno.EINVAL, "not a regular file", path)


def _is(fd: int, path: Path) -> bool:
    """Whether an open file is still the one at `path`."""
    try:
        return os.path.samestat(os.fstat(fd), os.stat(path))
    except FileNotFoundError:
        return False


def _temporary(path: Path) -> Path:
    """A name beside `path` that says whose it is. It is short: a file's own name may fill what a file system allows."""
    _clear(path.parent)
    return path.parent / f"{_PREFIX}{_HOST}-{os.getpid()}-{next(_COUNT)}"


def _clear(folder: Path) -> None:
    """Remove temporary files and folders of processes of this machine that are no more."""
    with contextlib.suppress(OSError):
        for entry in list(os.scandir(folder)):
            host, _, rest = entry.name.removeprefix(_PREFIX).partition("-")
            pid = rest.partition("-")[0]
            if entry.name.startswith(_PREFIX) and host == _HOST and pid.isdecimal() and not _alive(int(pid)):
                _remove(Path(entry.path))


def _remove(path: Path) -> None:
    """Remove a temporary file or folder, as far as that goes."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True
