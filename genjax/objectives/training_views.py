"""An objective on random views of its data: changes that training sees and measurements never do."""

from collections.abc import Callable
from typing import Any

from genjax import rng
from genjax.objectives.trains import trains
from genjax.types import Batch, Context, Key, Objective, Params


def on_views(objective: Objective, view: Callable[[Key, Batch], Batch]) -> Objective:
    """The objective of `view(key, batch)`, drawn anew at every update.

    A transform is part of a run's data: what it changes, `eval` and `score` see changed too. A view is not.

    Example:
        >>> on_views(lambda params, batch, ctx: batch.x, lambda key, b: b._replace(x=b.x + 1)).__name__
        'seen'
    """

    def seen(params: Params, batch: Batch, ctx: Context) -> Any:
        return objective(params, view(rng.named(ctx.key, "view"), batch), ctx)

    return trains(getattr(objective, "model", None), seen, getattr(objective, "players", None))
