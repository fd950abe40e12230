"""The rows of `.csv` files as texts: fields told apart, all rows of one length, headers with names.

Commas, semicolons, tabs and bars tell fields apart, whichever gives the header and the rows the most fields alike.
Quotes, line ends within them, a byte-order mark and CRLF are as RFC 4180 and spreadsheets have them.
"""

import csv
import io
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from genjax.errors import UsageError, shown
from genjax.formats import encoding, files

DELIMITERS = ",;\t|"
LOOKED_AT = 200
"""Rows by which the delimiter is told."""
MOST_BYTES = 2**31


class Rows(NamedTuple):
    """The texts of a file."""

    header: list[str]
    rows: list[list[str]]
    delimiter: str
    lines: Sequence[int] = ()
    """The number of each row's (last) line; none where the rows are not of a file."""


def read_rows(path: Path) -> Rows:
    """The fields of a file, all rows as long as the header.

    Raises:
        UsageError: no text, no rows, fields that cannot be told apart, a header with names twice or without names.
    """
    text = _text(path)
    if not text.strip():
        raise UsageError(f"{shown(path)}: is empty.\nWrite a line of column names and a line for each row.")
    delimiter = _delimiter(text)
    try:
        lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
        numbered = [(lines.line_num, row) for row in lines if row]
    except csv.Error as e:
        raise UsageError(
            f"{shown(path)}: line {lines.line_num}: {e}.\nWrite a quote within quotes twice, and close each one."
        ) from None
    header = [name.strip() for name in numbered[0][1]]
    if "" in header:
        place = header.index("") + 1
        raise UsageError(f"{shown(path)}: column {place} has no name in the first line.\nGive each column a name.")
    if twice := [n for n in header if header.count(n) > 1]:
        raise UsageError(f"{shown(path)}: two columns are named {shown(twice[0])!r}.\nGive each a name of its own.")
    if all(is_number(n) for n in header):
        raise UsageError(
            f"{shown(path)}: the first line has numbers where the columns' names belong.\n"
            "Write a line of names above it."
        )
    if bad := next(((at, row) for at, row in numbered[1:] if len(row) != len(header)), None):
        if not "".join(bad[1]).strip():
            raise UsageError(
                f"{shown(path)}: line {bad[0]} is blank but for spaces.\n"
                f"Delete it; a row without values is written {delimiter * (len(header) - 1)!r}."
            )
        raise UsageError(
            f"{shown(path)}: line {bad[0]} has {len(bad[1])} fields, the header {len(header)}.\n"
            f"Give each row a field for each column; quote those that hold {delimiter!r} or line ends."
        )
    rows = [row for _, row in numbered[1:]]
    if len(rows) < 2:
        raise UsageError(f"{shown(path)}: has {len(rows)} rows below its header.\nA table to learn from has many.")
    return Rows(header, rows, delimiter, [at for at, _ in numbered[1:]])


def written(header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ",") -> bytes:
    """A `.csv` file: UTF-8, a line a row, quotes where fields need them.

    Example:
        >>> written(["a", "b"], [["1", "x, y"]])
        b'a,b\\n1,"x, y"\\n'
    """
    out = io.StringIO(newline="")
    lines = csv.writer(out, delimiter=delimiter, lineterminator="\n")
    lines.writerow(header)
    lines.writerows(rows)
    return out.getvalue().encode()


def _text(path: Path) -> str:
    with files.open_file(path) as f:
        content = f.read(MOST_BYTES + 1)
    if content[:2] == b"\x1f\x8b" or content[:4] == b"PK\x03\x04":
        raise UsageError(f"{shown(path)}: is packed, not text.\nUnpack it, or save the sheet as .csv.")
    if len(content) > MOST_BYTES:
        raise UsageError(f"{shown(path)}: has more than {MOST_BYTES >> 30} GB.\nKeep fewer rows.")
    return encoding.read(content, shown(path))[0]


def _delimiter(text: str) -> str:
    """The one that gives the header the most fields, and as many to the most of the first rows."""

    def agreement(delimiter: str) -> tuple[int, int]:
        try:
            lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
            rows = [row for _, row in zip(range(LOOKED_AT), (r for r in lines if r), strict=False)]
        except csv.Error:
            return 0, 0
        n = len(rows[0])
        return (sum(len(r) == n for r in rows) if n > 1 else 0), n

    return max(DELIMITERS, key=agreement)


def is_number(text: str) -> bool:
    """Whether Python reads a text as a number."""
    try:
        float(text)
    except ValueError:
        return False
    return True
