"""A folder held open, so that a process knows when its path leads elsewhere.

A run's folder may be moved while its trainer lives, and another run may begin at the path. A lock does not help: it is
on the old file. An open folder keeps its inode, whatever its name; the path is compared with it before each write.
"""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from etils import epath

from genjax.errors import RunFailure


class Held:
    """A local folder, open. On Linux what is written below `at` lands in this folder, wherever it was moved.

    Elsewhere `at` is the path itself, and `check` just before a write is all there is: between the two a move of
    the folder *and* a new one at its path, within that fraction of a second, would go unnoticed.

    Args:
        path: a folder that exists.

    Raises:
        OSError: it cannot be opened.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        self._fd = os.open(path, os.O_RDONLY)
        link = Path(f"/proc/self/fd/{self._fd}")
        self.at = link if link.is_dir() else self.path

    def is_here(self) -> bool:
        """Whether the path still leads to this folder."""
        try:
            return os.path.samestat(os.stat(self.path), os.fstat(self._fd))
        except OSError:
            return False

    def check(self, last: str = "") -> None:
        """Refuse to go on where the path no longer leads here.

        Args:
            last: the last good checkpoint in words, to be told.

        Raises:
            RunFailure: it was moved, removed, or replaced by another.
        """
        if not self.is_here():
            raise moved(self.path, self.where(), last)

    def where(self) -> str:
        """What became of the folder, in words."""
        try:
            now = os.readlink(f"/proc/self/fd/{self._fd}")
        except OSError:
            now = str(self.path)
        if now.endswith(" (deleted)"):
            return "it was removed"
        return "where it is now is not known" if now == str(self.path) else f"it is now {now}"

    def close(self) -> None:
        """Let go of it. Safe to repeat."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError, OSError):  # it was never opened
            self.close()


@contextlib.contextmanager
def spelled(path: epath.Path) -> Iterator[epath.Path]:
    """A folder under a name that is text: TensorStore takes no bytes that are not UTF-8.

    Raises:
        OSError: this system has no such name for it.
    """
    try:
        os.fspath(path).encode()
    except UnicodeEncodeError:
        held = Held(path)
        if held.at == held.path:
            raise OSError("its path is not UTF-8, and this system cannot open it otherwise") from None
        yield epath.Path(held.at)
        held.close()
    else:
        yield path


def moved(path: Path, where: str, last: str) -> RunFailure:
    """The failure of a process whose folder is no longer at its path.

    Args:
        path: where it was.
        where: what became of it (`Held.where`).
        last: its last good checkpoint in words; empty where that was not looked for.
    """
    todo = "" if "removed" in where else " To continue, name the moved folder with --run-dir."
    good = "" if not todo else f", {last or 'the last good checkpoint is in it'}"
    return RunFailure(
        f"{path} is no longer the folder that this process writes to: it was moved, removed or replaced; {where}{good}."
        f"\nNothing was written into what is at the path now.{todo}"
    )


def last_good(step: int | None) -> str:
    """The newest sealed step of a folder, in words."""
    return "no checkpoint was saved in it yet" if step is None else f"the last good checkpoint in it is step {step}"
