"""Writes findings into the rows of `metrics.jsonl` and shows them while a run trains."""

import functools
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import numpy as np

from genjax.errors import RunFailure
from genjax.health.coverage import verdict
from genjax.health.finding import Finding
from genjax.health.findings_file import read_findings, still_open
from genjax.health.monitor import Monitor
from genjax.jsonfile import to_json
from genjax.metrics_log import MetricsLog
from genjax.train.state import TrainState


class Journal:
    """The log of a run, whose rows carry what the monitor finds, under `health` and only where there is something.

    Args:
        monitor: None for a run that nobody watches; its rows are as they come.
        log: the leader's; None in other processes, which write nothing.
        say: shows a person a line.
        row: the last one of a run that goes on; what was told apart in it goes, see `Finding.apart`.
    """

    def __init__(
        self, monitor: Monitor | None, log: MetricsLog | None, say: Callable[[str], None], row: Mapping[str, Any] = {}
    ):
        self.monitor, self.log, self.say = monitor, log, say
        self.last: dict[str, Any] = {}
        """The last row as it was logged."""
        said = row.get("health", ())
        kept = [f for f in said if not f.get("apart")]
        if log is not None and len(kept) < len(said):
            rest = {k: v for k, v in row.items() if k != "health"}
            log.amend({**rest, "health": kept} if kept else rest)

    def row(self, row: Mapping[str, Any]) -> None:
        """Logs a row, with the findings in it and those since the row before."""
        if self.log is None:
            return
        told = [] if self.monitor is None else self.monitor.row(row)
        self.last = self._with(row, told)
        self.log.append(self.last)
        if self.monitor is not None and self._partial:
            self.monitor.pending = told  # a run that goes on has another row in its place, and tells it there

    def samples(self, step: int, samples: np.ndarray) -> None:
        """Takes a grid of samples; its findings go to the row of that step where there is one, else to the next."""
        if self.monitor is None:
            return
        here = self.log is not None and self.last.get("step") == step
        known = len(self.monitor.pending) if here and self._partial else 0
        apart = self.monitor.samples(step, samples)
        if self.log is None or not here:
            for f in apart:
                self.say(f.line(step))
            return
        if told := [*self.monitor.pending[known:], *apart]:
            self.last = self._with(self.last, told)
            self.log.amend(self.last)
        if not self._partial:
            self.monitor.take()

    @property
    def _partial(self) -> bool:
        """Whether the last row is of a shorter interval, at the end of a run."""
        return self.monitor is not None and bool(self.last["step"] % self.monitor.log_every)

    def end(self, step: int) -> None:
        """Prints the verdict on the run's health, where it is watched and this process prints."""
        if self.monitor is not None and self.log is not None:
            now = [s.finding for s in still_open(read_findings(self.log.path))]
            self.say(f"health: {verdict(self.monitor.looked.stored(), now, step)}.")

    def failure(self, why: str, replay: Callable[[], Callable[[int], TrainState]] | None, since: int) -> None:
        """Logs the step that made the run fail as the last row, naming the term or parameter.

        Args:
            why: what ended it; noted at the last row where no step can be blamed.
            replay: makes what gives earlier states again, see `first_nonfinite.replayer`; None where it cannot be made.
            since: the step of the checkpoint from which it goes.
        """
        if self.monitor is None or self.log is None:
            return
        speed, made = self.last.get("examples_per_s", 0.0), None if replay is None else functools.cache(replay)
        seconds_per_step = self.monitor.part / speed if speed else 0.0
        row: dict[str, Any] = {}
        with suppress(RunFailure):  # no intact checkpoint: the failure itself is told, and enough
            row = self.monitor.failure(made and (lambda n: made()(n)), seconds_per_step, since)
        if row and row["step"] > self.last.get("step", 0):
            clock = {"seconds": self.last.get("seconds", 0.0), "examples_per_s": speed}
            self.last = self._with({"step": row["step"], **clock, **row}, self.monitor.take())
            self.log.append(self.last)
        elif self.last:
            named = self.monitor.take() or [Finding("non_finite", "serious", "run", None, why)]
            self.last = self._with(self.last, named)
            self.log.amend(self.last)

    def stored(self) -> dict[str, Any] | None:
        """What the monitor remembers, for `Resume.health`; None where no monitor watches."""
        return None if self.monitor is None else to_json(self.monitor.stored())

    def _with(self, row: Mapping[str, Any], findings: list[Finding]) -> dict[str, Any]:
        for f in findings:
            self.say(f.line(row["step"]))
        said = [*row.get("health", ()), *(f.stored() for f in findings)]
        return {**row, "health": said} if said else dict(row)
