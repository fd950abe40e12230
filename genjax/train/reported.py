"""What an objective may report: one loss and single numbers, under names that are free."""

from typing import Any

import jax
import jax.numpy as jnp

from genjax.types import Aux, UsageError

RESERVED = frozenset(
    ("loss", "skipped", "grad_norm", "update_norm", "param_norm", "step", "seconds", "examples_per_s", "failed")
)
"""Names in a logged row that no metric may have."""


def loss_and_aux(name: str, returned: Any) -> tuple[Any, Aux]:
    """What a move's objective returned; refuses what it may not give.

    That is a loss without an `Aux`, a loss or a metric for each example, or a metric with a row's own name.

    Raises:
        UsageError: naming the move and the metric.
    """
    if not (isinstance(returned, tuple) and len(returned) == 2 and isinstance(returned[1], Aux)):
        what = "a loss alone" if isinstance(returned, jax.Array | float | int) else f"{type(returned).__name__}"
        raise UsageError(
            f"move {name!r}: its objective returned {what}, and must return (loss, Aux): "
            "`return loss, types.Aux({})` where there is nothing to report."
        )
    loss, aux = returned
    how = "losses.reduce.mean(values, batch.mask) takes the mean over the examples"
    if jnp.ndim(loss):
        raise UsageError(f"move {name!r}: its loss has the shape {jnp.shape(loss)}, and must be one number; {how}.")
    for metric, value in aux.metrics.items():
        if jnp.ndim(value):
            raise UsageError(f"move {name!r}: metric {metric!r} has the shape {jnp.shape(value)}; {how}.")
        if metric in RESERVED:
            raise UsageError(
                f"move {name!r}: {metric!r} is what the step itself reports. Give the metric another name."
            )
    return loss, aux
