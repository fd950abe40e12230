"""Shares a time among parts: each is told when to stop, what one does not use goes to those after it. No jax here."""

import time
from collections.abc import Callable, Sequence
from typing import NamedTuple

GRACE = 0.05
"""Share of the whole time after which a part that was told to stop is ended."""


class Part(NamedTuple):
    """A part of the measurement."""

    name: str
    """The name of its module here and of its record."""
    share: float
    """Its share of the time, relative to those of the others."""


class Ended(NamedTuple):
    """How a part ended."""

    name: str
    seconds: float
    status: str
    """"done", "out of time" or "failed"."""
    reason: str


Launch = Callable[[Part, float, float], tuple[str, str]]
"""Runs a part, which is to begin nothing new after so many seconds and to be gone after so many: status and reason."""


def drive(
    parts: Sequence[Part],
    seconds: float,
    launch: Launch,
    clock: Callable[[], float] = time.monotonic,
    began: float | None = None,
) -> list[Ended]:
    """Runs parts one after the other within a time.

    Args:
        parts: in their order.
        seconds: of all of them together; held to `GRACE` of it.
        launch: runs one; what it raises is the part's failure, and the next one runs.
        clock: seconds from some moment on.
        began: when the time began, by the clock; now by default.
    """
    end = (clock() if began is None else began) + seconds
    ended = []
    for i, part in enumerate(parts):
        start = clock()
        left = end - start
        share = left * part.share / sum(p.share for p in parts[i:])
        if left <= 0:
            status, reason = "out of time", "the parts before it took all of the time"
        else:
            try:
                status, reason = launch(part, share, min(share, left) + GRACE * seconds)
            except Exception as e:
                status, reason = "failed", one_line(e)
        ended.append(Ended(part.name, clock() - start, status, reason))
    return ended


def one_line(e: BaseException) -> str:
    """What an exception says, on one line of at most 300 characters."""
    lines = str(e).strip().splitlines()
    return f"{type(e).__name__}: {lines[0] if lines else ''}".strip(": ")[:300]
