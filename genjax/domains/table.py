"""Tables: float32 (columns,), numbers and the places of categories; a mask says what is not missing."""

from typing import Any

import numpy as np

from genjax.data import Examples, Spec
from genjax.data.columns import rounded, texts
from genjax.data.table_coding import MISSING
from genjax.domains.contract import GENERIC, Chart, Domain, Finished, How, Piece, Table
from genjax.errors import UsageError, shown
from genjax.formats.csv_file import written
from genjax.metrics.spaces import Space
from genjax.metrics.table_metrics import row_vectors, rows_of, table_metrics
from genjax.viz.columns import Panel, columns

ROWS = 12
"""Rows that a page shows."""


def finish(x: Any, spec: Spec) -> Finished:
    """Rows as the columns can have them: within their range, of their digits; with a mask of what is there."""
    x = np.asarray(x, np.float32)
    finite = np.asarray(np.isfinite(x).all(axis=1))
    there = x > MISSING / 2
    values = np.where(there & np.isfinite(x), x, 0.0)
    kept = np.stack([rounded(c, values[:, i]) for i, c in enumerate(spec.columns)], 1)
    return Finished(Examples(np.where(there, kept, 0.0).astype(np.float32), None, there), finite)


def fields(examples: Examples, spec: Spec) -> list[tuple[str, ...]]:
    """Each row's texts, as the table's own file has them."""
    rows, comma = rows_of(examples), spec.about.get("decimal") == ","
    each = [texts(c, rows.x[:, i], rows.there[:, i], comma) for i, c in enumerate(spec.columns)]
    return list(zip(*each, strict=True))


def head(spec: Spec) -> tuple[str, ...]:
    """The names of the columns."""
    return tuple(c["name"] for c in spec.columns)


def show(examples: Examples, spec: Spec, ncols: int | None = None, close: bool = False) -> list[Piece]:
    """Some rows, and a histogram of each column over all of them."""
    some = Examples(examples.x[:ROWS], None, rows_of(examples).there[:ROWS])
    table = Table(head(spec), tuple(tuple(map(shown, row)) for row in fields(some, spec)))
    if len(examples.x) <= ROWS:
        return [table]
    return [table, Chart(columns(_panels(examples, spec)), f"{len(examples.x):,} rows, column by column")]


def _panels(examples: Examples, spec: Spec) -> list[Panel]:
    rows, panels = rows_of(examples), []
    for i, c in enumerate(spec.columns):
        x = rows.x[rows.there[:, i], i]
        if c["kind"] == "category":
            counts = np.bincount(x.astype(np.int64), minlength=len(c["categories"]))
            panels.append(Panel(c["name"], counts, tuple(map(shown, c["categories"]))))
        elif c["kind"] != "empty":
            panels.append(Panel(c["name"], x + c["offset"]))
    return panels


def as_csv(examples: Examples, spec: Spec, how: How) -> bytes:
    """A `.csv` file with the table's own columns, in their order, separated as its own file is."""
    return written(head(spec), fields(examples, spec), spec.about.get("delimiter", ","))


def glance(examples: Examples, spec: Spec) -> str:
    """The first rows as text."""
    some = Examples(examples.x[:ROWS], None, rows_of(examples).there[:ROWS])
    return as_csv(some, spec, How()).decode()


def space(name: str, spec: Spec) -> Space:
    """Numbers over their range and one-hot categories, see `metrics.table_metrics.row_vectors`.

    Raises:
        UsageError: another space is asked for.
    """
    if name not in ("", "columns"):
        raise UsageError(f"--features={name}: {spec.name} is a table, compared by its columns. Leave it out.")
    return Space("columns", "", lambda x, mask=None: row_vectors(spec.columns, rows_of(Examples(x, None, mask))))


def vector(examples: Examples, spec: Spec) -> np.ndarray:
    """As the space has them."""
    return row_vectors(spec.columns, rows_of(examples))


DOMAIN = Domain(
    name="table",
    one="row",
    many="rows",
    finish=finish,
    show=show,
    glance=glance,
    save={".csv": as_csv},
    space=space,
    vector=vector,
    sizes=lambda spec: f"{len(spec.columns)} columns",
    metrics=lambda spec: table_metrics(spec.columns),
    kinds=(*GENERIC, "examples"),
    measured=lambda spec, config: {"quantisation": "the columns' digits and ranges", "resize": "none"},
    compared="columns",
    abreast=1,
    shown=500,
)
