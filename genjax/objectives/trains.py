"""Says on an objective which model it trains."""

from typing import Any

from genjax.types import Objective


def trains(model: Any, objective: Objective) -> Objective:
    """The objective, with `model` written on it: `train.fit` holds the data's range against the model's.

    Example:
        >>> trains("vae", lambda params, batch, ctx: None).model
        'vae'
    """
    vars(objective)["model"] = model
    return objective
