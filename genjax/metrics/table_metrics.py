"""Metrics of tables alone, as lines of the table of metrics, and the space in which rows are compared."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from genjax.data import Examples
from genjax.metrics.closest_record import distance_to_closest
from genjax.metrics.columns import Rows, quality
from genjax.metrics.spaces import Numbers
from genjax.metrics.table import Metric
from genjax.metrics.train_synthetic import target_of, train_test

MOST_ROWS = 2000
"""Rows whose distance to the closest record is measured."""


def rows_of(examples: Examples) -> Rows:
    """A table's rows with their mask."""
    mask = np.ones(examples.x.shape, bool) if examples.event_mask is None else examples.event_mask
    return Rows(examples.x, mask)


def table_metrics(columns: Sequence[Mapping[str, Any]]) -> dict[str, Metric]:
    """The metrics of rows with these columns.

    `quality` is SDMetrics' score with every pair of columns. `tstr` is the accuracy, and F1, on the reference of a
    classifier that was trained on generated rows; its floor is that of one trained on real ones. `dcr` is the median
    distance of generated rows to the closest training row; its floor is that of real rows.
    """

    def alike(real: Rows, fake: Examples, key) -> Numbers:
        found = quality(columns, real, rows_of(fake))
        return {"quality": found.score, "column_shapes": found.shape, "pair_trends": found.trend}

    def learned(real: Rows, fake: Examples, key) -> Numbers:
        assert target is not None
        found = train_test(columns, rows_of(fake), real, target)
        return {"tstr_accuracy": found.accuracy, "tstr_f1": found.f1}

    def closest(train: Rows, fake: Examples, key) -> Numbers:
        fake_ = Rows(*(a[:MOST_ROWS] for a in rows_of(fake)))
        distance = distance_to_closest(columns, fake_, train)
        return {"dcr": float(np.median(distance)), "copied": float((distance == 0).mean())}

    target = target_of(columns)
    found = {
        "quality": Metric(
            alike, "examples", {"quality": "higher", "column_shapes": "higher", "pair_trends": "higher"},
            rows_of, n_resamples=8,
        ),
        "dcr": Metric(
            closest, "examples", {"dcr": "nearest", "copied": "nearest"}, rows_of, n_resamples=0, against="training",
            settings={"most": MOST_ROWS},
        ),
    }  # fmt: skip
    if target is not None:
        found["tstr"] = Metric(
            learned, "examples", {"tstr_accuracy": "nearest", "tstr_f1": "nearest"}, rows_of, n_resamples=0,
        )  # fmt: skip
    return found


def row_vectors(columns: Sequence[Mapping[str, Any]], rows: Rows) -> Float[np.ndarray, "n d"]:
    """Rows as numbers in which distances mean something: numbers over their range, categories one-hot by root 1/2.

    So two rows are at most 1 apart in each column. A missing number stands in the middle; a missing category is none.

    Example:
        >>> columns = [{"kind": "number", "low": 0.0, "high": 4.0, "offset": 0.0}]
        >>> row_vectors(columns, Rows(np.array([[1.0], [0.0]]), np.array([[True], [False]]))).tolist()
        [[0.25], [0.5]]
    """
    parts = []
    for i, c in enumerate(columns):
        x, there = rows.x[:, i], rows.there[:, i]
        if c["kind"] == "category":
            one_hot = (x[:, None] == np.arange(len(c["categories"]))) & there[:, None]
            parts.append(one_hot * np.sqrt(0.5))
        elif c["kind"] != "empty":
            span = (c["high"] - c["low"]) or 1.0
            parts.append(np.where(there, (x + c["offset"] - c["low"]) / span, 0.5)[:, None])
    return np.concatenate(parts, 1).astype(np.float32)
