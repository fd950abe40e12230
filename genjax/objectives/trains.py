"""Says on an objective which model it trains and which players it brings."""

from collections.abc import Mapping
from typing import Any

from genjax.types import HasInit, Objective


def trains(model: Any, objective: Objective, players: Mapping[str, HasInit] | None = None) -> Objective:
    """The objective, with `model` and `players` written on it.

    `train.fit` holds the data's range against the model's, and `train.make_step` gives the players a home: critics,
    running means and codebooks that are not the model's own.

    Example:
        >>> trains("vae", lambda params, batch, ctx: None).model
        'vae'
    """
    vars(objective).update(model=model, players=dict(players or {}))
    return objective
