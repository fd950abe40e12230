"""`genjax results`: the README's tables, made of the committed records and held to them."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from genjax import recipes
from genjax.cli.flags import flag, parse
from genjax.errors import RunFailure, UsageError

BEGIN, END = "<!-- results {} -->", "<!-- end of results -->"
"""Lines around a table of the README; between them `--write` writes."""
RECIPES = "recipes"
"""The name of the table of recipes; tables of measured records are named after their file."""


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
        readme.write_text(written(text, made), encoding="utf-8")
        print(f"{readme}: wrote {', '.join(names)}.")
        return
    for t in made:
        print("\n".join([f"{t.name}:", *t.lines(), ""]))
    if wrong := [w for t in made for w in disagreements(text, t)]:
        raise RunFailure("\n".join([f"{readme.name} and the records disagree:", *wrong, "`genjax results --write`."]))


def tables(folder: Path) -> list[Table]:
    """All tables of a folder of records, that of the recipes first.

    Raises:
        UsageError: a file is no record.
    """
    trained, measured = [], []
    for path in sorted(folder.glob("*.json")):
        try:
            stored = json.loads(path.read_text(encoding="utf-8"))
            if "records" in stored:
                measured.append(_measured(path.stem, stored))
            else:
                trained.append(_trained(stored))
        except (ValueError, KeyError, TypeError, AttributeError) as e:
            raise UsageError(f"{path}: not a result record ({type(e).__name__}: {e}).") from None
    head = ("recipe", "numbers", "seeds", "minutes each", "command")
    return [*([Table(RECIPES, head, tuple(trained))] if trained else []), *measured]


def _trained(r: Mapping[str, Any]) -> tuple[str, ...]:
    """A row of `experiment, command, seeds, seconds` and `metrics`: numbers, or `{"mean": m, "sd": s}` over seeds."""

    def number(v: Any) -> str:
        return f"{v['mean']:.2f} ± {v['sd']:.2f}" if isinstance(v, dict) else f"{v:.2f}"

    numbers = ", ".join(f"{k.replace('_', ' ')} {number(v)}" for k, v in r["metrics"].items())
    seeds = r["seeds"] if isinstance(r["seeds"], int) else len(r["seeds"])
    command = re.sub(r" --data-dir[ =]\S+", "", r["command"])
    return f"`{r['experiment']}`", numbers, str(seeds), f"{r['seconds'] / 60:.1f}", f"`{command}`"


def _measured(name: str, stored: Mapping[str, Any]) -> Table:
    """A row for each recipe and checkpoint that `genjax compare --record` measured, a column for each metric."""
    rows: dict[tuple[str, str], dict[str, Mapping[str, Any]]] = {}
    for r in stored["records"]:
        rows.setdefault((r["subject"]["recipe"], r["protocol"]["checkpoint"]), {})[r["metric"]] = r
    metrics = list(dict.fromkeys(m for row in rows.values() for m in row))
    several = len({checkpoint for _, checkpoint in rows}) > 1
    body = []
    for (recipe, checkpoint), row in rows.items():
        first = f"`{recipe}`" + (f", {checkpoint}" if several else "")
        seeds = max(len(r["seeds"]) for r in row.values()) or 1
        body.append((first, str(seeds), *(_cell(row.get(m)) for m in metrics)))
    floors = [next((row[m]["floor"] for row in rows.values() if m in row), None) for m in metrics]
    body.append(("real data (floor)", "", *("" if f is None else figure(f) for f in floors)))
    return Table(name, (name, "seeds", *metrics), tuple(body))


def _cell(r: Mapping[str, Any] | None) -> str:
    if r is None:
        return "–"
    bounds = r["over_seeds"] or r["over_samples"]
    return figure(r["value"]) + (f" ± {figure((bounds[1] - bounds[0]) / 2)}" if bounds else "")


def figure(v: float | str) -> str:
    """A number for a table: two decimals from 10 on, three significant figures below.

    Example:
        >>> figure(-97.4023), figure(0.012345), figure(2.0)
        ('-97.40', '0.0123', '2')
    """
    v = float(v)
    return f"{v:.2f}" if abs(v) >= 10 else f"{v:.3g}"


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
