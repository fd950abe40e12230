"""How much of a run's time its monitor may take."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

SHARE = 0.02
"""Largest share of a session's wall time that the monitor may take."""
FIRST, LEAST = 0.5, 0.8
"""What a first probe is taken to cost: this share of the time until the first chunk of training was sent, and this many
seconds at least. Both are compilation; measured, a probe takes 8 to 17 % of what a step and its grid take when neither
was compiled before, and half where they were and it was not. So a run of less than 40 s has no probe."""


class Budget:
    """Keeps account of wall time. A probe is due when, with its cost, all that was spent stays within the limit.

    So the rate follows the measured cost: a probe that takes c seconds comes at most every c / limit seconds, and after
    a dear one (the first compiles) there is none until the run has lasted long enough.

    Args:
        clock: seconds, from anywhere.
        limit: the share.

    Example:
        >>> now = iter([0.0, 10.0, 240.0, 260.0]).__next__
        >>> budget = Budget(now)
        >>> budget.started()  # 10 s until the first chunk: a first probe may take 5 s
        >>> budget.due(), budget.due()  # at 240 s not yet, at 260 s yes
        (False, True)
    """

    def __init__(self, clock: Callable[[], float] = time.perf_counter, limit: float = SHARE):
        self.clock, self.began, self.limit = clock, clock(), limit
        self.spent, self.expected, self.probes = 0.0, float("inf"), 0
        self.first: float | None = None
        """What the first probe cost, compilation included."""

    def started(self) -> None:
        """The first chunk of training is on its way."""
        if self.expected == float("inf"):
            self.expected = max(LEAST, FIRST * (self.clock() - self.began))

    @property
    def share(self) -> float:
        """The share of the time since the beginning that was spent."""
        return self.spent / max(self.clock() - self.began, 1e-9)

    def due(self) -> bool:
        """Whether there is time for a probe."""
        return self.spent + self.expected <= self.limit * (self.clock() - self.began)

    @contextmanager
    def paid(self) -> Iterator[None]:
        """What runs inside is spent."""
        start = self.clock()
        try:
            yield
        finally:
            self.spent += self.clock() - start

    def probed(self, sent: float, waited: float) -> None:
        """A probe was made and sent in so many seconds, and then waited for; the next is not compiled again."""
        if self.first is None:
            self.first, self.expected = sent + waited, waited
        else:
            self.expected = sent + waited
        self.probes += 1
