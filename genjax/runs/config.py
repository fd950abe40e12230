"""Configurations: frozen dataclasses whose fields say what may be done with them.

A recipe's `Config` marks each field as *sweepable* (a number that a sweep may trace), *structural* (it shapes the
program or the data), or *resumable* (it may change when a run is continued). Numbers are checked here, where they
enter, and never inside traced code. The fields that recipes have in common are in `base_config`.
"""

import dataclasses
import math
from dataclasses import dataclass
from typing import Any, ClassVar

from genjax.errors import UsageError

BOUNDS = {"gt": ("greater than", lambda v, b: v > b), "ge": ("at least", lambda v, b: v >= b),
          "lt": ("less than", lambda v, b: v < b), "le": ("at most", lambda v, b: v <= b)}  # fmt: skip

LARGEST = 2**31 - 1
"""The largest whole number: steps and seeds have 32 bits on the device, and more would be cut (2**32 + 1 to 1)."""

SMALLEST, LARGEST_FLOAT = 2.0**-126, (2 - 2.0**-23) * 2.0**127
"""The range of sweepable fields: they are float32 on the device, where a larger one is infinite and a smaller one 0."""


def _field(kind: str, default: Any, bounds: dict[str, Any], choices: tuple = ()) -> Any:
    unknown = set(bounds) - set(BOUNDS)
    if unknown:
        raise TypeError(f"unknown bounds {sorted(unknown)}; there are {sorted(BOUNDS)}.")
    return dataclasses.field(default=default, metadata={"kind": kind, "bounds": bounds, "choices": choices})


def sweepable(default: float | int, **bounds: float | int) -> Any:
    """A number that one program may try several values of: a rate, a weight. `gt ge lt le` bound it.

    `build` computes with it and decides nothing by it, because a sweep puts a tracer in its place.
    """
    return _field("sweepable", default, bounds)


def structural(default: Any, choices: tuple = (), **bounds: float | int) -> Any:
    """A field that shapes the program or the data: sizes, names, the seed."""
    return _field("structural", default, bounds, choices)


def resumable(default: Any, choices: tuple = (), **bounds: float | int) -> Any:
    """A field that may differ when a run is continued: how far to train. Not for what a schedule reads."""
    return _field("resumable", default, bounds, choices)


def kinds(config_type: type) -> dict[str, str]:
    """The kind of each field; an unmarked one is structural."""
    return {f.name: f.metadata.get("kind", "structural") for f in dataclasses.fields(config_type)}


def resumable_fields(config: Any) -> set[str]:
    """The names of the fields that may differ when a run of this configuration is continued."""
    return {name for name, kind in kinds(type(config)).items() if kind == "resumable"}


def check(config: Any) -> None:
    """Checks every field's type and bounds; a dataclass uses it as its `__post_init__`.

    Raises:
        UsageError: naming the field, its value, and what is allowed.

    Example:
        >>> @dataclass(frozen=True)
        ... class Config:
        ...     lr: float = sweepable(1e-3, gt=0)
        ...     __post_init__ = check
        >>> Config(lr=-1.0)
        Traceback (most recent call last):
        genjax.errors.UsageError: lr=-1.0: must be a float greater than 0.
    """
    for f in dataclasses.fields(config):
        v = getattr(config, f.name)
        bounds, choices = f.metadata.get("bounds", {}), f.metadata.get("choices", ())
        kind = type(f.default)
        allowed = [f"{BOUNDS[b][0]} {limit:g}" for b, limit in bounds.items()]
        of_choices = ", ".join(str(c) or "empty" for c in choices)
        of_kind = _article(kind) + " ".join(["", *allowed])
        says = f"{f.name}={v!r}: must be {f'one of {of_choices}' if choices else of_kind}"
        if kind is float and type(v) is int:
            object.__setattr__(config, f.name, v := float(v))
        if f.default is not None and f.default is not dataclasses.MISSING and type(v) is not kind:
            raise UsageError(says + ".")
        if type(v) is float and not math.isfinite(v):
            raise UsageError(f"{says}, and finite.")
        beyond = type(v) is float and v != 0.0 and not SMALLEST <= abs(v) <= LARGEST_FLOAT
        if beyond and f.metadata.get("kind") == "sweepable":
            raise UsageError(f"{says}, and {SMALLEST:.1g} to {LARGEST_FLOAT:.1g} in size, or 0.")
        if type(v) is int and abs(v) > LARGEST:
            raise UsageError(f"{says}, and at most {LARGEST} in size.")
        if v is None or (not choices and not bounds):
            continue
        if (choices and v not in choices) or not all(BOUNDS[b][1](v, limit) for b, limit in bounds.items()):
            raise UsageError(says + ".")


def _article(kind: type) -> str:
    return {"int": "an integer", "float": "a float", "str": "a string", "bool": "True or False"}.get(
        kind.__name__, f"a {kind.__name__}"
    )


@dataclass(frozen=True)
class Options:
    """How a run is carried out; nothing here changes what is computed, but a mesh the last bits, in the order of sums.

    All of it may change on continuation; what is not said anew stays as the run has it (`options.in_force`).
    """

    given: ClassVar[frozenset[str]] = frozenset()
    """Names of the fields that a command line gave, which may have given a default (`cli.flags`)."""

    run_dir: str | None = resumable(None)  # folder of the run (default: a new one under runs/)
    data_dir: str | None = resumable(None)  # where prepared TFDS sets are ($TFDS_DATA_DIR, ~/tensorflow_datasets)
    log_every: int = resumable(100, ge=1)  # steps that a row of metrics.jsonl averages over
    save_every: int = resumable(500, ge=1)  # steps between checkpoints
    sample_every: int = resumable(500, ge=1)  # steps between sample grids
    eval_every: int = resumable(0, ge=0)  # steps between evaluations on the part held out by --validation; 0: none
    keep: int = resumable(2, ge=1)  # newest checkpoints to keep
    keep_best: str = resumable("")  # also keep the best by min:METRIC or max:METRIC; with --eval-every: by validation
    tensorboard: bool = resumable(False)  # write TensorBoard event files too (extra `logs`)
    compile_cache: bool = resumable(True)  # keep compiled programs in the user's cache folder
    quiet: bool = resumable(False)  # print no progress
    health: bool = resumable(True)  # watch for collapse, overfitting, dead units and the like, in 2 % of the time
    changed_code: bool = resumable(False)  # continue a run although its recipe has changed; the manifest says so
    mesh: str = resumable("")  # devices: data=4,fsdp=2, or auto (all); default: one, or all of several processes
    coordinator: str = resumable("")  # HOST:PORT of process 0 (srun, mpirun, TPU slices: found by itself), or auto
    num_processes: int = resumable(0, ge=0)  # processes of the run, with --coordinator
    process_id: int = resumable(-1, ge=-1)  # which of them this is, from 0

    __post_init__ = check
