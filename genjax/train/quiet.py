"""What Orbax and its threads print about a failure goes to a log file: the user gets one line from genjax."""

import contextlib
import datetime
import logging
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

LIMIT = 1_000_000
"""Bytes after which nothing more is written to a log file."""


class Quiet:
    """While open, Orbax's warnings and its event loops' tracebacks are appended to `path` instead of printed.

    Other libraries' records and every other exception pass unchanged.

    Args:
        path: the log file, made when there is something to write; None drops the text.
    """

    def __init__(self, path: Path | Any | None):
        self._path = path
        self._depth = 0
        self._mutex = threading.RLock()
        self._previous: Any = None

    def open(self) -> None:
        """Begin; no effect when begun."""
        if self._depth == 0:
            self.__enter__()

    def close(self) -> None:
        """End, however often begun; no effect when ended."""
        if self._depth:
            self._depth = 1
            self.__exit__(None, None, None)

    def __enter__(self) -> "Quiet":
        self._depth += 1
        if self._depth == 1:
            logging.getLogger("absl").addFilter(self._keep)
            self._previous, sys.excepthook = sys.excepthook, self._hook
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self._depth -= 1
        if self._depth == 0:
            logging.getLogger("absl").removeFilter(self._keep)
            if sys.excepthook == self._hook:
                sys.excepthook = self._previous

    def note(self, e: BaseException) -> None:
        """Append an exception with its traceback."""
        self._write("".join(traceback.format_exception(e)))

    def _keep(self, record: logging.LogRecord) -> bool:
        if "orbax" not in record.pathname or record.levelno < logging.WARNING:
            return True
        text = record.getMessage()
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
        self._write(text)
        return False

    def _hook(self, kind: type[BaseException], e: BaseException, tb: TracebackType | None) -> None:
        # TensorStore reports to a loop that Orbax closed after the first error: noise after the fact.
        if kind is RuntimeError and "Event loop is closed" in str(e):
            self._write("".join(traceback.format_exception(kind, e, tb)))
        else:
            self._previous(kind, e, tb)

    def _write(self, text: str) -> None:
        if self._path is None:
            return
        with self._mutex, contextlib.suppress(OSError):  # the disk may be what failed
            if not self._path.exists() or self._path.stat().st_size < LIMIT:
                with self._path.open("a") as f:
                    f.write(f"{datetime.datetime.now().isoformat(timespec='seconds')} {text.rstrip()}\n")
