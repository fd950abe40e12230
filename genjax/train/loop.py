"""The training loop: chunks of steps as one compiled program."""

import math
import time
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from genjax.train.state import TrainState
from genjax.train.step import Step
from genjax.types import Key, RunFailure

CAPACITY = 1024
"""Rows of the metrics buffer, and so the most steps in one chunk."""
TARGET_SECONDS = 1.0
"""A chunk aims at this wall time, so that signals, logs and checkpoints are prompt."""
PATIENCE = 100
"""Steps in a row that a guard may skip before the run is given up."""

Row = dict[str, float | int]


class Progress(NamedTuple):
    """Where a run stands between two chunks."""

    step: int
    state: TrainState
    pending: list[Row]
    """Per-step metrics since the last logged row: with them a resumed run logs the rows it would have logged."""
    seconds: float
    """Wall-clock time spent on the run so far."""


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


def make_chunk(step: Step, source, capacity: int):
    """`chunk(state, data, key, n) -> (state, buffer)`: n <= capacity steps, n traced, in one compiled loop.

    The step always runs inside this loop, even a single one: a run's bits depend on no chunk length, log interval
    or resume point, and one compilation serves them all. `state` is donated.
    """

    def chunk(state: TrainState, data, key: Key, n):
        def one(i, state):
            return step(state, source.batches(data, key, state.step, i, step.n_batches), key)

        names = sorted(jax.eval_shape(one, 0, state)[1])

        def body(i, carry):
            state, buffer = carry
            state, metrics = one(i, state)
            row = jnp.stack([metrics[k].astype(jnp.float32) for k in names])
            return state, lax.dynamic_update_index_in_dim(buffer, row, i, 0)

        buffer = jnp.zeros((capacity, len(names)), jnp.float32)
        state, buffer = lax.fori_loop(0, n, body, (state, buffer))
        return state, {k: buffer[:, j] for j, k in enumerate(names)}

    return jax.jit(chunk, donate_argnums=0)


def fit(
    step: Step,
    state: TrainState,
    source,
    key: Key,
    *,
    steps: int,
    log_every: int = 100,
    on_row: Callable[[Row], None] | None = None,
    every: Sequence[Every] = (),
    stop: Callable[[], bool] = lambda: False,
    pending: Sequence[Row] = (),
    seconds: float | int = 0.0,
) -> Fitted:
    """Trains from `state.step` to `steps`.

    Args:
        step: from `make_step`.
        state: where to begin; donated: use the one that comes back.
        source: gives the batches of a step as a function of (key, step).
        key: the run's root key.
        steps: the step at which to stop; nothing happens where `state` is already there.
        log_every: steps a logged row averages over.
        on_row: called with each logged row as soon as it is known.
        every: callbacks between chunks; they see only finite states.
        stop: asked between chunks, about once a second.
        pending: `Progress.pending` of the checkpoint that `state` comes from.
        seconds: wall-clock time already spent on the run.

    Raises:
        RunFailure: a loss or a parameter is not finite and no guard skipped it, or a guard skipped `PATIENCE`
            steps in a row. It names the metric or the leaf, and the step.
    """
    done = int(state.step)
    capacity = min(CAPACITY, source.capacity or CAPACITY)
    chunk = make_chunk(step, source, capacity)
    log = _Log(step, log_every, source.batch_size, on_row, list(pending), seconds)
    flight, per_step, n = None, math.inf, 1

    def land():
        nonlocal flight, per_step
        if flight is not None:
            first, count, buffer, sent = flight
            flight = None
            values: dict[str, np.ndarray] = {k: np.asarray(v)[:count] for k, v in buffer.items()}  # waits here
            now = time.perf_counter()
            per_step = (now - max(sent, log.landed)) / count
            log.add(first, values, now)

    while done < steps and not stop():
        if per_step < math.inf:
            n = max(1, min(4 * n, round(TARGET_SECONDS / max(per_step, 1e-9))))
        edge = min([steps, *((done // e.steps + 1) * e.steps for e in every)])
        n = min(n, capacity, edge - done)
        data = source.window(key, done, n, step.n_batches)
        sent = time.perf_counter()
        state, buffer = chunk(state, data, key, np.int32(n))
        land()  # the metrics of the chunk before, while this one runs
        flight = (done, n, buffer, sent)
        done += n
        if done == edge:
            land()
            check_finite(state, done)
            if done == steps:
                log.finish(done)  # a checkpoint of the last step has its row on the disk before it
            for e in (e for e in every if done % e.steps == 0):
                e.do(Progress(done, state, list(log.pending), log.seconds))
            log.landed = time.perf_counter()
    land()
    check_finite(state, done)
    return Fitted(state, log.rows, log.pending, log.seconds)


class _Log:
    """Turns per-step metrics into logged rows, and watches them."""

    def __init__(self, step: Step, every: int, examples: int, on_row, pending: list[Row], seconds: float):
        self.every, self.examples, self.on_row, self.pending = every, examples, on_row, pending
        self.rows: list[Row] = []
        self.single = len(step.moves) == 1
        self.moves = dict(zip(step.labels, step.moves, strict=True))
        self.skipped = dict.fromkeys(step.labels, 0)
        self.seconds, self.landed = seconds, time.perf_counter()
        self.since, self.count = 0.0, 0

    def move_of(self, metric: str) -> str:
        return next(iter(self.moves)) if self.single else metric.split("/")[0]

    def add(self, first: int, values: dict[str, np.ndarray], now: float):
        count = len(next(iter(values.values())))
        dt, self.landed = (now - self.landed) / count, now
        for i in range(count):
            at = first + i  # the step's number, from 0
            row = {k: float(v[i]) for k, v in values.items() if at % self.moves[self.move_of(k)].every == 0}
            self.watch(at, row)
            self.pending.append(row)
            self.seconds, self.since, self.count = self.seconds + dt, self.since + dt, self.count + 1
            if (at + 1) % self.every == 0:
                self.emit(at + 1)

    def watch(self, at: int, row: Row):
        for label, move in self.moves.items():
            name = "loss" if self.single else f"{label}/loss"
            if name not in row:
                continue
            if not move.guarded:
                if not math.isfinite(row[name]):
                    raise RunFailure(
                        f"{name} is {row[name]} at step {at + 1}. Try a smaller learning rate, clip=..., or "
                        f"Move({move.name!r}, ..., skip_nonfinite=True)."
                    )
                continue
            skipped = row[name.removesuffix("loss") + "skipped"]
            self.skipped[label] = self.skipped[label] + 1 if skipped == 1.0 else 0  # a mean over repeats
            if self.skipped[label] >= PATIENCE:
                raise RunFailure(
                    f"{self.skipped[label]} updates of {move.name!r} in a row were skipped (non-finite or above "
                    f"skip_above={move.skip_above}), the last at step {at + 1} with {name}={row[name]}."
                )

    def emit(self, step: int):
        names = sorted({k for row in self.pending for k in row})
        mean = {k: float(np.mean([r[k] for r in self.pending if k in r], dtype=np.float64)) for k in names}
        speed = self.examples * self.count / max(self.since, 1e-9)
        row = {"step": step, "seconds": round(self.seconds, 3), "images_per_s": round(speed, 1), **mean}
        self.pending, self.since, self.count = [], 0.0, 0
        self.rows.append(row)
        if self.on_row is not None:
            self.on_row(row)

    def finish(self, step: int):
        """The row of a last, shorter interval; its values stay pending, for a run that is continued."""
        if self.pending:
            kept = self.pending
            self.emit(step)
            self.pending = kept


@jax.jit
def _finite_leaves(tree: Any):
    return jax.tree.map(lambda v: jnp.isfinite(v).all() if jnp.issubdtype(v.dtype, jnp.floating) else True, tree)


def check_finite(state: TrainState, step: int):
    """Raises `RunFailure` naming the first leaf of the players that holds NaN or infinity.

    A state that is not finite is never saved, so never becomes a "last good" one.
    """
    ok, _ = jax.tree_util.tree_flatten_with_path(jax.device_get(_finite_leaves(state.players)))
    for path, good in ok:
        if not good:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            raise RunFailure(f"{name} is not finite after step {step}.")
