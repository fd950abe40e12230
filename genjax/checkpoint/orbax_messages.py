"""What Orbax and its threads print about a failure goes to a log file: the user gets one line from genjax."""

import contextlib
import datetime
import logging
import os
import sys
import threading
import traceback
from pathlib import Path
from types import TracebackType
from typing import Any

LOGGERS = ("absl", "asyncio")
LIMIT = 1_000_000
"""Bytes after which nothing more is written to a log file."""


class Quiet:
    """While open, Orbax's warnings and its event loops' tracebacks are appended to `path` instead of printed.

    Other libraries' records and every other exception pass unchanged. After a failure (`note`) it stays in force until
    the process ends: Orbax's loops complain late, some only when they are garbage-collected.

    Args:
        path: the log file, made when there is something to write; None drops the text.
    """

    def __init__(self, path: str | os.PathLike[str] | None):
        self.path = None if path is None else Path(path)
        self._depth = 0
        self._failed = False
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
        if self._depth == 1 and not self._failed:
            for name in LOGGERS:
                logging.getLogger(name).addFilter(self._keep)
            self._previous, sys.unraisablehook = sys.unraisablehook, self._hook
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self._depth -= 1
        if self._depth == 0 and not self._failed:
            for name in LOGGERS:
                logging.getLogger(name).removeFilter(self._keep)
            if sys.unraisablehook == self._hook:
                sys.unraisablehook = self._previous

    def note(self, e: BaseException) -> None:
        """Append the exception of a failure with its traceback."""
        self._failed = self._depth > 0
        self._write("".join(traceback.format_exception(e)))

    def _keep(self, record: logging.LogRecord) -> bool:
        text = record.getMessage()
        ours = "orbax" in record.pathname or (record.name == "asyncio" and ("OCDBT" in text or "tensorstore" in text))
        if not ours or record.levelno < logging.WARNING:
            return True
        if record.exc_info and record.exc_info[1] is not None:
            text += "\n" + "".join(traceback.format_exception(record.exc_info[1]))
        self._write(text)
        return False

    def _hook(self, unraisable: Any) -> None:
        # TensorStore reports to a loop that Orbax closed after the first error: noise after the fact.
        if isinstance(unraisable.exc_value, RuntimeError) and "Event loop is closed" in str(unraisable.exc_value):
            self._write("".join(traceback.format_exception(unraisable.exc_value)))
        else:
            self._previous(unraisable)

    def _write(self, text: str) -> None:
        if self.path is None:
            return
        # The disk may be what failed; and an exception raised from within Orbax's logging would swallow Orbax's own.
        with self._mutex, contextlib.suppress(Exception):
            if self.path.parent.exists() and (not self.path.exists() or self.path.stat().st_size < LIMIT):
                with self.path.open("a") as f:
                    f.write(f"{datetime.datetime.now().isoformat(timespec='seconds')} {text.rstrip()}\n")
