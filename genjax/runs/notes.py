"""What a run says at its start of the model that a recipe built, and of settings that change nothing."""

import dataclasses
from collections.abc import Sequence
from typing import Any

from genjax import losses


def likelihood_note(cfg: Any, model: Any, about: Any, domain: Any) -> str:
    """A sentence on the likelihood where the data chose it (`distributions.likelihood_of`); empty else.

    Args:
        cfg: a recipe's configuration.
        model: what the recipe built.
        about: the data's `Spec`.
        domain: their `Domain`.
    """
    likelihood = getattr(model, "likelihood", None)
    if likelihood is None or getattr(cfg, "likelihood", None) != "":
        return ""
    return f"likelihood: {likelihood.name}, chosen for {domain.why_likelihood(about)}. --likelihood names another."


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
