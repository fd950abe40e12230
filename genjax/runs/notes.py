"""What a run says at its start of the model that a recipe built, and of settings that change nothing."""

import dataclasses
import weakref
from collections.abc import Callable, Sequence
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


BY_THE_RUN = ("seed", "steps", "batch_size", "data", "image_size", "validation")
"""Fields that a run itself reads, beside those of `Config.reads`; all others are for the recipe's `build`."""


class Watched:
    """A recipe's `build`, which notes what fields it reads of its configurations.

    Example:
        >>> build = Watched(lambda cfg, spec: cfg.z_dim)
        >>> cfg = dataclasses.make_dataclass("Config", [("z_dim", int, 2), ("conditional", bool, False)])(2, True)
        >>> build(cfg, None), build.note([cfg])
        (2, "--conditional: changes nothing, the recipe's build does not read it.")
    """

    def __init__(self, build: Callable[..., Any]):
        self._build, self._read, self._seen = build, set[str](), list[weakref.ref]()

    def __call__(self, cfg: Any, spec: Any) -> Any:
        names, read = {f.name for f in dataclasses.fields(cfg)}, self._read

        def get(of: Any, name: str) -> Any:
            if name in names:
                read.add(name)
            return object.__getattribute__(of, name)

        seen = object.__new__(type(type(cfg).__name__, (type(cfg),), {"__getattribute__": get}))
        for name in names:
            object.__setattr__(seen, name, getattr(cfg, name))
        self._seen.append(weakref.ref(seen))
        return self._build(seen, spec)

    def note(self, configs: Sequence[Any]) -> str:
        """A sentence on fields that were set and not read; empty where there are none, or where some may yet be.

        Args:
            configs: a recipe's configuration, or that of every member.
        """
        if any(seen() is not None for seen in self._seen):  # a function of the recipe's holds it: a transform, say
            return ""
        known = {*self._read, *BY_THE_RUN, *getattr(configs[0], "reads", ())}
        idle = [f.name for f in dataclasses.fields(configs[0]) if f.name not in known
                and any(getattr(c, f.name) != f.default for c in configs)]  # fmt: skip
        said, it = ", ".join(f"--{name.replace('_', '-')}" for name in idle), "it" if len(idle) == 1 else "them"
        return f"{said}: changes nothing, the recipe's build does not read {it}." if idle else ""


def facts_of(model: Any) -> dict[str, str]:
    """What a manifest says of a model: the likelihood that is in force, also where the data chose it."""
    likelihood = getattr(model, "likelihood", None)
    return {} if likelihood is None else {"likelihood": likelihood.name}
