"""How numbers and dates are written in the fields of a table, and which field keeps a column from being of such."""

import datetime
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from typing import NamedTuple

NUMBER = re.compile(r"[+-]?(?:(?:0|[1-9]\d*)(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?")
DAY = re.compile(r"\d{4}-\d\d-\d\d")
TIME = re.compile(r"\d{4}-\d\d-\d\d([T ])\d\d:\d\d(:\d\d)?")
NEARLY = 0.9
"""Share of a column's fields that are numbers or dates from which on the others are thought to be mistakes."""
DECORATED = re.compile(r"([+-]?) ?[$€£¥₹]? ?([+-]?\d[\d., '\u00a0]*) ?[%$€£¥₹]?")
THOUSANDS = re.compile(r"\d{1,3}([, '\u00a0])\d{3}(?:\1\d{3})*(?:[.,]\d+)?")
POINTS = re.compile(r"\d{1,3}(?:\.\d{3})+,\d+")
CLOCK = r"(?:[T ]\d{1,2}:\d\d(?::\d\d(?:\.\d+)?)?(?: ?[AaPp][Mm])?(?: ?(?:Z|UTC|[+-]\d\d:?\d\d))?)?"
OTHER_DATE = re.compile(rf"(?:\d{{1,2}}([/.-])\d{{1,2}}\1(?:\d{{4}}|\d\d)|\d{{4}}([/.-])\d{{1,2}}\2\d{{1,2}}){CLOCK}")


class Odd(NamedTuple):
    """The first field of a column that is not as nearly all of its fields are."""

    place: int
    n: int
    """How many fields are odd."""
    what: str
    """What the others are: "number" or "date"."""
    remedy: str
    """What to do about it, half a sentence."""


def finite(text: str) -> float | None:
    """A text as a number that float32 can hold; None where it is none."""
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 3e38 else None  # float32 ends there; False of NaN


def date_format(texts: Sequence[str]) -> str:
    """`%Y-%m-%d` and a time where there is one; empty where the texts are not all of one format or no dates."""
    form = _form(texts[0])
    return form if form and all(moment(t, form) is not None for t in texts) else ""


def moment(text: str, form: str) -> datetime.datetime | None:
    """The day or moment that a text says in a format."""
    try:
        return datetime.datetime.strptime(text, form)
    except ValueError:
        return None


def written(at: datetime.datetime, form: str) -> str:
    """A moment in a format: the way back of `moment`. Years have four digits, which `strftime` of Linux does not keep.

    Example:
        >>> written(datetime.datetime(800, 3, 1), "%Y-%m-%d")
        '0800-03-01'
    """
    return at.strftime(form.replace("%Y", f"{at.year:04d}"))


def odd_one(texts: Sequence[str], comma: bool = False) -> Odd | None:
    """The first field that keeps a column from being of numbers or of dates, where nine in ten of its fields are such.

    Fields as `$1,234` and `31.01.2024` count as numbers and dates, for they are such to who wrote them.

    Args:
        texts: the fields that are not missing, blanks around them left out.
        comma: whether a comma is the decimal point.

    Example:
        >>> odd_one(["5", "7"] * 10 + ["unknown"])
        Odd(place=20, n=1, what='number', remedy='leave the field empty where a value is missing')
        >>> odd_one(["$1,234", "$9"]).remedy
        "write '$1,234' as 1234"
    """
    counts = Counter(texts)
    numbers = {t for t in counts if NUMBER.fullmatch(t.replace(",", ".", 1) if comma else t)}
    bare = {t: b for t in counts.keys() - numbers if (b := _bare(t, comma))}
    if _share(counts, numbers | bare.keys()) >= NEARLY:
        return _odd(texts, counts, numbers, "number", {t: f"write {t!r} as {b}" for t, b in bare.items()})
    forms = {t: form for t in counts if (form := _form(t)) and moment(t, form) is not None}
    wrong = {t for t in counts.keys() - forms.keys() if _form(t)}
    others = {t for t in counts.keys() - forms.keys() - wrong if OTHER_DATE.fullmatch(t)}
    if _share(counts, forms.keys() | wrong | others) < NEARLY:
        return None
    by_form = Counter(forms[t] for t in texts if t in forms)
    main = max(by_form, key=by_form.__getitem__, default="")
    alike = "write all dates of a column alike, as 2024-05-31 or as 2024-05-31 08:15:00"
    remedies = {t: "give a day that there is" if t in wrong else alike for t in (*forms, *wrong, *others)}
    return _odd(texts, counts, {t for t in forms if forms[t] == main}, "date", remedies)


def _odd(
    texts: Sequence[str], counts: Counter[str], good: AbstractSet[str], what: str, remedies: Mapping[str, str]
) -> Odd | None:
    place = next((i for i, t in enumerate(texts) if t not in good), None)
    if place is None:
        return None
    text, n = texts[place], sum(counts[t] for t in counts.keys() - good)
    remedy = "leave the field empty where a value is missing"
    if what == "number" and text[0] == "0" and text.isdigit():
        remedy = 'codes with zeros in front are no numbers, the type "category" says so'
    return Odd(place, n, what, remedies.get(text, remedy))


def _share(counts: Counter[str], which: AbstractSet[str]) -> float:
    return sum(counts[t] for t in which) / counts.total()


def _form(text: str) -> str:
    """The format of a text that looks like a date; empty for any other."""
    found = TIME.fullmatch(text)
    if found is not None:
        return f"%Y-%m-%d{found[1]}%H:%M{':%S' if found[2] else ''}"
    return "%Y-%m-%d" if DAY.fullmatch(text) else ""


def _bare(text: str, comma: bool) -> str:
    """A number without what people put around it, `$1,234.50` as 1234.50; empty for what is no number."""
    found = DECORATED.fullmatch(text)
    if found is None:
        return ""
    sign, digits = found[1], found[2].strip()
    if POINTS.fullmatch(digits):  # 1.234,50
        digits = digits.replace(".", "")
    elif THOUSANDS.fullmatch(digits):
        digits = re.sub(r"[, '\u00a0](?=\d{3})", "", digits)
    digits = digits.replace(",", ".")
    if not NUMBER.fullmatch(digits):
        return ""
    return sign + (digits.replace(".", ",") if comma else digits)
