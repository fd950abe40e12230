"""The columns of a table: what each one holds, told from its texts by one rule, and the way to numbers and back.

The rule, for the texts of a column that are not missing (see `MISSING`), blanks around them left out:

1. all are missing: `empty`;
2. all are numbers in digits, none with a leading zero (zip codes are no numbers): `number`, rounded as its texts are;
3. all are days `2024-05-31`, or such with a time `2024-05-31 08:15[:00]` (a `T` for the blank will do): `date`;
4. else `category`. With more than `MOST_CATEGORIES` different texts, or with a text of its own in most rows, it is
   refused: names and identifiers have no distribution to learn.

`types` says otherwise: `{"zip": "category", "id": "skip"}`.
"""

import datetime
import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from genjax.data.modes import modes_of
from genjax.errors import UsageError, shown

KINDS = ("number", "category", "date", "skip")
"""What a person may say that a column is."""
MISSING = frozenset({"", "NA", "N/A", "n/a", "#N/A", "<NA>", "NaN", "nan", "-nan", "NULL", "null", "None"})
"""Texts of a value that is not there."""
MOST_CATEGORIES = 1000
FEW = 50
"""Different texts that are categories whatever the number of rows."""
EXACT = 2**23
"""Numbers beyond this are stored less their column's smallest, so that float32 keeps seven digits of what varies."""
NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
TIME = re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d(:\d\d)?")

Column = dict[str, Any]
"""One column as JSON has it.

Always: `name`, `kind` (number, category, date, empty), `missing` (share of rows), `absent` (how its missing values
read). Of numbers and dates: `digits` after the point (-1: as many as there are), `low`, `high`, `offset` (stored is the
value less this), `modes` ([weight, mean, sd] each, of stored values), and of dates `format`, of which stored days or
seconds are written. Of categories: `categories` in order, and the `share` of each.
"""


class Values(NamedTuple):
    """The stored values of one column."""

    x: Float32[np.ndarray, " n"]
    """A number less the column's offset, or a category's place; 0 where missing."""
    there: Bool[np.ndarray, " n"]


def typed(name: str, texts: Sequence[str], wanted: str | None = None, comma: bool = False) -> Column:
    """What a column holds.

    Args:
        name: its header.
        texts: its fields, one a row.
        wanted: one of `KINDS` where a person has said so.
        comma: whether a comma is the decimal point.

    Raises:
        UsageError: too many categories, or texts that are not of the wanted kind; it says what to write instead.

    Example:
        >>> typed("age", ["39", " 50", "NA"])["digits"], typed("sex", ["m", "f", "m"])["categories"]
        (0, ['f', 'm'])
    """
    texts = [t.strip() for t in texts]
    here = [t for t in texts if t not in MISSING]
    absent = [t for t in texts if t in MISSING]
    column: Column = {"name": name, "kind": "empty", "missing": len(absent) / len(texts)}
    column["absent"] = max(sorted(set(absent)), key=absent.count) if absent else ""
    if not here:
        return column
    points = [t.replace(",", ".", 1) for t in here] if comma else here
    kind = wanted or _kind(points)
    if kind == "number":
        return column | {"kind": kind} | _number(name, points)
    if kind == "date":
        return column | {"kind": kind} | _date(name, here)
    _check_categories(name, here, len(texts), wanted)
    categories, counts = np.unique(here, return_counts=True)
    share = [round(float(c) / len(here), 9) for c in counts]
    return column | {"kind": "category", "categories": categories.tolist(), "share": share}


def _kind(texts: Sequence[str]) -> str:
    if all(NUMBER.fullmatch(t) for t in texts):
        return "number"
    return "date" if _date_format(texts) else "category"


def _number(name: str, texts: Sequence[str]) -> Column:
    if bad := next((t for t in texts if _float(t) is None), None):
        raise UsageError(
            f"column {shown(name)}: {shown(bad)!r} is not a finite number.\n"
            'Leave the field empty where a value is missing, or give the column the type "category".'
        )
    x = np.array([float(t) for t in texts])
    as_is = any("e" in t.lower() for t in texts)
    digits = -1 if as_is else max(len(t.partition(".")[2]) for t in texts)
    return {"digits": digits, **_spread(x, digits)}


def _float(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 3e38 else None  # float32 ends there; False of NaN


def _spread(x: np.ndarray, digits: int) -> Column:
    low, high = float(x.min()), float(x.max())
    offset = low if max(abs(low), abs(high)) > EXACT else 0.0
    found = modes_of(x - offset)
    modes = [[float(f"{v:.9g}") for v in mode] for mode in zip(*found, strict=True)]
    return {"low": low, "high": high, "offset": offset, "modes": modes}


def _date_format(texts: Sequence[str]) -> str:
    """`%Y-%m-%d` and a time where there is one; empty where the texts are not all of one format or no dates."""
    first = TIME.fullmatch(texts[0])
    if first is not None:
        form = f"%Y-%m-%d{first[1]}%H:%M{':%S' if first[2] else ''}"
    else:
        form = "%Y-%m-%d" if DAY.fullmatch(texts[0]) else ""
    return form if form and all(_moment(t, form) is not None for t in texts) else ""


def _moment(text: str, form: str) -> datetime.datetime | None:
    try:
        return datetime.datetime.strptime(text, form)
    except ValueError:
        return None


def _date(name: str, texts: Sequence[str]) -> Column:
    form = _date_format(texts)
    if not form:
        raise UsageError(
            f"column {shown(name)}: not all of it is dates of one form, for instance {shown(texts[0])!r}.\n"
            'Write them as 2024-05-31 or 2024-05-31 08:15:00, or give the column the type "category".'
        )
    x = np.array([_number_of_date(t, form) for t in texts])
    return {"digits": 0, "format": form, **(_spread(x, 0) if "%H" not in form else _seconds(x))}


def _seconds(x: np.ndarray) -> Column:
    """Moments are stored from the first one on: float32 has no room for the seconds since 1970."""
    found = _spread(x - x.min(), 0)
    return found | {"offset": float(x.min()), "low": float(x.min()), "high": float(x.max())}


EPOCH = datetime.datetime(1970, 1, 1)


def _number_of_date(text: str, form: str) -> float:
    """Days since 1970, or seconds where the format has hours."""
    past = datetime.datetime.strptime(text, form) - EPOCH
    return past.total_seconds() if "%H" in form else float(past.days)


def _check_categories(name: str, here: Sequence[str], n: int, wanted: str | None) -> None:
    k = len(set(here))
    if wanted == "category" or k <= FEW:
        return
    what = "texts that are a row's own" if 2 * k > len(here) else "different texts"
    if k > MOST_CATEGORIES or 2 * k > len(here):
        raise UsageError(
            f"column {shown(name)}: has {k:,} {what} in {n:,} rows (such as {shown(here[0])!r}), which nothing can be "
            f'learned of.\nLeave it out: write {{"{shown(name)}": "skip"}} into the .types.json file beside the .csv; '
            '"category" takes it all the same.'
        )


def stored(column: Mapping[str, Any], texts: Sequence[str], comma: bool = False) -> Values:
    """A column's texts as numbers; those that the column cannot hold (a category of test rows alone) are missing.

    Example:
        >>> stored({"kind": "category", "categories": ["a", "b"]}, ["b", "", "c"]).x.tolist()
        [1.0, 0.0, 0.0]
    """
    texts = [t.strip() for t in texts]
    there, x = np.zeros(len(texts), bool), np.zeros(len(texts), np.float64)
    kind = column["kind"]
    place = {c: i for i, c in enumerate(column["categories"])} if kind == "category" else {}
    for i, t in enumerate(texts):
        if t in MISSING or kind == "empty":
            continue
        if kind == "category":
            value = place.get(t)
        elif kind == "date":
            value = None if _moment(t, column["format"]) is None else _number_of_date(t, column["format"])
        else:
            value = _float(t.replace(",", ".", 1) if comma else t)
        if value is not None:
            there[i], x[i] = True, value - column.get("offset", 0.0)
    return Values(x.astype(np.float32), there)


def rounded(column: Mapping[str, Any], x: np.ndarray) -> np.ndarray:
    """Stored values as the column can have them: within its range, of its digits; whole numbers of categories.

    Example:
        >>> rounded({"kind": "number", "digits": 0, "low": 0.0, "high": 9.0, "offset": 0.0}, np.array([-3.0, 4.4]))
        array([0., 4.], dtype=float32)
    """
    x = np.asarray(x, np.float64)
    if column["kind"] == "category":
        return np.clip(np.rint(x), 0, len(column["categories"]) - 1).astype(np.float32)
    if column["kind"] == "empty":
        return np.zeros(x.shape, np.float32)
    value = np.clip(x + column["offset"], column["low"], column["high"])
    value = value if column["digits"] < 0 else np.round(value, column["digits"])
    return (value - column["offset"]).astype(np.float32)


def texts(column: Mapping[str, Any], x: np.ndarray, there: np.ndarray, comma: bool = False) -> list[str]:
    """Stored values as the column's own texts: the way back of `stored`, for values that `rounded` has given.

    Example:
        >>> column = {"kind": "number", "digits": 1, "offset": 0.0, "absent": "NA"}
        >>> texts(column, np.array([1.5, 0]), np.array([True, False]))
        ['1.5', 'NA']
    """
    return [_text(column, float(v), comma) if t else column["absent"] for v, t in zip(x, there, strict=True)]


def _text(column: Mapping[str, Any], x: float, comma: bool) -> str:
    if column["kind"] == "category":
        return column["categories"][int(x)]
    value = x + column["offset"]
    if column["kind"] == "date":
        unit = {"seconds" if "%H" in column["format"] else "days": round(value)}
        return (EPOCH + datetime.timedelta(**unit)).strftime(column["format"])
    text = f"{value:.7g}" if column["digits"] < 0 else f"{value:.{column['digits']}f}"
    text = text.removeprefix("-") if float(text) == 0 else text
    return text.replace(".", ",") if comma else text
