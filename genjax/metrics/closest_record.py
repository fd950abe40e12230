"""How near synthetic rows are to the rows that a model was trained on: a copy is at distance 0."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from jaxtyping import Float

from genjax.metrics.columns import Rows, check_columns

BLOCK = 256
"""Rows whose distances to all others are held at once."""


def distance_to_closest(columns: Sequence[Mapping[str, Any]], rows: Rows, reference: Rows) -> Float[np.ndarray, " n"]:
    """The distance of each row to the nearest of the reference rows, in [0, 1].

    The distance of two rows is the mean over the columns: of numbers the difference over the reference's range, at
    most 1; of categories 0 or 1; a missing value is at 0 from another missing one and at 1 from any that is there.

    Compare its median with that of held-out real rows, which are no copies: smaller means that rows were learned by
    heart.

    Args:
        columns: what they are, see `data.columns`; all-empty ones are left out.
        rows: whose distances.
        reference: the training rows.

    Source:
        SDMetrics, `DCROverfittingProtection`.

    Example:
        >>> columns = [{"kind": "number"}, {"kind": "category"}]
        >>> there = np.ones((2, 2), bool)
        >>> a, b = Rows(np.array([[0.0, 1], [5, 0]]), there), Rows(np.array([[0.0, 1], [10, 1]]), there)
        >>> distance_to_closest(columns, a, b).tolist()
        [0.0, 0.75]
    """
    check_columns(columns, rows, reference)
    used = [i for i, c in enumerate(columns) if c["kind"] != "empty"]
    found = np.empty(len(rows.x), np.float64)
    spans = {i: _span(reference, i) for i in used if columns[i]["kind"] != "category"}
    for at in range(0, len(rows.x), BLOCK):
        part = slice(at, at + BLOCK)
        total = np.zeros((len(rows.x[part]), len(reference.x)), np.float32)
        for i in used:
            a, b = rows.x[part, i][:, None], reference.x[:, i][None]
            here, there = rows.there[part, i][:, None], reference.there[:, i][None]
            if i in spans:
                apart = np.abs(a - b)
                each = np.minimum(apart / spans[i], 1.0) if spans[i] > 0 else (apart > 0).astype(np.float32)
            else:
                each = (a != b).astype(np.float32)
            if not (here.all() and there.all()):
                each = np.where(here & there, each, (here != there).astype(np.float32))
            total += each
        found[part] = total.min(1) / len(used)
    return found


def _span(reference: Rows, i: int) -> float:
    x = reference.x[reference.there[:, i], i]
    return float(x.max() - x.min()) if len(x) else 0.0
