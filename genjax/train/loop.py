"""The training loop: chunks of steps as one compiled program."""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from genjax.channels import say
from genjax.errors import DataFailure
from genjax.train.experiment import check_model
from genjax.train.mesh import ONE_DEVICE, Place
from genjax.train.population import Population, Roots
from genjax.train.resume import Resume, Row
from genjax.train.signals import Signals
from genjax.train.state import TrainState, is_used, refuse_used
from genjax.train.step import Step
from genjax.train.watch import Diverged, Watch
from genjax.types import Key

CAPACITY = 1024
"""Rows of the metrics buffer, and so the most steps in one chunk."""
TARGET_SECONDS = 1.0
"""A chunk aims at this wall time, so that signals, logs and checkpoints are prompt."""


class Progress(NamedTuple):
    """Where a run stands between two chunks."""

    step: int
    state: TrainState
    resume: Resume


class Every(NamedTuple):
    """`do(progress)` whenever `steps` divides the step."""

    steps: int
    do: Callable[[Progress], None]


class Hooks(NamedTuple):
    """What a run in a folder has to say between chunks; a notebook needs none of it."""

    stop: Callable[[], int] = lambda: 0
    """Asked between chunks, about once a second; anything but 0 ends the training."""
    agree: Callable[[int, int], tuple[int, int]] = lambda n, stop: (n, stop)
    """Makes one of many processes' chunk lengths and stops, see `distributed.Group`."""
    monitor: Any = None
    """A `health.Monitor`, which looks at every step's metrics and at states between chunks."""


class Fitted(NamedTuple):
    """What `fit` returns."""

    state: TrainState
    rows: list[Row]
    """Logged rows: step, seconds, examples_per_s, and the mean of each metric since the row before."""
    resume: Resume
    """For another `fit` that goes on from `state`."""
    interrupted: bool = False
    """Whether Ctrl-C (the stop button of a notebook) came: a loop of several `fit` asks this to end as well."""

    @property
    def progress(self) -> Progress:
        """What there is to save."""
        return Progress(int(self.state.step), self.state, self.resume)


def make_chunk(step: Step | Population, source, capacity: int, layout: Place = ONE_DEVICE, state: Any = None):
    """`advance` compiled once, of a single run or of a population; its `state` is donated.

    On a `Layout` it leaves each leaf where that puts those of `state`.
    """
    return layout.chunk(step, source, capacity, state)


def fit(
    step: Step | Population,
    state: TrainState,
    source,
    key: Key | Roots,
    *,
    steps: int,
    log_every: int = 100,
    on_row: Callable[[Row], None] | None = None,
    every: Sequence[Every] = (),
    resume: Resume = Resume(),
    hooks: Hooks = Hooks(),
    layout: Place = ONE_DEVICE,
) -> Fitted:
    """Trains from `state.step` to `steps`.

    Ctrl-C, or the stop button of a notebook, ends the training between two chunks of about a second: what there is by
    then comes back, and another `fit` from it goes on to the same bits. A second one raises KeyboardInterrupt at once.
    That exception, and any that a callback raises, has what there was as its attribute `fitted` (in a notebook
    `sys.last_value.fitted`). Where something else handles SIGINT (a run does), it is left to that.

    Args:
        step: from `make_step`; or a `Population`, with `Shares` as its source and `Roots` as its key.
        state: where to begin; donated, which uses it up: go on with the one that comes back.
        source: gives the batches of a step as a function of (key, step).
        key: the run's root key.
        steps: the step at which to stop; nothing happens where `state` is already there.
        log_every: steps a logged row averages over.
        on_row: called with each logged row as soon as it is known.
        every: callbacks between chunks; they see only finite states.
        resume: `Fitted.resume` or `Progress.resume` of where `state` comes from.
        hooks: what a run in a folder adds.
        layout: where the state and the batches lie, on many devices. `state` is there already.

    Raises:
        UsageError: `state` was donated before.
        RunFailure: a loss or a parameter is not finite and no guard skipped it, or a guard skipped `PATIENCE`
            steps in a row. It names the metric or the leaf, and the step. A population goes on without the members
            that failed, until all have.
        DataFailure: an example can no longer be read; all steps before it are in its `fitted`.
        UsageError: the source's transform gives another range than the model of an objective is for.
    """
    refuse_used(state)
    for move in getattr(step, "moves", ()):
        check_model(getattr(move.loss, "model", None), getattr(source, "transform", None))
    log = _Log(Watch(step, resume.failed), log_every, source.batch_size, on_row, resume)
    return _Training(step, state, source, key, steps, log, every, hooks, layout).run()


class _Training:
    """One call of `fit`: chunks are sent to the device, and their metrics taken in while the next one runs."""

    def __init__(self, step, state, source, key, steps: int, log: "_Log", every, hooks: Hooks, layout: Place):
        self.step, self.state, self.source, self.steps, self.every = step, state, source, steps, every
        self.log, self.watch, self.hooks = log, log.watch, hooks
        self.done = int(state.step)
        self.capacity = min(CAPACITY, source.capacity or CAPACITY)
        self.chunk, self.key, self.root = _compiled(step, source, self.capacity, layout, state), key, layout.shared(key)
        self.interrupts = _interrupts()
        self.flights: list[_Flight] = []
        self.per_step, self.n = math.inf, 1

    def run(self) -> Fitted:
        try:
            with self.interrupts:
                while self.done < self.steps and self._advance():
                    pass
                self._land()
                self.watch.state(self.state, self.done)
        except BaseException as e:
            if not isinstance(e, Diverged):
                _give_back(e, self.done, self.steps, self._rescued)
            raise
        if self.interrupts.received is not None:
            at = f"step {self.done:,} of {self.steps:,}"
            say(f"fit: interrupted at {at}. What it has so far comes back; `fit` from it goes on.")
        return self._fitted()

    def _advance(self) -> bool:
        """A chunk more; whether there may be another."""
        if self.per_step < math.inf:
            self.n = max(1, min(4 * self.n, round(TARGET_SECONDS / max(self.per_step, 1e-9))))
        self.n, stopped = self.hooks.agree(self.n, self.hooks.stop() or self.interrupts.received or 0)
        if stopped:
            return False
        edge = min([self.steps, *((self.done // e.steps + 1) * e.steps for e in self.every)])
        self.n = min(self.n, self.capacity, edge - self.done)
        self._send(self.n)
        self._land(leave=1)  # the metrics of the chunk before, while this one runs
        if self.hooks.monitor is not None:
            self.hooks.monitor.state(self.done, self.state)
        if self.done == edge:
            self._pause()
        return True

    def _send(self, n: int) -> None:
        try:
            data = self.source.window(self.key, self.done, n, self.step.n_batches)
        except DataFailure:
            self._land()  # the rows of what was trained until here
            raise
        sent = time.perf_counter()
        with self.interrupts.held(self._given_away):  # until the state that takes its place is here
            self.state, buffer = self.chunk(self.state, data, self.root, np.int32(n))
            self.flights.append(_Flight(self.done, n, buffer, sent))
            self.done += n

    def _land(self, leave: int = 0) -> None:
        """Takes in the metrics of the chunks sent, the last `leave` excepted."""
        while len(self.flights) > leave:
            values = self.flights[0].values()  # waits here
            now = time.perf_counter()
            self.per_step = (now - max(self.flights[0].sent, self.log.landed)) / self.flights[0].count
            try:
                with self.interrupts.held():
                    first = self.flights.pop(0).first
                    self.log.add(first, values, now)
            finally:  # also of the chunk in which a run fails
                if self.hooks.monitor is not None:
                    self.hooks.monitor.steps(first, values)
                self.log.tell()

    def _pause(self) -> None:
        """The end, or a multiple of one of `every`: reports all rows, shows the state once it is known good."""
        self._land()
        self.watch.state(self.state, self.done)
        if self.done == self.steps:
            self.log.finish(self.done)  # a checkpoint of the last step has its row on the disk before it
        for e in (e for e in self.every if self.done % e.steps == 0):
            e.do(Progress(self.done, self.state, self.log.resume))
        self.log.landed = time.perf_counter()

    def _given_away(self) -> bool:
        return is_used(self.state)

    def _fitted(self) -> Fitted:
        return Fitted(self.state, self.log.rows, self.log.resume, self.interrupts.received is not None)

    def _rescued(self, e: BaseException) -> Fitted | None:
        """What can be given back with an exception: nothing where the state is used up or not finite."""
        if self._given_away():
            return None
        if isinstance(e, Exception) and jax.process_count() == 1:  # whoever interrupts twice does not wait
            for flight in self.flights:
                self.log.add(flight.first, flight.values(), time.perf_counter())
            self.watch.state(self.state, self.done)
        return self._fitted()


def _compiled(step: Step | Population, source: Any, capacity: int, layout: Place, state: Any) -> Callable[..., Any]:
    """`make_chunk`, once for a step, a source and a layout: the step keeps the loops over its last two sources."""
    placed = (capacity, layout, jax.tree.flatten(layout.leaves(state)))
    for of, where, chunk in step.programs:
        if of is source and where == placed:
            return chunk
    chunk = make_chunk(step, source, capacity, layout, state)
    step.programs[:] = [*step.programs[-1:], (source, placed, chunk)]
    return chunk


class _Flight(NamedTuple):
    """A chunk that was sent to the device."""

    first: int
    count: int
    buffer: dict[str, jax.Array]
    sent: float

    def values(self) -> dict[str, np.ndarray]:
        """The metrics of its steps; waits for them."""
        return {k: np.asarray(v)[: self.count] for k, v in self.buffer.items()}


def _interrupts() -> Signals:
    """Handles Ctrl-C where nothing else does."""
    free = signal.getsignal(signal.SIGINT) is signal.default_int_handler
    return Signals(numbers=(signal.SIGINT,) if free else ())


def _give_back(e: BaseException, done: int, steps: int, rescued: Callable[[BaseException], Fitted | None]) -> None:
    """Hangs what there is of a training run on the exception that ends it, and a note that says so."""
    with contextlib.suppress(Exception):  # another fault on the way: there is nothing to give
        if (fitted := rescued(e)) is not None:
            e.fitted = fitted  # type: ignore[attr-defined]
            e.add_note(
                f"`fit` was at step {done:,} of {steps:,}. Its state and rows so far are this exception's attribute "
                "`fitted`: import sys; fitted = sys.last_value.fitted"
            )


class _Log:
    """Turns per-step metrics into logged rows, and has them watched."""

    def __init__(self, watch: Watch, every: int, examples: int, on_row, resume: Resume):
        self.watch, self.every, self.examples, self.on_row = watch, every, examples, on_row
        self.pending = list(resume.pending)
        self.rows: list[Row] = []
        self.untold: list[Row] = []
        self.seconds, self.landed = resume.seconds, time.perf_counter()
        self.since, self.count = 0.0, 0

    @property
    def resume(self) -> Resume:
        """What a run that goes on from here needs."""
        return Resume(list(self.pending), self.seconds, dict(self.watch.failed))

    def add(self, first: int, values: dict[str, np.ndarray], now: float):
        count = len(next(iter(values.values())))
        dt, self.landed = (now - self.landed) / count, now
        for i in range(count):
            at = first + i  # the step's number, from 0
            row = {k: v[i].tolist() for k, v in values.items() if self.watch.due(k, at)}
            self.watch.row(at, row)
            self.pending.append(row)
            self.seconds, self.since, self.count = self.seconds + dt, self.since + dt, self.count + 1
            if (at + 1) % self.every == 0:
                self.emit(at + 1)

    def emit(self, step: int):
        names = sorted({k for row in self.pending for k in row})
        mean = {k: np.mean([r[k] for r in self.pending if k in r], axis=0, dtype=np.float64).tolist() for k in names}
        speed = self.examples * self.count / max(self.since, 1e-9)
        row = {"step": step, "seconds": round(self.seconds, 3), "examples_per_s": round(speed, 1), **mean}
        if self.watch.failed:
            row["failed"] = [float(i in self.watch.failed) for i in range(self.watch.n or 0)]
        self.pending, self.since, self.count = [], 0.0, 0
        self.rows.append(row)
        self.untold.append(row)

    def tell(self):
        """Hands the new rows to `on_row`, once all that is known is kept: it may raise."""
        while self.untold:
            row = self.untold.pop(0)
            if self.on_row is not None:
                self.on_row(row)

    def finish(self, step: int):
        """The row of a last, shorter interval; its values stay pending, for a run that is continued."""
        if self.pending:
            kept = self.pending
            self.emit(step)
            self.pending = kept
            self.tell()
