"""A command's fields as the command line sees them: names, types, bounds, help. Neither jax nor tyro.

A command is a frozen dataclass whose fields carry their help in `metadata["help"]` or in a comment on their line.
"""

import dataclasses
import inspect
import math
import re
import types
import typing
from collections.abc import Sequence
from typing import Any, Literal, NamedTuple

from genjax.errors import UsageError

BOUNDS = {
    "gt": (">", "above", lambda v, b: v > b), "ge": (">=", "at least", lambda v, b: v >= b),
    "lt": ("<", "below", lambda v, b: v < b), "le": ("<=", "at most", lambda v, b: v <= b),
}  # fmt: skip
"""For each name of a bound: its sign, its words, and the test of a value."""
LARGEST = 2**31 - 1
"""The largest whole number: counts and seeds have 32 bits on the device, where a larger one would be cut."""


class Flag(NamedTuple):
    """A field as the command line sees it."""

    name: str
    type: Any
    field: Any
    comment: str = ""
    group: int = 0
    """Which of the dataclasses that share the command line it is of."""

    @property
    def positional(self) -> bool:
        return bool(self.field.metadata.get("positional"))

    @property
    def required(self) -> bool:
        return self.field.default is dataclasses.MISSING and self.field.default_factory is dataclasses.MISSING

    @property
    def shown(self) -> str:
        if self.positional:
            return self.field.metadata.get("metavar") or self.name.upper()
        return f"--{dashed(self.name)}"

    @property
    def several(self) -> bool:
        """Whether it takes any number of values."""
        return typing.get_origin(self.type) in (tuple, list)

    @property
    def kind(self) -> type | None:
        """int, float, str or bool, also where it may be left out; None for any other type."""
        return next((k for k in (int, float, str, bool) if self.type in (k, k | None)), None)

    @property
    def choices(self) -> tuple[Any, ...]:
        """The values that it may have, where they can be listed."""
        options = typing.get_args(self.type) if typing.get_origin(self.type) in (types.UnionType, typing.Union) else ()
        literal = next((t for t in (self.type, *options) if typing.get_origin(t) is Literal), None)
        return typing.get_args(literal) if literal is not None else tuple(self.field.metadata.get("choices") or ())


def flag(
    default: Any = dataclasses.MISSING, *, help: str, positional: bool = False, metavar: str = "", **bounds: float
) -> Any:
    """A field of a command, required where it has no default.

    Args:
        default: its value where it is left out.
        help: what it is, in words.
        positional: whether it is given without a name.
        metavar: what help shows for its value: FILE.
        **bounds: `gt ge lt le`, which `parse` checks. Numbers are always checked to be finite.
    """
    about = {"help": help, "positional": positional, "metavar": metavar, "bounds": bounds, "checked": True}
    return dataclasses.field(default=default, metadata=about)


def fields_of(commands: Sequence[type]) -> dict[str, Flag]:
    """The fields of several dataclasses in one flat namespace.

    Raises:
        TypeError: two dataclasses have a field of one name.
    """
    found: dict[str, Flag] = {}
    for i, command in enumerate(commands):
        comments, hints = _comments(command), typing.get_type_hints(command)
        for f in dataclasses.fields(command):
            if not f.init:
                continue
            if f.name in found:
                other = commands[found[f.name].group].__name__
                raise TypeError(f"{command.__name__}.{f.name} is a field of {other} too: rename one.")
            found[f.name] = Flag(f.name, hints[f.name], f, comments.get(f.name, ""), i)
    return found


def check(flags: Sequence[Flag], values: Any) -> None:
    """Refuse numbers that are not finite, too large for the device, or beyond the bounds of their field.

    Fields that `flag` has made; a recipe's `Config` and `runs.Options` check theirs themselves.

    Raises:
        UsageError: naming the flag, its value and what is allowed.
    """
    for f in flags:
        v, bounds = getattr(values, f.name), f.field.metadata.get("bounds", {})
        if not f.field.metadata.get("checked") or isinstance(v, bool) or not isinstance(v, int | float):
            continue
        allowed = " and ".join(f"{BOUNDS[b][1]} {limit:g}" for b, limit in bounds.items())
        if not math.isfinite(v):
            raise UsageError(f"{f.shown}={v}: must be a finite number{allowed and ', ' + allowed}.")
        if isinstance(v, int) and abs(v) > LARGEST:
            raise UsageError(f"{f.shown}={v}: must be {allowed and allowed + ' and '}below 2**31.")
        if not all(BOUNDS[b][2](v, limit) for b, limit in bounds.items()):
            raise UsageError(f"{f.shown}={v}: must be {allowed}.")


def dashed(name: str) -> str:
    """A field's name as a flag's: `z_dim` as `z-dim`."""
    return name.replace("_", "-")


def _comments(command: type) -> dict[str, str]:
    """The comments on the lines of a dataclass's fields, which are their help; those of its bases where it has none."""
    found: dict[str, str] = {}
    for part in reversed(command.__mro__):
        if not dataclasses.is_dataclass(part):
            continue
        try:
            lines = inspect.getsource(part).splitlines()
        except (OSError, TypeError):
            continue
        each = (re.match(r"\s+(\w+)\s*:[^#]*#\s*(.+)$", line) for line in lines)
        found |= {m[1]: m[2].strip() for m in each if m and not m[2].startswith("noqa")}
    return found
