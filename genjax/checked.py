"""Checks what was read from a file against what it should be, and names the field. Standard library only.

A run's folder may come from anywhere: whatever is read from it is checked once, where it enters. A *kind* is

    a type                         of it (`int` and `float` take no booleans; `float` takes whole numbers)
    number                         a number, or what strict JSON has for NaN and infinities
    (kind, kind)                   one of these; `None` is itself
    [kind]                         a list of such
    {"name": kind, "name?": kind}  a mapping with these fields, the second only perhaps; others are as they are
    Each(kind)                     a mapping of names to such

A seal lists thousands of values. The type checker of the tests would take ten times as long for each as what is here:
hence `no_type_check`.
"""

import json
import math
from collections.abc import Mapping
from typing import Any, NamedTuple, no_type_check

from genjax.errors import UsageError

LARGEST_FILE = 2**26
"""Bytes of a JSON file that is read whole; the largest that genjax writes have a hundredth of it."""
SHOWN = 40
"""Characters of a wrong value in a message."""


class Each(NamedTuple):
    """A mapping of names to values of one kind."""

    kind: Any


class number:
    """A number, or the name of one that JSON has no word for."""


NUMBERS = ("NaN", "Infinity", "-Infinity")
WORDS = {str: "text", int: "a whole number", float: "a number", number: "a number", bool: "true or false",
         dict: "a mapping", list: "a list", None: "nothing"}  # fmt: skip


def checked(value: Any, kind: Any, where: object) -> Any:
    """`value`, where it is of the kind.

    Args:
        value: what `json.loads` gave.
        kind: see above.
        where: the file, for the message.

    Raises:
        UsageError: naming the file and the first field that is wrong.

    Example:
        >>> checked({"seeds": [0, 1]}, {"seeds": [int], "sweep?": Each([float])}, "a.json")
        {'seeds': [0, 1]}
        >>> checked({"seeds": [0, "1"]}, {"seeds": [int]}, "a.json")
        Traceback (most recent call last):
        genjax.errors.UsageError: a.json is damaged: seeds.1 is '1', not a whole number.
    """
    if wrong := _wrong(value, kind, ""):
        raise UsageError(f"{where} is damaged: {wrong}.")
    return value


def parsed(raw: bytes, where: object) -> Any:
    """The JSON in `raw`.

    Raises:
        UsageError: it is not JSON, or too large or nested too deep to be a file of genjax's.
    """
    if len(raw) > LARGEST_FILE:
        raise UsageError(f"{where} is damaged: {len(raw) / 1e6:.0f} MB are no file of genjax's.")
    try:
        return json.loads(raw)
    except (ValueError, RecursionError) as e:
        raise UsageError(f"{where} is damaged: it is not JSON ({e}).") from None


@no_type_check
def is_number(value: Any) -> bool:
    """Whether it is a number that a float can hold, or the name of one that JSON has no word for."""
    if isinstance(value, bool):
        return False
    if isinstance(value, int):
        return abs(value) < 2**1000  # more than a float can hold is no number to compute with
    return isinstance(value, float) or (isinstance(value, str) and value in NUMBERS)


@no_type_check
def _wrong(value: Any, kind: Any, at: str) -> str:
    """What is wrong, beginning with the field's name; empty where nothing is."""
    if isinstance(kind, tuple) and not isinstance(kind, Each):
        each = [_wrong(value, k, at) for k in kind]
        return "" if not all(each) else max(each, key=lambda w: w.split(" ")[0].count("."))
    if isinstance(kind, list):
        if not isinstance(value, list):
            return _describe_mismatch(value, list, at)
        return next((w for i, v in enumerate(value) if (w := _wrong(v, kind[0], f"{at}.{i}"))), "")
    if isinstance(kind, Each):
        if not isinstance(value, Mapping):
            return _describe_mismatch(value, dict, at)
        return next((w for k, v in value.items() if (w := _wrong(v, kind.kind, f"{at}.{k}"))), "")
    if isinstance(kind, Mapping):
        return _wrong_fields(value, kind, at)
    return "" if _is(value, kind) else _describe_mismatch(value, kind, at)


@no_type_check
def _wrong_fields(value: Any, kind: Mapping[str, Any], at: str) -> str:
    if not isinstance(value, Mapping):
        return _describe_mismatch(value, dict, at)
    for name, k in kind.items():
        field, perhaps = name.removesuffix("?"), name.endswith("?")
        if field not in value:
            if not perhaps:
                return f"it has no {f'{at}.{field}'.lstrip('.')}"
        elif w := _wrong(value[field], k, f"{at}.{field}"):
            return w
    return ""


@no_type_check
def _is(value: Any, kind: Any) -> bool:
    if kind is number:
        return is_number(value)
    if kind is None:
        return value is None
    if kind is float:
        return is_number(value) and not isinstance(value, str) and math.isfinite(value)
    if kind is int:
        return isinstance(value, int) and not isinstance(value, bool) and abs(value) < 2**63
    return isinstance(value, kind) and (kind is not str or _is_text(value))


@no_type_check
def _is_text(value: str) -> bool:
    """Whether it can be written; a file name that is not text is kept as `os.fsdecode` gives it."""
    try:
        value.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return False
    return True


def _describe_mismatch(value: Any, kind: Any, at: str) -> str:
    shown = ascii(value) if isinstance(value, str | int | float | None) else f"a {WORDS.get(type(value), 'value')[2:]}"
    shown = f"{shown[:SHOWN]}..." if len(shown) > SHOWN else shown
    name = at.lstrip(".")
    name = ascii(name)[1:-1] if len(name) <= 80 else f"{ascii(name)[1:80]}..."
    return f"{name or 'all of it'} is {shown}, not {WORDS.get(kind, 'what it should be')}"
