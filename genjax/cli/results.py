"""`genjax results`: writes the tables of the READMEs from the committed records, and checks them against these."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from genjax import recipes
from genjax.checked import checked, number, parsed
from genjax.cli import accelerators
from genjax.cli.flags import flag, parse
from genjax.cli.front_page import front_tables
from genjax.cli.tables import BEGIN, Table, disagreements, written
from genjax.errors import RunFailure, UsageError
from genjax.figures import figure, with_half
from genjax.files import locked, write_out
from genjax.metrics import direction


@dataclass(frozen=True)
class Results:
    """Print the committed results as tables of the READMEs, and fail where a README says otherwise."""

    write: bool = flag(False, help="write the tables into the READMEs, between their marks")


def results(argv: Sequence[str]) -> None:
    """`genjax results [--write]`: exit code 1 where a row of a README is not what the records say."""
    args = parse(Results, argv, "genjax results")
    experiments = recipes.folder()
    runs = runs_of(experiments / "results")
    devices = accelerators.read_devices(experiments / "accelerator" / "results")
    if not runs and not devices:
        print(f"There are no records in {experiments / 'results'}.")
        return
    front = front_tables(experiments / "results", runs, with_interval, of_real_data)
    pages = [Page(experiments.parent / "README.md", front, accelerators.sentence(devices))]
    if runs:
        pages.append(Page(experiments / "README.md", tables(runs)))
    if (page := experiments / "accelerator" / "README.md").is_file():
        pages.append(Page(page, accelerators.tables(experiments / "accelerator" / "results")))
    if args.write:
        for page in pages:
            page.write()
        return
    for page in pages:
        for t in page.tables:
            print("\n".join([f"{t.name}:", *t.lines(), ""]))
    wrong = [line for page in pages for line in page.wrong()]
    if wrong:
        raise RunFailure("\n".join([*wrong, "`genjax results --write` writes what the records say."]))
    for page in pages:
        if shown := page.shown():
            print(f"{page.name} agrees with the records: {', '.join(shown)}.")


class Page(NamedTuple):
    """A README, and what the records say of it."""

    path: Path
    tables: list[Table]
    sentence: str = ""
    """On accelerators, where it has marks for one."""

    @property
    def name(self) -> str:
        """The path that messages show."""
        root = recipes.folder().parent
        return self.path.relative_to(root).as_posix() if self.path.is_relative_to(root) else self.path.name

    @property
    def text(self) -> str:
        """The README's text; empty where there is none."""
        return self.path.read_text(encoding="utf-8") if self.path.is_file() else ""

    def shown(self) -> list[str]:
        """The tables that it has marks for."""
        return [t.name for t in self.tables if BEGIN.format(t.name) in self.text]

    def wrong(self) -> list[str]:
        """What it says otherwise than the records."""
        text = self.text
        found = [w for t in self.tables for w in disagreements(text, t)]
        if text and self.sentence and accelerators.with_sentence(text, self.sentence) != text:
            found.append(f"  the sentence on accelerators: records say {self.sentence!r}")
        return [f"{self.name} and the records disagree:", *found] if found else []

    def write(self) -> None:
        """Writes the tables and the sentence between their marks.

        Raises:
            UsageError: it has no marks for tables.
        """
        names = self.shown()
        if self.tables and not names:
            raise UsageError(f"{self.path}: has no line {BEGIN.format(self.tables[0].name)!r} to write a table under.")
        if not self.text:
            return
        with locked(self.path):
            text = written(self.text, self.tables)
            if self.sentence:
                text = accelerators.with_sentence(text, self.sentence)
            write_out(self.path, text.encode(), "README")
        if names:
            print(f"{self.path}: wrote {', '.join(names)}.")


def tables(runs: Mapping[str, Sequence[Mapping[str, Any]]]) -> list[Table]:
    """A table for each record, with its name."""
    return [_table(name, of_record) for name, of_record in runs.items()]


def runs_of(folder: Path) -> dict[str, Sequence[Mapping[str, Any]]]:
    """The runs of each record in a folder, by the name of its file.

    Raises:
        UsageError: a file is no record.
    """
    made = {}
    for path in sorted(folder.glob("*.json")):
        try:
            made[path.stem] = checked(parsed(path.read_bytes(), path), {"runs": [RUN]}, path)["runs"]
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
    return "–" if r is None else with_interval(r)


def with_interval(r: Mapping[str, Any]) -> str:
    """A record's value and half its interval."""
    low, high = [float(v) for v in r["over_seeds"] or r["over_samples"] or ()][:2] or (math.nan, math.nan)
    return with_half(float(r["value"]), (high - low) / 2)


def of_real_data(r: Mapping[str, Any]) -> str:
    """A record's floor."""
    return "–" if r["floor"] is None else figure(float(r["floor"]))
