"""Tables of numbers from the rows of a `.csv` file: each row an example, each column typed by the rule of `columns`.

With semicolons between fields a comma may be the decimal point. A file `NAME.types.json` beside `NAME.csv` says what
columns are where the rule is wrong: `{"zip": "category", "id": "skip"}`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from genjax.data.columns import DIGITS, KINDS, MISSING, Column, Values, stored, texts, typed
from genjax.data.field_forms import NEARLY
from genjax.errors import UsageError, shown
from genjax.formats import files
from genjax.formats.csv_file import Rows, is_number, read_rows

NAMED = 3
"""Columns that a note names."""


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
    header, rows, delimiter, lines = read
    if like is not None:
        return _like(path, read, like)
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
    where, notes = _where(lines), []
    try:
        columns = tuple(typed(header[i], fields[i], types.get(header[i]), commas, where, notes) for i in kept)
    except UsageError as e:
        raise UsageError(f"{shown(path)}: {e}") from None
    form = {"delimiter": delimiter, "decimal": "," if commas else "."}
    kept_fields = [fields[i] for i in kept]
    values = [stored(c, f, commas) for c, f in zip(columns, kept_fields, strict=True)]
    notes += [*_empty(path, columns), *_digits_lost(columns, kept_fields, values, commas, where)]
    return Table(columns, *_stacked(values), form, tuple(f"{shown(path)}: {note}" for note in notes))


def _where(lines: Sequence[int]) -> Callable[[int], str]:
    """What messages call the place of a row."""
    return lambda i: f"line {lines[i]:,}" if lines else f"row {i + 1:,}"


def _stacked(values: Sequence[Values]) -> tuple[np.ndarray, np.ndarray]:
    return np.stack([v.x for v in values], 1), np.stack([v.there for v in values], 1)


def _like(path: Path, read: Rows, like: Table) -> Table:
    """Rows of another file with the columns of a table."""
    header, rows, _, lines = read
    names = [c["name"] for c in like.columns]
    if missing := [n for n in names if n not in header]:
        raise UsageError(
            f"{shown(path)}: lacks the column {shown(missing[0])!r}, which the training rows have.\n"
            f"Give it the columns {', '.join(map(shown, names))}."
        )
    fields = list(zip(*rows, strict=True))
    chosen = [fields[header.index(n)] for n in names]
    comma = like.form["decimal"] == ","
    x, there = _stacked([stored(c, f, comma) for c, f in zip(like.columns, chosen, strict=True)])
    where = _where(lines)
    notes = [note for c, ok, f in zip(like.columns, there.T, chosen, strict=True) for note in _strange(c, ok, f, where)]
    return Table(like.columns, x, there, like.form, tuple(f"{shown(path)}: {note}" for note in notes))


def _strange(column: Column, there: np.ndarray, field: Sequence[str], where: Callable[[int], str]) -> list[str]:
    """Notes on the values of a column that the training rows' column cannot hold: unknown ones, and missing ones."""
    if column["kind"] == "empty" or there.all():
        return []
    gone = [i for i, ok in enumerate(there) if not ok]
    unknown = [i for i in gone if field[i].strip() not in MISSING]
    missing = [i for i in gone if field[i].strip() in MISSING]
    begin = f"column {shown(column['name'])}: "
    instead = "counts as missing" if column["missing"] > 0 else f"counts as {_instead(column)}"
    notes = []
    if unknown:
        i, kind = unknown[0], column["kind"]
        what = f"is no {kind}{' of the training rows' if kind == 'category' else ''}"
        notes.append(f"{begin}{shown(field[i].strip())!r} on {where(i)}{_more(unknown)} {what}, and {instead}.")
    if missing and column["missing"] == 0:
        notes.append(
            f"{begin}{where(missing[0])}{_more(missing)} has no value, as every training row has; it {instead}."
        )
    return notes


def _more(places: Sequence[int]) -> str:
    return f" (and {len(places) - 1:,} more)" if len(places) > 1 else ""


def _instead(column: Column) -> str:
    """What a net takes a missing value for where the training rows miss none: see `table_coding.to_parts`."""
    return repr(shown(column["categories"][0])) if column["kind"] == "category" else "an ordinary value"


def _decimal_commas(fields: Sequence[Sequence[str]]) -> bool:
    """Whether numbers are written 3,5: some column (but for a few fields) is, and none has a decimal point."""
    found = False
    for column in fields:
        here = [t.strip() for t in column if t.strip() not in MISSING]
        numbers = [t for t in here if is_number(t.replace(",", ".", 1))]
        if not numbers or len(numbers) < NEARLY * len(here):
            continue
        if any("." in t for t in numbers):
            return False
        found = found or any("," in t for t in numbers)
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


def _empty(path: Path, columns: Sequence[Column]) -> list[str]:
    empty = [shown(c["name"]) for c in columns if c["kind"] == "empty"]
    if len(empty) == len(columns):
        raise UsageError(f"{shown(path)}: has no values at all.\nFill in at least one column.")
    return [f"all of {', '.join(empty)} is missing, and stays so."] if empty else []


def _digits_lost(
    columns: Sequence[Column], fields: Sequence[Sequence[str]], values: Sequence[Values], comma: bool,
    where: Callable[[int], str],
) -> list[str]:  # fmt: skip
    """A note on the columns of which float32 does not keep all digits, with the first such field."""
    found = [(c, f, v) for c, f, v in zip(columns, fields, values, strict=True) if v.lost >= 0]
    if not found:
        return []
    column, field, (x, there, at) = found[0]
    names = ", ".join(shown(c["name"]) for c, *_ in found[:NAMED])
    more = f" and {len(found) - NAMED:,} more" if len(found) > NAMED else ""
    (back,) = texts(column, x[at : at + 1], there[at : at + 1], comma)
    what = f"{shown(field[at].strip())!r} on {where(at)} becomes {back!r}"
    return [f"values keep about {DIGITS} digits, which is not enough for {names}{more}: {what}."]
