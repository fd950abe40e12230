"""The columns of a table: what each one holds, told from its texts by one rule, and the way to numbers and back.

The rule, for the texts of a column that are not missing (see `MISSING`), blanks around them left out:

1. all are missing: `empty`;
2. all are numbers in digits, none with a leading zero (zip codes are no numbers): `number`, rounded as its texts are;
3. all are days `2024-05-31`, or such with a time `2024-05-31 08:15[:00]` (a `T` for the blank will do): `date`;
4. else `category`. With more than `MOST_CATEGORIES` different texts, or with a text of its own in most rows, it is
   refused: names and identifiers have no distribution to learn. Where nine texts in ten are numbers or dates, the
   first that is none is named (`field_forms.odd_one`).

`types` says otherwise: `{"zip": "category", "id": "skip"}`.
"""

import datetime
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32

from genjax.data.field_forms import NUMBER, Odd, date_format, finite, moment, odd_one, written
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
WHOLE = 2**53
"""Whole numbers from this on are not all told apart by float64; they are identifiers, mostly."""
DIGITS = 7
"""Significant digits that float32 keeps of a number."""

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
    lost: int = -1
    """The first place whose value float32 does not hold to the column's last digit; -1 where there is none."""


def typed(
    name: str, texts: Sequence[str], wanted: str | None = None, comma: bool = False,
    where: Callable[[int], str] = "row {}".format, notes: list[str] | None = None,
) -> Column:  # fmt: skip
    """What a column holds.

    Args:
        name: its header.
        texts: its fields, one a row.
        wanted: one of `KINDS` where a person has said so.
        comma: whether a comma is the decimal point.
        where: what messages call the place of a field, of its index.
        notes: what should be said of the column is added here.

    Raises:
        UsageError: too many categories, whole numbers too large for float64, or texts that are not of the wanted kind;
            it says what to write instead.

    Example:
        >>> typed("age", ["39", " 50", "NA"])["digits"], typed("sex", ["m", "f", "m"])["categories"]
        (0, ['f', 'm'])
    """
    texts = [t.strip() for t in texts]
    places = [i for i, t in enumerate(texts) if t not in MISSING]
    here = [texts[i] for i in places]
    absent = [t for t in texts if t in MISSING]
    column: Column = {"name": name, "kind": "empty", "missing": len(absent) / len(texts)}
    column["absent"] = max(sorted(set(absent)), key=absent.count) if absent else ""
    if not here:
        return column

    def named(i: int) -> str:
        return f"{shown(here[i])!r} on {where(places[i])}"

    points = [t.replace(",", ".", 1) for t in here] if comma else here
    kind = wanted or _kind(points)
    if kind == "number":
        if wanted is None:
            _check_whole(name, points, named)
        return column | {"kind": kind} | _number(name, points, named)
    if kind == "date":
        return column | {"kind": kind} | _date(name, here, named)
    odd = None if wanted else odd_one(here, comma)
    _check_categories(name, here, len(texts), wanted, odd, named)
    categories, counts = np.unique(here, return_counts=True)
    if odd is not None and notes is not None:
        notes.append(
            f"column {shown(name)}: {named(odd.place)} is no {odd.what}, so all of it is taken as "
            f"{len(categories):,} categories; {odd.remedy}."
        )
    share = [round(float(c) / len(here), 9) for c in counts]
    return column | {"kind": "category", "categories": categories.tolist(), "share": share}


def _kind(texts: Sequence[str]) -> str:
    if all(NUMBER.fullmatch(t) for t in texts):
        return "number"
    return "date" if date_format(texts) else "category"


def _check_whole(name: str, texts: Sequence[str], named: Callable[[int], str]) -> None:
    """Refuse numbers in full that float64 would make others of."""
    large = (i for i, t in enumerate(texts) if len(t) > DIGITS and "e" not in t.lower() and abs(float(t)) >= WHOLE)
    bad = next(large, None)
    if bad is not None:
        raise UsageError(
            f"column {shown(name)}: {named(bad)} is a number of 2^53 or more, whose last digits would be lost.\n"
            f'If it is an identifier, leave it out: {_skip(name)}; "category" takes it as it is, "number" rounds it.'
        )


def _number(name: str, texts: Sequence[str], named: Callable[[int], str]) -> Column:
    bad = next((i for i, t in enumerate(texts) if finite(t) is None), None)
    if bad is not None:
        raise UsageError(
            f"column {shown(name)}: {named(bad)} is not a finite number.\n"
            'Leave the field empty where a value is missing, or give the column the type "category".'
        )
    x = np.array([float(t) for t in texts])
    as_is = any("e" in t.lower() for t in texts)
    digits = -1 if as_is else max(len(t.partition(".")[2]) for t in texts)
    return {"digits": digits, **_spread(x)}


def _spread(x: np.ndarray) -> Column:
    low, high = float(x.min()), float(x.max())
    offset = low if max(abs(low), abs(high)) > EXACT else 0.0
    found = modes_of(x - offset)
    modes = [[float(f"{v:.9g}") for v in mode] for mode in zip(*found, strict=True)]
    return {"low": low, "high": high, "offset": offset, "modes": modes}


def _date(name: str, texts: Sequence[str], named: Callable[[int], str]) -> Column:
    form = date_format(texts)
    if not form:
        odd = odd_one(texts)
        place = odd.place if odd is not None and odd.what == "date" else 0
        raise UsageError(
            f"column {shown(name)}: not all of it is dates of one form, for instance {named(place)}.\n"
            'Write them as 2024-05-31 or 2024-05-31 08:15:00, or give the column the type "category".'
        )
    x = np.array([_number_of_date(t, form) for t in texts])
    return {"digits": 0, "format": form, **(_spread(x) if "%H" not in form else _seconds(x))}


def _seconds(x: np.ndarray) -> Column:
    """Moments are stored from the first one on: float32 has no room for the seconds since 1970."""
    found = _spread(x - x.min())
    return found | {"offset": float(x.min()), "low": float(x.min()), "high": float(x.max())}


EPOCH = datetime.datetime(1970, 1, 1)


def _number_of_date(text: str, form: str) -> float:
    """Days since 1970, or seconds where the format has hours."""
    past = datetime.datetime.strptime(text, form) - EPOCH
    return past.total_seconds() if "%H" in form else float(past.days)


def _skip(name: str) -> str:
    return f'write {{"{shown(name)}": "skip"}} into the .types.json file beside the .csv'


def _check_categories(
    name: str, here: Sequence[str], n: int, wanted: str | None, odd: Odd | None, named: Callable[[int], str]
) -> None:
    k = len(set(here))
    if wanted == "category" or k <= FEW or (k <= MOST_CATEGORIES and 2 * k <= len(here)):
        return
    if odd is not None:
        more = f" (nor are {odd.n - 1:,} more)" if odd.n > 1 else ""
        raise UsageError(
            f"column {shown(name)}: would be one of {odd.what}s, but {named(odd.place)} is none{more}.\n"
            f"{odd.remedy[:1].upper()}{odd.remedy[1:]}. To leave the column out: {_skip(name)}."
        )
    what = "texts that are a row's own" if 2 * k > len(here) else "different texts"
    raise UsageError(
        f"column {shown(name)}: has {k:,} {what} in {n:,} rows (such as {shown(here[0])!r}), which nothing can be "
        f'learned of.\nLeave it out: {_skip(name)}; "category" takes it all the same.'
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
            value = None if moment(t, column["format"]) is None else _number_of_date(t, column["format"])
        else:
            value = finite(t.replace(",", ".", 1) if comma else t)
        if value is not None:
            there[i], x[i] = True, value - column.get("offset", 0.0)
    low = x.astype(np.float32)
    return Values(low, there, -1 if kind in ("category", "empty") else _first_lost(column, texts, x, low, there))


def _first_lost(
    column: Mapping[str, Any], texts: Sequence[str], x: np.ndarray, low: np.ndarray, there: np.ndarray
) -> int:
    """The first place whose text does not come back; -1 where all do."""
    if column.get("digits", 0) < 0:
        long = (len(_significant(t)) > DIGITS for t in texts)
        return next((i for i, lost in enumerate(long) if lost and there[i]), -1)
    unit = _unit_of_time(column) if column["kind"] == "date" else 10.0 ** -column.get("digits", 0)
    lost = there & (np.abs(low - x) > unit / 2)
    for i in map(int, np.flatnonzero(there & (np.abs(x + column.get("offset", 0.0)) >= WHOLE))):  # lost by float64
        lost[i] = len(_significant(texts[i])) > 15
    places = [int(i) for i in np.flatnonzero(lost)]
    return next((i for i in places if len(_significant(texts[i])) > DIGITS), places[0] if places else -1)


def _significant(text: str) -> str:
    """The digits of a number that count."""
    mantissa = text.lower().partition("e")[0]
    return mantissa.strip("+-").replace(".", "").replace(",", "").strip("0")


def _unit_of_time(column: Mapping[str, Any]) -> int:
    """Stored units in the smallest step of a column's dates: days, or seconds in a second or a minute."""
    return 1 if "%H" not in column["format"] or "%S" in column["format"] else 60


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
        step = _unit_of_time(column)
        unit = {"seconds" if "%H" in column["format"] else "days": step * round(value / step)}
        return written(EPOCH + datetime.timedelta(**unit), column["format"])
    text = f"{value:.7g}" if column["digits"] < 0 else f"{value:.{column['digits']}f}"
    text = text.removeprefix("-") if float(text) == 0 else text
    return text.replace(".", ",") if comma else text
