"""`genjax results`: the README's tables, made of the committed records and held to them."""

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from genjax import recipes
from genjax.checked import checked, number, parsed
from genjax.cli.flags import flag, parse
from genjax.errors import RunFailure, UsageError
from genjax.figures import figure, with_half
from genjax.files import locked, write_out
from genjax.metrics import direction

BEGIN, END = "<!-- results {} -->", "<!-- end of results -->"
"""Lines around a table of the README; between them `--write` writes."""


class Table(NamedTuple):
    """A table of the README."""

    name: str
    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    """The first cell names the row."""

    def lines(self) -> list[str]:
        """As Markdown."""
        return [_line(self.head), "|" + "---|" * len(self.head), *(_line(r) for r in self.rows)]


@dataclass(frozen=True)
class Results:
    """Print the committed results as the README's tables, and fail where the README says otherwise."""

    write: bool = flag(False, help="write the tables into the README, between their marks")


def results(argv: Sequence[str]) -> None:
    """`genjax results [--write]`: exit code 1 where a row of the README is not what the records say."""
    args = parse(Results, argv, "genjax results")
    made = tables(recipes.folder() / "results")
    if not made:
        print(f"There are no records in {recipes.folder() / 'results'}.")
        return
    readme = recipes.folder().parent / "README.md"
    text = readme.read_text(encoding="utf-8") if readme.is_file() else ""
    if args.write:
        if not (names := [t.name for t in made if BEGIN.format(t.name) in text]):
            raise UsageError(f"{readme}: has no line {BEGIN.format(made[0].name)!r} to write a table under.")
        with locked(readme):
            write_out(readme, written(readme.read_text(encoding="utf-8"), made).encode(), "README")
        print(f"{readme}: wrote {', '.join(names)}.")
        return
    for t in made:
        print("\n".join([f"{t.name}:", *t.lines(), ""]))
    if wrong := [w for t in made for w in disagreements(text, t)]:
        hint = "`genjax results --write` writes what the records say."
        raise RunFailure("\n".join([f"{readme.name} and the records disagree:", *wrong, hint]))
    if shown := [t.name for t in made if BEGIN.format(t.name) in text]:
        print(f"{readme.name} agrees with the records: {', '.join(shown)}.")


def tables(folder: Path) -> list[Table]:
    """The tables of a folder of records, each named after its file.

    Raises:
        UsageError: a file is no record.
    """
    made = []
    for path in sorted(folder.glob("*.json")):
        try:
            stored = checked(parsed(path.read_bytes(), path), {"runs": [RUN]}, path)
            made.append(_table(path.stem, stored["runs"]))
        except OSError as e:
            raise UsageError(f"{path}: cannot be read ({e.strerror or e}).") from None
        except UsageError as e:
            raise UsageError(f"{path}: not a result record ({str(e).partition(' is damaged: ')[2][:-1]}).") from None
    return made


NUMBER = {
    "metric": str, "value": number, "better": str, "floor": (number, None), "over_seeds": ([number], None),
    "over_samples": ([number], None), "protocol": {"n": int, "checkpoint": str},
}  # fmt: skip
RUN = {"recipe": str, "command": str, "each": [{"seconds": (number, None)}], "records": [NUMBER]}
"""What is read of a record's runs; see `genjax.checked`."""


def _table(name: str, runs: Sequence[Mapping[str, Any]]) -> Table:
    """What `genjax compare --record` wrote: a row for each metric, a column for each recipe and checkpoint."""
    columns: dict[tuple[int, str], dict[str, Mapping[str, Any]]] = {}
    for i, run in enumerate(runs):
        for r in run["records"]:
            columns.setdefault((i, r["protocol"]["checkpoint"]), {})[r["metric"]] = r
    several = len({checkpoint for _, checkpoint in columns}) > 1
    head = [f"`{runs[i]['recipe']}`" + (f", {checkpoint}" if several else "") for i, checkpoint in columns]
    rows = []
    for metric in dict.fromkeys(m for column in columns.values() for m in column):
        there = [column[metric] for column in columns.values() if metric in column]
        floor = next((r["floor"] for r in there if r["floor"] is not None), None)
        arrow = direction.arrow(metric, there[0]["better"])
        cells = [_cell(column.get(metric)) for column in columns.values()]
        n = " / ".join(dict.fromkeys(f"{r['protocol']['n']:,}" for r in there))
        rows.append((f"{metric}{arrow}", *cells, "" if floor is None else figure(float(floor)), n))
    of_runs = {
        "seeds": [str(len(run["each"])) for run in runs],
        "minutes each": [_minutes(run["each"]) for run in runs],
        "command": [f"`{run['command']}`" for run in runs],
    }
    first = dict(reversed(columns))  # a recipe's runs are told of once
    for what, values in of_runs.items():
        rows.append((what, *(values[i] if first[i] == checkpoint else "" for i, checkpoint in columns), "", ""))
    return Table(name, (name, *head, "real data (floor)", "N"), tuple(rows))


def _minutes(each: Sequence[Mapping[str, Any]]) -> str:
    known = [float(r["seconds"]) for r in each if r["seconds"] is not None]
    return f"{sum(known) / len(known) / 60:.1f}" if known else "?"


def _cell(r: Mapping[str, Any] | None) -> str:
    if r is None:
        return "–"
    low, high = [float(v) for v in r["over_seeds"] or r["over_samples"] or ()][:2] or (math.nan, math.nan)
    return with_half(float(r["value"]), (high - low) / 2)


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
