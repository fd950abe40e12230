"""What an objective may report: one loss and single numbers, under names that are free."""

from typing import Any

import jax.numpy as jnp

from genjax.types import Aux, UsageError

RESERVED = frozenset(
    ("loss", "skipped", "grad_norm", "update_norm", "param_norm", "step", "seconds", "examples_per_s", "failed")
)
"""Names in a logged row that no metric may have."""


def sound(name: str, loss: Any, aux: Aux) -> tuple[Any, Aux]:
    """Refuse what an objective may not give: a loss or a metric for each example, or a metric with a row's own name.

    Raises:
        UsageError: naming the move and the metric.
    """
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
