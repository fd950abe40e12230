"""Standard output and standard error as channels: saying something never raises, whatever became of them.

A channel may have been closed before the process began (`2>&-`), its reader may be gone (`| head -1`), its disk full,
its terminal unable to show a letter. None of that may end a training run, so a message that cannot be written is
dropped and the fault kept: the command line looks at it when the work is done (`genjax.cli`).
"""

import codecs
import contextlib
import errno
import io
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

ERRORS = "genjax.plain"
"""The name of the encoding error handler that writes other letters in place of those a terminal does not have."""
PLAIN = {
    "–": "-", "—": "-", "−": "-", "─": "-", "━": "-", "×": "x", "±": "+-", "…": "...", "·": ".", "•": "*", "≤": "<=",
    "≥": ">=", "↑": "^", "↓": "v", "→": "->", "‘": "'", "’": "'", "“": '"', "”": '"', "│": "|", "\xa0": " ",
}  # fmt: skip


class Channel(io.RawIOBase):
    """A file descriptor to which every write succeeds: what it does not take is dropped.

    Args:
        fd: the descriptor; closing the channel leaves it open.
        name: as in `<stdout>`.
        closed_before: it was closed before the process began.
    """

    def __init__(self, fd: int, name: str, closed_before: bool = False):
        super().__init__()
        self._fd, self.name, self.mode = fd, name, "wb"
        self._closed_before = closed_before
        self.fault: OSError | None = None
        """Why something was dropped, the first time; None while nothing was."""

    def write(self, data: Any, /) -> int:
        view = memoryview(data).cast("B")
        size = len(view)
        if self._closed_before and size:
            self._drop(OSError(errno.EBADF, "it is closed"))
            return size
        while view:
            try:
                view = view[os.write(self._fd, view) :]
            except BlockingIOError:  # full, and set not to wait by the program at its other end: waiting is right here
                time.sleep(0.01)
            except OSError as e:
                self._drop(e)
                break
        return size

    def _drop(self, e: OSError) -> None:
        self.fault = self.fault or e
        if e.errno == errno.EPIPE:  # the reader will not come back; what else writes there need not meet it
            with contextlib.suppress(OSError):
                _to_nowhere(self._fd)

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        return self._fd

    def isatty(self) -> bool:
        return os.isatty(self._fd)


class Faults(NamedTuple):
    """What has happened to the channels so far."""

    out: Channel | None
    err: Channel | None
    """None where the stream is not the process's own but what a notebook or a test has put in its place."""

    @property
    def stdout(self) -> OSError | None:
        """Why something could not be written to standard output."""
        return None if self.out is None else self.out.fault


@contextlib.contextmanager
def never_failing() -> Iterator[Faults]:
    """Inside the context, writing to `sys.stdout` and `sys.stderr` never raises: a letter that a stream cannot
    encode is replaced by a similar one or escaped.

    Streams that something else has put in place (a notebook, a test) are left alone.
    """
    closed = open_the_closed()
    before = sys.stdout, sys.stderr
    channels = [_channel(name, fd, fd in closed) for name, fd in (("stdout", 1), ("stderr", 2))]
    try:
        yield Faults(*channels)
    finally:
        for stream, channel in zip((sys.stdout, sys.stderr), channels, strict=True):
            if channel is not None:
                with contextlib.suppress(OSError, ValueError):
                    stream.flush()
        sys.stdout, sys.stderr = before


BEFORE_A_LINE: list[Callable[[], None]] = []
"""What is called before `say` writes: a line of progress takes itself away."""


CONTROLS = {i: f"\\x{i:02x}" for i in (*range(32), *range(127, 160)) if chr(i) not in "\t\n"}
"""Letters that would steer a terminal, as in a folder's name, are written as escapes."""


def say(message: str) -> None:
    """Print a line to standard error, if that is possible."""
    for make_room in BEFORE_A_LINE:
        make_room()
    write_line(sys.stderr, str(message).translate(CONTROLS))


def write_line(stream: Any, line: str) -> None:
    """A line to a text stream; one that it cannot take is dropped."""
    if stream is None:  # closed before the process began
        return
    # RuntimeError: a signal's handler speaks while the same stream is being written to.
    with contextlib.suppress(OSError, ValueError, RuntimeError):
        try:
            stream.write(line + "\n")
        except UnicodeEncodeError:
            encoding = getattr(stream, "encoding", None) or "ascii"
            stream.write(line.encode(encoding, ERRORS).decode(encoding, "replace") + "\n")
        stream.flush()


def flush() -> None:
    """Write out what was printed so far, if that is possible."""
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError, AttributeError):
            stream.flush()


def _channel(name: str, fd: int, closed_before: bool) -> Channel | None:
    """Puts a channel in the place of `sys.stdout` or `sys.stderr`; None where that is not the process's own."""
    stream = getattr(sys, name)
    if stream is not getattr(sys, f"__{name}__"):
        return None
    if stream is not None:
        try:
            stream.flush()
            fd = stream.fileno()
        except (OSError, ValueError):  # no file at all, or one that fails already
            if not hasattr(stream, "buffer"):
                return None
    channel = Channel(fd, f"<{name}>", closed_before or stream is None)
    encoding = getattr(stream, "encoding", None) or "utf-8"
    setattr(sys, name, io.TextIOWrapper(channel, encoding, ERRORS, line_buffering=True))  # type: ignore[arg-type]
    return channel


def open_the_closed() -> set[int]:
    """Opens those of the descriptors 0, 1 and 2 that are closed to nowhere; which they were.

    Otherwise the next file that is opened gets such a number, and what libraries say on standard error goes into it.
    """
    closed = set()
    for fd in (0, 1, 2):
        try:
            os.fstat(fd)
        except OSError:
            closed.add(fd)
            with contextlib.suppress(OSError):
                _to_nowhere(fd)
    return closed


def _to_nowhere(fd: int) -> None:
    nowhere = os.open(os.devnull, os.O_RDWR)
    if nowhere == fd:
        os.set_inheritable(fd, True)  # as the standard descriptors are
    else:
        os.dup2(nowhere, fd)
        os.close(nowhere)


def _plain(e: UnicodeError) -> tuple[str | bytes, int]:
    """One letter that cannot be encoded in others; of a file name that is not text, its own byte."""
    if not isinstance(e, UnicodeEncodeError):
        raise e
    letter = e.object[e.start]
    if "\udc80" <= letter <= "\udcff":
        return letter.encode("ascii", "surrogateescape"), e.start + 1
    return PLAIN.get(letter) or letter.encode("ascii", "backslashreplace").decode(), e.start + 1


codecs.register_error(ERRORS, _plain)
