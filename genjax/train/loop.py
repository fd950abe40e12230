"""The training loop: chunks of steps as one compiled program."""

import contextlib
import math
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from genjax.channels import say
from genjax.errors import DataFailure
from genjax.train.chunk import advance
from genjax.train.experiment import check_model
from genjax.train.mesh import Layout
from genjax.train.population import Population, Roots, advance_all
from genjax.train.signals import Signals
from genjax.train.state import TrainState, is_used, refuse_used
from genjax.train.step import Step
from genjax.train.watch import Diverged, Watch
from genjax.types import Key

CAPACITY = 1024
"""Rows of the metrics buffer, and so the most steps in one chunk."""
TARGET_SECONDS = 1.0
"""A chunk aims at this wall time, so that signals, logs and checkpoints are prompt."""

Row = dict[str, Any]
"""Numbers, or a list over members for each metric of a population."""


class Progress(NamedTuple):
    """Where a run stands between two chunks."""

    step: int
    state: TrainState
    pending: list[Row]
    """Per-step metrics since the last logged row: with them a resumed run logs the rows it would have logged."""
    seconds: float
    """Wall-clock time spent on the run so far."""
    failed: dict[int, str] = {}  # noqa: RUF012  (never mutated: NamedTuple default)
    """Of a population, why members failed."""


class Every(NamedTuple):
    """`do(progress)` whenever `steps` divides the step."""

    steps: int
    do: Callable[[Progress], None]


class Fitted(NamedTuple):
    """What `fit` gives back."""

    state: TrainState
    rows: list[Row]
    """Logged rows: step, seconds, images_per_s, and the mean of each metric since the row before."""
    pending: list[Row]
    seconds: float
    failed: dict[int, str] = {}  # noqa: RUF012  (never mutated: NamedTuple default)
    interrupted: bool = False
    """Whether Ctrl-C (the stop button of a notebook) came: a loop of several `fit` asks this to end as well."""

    @property
    def progress(self) -> Progress:
        """What there is to save."""
        return Progress(int(self.state.step), self.state, self.pending, self.seconds, self.failed)


def make_chunk(step: Step | Population, source, capacity: int, layout: Layout | None = None, state: Any = None):
    """`advance` compiled once, of a single run or of a population; its `state` is donated.

    On a layout it leaves each leaf where `layout` puts those of `state`; it takes the root key `everywhere`.
    """
    if isinstance(step, Population):
        assert layout is None
        return jax.jit(advance_all(step, source, capacity), donate_argnums=0)
    if layout is None:
        return jax.jit(advance(step, source, capacity), donate_argnums=0)
    chunk, placed = advance(layout.spread(step), source, capacity), (layout.leaves(state), layout.everywhere)
    return jax.jit(chunk, donate_argnums=0, out_shardings=placed)


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
    stop: Callable[[], int] = lambda: 0,
    layout: Layout | None = None,
    agree: Callable[[int, int], tuple[int, int]] = lambda n, stop: (n, stop),
    pending: Sequence[Row] = (),
    seconds: float | int = 0.0,
    failed: Mapping[int, str] | None = None,
    monitor: Any = None,
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
        stop: asked between chunks, about once a second; anything but 0 ends the training.
        layout: where the state and the batches lie, on many devices; None on one. `state` is there already.
        agree: makes one of many processes' chunk lengths and stops, see `distributed.Group`.
        pending: `Progress.pending` of the checkpoint that `state` comes from.
        seconds: wall-clock time already spent on the run.
        failed: `Progress.failed` of that checkpoint.
        monitor: a `health.Monitor`, which looks at every step's metrics and at states between chunks.

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
    done = int(state.step)
    capacity = min(CAPACITY, source.capacity or CAPACITY)
    chunk = _compiled(step, source, capacity) if layout is None else make_chunk(step, source, capacity, layout, state)
    root = key if layout is None else layout.place(key, layout.everywhere)
    watch = Watch(step, failed)
    log = _Log(watch, log_every, source.batch_size, on_row, list(pending), seconds)
    interrupts = _interrupts()
    flights: list[_Flight] = []
    per_step, n = math.inf, 1

    def land(leave: int = 0):
        """Takes in the metrics of the chunks sent, the last `leave` excepted."""
        nonlocal per_step
        while len(flights) > leave:
            values = flights[0].values()  # waits here
            now = time.perf_counter()
            per_step = (now - max(flights[0].sent, log.landed)) / flights[0].count
            try:
                with interrupts.held():
                    first = flights.pop(0).first
                    log.add(first, values, now)
            finally:  # also of the chunk in which a run fails
                if monitor is not None:
                    monitor.steps(first, values)
                log.tell()

    def given_away() -> bool:
        return is_used(state)

    def fitted() -> Fitted:
        return Fitted(state, log.rows, log.pending, log.seconds, watch.failed, interrupts.received is not None)

    def rescued(e: BaseException) -> Fitted | None:
        """What can be given back with an exception: nothing where the state is used up or not finite."""
        if given_away():
            return None
        if isinstance(e, Exception) and jax.process_count() == 1:  # whoever interrupts twice does not wait
            for flight in flights:
                log.add(flight.first, flight.values(), time.perf_counter())
            watch.state(state, done)
        return fitted()

    try:
        with interrupts:
            while done < steps:
                if per_step < math.inf:
                    n = max(1, min(4 * n, round(TARGET_SECONDS / max(per_step, 1e-9))))
                n, stopped = agree(n, stop() or interrupts.received or 0)
                if stopped:
                    break
                edge = min([steps, *((done // e.steps + 1) * e.steps for e in every)])
                n = min(n, capacity, edge - done)
                try:
                    data = source.window(key, done, n, step.n_batches)
                except DataFailure:
                    land()  # the rows of what was trained until here
                    raise
                sent = time.perf_counter()
                with interrupts.held(given_away):  # until the state that takes its place is here
                    state, buffer = chunk(state, data, root, np.int32(n))
                    flights.append(_Flight(done, n, buffer, sent))
                    done += n
                land(leave=1)  # the metrics of the chunk before, while this one runs
                if monitor is not None:
                    monitor.state(done, state)
                if done == edge:
                    land()
                    watch.state(state, done)
                    if done == steps:
                        log.finish(done)  # a checkpoint of the last step has its row on the disk before it
                    for e in (e for e in every if done % e.steps == 0):
                        e.do(Progress(done, state, list(log.pending), log.seconds, dict(watch.failed)))
                    log.landed = time.perf_counter()
            land()
            watch.state(state, done)
    except BaseException as e:
        if not isinstance(e, Diverged):
            _give_back(e, done, steps, rescued)
        raise
    if interrupts.received is not None:
        say(f"fit: interrupted at step {done:,} of {steps:,}. What it has so far comes back; `fit` from it goes on.")
    return fitted()


def _compiled(step: Step | Population, source: Any, capacity: int) -> Callable[..., Any]:
    """`make_chunk`, once for a step and a source: the step keeps the loops over its last two sources."""
    for of, size, chunk in step.programs:
        if of is source and size == capacity:
            return chunk
    chunk = make_chunk(step, source, capacity)
    step.programs[:] = [*step.programs[-1:], (source, capacity, chunk)]
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
    """Takes Ctrl-C where nobody else does."""
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

    def __init__(self, watch: Watch, every: int, examples: int, on_row, pending: list[Row], seconds: float):
        self.watch, self.every, self.examples, self.on_row, self.pending = watch, every, examples, on_row, pending
        self.rows: list[Row] = []
        self.untold: list[Row] = []
        self.seconds, self.landed = seconds, time.perf_counter()
        self.since, self.count = 0.0, 0

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
        row = {"step": step, "seconds": round(self.seconds, 3), "images_per_s": round(speed, 1), **mean}
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
