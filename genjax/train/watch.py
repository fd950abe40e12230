"""What ends a run, or a member of a population: losses that are not finite, guards that skip without end."""

import functools
import math
from collections.abc import Mapping
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genjax.errors import RunFailure
from genjax.train.state import TrainState

PATIENCE = 100
"""Steps in a row that a guard may skip before the run is given up."""
TOLD = 3
"""Failed members that a message names before it counts the rest."""

Row = dict[str, Any]


class Diverged(RunFailure):
    """Training itself has failed: a loss or a parameter is not finite, or nothing but skipped updates."""


class Watch:
    """Looks at every step's metrics.

    A single run that has failed raises. A member that has failed is noted in `failed` and left to itself: the others
    go on, unless all have failed. Its numbers are not finite from there on, and nobody averages them.

    Args:
        step: from `make_step`, or a `Population`.
        failed: why members failed before, by their number.
    """

    def __init__(self, step: Any, failed: Mapping[int, str] | None = None):
        self.single = len(step.moves) == 1
        self.moves = dict(zip(step.labels, step.moves, strict=True))
        self.n = getattr(step, "n", None)
        self.failed = dict(failed or {})
        self.skipped = {label: [0] * (self.n or 1) for label in step.labels}

    def due(self, metric: str, at: int) -> bool:
        """Whether the move that gives `metric` runs on step `at`."""
        label = next(iter(self.moves)) if self.single else metric.split("/")[0]
        return at % self.moves[label].every == 0

    def row(self, at: int, row: Row) -> None:
        """Watch the metrics of step `at` (from 0), numbers or lists over members.

        Raises:
            RunFailure: the run has failed, or all members.
        """
        for label, move in self.moves.items():
            name = "loss" if self.single else f"{label}/loss"
            if name not in row:
                continue
            losses = _list(row[name])
            skipped = _list(row[name.removesuffix("loss") + "skipped"]) if move.guarded else [0.0] * len(losses)
            for i, (loss, skip) in enumerate(zip(losses, skipped, strict=True)):
                if i not in self.failed and (why := self._why(label, move, name, i, at, loss, skip)):
                    self._fail(i, why)

    def _why(self, label: str, move: Any, name: str, i: int, at: int, loss: float, skip: float) -> str:
        if not move.guarded:
            if math.isfinite(loss):
                return ""
            cure = f"a smaller learning rate, clip=..., or Move({move.name!r}, ..., skip_nonfinite=True)"
            if at == 0:  # no update has been made: it is how the loss is computed
                cure = "an eps inside its logarithm, root or division"
            return f"{name} is {loss} at step {at + 1}. Try {cure}."
        count = self.skipped[label]
        count[i] = count[i] + 1 if skip == 1.0 else 0  # a mean over repeats
        return (
            ""
            if count[i] < PATIENCE
            else (
                f"{count[i]} updates of {move.name!r} in a row were skipped (non-finite or above "
                f"skip_above={move.skip_above}), the last at step {at + 1} with {name}={loss}."
            )
        )

    def _fail(self, i: int, why: str) -> None:
        if self.n is None:
            raise Diverged(why)
        self.failed[i] = why
        if len(self.failed) == self.n:
            raise Diverged(f"all {self.n} members have failed: {format_failures(self.failed)}")

    def state(self, state: TrainState, step: int) -> None:
        """Watch the players after `step` steps: a single run whose state is not finite is never saved.

        Raises:
            RunFailure: naming the first leaf of the players that holds NaN or infinity; or all members have one.
        """
        per_member = self.n is not None
        ok, _ = jax.tree_util.tree_flatten_with_path(jax.device_get(_finite_leaves(state.players, per_member)))
        for path, good in ok:
            name = jax.tree_util.keystr(path, simple=True, separator="/")
            for i in np.flatnonzero(~np.atleast_1d(good)).tolist():
                if i not in self.failed:
                    self._fail(i, f"{name} is not finite after step {step}.")


def _list(value: float | list[float]) -> list[float]:
    return value if isinstance(value, list) else [value]


def format_failures(failed: Mapping[int, str]) -> str:
    """Which members failed and why, in a few lines."""
    told = [f"\n  member {i}: {why}" for i, why in sorted(failed.items())[:TOLD]]
    return "".join([*told, *([f"\n  ... and {len(failed) - TOLD} more"] if len(failed) > TOLD else [])])


@functools.partial(jax.jit, static_argnums=1)
def _finite_leaves(tree: Any, per_member: bool):
    def finite(v):
        ok = jnp.isfinite(v) if jnp.issubdtype(v.dtype, jnp.floating) else jnp.ones(v.shape, bool)
        return ok.reshape(v.shape[0], -1).all(1) if per_member else ok.all()

    return jax.tree.map(finite, tree)
