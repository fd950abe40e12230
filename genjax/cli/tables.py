"""Tables of a README between marks: rendered of records, compared with them, and written. Standard library only."""

import re
from collections.abc import Sequence
from typing import NamedTuple

BEGIN, END = "<!-- results {} -->", "<!-- end of results -->"
"""Lines around a table of the README; between them `--write` writes."""


class Table(NamedTuple):
    """A table of the README."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The first cell names the row."""

    def lines(self) -> list[str]:
        """The table as lines of Markdown."""
        return [_line(self.head), "|" + "---|" * len(self.head), *(_line(r) for r in self.rows)]


def disagreements(text: str, table: Table) -> list[str]:
    """What a README says otherwise than the records, a line for each row; nothing where it has no such table."""
    found = _block(text, table.name)
    if found is None:
        return []
    there = [line for line in found.splitlines() if line.strip()]
    head, _, *rows = table.lines()
    wrong = [] if there[:1] == [head] else [f"  {table.name}: the head must be {head}"]
    by_name = {_first(line): line for line in there[2:]}
    for line in rows:
        if (said := by_name.pop(_first(line), None)) != line:
            wrong.append(f"  {table.name}, row {_first(line)}: records say {line}\n    README says {said or 'nothing'}")
    return wrong + [f"  {table.name}, row {name}: there is no record of it" for name in by_name]


def written(text: str, made: Sequence[Table]) -> str:
    """A README with every table that it has marks for as the records have it."""
    for table in made:
        if (found := _block(text, table.name)) is not None:
            mark = BEGIN.format(table.name)
            text = text.replace(f"{mark}{found}{END}", "\n".join([mark, *table.lines(), END]), 1)
    return text


def _block(text: str, name: str) -> str | None:
    """What stands between a table's marks."""
    found = re.search(f"{re.escape(BEGIN.format(name))}(.*?){re.escape(END)}", text, re.DOTALL)
    return found[1] if found else None


def _line(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _first(line: str) -> str:
    return line.strip("| ").split(" | ")[0].strip()
