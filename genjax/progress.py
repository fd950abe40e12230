"""How far a long computation is: a line on standard error that is written over on a terminal, a few lines elsewhere.

Work says what it does with `part` and `over`; only what a command has put inside `status_line` is shown, so a library
call says nothing. Nothing is shown of what takes less than two seconds, nor of threads other than the command's own.
"""

import contextlib
import sys
import threading
import time
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, TypeVar

from genjax import channels

FIRST, EVERY = 2.0, 0.2
"""Seconds before the line is shown on a terminal, and between its changes."""
FIRST_LINE, LINE_EVERY = 10.0, 15.0
"""Seconds before the first line elsewhere, and between lines."""
T = TypeVar("T")


class _StatusLine:
    """The line of a command: what it is at, innermost last."""

    def __init__(self) -> None:
        self.parts: list[list[Any]] = []
        self.thread = threading.get_ident()
        self.began = time.monotonic()
        self.terminal = sys.stderr.isatty()
        self.last = self.began if self.terminal else self.began + FIRST_LINE - LINE_EVERY
        self.width = 0

    def look(self) -> None:
        """Show the line if it is time to."""
        now = time.monotonic()
        if threading.get_ident() != self.thread or now - self.began < FIRST:
            return
        if now - self.last < (EVERY if self.terminal else LINE_EVERY):
            return
        self.last = now
        text = ", ".join(_text(*p) for p in self.parts) + f", {now - self.began:.0f} s"
        if not self.terminal:
            channels.say(text)
            return
        self._write(f"\r{text[:100]:{self.width}}")
        self.width = min(len(text), 100)

    def clear(self) -> None:
        """Take the line away, for another one to be written."""
        if self.width:
            self._write(f"\r{'':{self.width}}\r")
            self.width = 0

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError, ValueError):  # what is said never decides anything
            sys.stderr.write(text)
            sys.stderr.flush()


_now: list[_StatusLine] = []


def _text(what: str, done: int, total: int | None) -> str:
    return what if total is None else f"{what} {done:,}/{total:,}"


@contextlib.contextmanager
def status_line(what: str = "") -> Iterator[None]:
    """Show how far the work inside is. Within another one it is a part of that."""
    if _now:
        with part(what):
            yield
        return
    _now.append(_StatusLine())
    channels.BEFORE_A_LINE.append(clear)
    try:
        with part(what):
            yield
    finally:
        _now.pop().clear()
        channels.BEFORE_A_LINE.remove(clear)


@contextlib.contextmanager
def part(what: str, done: int = 0, total: int | None = None) -> Iterator[list[Any]]:
    """A part of the work, as long as the context lasts; `[what, done, total]`, to be changed by `step`."""
    here = [what, done, total]
    if not _now or not what or threading.get_ident() != _now[-1].thread:
        yield here
        return
    line = _now[-1]
    line.parts.append(here)
    line.look()
    try:
        yield here
    finally:
        line.parts.remove(here)
        if len(line.parts) <= 1:  # what comes next may print
            line.clear()


def over(items: Sequence[T], what: str, each: int = 1) -> Iterator[T]:
    """The items, with how many of them are done; see `counted`."""
    return counted(items, what, len(items) * each, each)


def counted(items: Iterable[T], what: str, total: int, each: int = 1) -> Iterator[T]:
    """The items, with how many of them are done.

    Args:
        items: what is gone through.
        what: the plural of what they are.
        total: how many things there are.
        each: how many things an item stands for.
    """
    with part(what, 0, total) as here:
        for item in items:
            yield item
            here[1] = min(here[1] + each, total)
            look()


def look() -> None:
    """Show the line, if there is one and it is time to."""
    if _now:
        _now[-1].look()


def clear() -> None:
    """Remove the line before something else is printed."""
    if _now:
        _now[-1].clear()
