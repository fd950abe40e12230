"""What a recipe builds."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from genjax.data import Transform
from genjax.data.transforms import check_range
from genjax.types import Array, Batch, Key, Params, State


@dataclass(frozen=True, eq=False)
class Experiment:
    """A recipe's `build(cfg, spec)` returns one: all of a run but its data.

    Attributes:
        model: a bundle of pure functions with `init`, `sample` and `generate`.
        step: from `make_step`; the `Population` of all members where several are trained as one.
        transform: raw pixels -> what the model sees; its inverse makes pictures of what the model gives.
        score: `score(params, state, batch, key) -> {column: value per example}` for `genjax score`.

    Raises:
        UsageError: the transform gives values that the model's likelihood or generator is not for.
    """

    model: Any
    step: Any
    transform: Transform
    score: Callable[[Params, State, Batch, Key], dict[str, Array]]

    def __post_init__(self):
        check_model(self.model, self.transform)


def check_model(model: Any, transform: Transform | None) -> None:
    """Raises `UsageError` where the transform gives another range than the model is for; either may not say."""
    ranges = getattr(model, "ranges", None)
    if ranges is not None and transform is not None:
        check_range(transform, *ranges)
