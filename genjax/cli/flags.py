"""From dataclasses to flags and back. The only module that imports tyro.

Several dataclasses share one flat namespace: `genjax train` parses a recipe's `Config` and `runs.Options` together.
What a person can get wrong is found here, before tyro builds the values.
"""

import contextlib
import dataclasses
import inspect
import io
import re
from collections.abc import Sequence
from typing import Annotated, Any, TypeVar

from genjax.cli import fields, help
from genjax.cli.fields import Flag, dashed
from genjax.cli.fields import flag as flag
from genjax.errors import UsageError
from genjax.recipes import nearest

T = TypeVar("T")


def parse(command: type[T], argv: Sequence[str], prog: str) -> T:
    """The flags of one dataclass.

    Raises:
        UsageError: a flag is unknown, lacks its value, is ill-typed or out of bounds; or a required one is missing.
        SystemExit: with 0, after `--help` was printed.
    """
    return parse_all([command], argv, prog, command.__doc__ or "")[0]


def parse_all(
    commands: Sequence[type], argv: Sequence[str], prog: str, doc: str, titles: Sequence[str] = ()
) -> list[Any]:
    """The flags of several dataclasses in one flat namespace; an instance of each, in order.

    Args:
        commands: the dataclasses.
        argv: what the person has typed after `prog`.
        prog: the command: `genjax train vae_digits`.
        doc: what help says of it, line by line.
        titles: headings of the dataclasses' flags in the help.

    Raises:
        UsageError, SystemExit: as `parse`.
        TypeError: two dataclasses have a field of one name.
    """
    flags = fields.fields_of(commands)
    if any(word in ("-h", "--help") for word in argv):
        print(help.text(prog, inspect.cleandoc(doc), list(flags.values()), titles))
        raise SystemExit(0)
    words = _checked(argv, flags, prog)
    values = _tyro(flags, words, prog)
    fields.check(list(flags.values()), values)
    made = [c(**{f.name: getattr(values, f.name) for f in flags.values() if f.group == i})
            for i, c in enumerate(commands)]  # fmt: skip
    _note_given(made, flags, words)
    return made


def _note_given(made: Sequence[Any], flags: dict[str, Flag], words: Sequence[str]) -> None:
    """Tell each instance whose class asks for it (`given`) which of its fields the person has named."""
    before = words[: words.index("--")] if "--" in words else words
    named = {m[1] for word in before if (m := re.match(r"--(?:no-)?([A-Za-z][\w-]*)", word))}
    for i, instance in enumerate(made):
        if hasattr(type(instance), "given"):
            names = {f.name for f in flags.values() if f.group == i and dashed(f.name) in named}
            object.__setattr__(instance, "given", frozenset(names))


def _checked(argv: Sequence[str], flags: dict[str, Flag], prog: str) -> list[str]:
    """`argv` as tyro takes it without a question: `--z_dim 3` as `--z-dim=3`, `--flag True` as `--flag`.

    Raises:
        UsageError: one sentence on the first thing that is wrong.
    """
    known = {dashed(f.name): f for f in flags.values() if not f.positional}
    see = f"`{prog} --help` lists the flags."
    out: list[str] = []
    free: list[str] = []
    given: set[str] = set()
    rest = list(argv)
    while rest:
        token = rest.pop(0)
        if token == "--":
            free, rest = [*free, *rest], []
            continue
        if not re.match(r"--[A-Za-z]", token):
            if re.match(r"-[A-Za-z]", token):
                raise UsageError(f"{token}: there is no such flag; flags begin with two dashes. {see}")
            free.append(token)
            continue
        name, eq, value = token.partition("=")
        name = dashed(name[2:])
        f = known.get(name)
        if f is None:
            opposite = known.get(name.removeprefix("no-"))
            if not name.startswith("no-") or opposite is None or opposite.kind is not bool or eq:
                near = nearest(f"--{name}", [f"--{n}" for n in known])
                raise UsageError(f"--{name}: there is no such flag.{near} `{prog} --help` lists them.")
            out.append(f"--{name}")
        elif f.kind is bool:
            if eq or (rest and rest[0].lower() in ("true", "false")):
                value = value if eq else rest.pop(0)
                if value.lower() not in ("true", "false"):
                    raise UsageError(f"--{name}={value}: a switch takes True or False, or no value at all.")
            out.append(f"--no-{name}" if value.lower() == "false" else f"--{name}")
        elif f.several:
            many = [value] if eq else []
            while not eq and rest and not re.match(r"--[A-Za-z]", rest[0]):
                many.append(rest.pop(0))
            out += [f"--{name}", *many]
        else:
            if not eq:
                if not rest or re.match(r"--[A-Za-z]", rest[0]):
                    raise UsageError(f"--{name}: its value is missing. {see}")
                value = rest.pop(0)
            _check_type(f, value, see)
            out.append(f"--{name}={value}")
        given.add(name.removeprefix("no-") if f is None else name)
    places = [f for f in flags.values() if f.positional]
    if len(free) > len(places) and not any(f.several for f in places):
        extra = free[len(places) :]
        raise UsageError(f"{' '.join(extra)}: there is no place for {'this' if len(extra) == 1 else 'these'}. {see}")
    missing = [f for f in places[len(free) :] if not f.several]
    missing += [f for f in known.values() if f.required and dashed(f.name) not in given]
    if missing:
        raise UsageError(f"missing: {', '.join(f.shown for f in missing)}. {see}")
    return [*out, *(["--", *free] if free else [])]


def _check_type(f: Flag, value: str, see: str) -> None:
    """Refuse text that is no value of the flag's type."""
    if f.choices and value not in map(str, f.choices) and f.type not in (str, str | None):
        raise UsageError(f"{f.shown}={value}: must be one of {', '.join(map(str, f.choices))}. {see}")
    if f.kind not in (int, float) or (value == "None" and f.type is not f.kind):
        return
    try:
        f.kind(value)
    except ValueError:
        raise UsageError(f"{f.shown}={value}: it takes {_KINDS[f.kind]}. {see}") from None


_KINDS = {int: "a whole number", float: "a number"}


def _tyro(flags: dict[str, Flag], argv: list[str], prog: str) -> Any:
    """One flat dataclass through tyro, whose box of complaints becomes one sentence."""
    import tyro

    made = []
    for f in sorted(flags.values(), key=lambda f: f.required, reverse=True):
        kind = tyro.conf.Positional[f.type] if f.positional else f.type
        kept = dataclasses.field(default=f.field.default, default_factory=f.field.default_factory)
        made.append((f.name, Annotated[kind, tyro.conf.arg(help="")], kept))
    flat = dataclasses.make_dataclass("Flags", made, frozen=True)
    complaints = io.StringIO()
    try:
        with contextlib.redirect_stderr(complaints):
            return tyro.cli(flat, args=argv, prog=prog)
    except SystemExit:
        raise UsageError(f"{_sentence(complaints.getvalue())}. `{prog} --help` lists the flags.") from None


def _sentence(box: str) -> str:
    """What tyro complains about, without its frame and advice; of types that are not checked here."""
    lines = re.sub(r"\x1b\[[0-9;]*m", "", box).splitlines()
    framed = [line.strip("│ ") for line in lines if line.startswith("│")]
    lines = framed or [line.strip() for line in lines[2:]]  # without UTF-8: a title and a rule, no frame
    rule = next((i for i, line in enumerate(lines) if re.fullmatch(r"[─-]{4,}", line)), len(lines))
    return " ".join(filter(None, lines[:rule])).replace("Error parsing ", "").rstrip(".")
