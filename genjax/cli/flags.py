"""From dataclasses to flags and back. The only module that imports tyro.

A command is a frozen dataclass whose fields carry their help in `metadata["help"]` or in a comment on their line.
Several dataclasses share one flat namespace: `genjax train` parses a recipe's `Config` and `train.Options` together.
"""

import contextlib
import dataclasses
import inspect
import io
import re
import typing
from collections.abc import Sequence
from typing import Annotated, Any, NamedTuple, TypeVar

from genjax.errors import UsageError
from genjax.recipes import nearest

T = TypeVar("T")


class Flag(NamedTuple):
    """A field as the command line sees it."""

    name: str
    type: Any
    field: Any
    comment: str = ""

    @property
    def positional(self) -> bool:
        return bool(self.field.metadata.get("positional"))

    @property
    def required(self) -> bool:
        return self.field.default is dataclasses.MISSING and self.field.default_factory is dataclasses.MISSING

    @property
    def shown(self) -> str:
        return self.name.upper() if self.positional else f"--{_dashed(self.name)}"


def flag(default: Any = dataclasses.MISSING, *, help: str, positional: bool = False) -> Any:
    """A field of a command, required where it has no default."""
    return dataclasses.field(default=default, metadata={"help": help, "positional": positional})


def parse(command: type[T], argv: Sequence[str], prog: str) -> T:
    """The flags of one dataclass.

    Raises:
        UsageError: a flag is unknown, lacks its value, or is ill-typed.
        SystemExit: with 0, after `--help` was printed.
    """
    return parse_all([command], argv, prog, command.__doc__ or "")[0]


def parse_all(commands: Sequence[type], argv: Sequence[str], prog: str, doc: str) -> list[Any]:
    """The flags of several dataclasses in one flat namespace; an instance of each, in order.

    Raises:
        UsageError: as `parse`.
        TypeError: two dataclasses have a field of one name.
    """
    fields: dict[str, Flag] = {}
    owner: dict[str, type] = {}
    for command in commands:
        comments = _comments(command)
        hints = typing.get_type_hints(command)
        for f in dataclasses.fields(command):
            if not f.init:
                continue
            if f.name in owner:
                raise TypeError(f"{command.__name__}.{f.name} is a field of {owner[f.name].__name__} too: rename one.")
            owner[f.name] = command
            fields[f.name] = Flag(f.name, hints[f.name], f, comments.get(f.name, ""))
    argv = _normalise(argv, fields, prog)
    values = _tyro(fields, argv, prog, doc)
    return [c(**{n: getattr(values, n) for n, o in owner.items() if o is c}) for c in commands]


def _normalise(argv: Sequence[str], fields: dict[str, Flag], prog: str) -> list[str]:
    """`--z_dim` as `--z-dim`, `--flag True` as `--flag`; an unknown flag is refused with the nearest known."""
    known = {_dashed(f.name): f.type for f in fields.values() if not f.positional}
    switches = {n for n, hint in known.items() if hint is bool}
    out: list[str] = []
    rest = list(argv)
    while rest:
        token = rest.pop(0)
        if not re.match(r"--[A-Za-z]", token) or token == "--help":
            out.append(token)
            continue
        name, eq, value = token.partition("=")
        name = _dashed(name[2:])
        positive = name.removeprefix("no-") if name not in known else name
        if positive not in known or (positive != name and positive not in switches):
            near = nearest(f"--{name}", [f"--{n}" for n in known])
            raise UsageError(f"--{name}: there is no such flag.{near} `{prog} --help` lists them.")
        if name in switches and (eq or (rest and rest[0].lower() in ("true", "false"))):
            value = value if eq else rest.pop(0)
            if value.lower() not in ("true", "false"):
                raise UsageError(f"--{name}={value}: a switch takes True or False, or no value at all.")
            out.append(f"--{name}" if value.lower() == "true" else f"--no-{name}")
        else:
            out.append(f"--{name}{eq}{value}")
    return out


def _dashed(name: str) -> str:
    return name.replace("_", "-")


def _help(f: Flag) -> str:
    """A field's help, then its bounds."""
    meta = f.field.metadata
    allowed = [f"{_BOUNDS.get(name, name)} {limit:g}" for name, limit in meta.get("bounds", {}).items()]
    allowed += [f"one of {', '.join(map(str, meta['choices']))}"] if meta.get("choices") else []
    return ", ".join(x for x in (meta.get("help") or f.comment, *allowed) if x)


_BOUNDS = {"gt": ">", "ge": ">=", "lt": "<", "le": "<="}


def _comments(command: type) -> dict[str, str]:
    """The comments on the lines of a dataclass's fields, which are their help."""
    try:
        lines = inspect.getsource(command).splitlines()
    except (OSError, TypeError):
        return {}
    found = (re.match(r"\s+(\w+)\s*:[^#]*#\s*(.+)$", line) for line in lines)
    return {m[1]: m[2].strip() for m in found if m and not m[2].startswith("noqa")}


def _tyro(fields: dict[str, Flag], argv: list[str], prog: str, doc: str) -> Any:
    """One flat dataclass through tyro, whose boxes of advice become one sentence."""
    import tyro

    made = []
    for f in sorted(fields.values(), key=lambda f: f.required, reverse=True):
        kind = tyro.conf.Positional[f.type] if f.positional else f.type
        kept = dataclasses.field(default=f.field.default, default_factory=f.field.default_factory)
        made.append((f.name, Annotated[kind, tyro.conf.arg(help=_help(f))], kept))
    flat = dataclasses.make_dataclass("Flags", made, frozen=True)
    flat.__doc__ = doc
    complaints = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaints):
            return tyro.cli(flat, args=argv, prog=prog)
    except SystemExit as e:
        if e.code in (0, None):
            raise
    raise UsageError(_sentence(complaints.getvalue(), fields, prog))


def _sentence(box: str, fields: dict[str, Flag], prog: str) -> str:
    """What tyro complains about, without its frame, flag help and advice."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()
    framed = [line.strip("│ ") for line in lines if line.startswith("│")]
    lines = framed or [line.strip() for line in lines[2:]]  # without UTF-8: a title and a rule, no frame
    rule = next((i for i, line in enumerate(lines) if re.fullmatch(r"[─-]{4,}", line)), len(lines))
    head = " ".join(filter(None, lines[:rule]))
    ill_typed = re.match(r"Error parsing (--\S+): (.*)", head)
    if ill_typed:
        head = f"{ill_typed[1]}: {ill_typed[2]}"
        kind = next((f.type for f in fields.values() if f.shown == ill_typed[1]), None)
        if kind in _KINDS:
            head += f"; it takes {_KINDS[kind]}"
    elif head.startswith("Missing from"):
        head = "missing: " + ", ".join(f.shown for f in fields.values() if f.required)
    return f"{head.rstrip('.')}. `{prog} --help` lists the flags."


_KINDS = {int: "a whole number", float: "a number", str: "text", bool: "True or False"}
