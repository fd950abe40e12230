"""Which loss term or parameter was the first that was not finite: found in the metrics of every step, and by going
over the steps since the last checkpoint once more, which gives the same bits.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from genjax.health.finding import Finding
from genjax.train.loop import CAPACITY, make_chunk
from genjax.train.state import TrainState
from genjax.train.step import Step
from genjax.types import Key

NORMS = ("grad_norm", "update_norm", "param_norm")
"""They follow from a loss or a gradient that is not finite."""
TOTALS = ("loss", "elbo", "bound", "skipped")
"""They are sums of other terms."""
NAMED = 3
"""Parameters that are named before the others are counted."""


class Bad(NamedTuple):
    """The first step of a run with metrics that are not finite."""

    step: int
    """From 0: the number of steps before it."""
    names: tuple[str, ...]
    """The metrics of that step which are not finite."""
    row: dict[str, float]
    """All of its metrics."""

    @property
    def only_norms(self) -> bool:
        """Whether every loss term is finite, and so a gradient was the first that was not."""
        return all(n.rpartition("/")[2] in NORMS for n in self.names)


def first_bad(first: int, values: Mapping[str, np.ndarray], due: Callable[[str, int], bool]) -> Bad | None:
    """The first of some steps in which a metric is not finite.

    Args:
        first: the number of the first step, from 0.
        values: of each metric its value at every step, [steps].
        due: `due(metric, step)`: whether the metric's move runs on that step; it is NaN on others.
    """
    found: dict[str, int] = {}
    for name, v in values.items():
        bad = (i for i in np.flatnonzero(~np.isfinite(v)).tolist() if due(name, first + i))
        if (i := next(bad, None)) is not None:
            found[name] = i
    if not found:
        return None
    at = min(found.values())
    names = tuple(n for n, i in found.items() if i == at)
    row = {n: float(v[at]) for n, v in values.items() if due(n, first + at)}
    return Bad(first + at, names, row)


def culprits(names: Sequence[str], labels: Sequence[str]) -> list[str]:
    """The metrics that are not finite in a step and did not inherit that from another metric.

    The first move comes before those that see its result; terms before their sum; a loss before its gradient.

    Example:
        >>> culprits(["d/grad_norm", "d/loss", "d/penalty", "g/loss"], ["d", "g"])
        ['d/penalty']
    """
    if len(labels) > 1:
        moves = [[n for n in names if n.startswith(f"{label}/")] for label in labels]
        names = next((m for m in moves if m), list(names))

    def rank(name: str) -> int:
        metric = name.rpartition("/")[2]
        return 2 if metric in NORMS else 1 if metric in TOTALS else 0

    least = min(map(rank, names))
    return sorted(n for n in names if rank(n) == least)


def of_steps(bad: Bad, labels: Sequence[str], guarded: Sequence[str]) -> Finding:
    """The finding that names the loss term, or the gradient.

    Args:
        bad: the step.
        labels: the moves', in their order.
        guarded: those whose guard skips such an update.
    """
    names = culprits(bad.names, labels)
    values = ", ".join(f"{n} is {bad.row[n]:g}" for n in names)
    label = labels[0] if len(labels) == 1 else names[0].partition("/")[0]
    spared = label in guarded
    what, cure = "a loss term", "an eps inside the logarithm, root or division that it came from"  # no clip mends that
    if all(n.rpartition("/")[2] in NORMS for n in names):
        of = "that step" if bad.only_norms else f"the move {label!r}"
        what, cure = f"a length, while every loss term of {of} is finite", ""
    says = f"The first number that is not finite: {values}, in step {bad.step + 1} ({what})." + (
        " The guard skipped that update." if spared else ""
    )
    severity = "warning" if spared else "serious"
    slower = "a smaller learning rate"
    advice = f"{cure}, or {slower}" if cure else f"{slower}, clip=1.0, or skip_nonfinite=True on the move {label!r}"
    advice = "" if spared else advice
    return Finding("non_finite", severity, names[0], bad.row[names[0]], says, advice)


def of_parameters(names: Sequence[str], step: int, before: bool) -> Finding:
    """The finding that names parameters.

    Args:
        names: leaves that are not finite, in the order of the state.
        step: the steps done before their first appearance, counted from 1.
        before: whether they were so before any loss term was.
    """
    told = ", ".join(names[:NAMED]) + (f" and {len(names) - NAMED} more" if len(names) > NAMED else "")
    how = "while every loss term was still finite: its gradient overflowed or divided by zero" if before else ""
    says = f"The first that is not finite: {told}, since the update of step {step}{', ' if how else ''}{how}."
    advice = "a smaller learning rate, clip=1.0, or an eps inside the square root or the division that it came from"
    return Finding("non_finite", "serious", names[0], None, says, advice)


def bad_leaves(state: TrainState) -> list[str]:
    """Names of the players' leaves that hold NaN or infinity."""
    flat, _ = jax.tree_util.tree_flatten_with_path({n: p._replace(ema=None) for n, p in state.players.items()})
    return [
        jax.tree_util.keystr(path, simple=True, separator="/")
        for path, v in flat
        if np.issubdtype(v.dtype, np.floating) and not np.isfinite(np.asarray(v)).all()
    ]


def replayer(step: Step, source: Any, key: Key, restored: Callable[[], TrainState]) -> Callable[[int], TrainState]:
    """`replay(n)`: the state of a single run after n steps again, from an earlier one.

    Args:
        step, source, key: the run's.
        restored: gives that earlier state, anew at each call.
    """
    capacity = min(CAPACITY, source.capacity or CAPACITY)
    chunk = make_chunk(step, source, capacity)

    def replay(until: int) -> TrainState:
        state = restored()
        done = int(state.step)
        while done < until:
            n = min(capacity, until - done)
            state, _ = chunk(state, source.window(key, done, n, step.n_batches), key, np.int32(n))
            done += n
        return state

    return replay
