"""What `--help` prints: usage, the docstring as it is written, and the flags in groups, as wide as the terminal."""

import dataclasses
import re
import shutil
import textwrap
from collections.abc import Iterable, Sequence

from genjax import recipes
from genjax.cli.fields import BOUNDS, Flag

INDENT, COLUMN = 2, 26
"""Spaces before a flag, and the column where its help begins."""
COMMON = {
    "seed": "of all that is random: same seed, same run",
    "batch_size": "examples in a step",
}
"""Help of fields that every recipe has, where it does not say its own."""
METAVARS = {int: "INT", float: "FLOAT", str: "TEXT"}


def width() -> int:
    """Columns to write in: the terminal's, within reason."""
    return min(max(shutil.get_terminal_size((80, 24)).columns, 40), 120)


def text(prog: str, doc: str, flags: Sequence[Flag], titles: Sequence[str] = ()) -> str:
    """The help of a command.

    Args:
        prog: the command: `genjax sample`.
        doc: its docstring, whose lines are kept.
        flags: its fields.
        titles: of each dataclass that shares the command line, a heading for its flags; by default "options".
    """
    free = [f for f in flags if f.positional]
    needed = [f for f in flags if f.required and not f.positional]
    rest = [f for f in flags if not f.required and not f.positional]
    words = [
        "usage:",
        prog,
        *(f.shown + "..." * f.several for f in free),
        *map(_left, needed),
        *["[options]"][: len(rest)],
    ]
    groups = [("arguments", free), ("required", needed)]
    if titles:
        groups += [(title, [f for f in rest if f.group == i]) for i, title in enumerate(titles)]
    else:
        groups.append(("options", rest))
    parts = [_folded(" ".join(words), "    "), fold_wide_lines(doc)]
    parts += [f"{title}:\n{rows((_left(f), about(f)) for f in group)}" for title, group in groups if group]
    return "\n\n".join(filter(None, parts))


def rows(pairs: Iterable[tuple[str, str]], column: int = COLUMN) -> str:
    """Two columns, the right one folded at the width of the terminal; a left part that is too long has its own line."""
    out = []
    for left, right in pairs:
        lines = textwrap.wrap(right, max(20, width() - column), break_on_hyphens=False)
        head = " " * INDENT + left
        if len(head) > column - 2 or not lines:
            out.append(head)
        else:
            out.append(f"{head:{column}}{lines.pop(0)}")
        out += [" " * column + line for line in lines]
    return "\n".join(out)


def fold_wide_lines(doc: str) -> str:
    """Text line by line as it is written. What is wider than the terminal is folded: prose by the paragraph, lines that
    are indented or begin with a label (`Command:  `) each by itself, under its own text."""
    paragraphs = []
    for paragraph in re.split(r"\n\s*\n", doc.strip()):
        lines = paragraph.splitlines()
        if all(len(line) <= width() for line in lines) or any(_depth(line) for line in lines):
            paragraphs += ["\n".join(_folded(line, " " * _depth(line)) for line in lines)]
        else:
            paragraphs.append(_folded(" ".join(lines), ""))
    return "\n\n".join(paragraphs)


def recipes_text() -> str:
    """The shipped recipes, a line each; none of them is run."""
    found = {name: recipes.docstring(recipes.find(name)).split("\n")[0] for name in recipes.names()}
    return rows(found.items(), 4 + max(map(len, found), default=0))


def about(f: Flag) -> str:
    """A field's help, its bounds, and its default.

    Example:
        >>> from genjax.cli.fields import fields_of, flag
        >>> @dataclasses.dataclass(frozen=True)
        ... class Command:
        ...     n: int = flag(4, help="how many", ge=1)
        >>> about(fields_of([Command])["n"])
        'how many, >= 1 (default: 4)'
    """
    meta, default = f.field.metadata, f.field.default
    said = [meta.get("help") or f.comment or COMMON.get(f.name, "")]
    said += [f"{BOUNDS[name][0]} {limit:g}" for name, limit in meta.get("bounds", {}).items() if name in BOUNDS]
    if f.choices and len(_listed(f)) > COLUMN:
        said.append(f"one of {', '.join(str(c) for c in f.choices if c != '')}")
    notes = []
    if isinstance(default, bool):
        notes += ["default: on"] if default else []
    elif default not in (dataclasses.MISSING, None, ""):
        notes.append(f"default: {' '.join(map(str, default)) if isinstance(default, tuple) else default}")
    if meta.get("kind") == "sweepable":
        notes.append("can be swept")
    return ", ".join(filter(None, said)) + (f" ({'; '.join(notes)})" if notes else "")


def _left(f: Flag) -> str:
    if f.positional:
        return f.shown
    if f.kind is bool:
        return f"{f.shown}, --no-{f.shown[2:]}" if f.field.default is True else f.shown
    return f"{f.shown} {_metavar(f)}"


def _metavar(f: Flag) -> str:
    if f.field.metadata.get("metavar"):
        return f.field.metadata["metavar"]
    if f.choices and len(_listed(f)) <= COLUMN:
        return _listed(f)
    if f.name.endswith("_dir"):
        return "FOLDER"
    return METAVARS.get(f.kind or str, "TEXT") + " ..." * f.several


def _listed(f: Flag) -> str:
    return "{" + ",".join(str(c) for c in f.choices if c != "") + "}"


def _depth(line: str) -> int:
    """Where the text after a label like `Command:  ` begins, else the line's own indentation."""
    body = line.lstrip()
    head, colon, rest = body.partition(":")
    own = len(line) - len(body)
    if colon and rest.startswith("  ") and " " not in head:
        return own + len(head) + 1 + len(rest) - len(rest.lstrip())
    return own


def _folded(line: str, after: str) -> str:
    if len(line) <= width():
        return line
    return textwrap.fill(line, width(), subsequent_indent=after, break_long_words=False, break_on_hyphens=False,
                         drop_whitespace=True, replace_whitespace=False)  # fmt: skip
