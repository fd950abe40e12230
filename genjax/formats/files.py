"""Folders and files of data, listed and opened so that nothing is left out in silence and nothing waits for ever.

What cannot be listed or read is refused by its path. Only regular files are opened: a pipe without a writer would wait,
a device never end. Standard library only.
"""

import errno
import io
import os
import stat
from pathlib import Path
from typing import Literal, NamedTuple

from genjax.errors import UsageError, shown

Kind = Literal["file", "folder", "other"]
LEFT_ALONE = frozenset(
    {"__MACOSX", "@eaDir", "#recycle", "lost+found", "$RECYCLE.BIN", "System Volume Information", "Thumbs.db"}
)
"""What systems put into people's folders, beside all that begins with a dot."""
TRANSIENT = frozenset({errno.EIO, errno.ESTALE, errno.ETIMEDOUT, errno.EAGAIN})
"""What a network's or a failing disk's file system answers once and perhaps not again."""
MOST_TEXT = 64 * 2**20
"""Bytes of a description (JSON) beyond which it is none."""


class Entry(NamedTuple):
    """A visible file or folder of a folder; of a link, what it leads to."""

    name: str
    kind: Kind
    path: Path


def kind_of(path: str | os.PathLike[str]) -> Kind | None:
    """What there is at a path, links followed; None where there is nothing.

    Raises:
        UsageError: it cannot be told: a folder above may not be entered, a link leads to itself, the name is too long.
    """
    try:
        return _kind(os.stat(path))
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError) as e:
        raise refused(path, e) from e


def listing(folder: Path) -> list[Entry]:
    """What is in a folder, sorted by name; hidden files and those of `LEFT_ALONE` are not.

    Raises:
        UsageError: the folder cannot be listed, or something in it is a link to nothing.
    """
    found, at = [], os.fspath(folder)
    try:
        with os.scandir(folder) as entries:
            for e in entries:
                if e.name.startswith(".") or e.name in LEFT_ALONE:
                    continue
                at = e.path
                found.append(Entry(e.name, _kind_of_entry(e), Path(e.path)))
    except (OSError, ValueError) as e:
        raise refused(at, e) from e
    return sorted(found, key=lambda e: e.name)


def below(folder: Path) -> list[Entry]:
    """All that is in a folder and its subfolders but the folders, each visited once.

    Raises:
        UsageError: as `listing`; or a link leads to a folder that was visited, whose files would count twice.
    """
    found: list[Entry] = []
    seen: dict[tuple[int, int], Path] = {}
    todo = [folder]
    while todo:
        here = todo.pop()
        try:
            about = os.stat(here)
        except OSError as e:
            raise refused(here, e) from e
        who = (about.st_dev, about.st_ino)
        if who in seen:
            raise UsageError(
                f"{shown(here)}: is the same folder as {shown(seen[who])}, so its files would count twice. "
                "Remove the link."
            )
        seen[who] = here
        inside = listing(here)
        found += [e for e in inside if e.kind != "folder"]
        todo += [e.path for e in inside if e.kind == "folder"]
    return sorted(found, key=lambda e: e.path.relative_to(folder).parts)


def open_file(path: str | os.PathLike[str]) -> io.BufferedReader:
    """A regular file, open for reading.

    Raises:
        UsageError: it cannot be opened, or is no regular file.
    """
    try:
        # NONBLOCK: opening a pipe would wait for its writer; of a regular file it changes nothing.
        fd = os.open(path, os.O_RDONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_CLOEXEC", 0))
    except (OSError, ValueError) as e:
        raise refused(path, e) from e
    try:
        if _kind(os.fstat(fd)) != "file":
            raise not_a_file(path)
        return os.fdopen(fd, "rb")
    except BaseException as e:
        os.close(fd)
        if isinstance(e, OSError):
            raise refused(path, e) from e
        raise


def read_text(path: str | os.PathLike[str]) -> str:
    """The text of a small file, as JSON is.

    Raises:
        UsageError: as `open_file`; or it is too large to be one, or no text.
    """
    with open_file(path) as f:
        try:
            content = f.read(MOST_TEXT + 1)
        except OSError as e:
            raise refused(path, e) from e
    if len(content) > MOST_TEXT:
        raise UsageError(f"{shown(path)}: has more than {MOST_TEXT >> 20} MB, which no description has.")
    try:
        return content.decode()
    except UnicodeDecodeError:
        raise UsageError(f"{shown(path)}: is damaged, it is no text.") from None


def not_a_file(path: str | os.PathLike[str]) -> UsageError:
    """The refusal of a pipe, a socket or a device."""
    return UsageError(f"{shown(path)}: is no file but a pipe, a socket, a device or a folder. Remove it from the data.")


def refused(path: str | os.PathLike[str], error: OSError | ValueError) -> UsageError:
    """The refusal of what the system would not list, open or read: its path, the reason, what to do."""
    code = getattr(error, "errno", None)
    why = getattr(error, "strerror", None) or str(error)
    if "\0" in os.fsdecode(path):  # Python 3.13 says it otherwise than those before
        why = "embedded null byte"
    return UsageError(f"{shown(path)}: cannot be read ({shown(why)}). {_ADVICE.get(code, 'Mend it, or leave it out.')}")


_ADVICE: dict[int | None, str] = {
    errno.EACCES: "Give yourself the right to read it (chmod), or leave it out.",
    errno.EPERM: "Give yourself the right to read it (chmod), or leave it out.",
    errno.ENOENT: "It has vanished, or is a link to nothing: put it back, or remove the link.",
    errno.ELOOP: "It is a link that leads to itself: remove it.",
    errno.ENAMETOOLONG: "Give it a shorter name.",
    **dict.fromkeys(TRANSIENT, "The disk or the network may be failing: try again, or copy the data elsewhere."),
}


def is_transient(e: BaseException) -> bool:
    """Whether a refusal came from what may not come again."""
    return isinstance(e.__cause__, OSError) and e.__cause__.errno in TRANSIENT


def _kind(about: os.stat_result) -> Kind:
    if stat.S_ISDIR(about.st_mode):
        return "folder"
    return "file" if stat.S_ISREG(about.st_mode) else "other"


def _kind_of_entry(e: os.DirEntry) -> Kind:
    if e.is_symlink():
        return _kind(os.stat(e.path))
    if e.is_dir(follow_symlinks=False):
        return "folder"
    return "file" if e.is_file(follow_symlinks=False) else "other"
