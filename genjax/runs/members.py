"""Who is in a population: its seeds and its sweep, parsed, checked, named and stored. No jax.

Members are numbered from 0: every point of the grid in the order given, and at each point all seeds, fastest.
"""

import copy
import dataclasses
import itertools
import math
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from genjax.errors import UsageError
from genjax.headroom import MOST_MEMBERS
from genjax.recipes import nearest
from genjax.runs.config import kinds

Sweep = dict[str, tuple[float | int, ...]]
"""Values of each swept field, in the order given."""


@dataclass(frozen=True)
class Members:
    """The members of a population.

    Args:
        configs: of each member, a recipe's `Config`; they differ in `seed` and the swept fields alone.
        seeds: each point's seeds.
        sweep: the swept fields and their values; empty for seeds alone.
    """

    configs: tuple[Any, ...]
    seeds: tuple[int, ...]
    sweep: Sweep

    @property
    def n(self) -> int:
        return len(self.configs)

    @property
    def points(self) -> list[dict[str, float | int]]:
        """The points of the sweep's grid, one without a field where nothing is swept."""
        return [dict(zip(self.sweep, v, strict=True)) for v in itertools.product(*self.sweep.values())]

    def name(self, i: int) -> str:
        """Member i in words, for messages.

        Example:
            >>> from genjax import recipes
            >>> members_of(recipes.load("vae_digits").Config(), 2, "beta=1,4").name(3)
            'member 3 (beta 4, seed 1)'
        """
        said = [*(f"{f} {getattr(self.configs[i], f):g}" for f in self.sweep), f"seed {self.configs[i].seed}"]
        return f"member {i} ({', '.join(said)})"

    def columns(self) -> dict[str, list[float | int]]:
        """Each swept field's value for every member."""
        return {f: [getattr(c, f) for c in self.configs] for f in self.sweep}

    def stored(self) -> dict[str, Any]:
        """What `config.json` keeps as `population`; its `config` is member 0's."""
        return {"seeds": list(self.seeds), "sweep": {f: list(v) for f, v in self.sweep.items()}}

    def flags(self) -> str:
        """The flags of `genjax train` that make this population of member 0's configuration, without swept fields."""
        return shlex.join(flags_of(self.stored()))

    def check(self, i: int | None, run: object) -> int:
        """`i` where there is such a member.

        Raises:
            UsageError: there is none, or none was named; the members are listed.
        """
        if i is not None and 0 <= i < self.n:
            return i
        shown = [self.name(k) for k in range(self.n)]
        shown = [*shown[:16], f"... and {self.n - 16} more"] if self.n > 17 else shown
        what = f"RUN={run} is a population of {self.n}: name one with --member" if i is None else f"--member={i}"
        raise UsageError("\n  ".join([f"{what}{': there is no such member' if i is not None else ''}.", *shown]))


def members_of(cfg: Any, seeds: int = 1, sweep: str = "") -> Members | None:
    """The population that `--seeds` and `--sweep` ask for; None for a single run.

    Args:
        cfg: the recipe's `Config`; its seed is the first.
        seeds: how many seeds, one after the other, at least 1.
        sweep: `FIELD=VALUE,VALUE[;FIELD=...]`: the product grid over *sweepable* fields.

    Raises:
        UsageError: naming what is wrong and what is allowed.
    """
    if seeds < 1:
        raise UsageError(f"--seeds={seeds}: must be at least 1.")
    fields = _parsed(sweep, cfg)
    if seeds == 1 and not fields:
        return None
    _refuse_too_many(f"--seeds={seeds}", seeds * math.prod(map(len, fields.values())))
    return _members(cfg, tuple(range(cfg.seed, cfg.seed + seeds)), fields)


def read_members(cfg: Any, stored: Mapping[str, Any] | None) -> Members | None:
    """The population that a run's `config.json` holds under `population`; `cfg` is its `config`."""
    if not stored:
        return None
    n = len(stored["seeds"]) * math.prod(map(len, stored["sweep"].values()))
    _refuse_too_many("a population in config.json", n)
    return _members(cfg, tuple(stored["seeds"]), {f: tuple(v) for f, v in stored["sweep"].items()})


def flags_of(stored: Mapping[str, Any]) -> list[str]:
    """The flags of `genjax train` that ask for the population that `config.json` describes so.

    Example:
        >>> flags_of({"seeds": [0, 1], "sweep": {"beta": [0.5, 4.0]}})
        ['--seeds=2', '--sweep=beta=0.5,4.0']
    """
    seeds = [f"--seeds={len(stored['seeds'])}"] if len(stored["seeds"]) > 1 else []
    sweep = ";".join(f"{f}={','.join(map(repr, values))}" for f, values in stored["sweep"].items())
    return [*seeds, *([f"--sweep={sweep}"] if sweep else [])]


def with_traced(cfg: Any, values: Mapping[str, Any]) -> Any:
    """`cfg` with fields that are arrays or tracers, past the check: the numbers were checked one by one."""
    traced = copy.copy(cfg)
    for field, v in values.items():
        object.__setattr__(traced, field, v)
    return traced


def _refuse_too_many(who: str, n: int) -> None:
    if n > MOST_MEMBERS:
        raise UsageError(
            f"{who}: {n:,} members are more than one program trains.\nAt most {MOST_MEMBERS:,}, and as many as fit."
        )


def _members(cfg: Any, seeds: tuple[int, ...], sweep: Sweep) -> Members:
    grid = itertools.product(*sweep.values())
    configs = [dataclasses.replace(cfg, seed=s, **dict(zip(sweep, at, strict=True))) for at in grid for s in seeds]
    return Members(tuple(configs), seeds, sweep)


def _parsed(sweep: str, cfg: Any) -> Sweep:
    """Each field with its values, checked for kind, type and doubles; bounds are `Config`'s own to check."""
    kind = kinds(type(cfg))
    allowed = [f for f, k in kind.items() if k == "sweepable"]
    fields: dict[str, tuple[float | int, ...]] = {}
    for part in filter(None, (p.strip() for p in sweep.split(";"))):
        name, eq, text = part.partition("=")
        name = name.strip().removeprefix("--").replace("-", "_")
        if not eq or not text.strip():
            raise UsageError(f"--sweep={part}: write FIELD=VALUE,VALUE, for example {_example(allowed)}.")
        if name not in kind:
            near = nearest(name, list(kind))
            raise UsageError(f"--sweep={part}: there is no field {name}.{near} {_sweepable(allowed)}")
        if kind[name] != "sweepable":
            why = "shapes the program or the data" if kind[name] == "structural" else "says how far to train"
            more = " Use --seeds N for seeds." if name == "seed" else ""
            raise UsageError(f"--sweep={part}: {name} {why}, one program has one. {_sweepable(allowed)}{more}")
        if name in fields:
            raise UsageError(f"--sweep={part}: {name} is swept twice. Put its values into one list.")
        default = next(f.default for f in dataclasses.fields(cfg) if f.name == name)
        if getattr(cfg, name) != default:
            flag = name.replace("_", "-")
            raise UsageError(f"--sweep={part}: {name} is set by --{flag}={getattr(cfg, name):g} too. Leave one out.")
        fields[name] = tuple(_number(v, part, type(default)) for v in text.split(","))
        if len(set(fields[name])) < len(fields[name]):
            raise UsageError(f"--sweep={part}: a value is there twice. For several runs of one value use --seeds.")
    return fields


def _number(text: str, part: str, kind: type) -> float | int:
    try:
        return kind(text)
    except ValueError:
        wanted = "a whole number" if kind is int else "a number"
        raise UsageError(f"--sweep={part}: {text.strip() or 'nothing'!r} is not {wanted}.") from None


def _example(allowed: list[str]) -> str:
    return f"{allowed[0] if allowed else 'lr'}=0.5,1,2"


def _sweepable(allowed: list[str]) -> str:
    return f"Fields that can be swept: {', '.join(allowed) or 'none in this recipe'}."
