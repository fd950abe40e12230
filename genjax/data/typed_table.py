"""Tables of numbers from the rows of a `.csv` file: each row an example, each column typed by the rule of `columns`.

With semicolons between fields a comma may be the decimal point. A file `NAME.types.json` beside `NAME.csv` says what
columns are where the rule is wrong: `{"zip": "category", "id": "skip"}`.
"""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from genjax.data.columns import KINDS, MISSING, Column, stored, typed
from genjax.errors import UsageError, shown
from genjax.formats import files
from genjax.formats.csv_file import Rows, is_number, read_rows


class Table(NamedTuple):
    """A table in stored form."""

    columns: tuple[Column, ...]
    x: Float32[np.ndarray, "n columns"]
    event_mask: Bool[np.ndarray, "n columns"]
    """False where a value is missing."""
    form: dict[str, str]
    """How the file is written: `delimiter`, `decimal`."""
    notes: tuple[str, ...] = ()


def read_table(path: str | Path, types: Mapping[str, str] | None = None, like: Table | None = None) -> Table:
    """The rows of a `.csv` file as numbers.

    Args:
        path: the file.
        types: what columns are, by name, one of `columns.KINDS`; None: what the `.types.json` beside it says.
        like: a table whose columns these rows must have (of a test file, the training one's).

    Raises:
        UsageError: anything wrong with the file, in two lines: where it is, and what to do.
    """
    path = Path(path)
    return table_of(path, read_rows(path), types, like)


def table_of(path: Path, read: Rows, types: Mapping[str, str] | None = None, like: Table | None = None) -> Table:
    """Rows of texts as numbers; arguments and errors as `read_table`'s, `path` is where they are from."""
    header, rows, delimiter = read
    if like is not None:
        return _like(path, header, rows, like)
    types = _types(path, header) if types is None else types
    if unknown := sorted(set(types) - set(header)):
        raise UsageError(
            f"{shown(path)}: has no column {shown(unknown[0])!r}, of which a type is given.\n"
            f"Its columns: {', '.join(map(shown, header))}."
        )
    if wrong := [k for k in types.values() if k not in KINDS]:
        raise UsageError(f"{shown(path)}: {shown(wrong[0])!r} is no type of a column.\nTry one of {', '.join(KINDS)}.")
    fields = list(zip(*rows, strict=True))
    commas = delimiter == ";" and _decimal_commas(fields)
    kept = [i for i, name in enumerate(header) if types.get(name) != "skip"]
    try:
        columns = tuple(typed(header[i], fields[i], types.get(header[i]), commas) for i in kept)
    except UsageError as e:
        raise UsageError(f"{shown(path)}: {e}") from None
    form = {"delimiter": delimiter, "decimal": "," if commas else "."}
    x, there = _stored(columns, [fields[i] for i in kept], commas)
    return Table(columns, x, there, form, _notes(path, columns))


def _stored(columns: Sequence[Column], fields: Sequence[Sequence[str]], comma: bool):
    values = [stored(c, f, comma) for c, f in zip(columns, fields, strict=True)]
    return np.stack([v.x for v in values], 1), np.stack([v.there for v in values], 1)


def _like(path: Path, header: list[str], rows: list[list[str]], like: Table) -> Table:
    """Rows of another file with the columns of a table."""
    names = [c["name"] for c in like.columns]
    if missing := [n for n in names if n not in header]:
        raise UsageError(
            f"{shown(path)}: lacks the column {shown(missing[0])!r}, which the training rows have.\n"
            f"Give it the columns {', '.join(map(shown, names))}."
        )
    fields = list(zip(*rows, strict=True))
    chosen = [fields[header.index(n)] for n in names]
    x, there = _stored(like.columns, chosen, like.form["decimal"] == ",")
    strange = [
        f"{shown(path)}: column {shown(c['name'])}: a value that the training rows do not have counts as missing."
        for c, ok, f in zip(like.columns, there.T, chosen, strict=True)
        if c["kind"] != "empty" and (~ok & np.array([t.strip() not in MISSING for t in f])).any()
    ]
    return Table(like.columns, x, there, like.form, tuple(strange))


def _decimal_commas(fields: Sequence[Sequence[str]]) -> bool:
    """Whether numbers are written 3,5: some column is, and none has a decimal point."""
    found = False
    for column in fields:
        here = [t.strip() for t in column if t.strip() not in MISSING]
        if not here or not all(is_number(t.replace(",", ".", 1)) for t in here):
            continue
        if any("." in t for t in here):
            return False
        found = found or any("," in t for t in here)
    return found


def _types(path: Path, header: Sequence[str]) -> dict[str, str]:
    """What the `.types.json` file says; {} where there is none."""
    beside = path.with_suffix(".types.json")
    if files.kind_of(beside) is None:
        return {}
    try:
        found = json.loads(files.read_text(beside))
    except ValueError as e:
        if isinstance(e, UsageError):
            raise
        raise UsageError(f'{shown(beside)}: is no JSON ({e}).\nWrite {{"{shown(header[0])}": "number"}}.') from None
    if not isinstance(found, dict) or not all(isinstance(v, str) for v in found.values()):
        raise UsageError(f'{shown(beside)}: must be names and types.\nWrite {{"{shown(header[0])}": "number"}}.')
    return found


def _notes(path: Path, columns: Sequence[Column]) -> tuple[str, ...]:
    empty = [shown(c["name"]) for c in columns if c["kind"] == "empty"]
    if len(empty) == len(columns):
        raise UsageError(f"{shown(path)}: has no values at all.\nFill in at least one column.")
    return (f"{shown(path)}: all of {', '.join(empty)} is missing, and stays so.",) if empty else ()
