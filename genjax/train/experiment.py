"""What a recipe builds."""

import dataclasses
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from genjax import losses
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


def likelihood_note(cfg: Any, model: Any, about: Any) -> str:
    """A sentence on the likelihood where the data chose it (`dist.likelihood_of`); empty else.

    Args:
        cfg: a recipe's configuration.
        model: what the recipe built.
        about: the data's `Spec`.
    """
    likelihood = getattr(model, "likelihood", None)
    if likelihood is None or getattr(cfg, "likelihood", None) != "":
        return ""
    toned = "" if about.contrast is None else f" of contrast {about.contrast:g}"
    kind = "grey" if about.shape[-1] == 1 else "colour"
    return f"likelihood: {likelihood.name}, chosen for {kind} images{toned}. --likelihood names another."


def penalty_note(configs: Sequence[Any]) -> str:
    """A sentence on weights that were set and that the penalty does not read (`losses.game`); empty else.

    Args:
        configs: a recipe's configuration, or that of every member.
    """
    penalty = getattr(configs[0], "penalty", None)
    if penalty not in losses.READS:
        return ""
    weights = [f for f in dataclasses.fields(configs[0]) if f.name in ("gamma", "weight")]
    idle = [f.name for f in weights if f.name not in losses.READS[penalty]
            and any(getattr(c, f.name) != f.default for c in configs)]  # fmt: skip
    reads = " and ".join(f"--{name}" for name in losses.READS[penalty]) or "no weight"
    said = " and ".join(f"--{name}" for name in idle)
    return f"{said}: changes nothing, --penalty {penalty} reads {reads}." if idle else ""


def facts_of(model: Any) -> dict[str, str]:
    """What a manifest says of a model: the likelihood that is in force, also where the data chose it."""
    likelihood = getattr(model, "likelihood", None)
    return {} if likelihood is None else {"likelihood": likelihood.name}
