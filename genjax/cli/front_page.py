"""The tables of the top README: words of `experiments/results/readme.toml` around numbers of committed records."""

import re
import tomllib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeAlias

from genjax.checked import Each, checked
from genjax.cli.tables import Table
from genjax.errors import UsageError

FILE = "readme.toml"
Written: TypeAlias = Callable[[Mapping[str, Any]], str]
TABLE = {"head": [str], "rows": [[str]]}
"""What is read of each table; see `genjax.checked`."""
REFERENCE = re.compile(r"\{([^{}]+)\}")
"""`{RECORD / RECIPE / METRIC}`: a number of the last checkpoint; ` / best`: of the best; ` / floor`: of real data."""


def front_tables(
    folder: Path, runs: Mapping[str, Sequence[Mapping[str, Any]]], number: Written, floor: Written
) -> list[Table]:
    """The tables of a folder's `readme.toml`, their references replaced by numbers.

    Args:
        folder: where the records are.
        runs: of each record, by its name.
        number: `number(record) -> str`, a measured value with its interval.
        floor: `floor(record) -> str`, the same metric of real data.

    Raises:
        UsageError: the file cannot be read, or a reference leads to no record.
    """
    path = folder / FILE
    if not path.is_file():
        return []
    try:
        stored = checked(tomllib.loads(path.read_text(encoding="utf-8")), Each(TABLE), path)
    except (OSError, tomllib.TOMLDecodeError) as e:
        raise UsageError(f"{path}: cannot be read ({e}).") from None

    def filled(cell: str) -> str:
        return REFERENCE.sub(lambda found: value(found[1]), cell)

    def value(reference: str) -> str:
        name, recipe, metric, *how = [*(part.strip() for part in reference.split(" / ")), "", ""]
        checkpoint = "best" if "best" in how else "last"
        for run in runs.get(name, ()):
            for r in run["records"] if run["recipe"] == recipe else ():
                if r["metric"] == metric and r["protocol"]["checkpoint"] == checkpoint:
                    return floor(r) if "floor" in how else number(r)
        raise UsageError(f"{path}: {{{reference}}} is in no record; it must be {{RECORD / RECIPE / METRIC}}.")

    return [
        Table(name, tuple(map(filled, t["head"])), tuple(tuple(map(filled, row)) for row in t["rows"]))
        for name, t in stored.items()
    ]
