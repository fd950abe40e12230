"""How alike two tables are, column by column and pair by pair: the two halves of SDMetrics' quality score.

Tables are rows as stored: numbers, and categories by their place, (n, columns), with a mask of what is there.
"""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from genjax.errors import UsageError

BINS = 10
"""Bins of a number beside a category."""


class Rows(NamedTuple):
    """A table's rows in stored form."""

    x: Float[np.ndarray, "n columns"]
    there: Bool[np.ndarray, "n columns"]
    """False where a value is missing."""


class Quality(NamedTuple):
    """How alike two tables are, each in [0, 1], 1 for two samples of the same values."""

    shapes: dict[str, float]
    """The score of each column."""
    trends: dict[tuple[str, str], float]
    """The score of each pair of columns; pairs whose correlation is not defined (a constant) are left out."""

    @property
    def shape(self) -> float:
        """Mean over the columns."""
        return float(np.mean(list(self.shapes.values()))) if self.shapes else float("nan")

    @property
    def trend(self) -> float:
        """Mean over the pairs."""
        return float(np.mean(list(self.trends.values()))) if self.trends else float("nan")

    @property
    def score(self) -> float:
        """SDMetrics' quality: the mean of both."""
        return float(np.nanmean([self.shape, self.trend]))


def quality(
    columns: Sequence[Mapping[str, Any]],
    real: Rows,
    fake: Rows,
    least_correlation: float = 0.0,
    least_association: float = 0.0,
) -> Quality:
    """Column shapes and pair trends of two tables.

    Shapes: 1 - the Kolmogorov-Smirnov distance of numbers, 1 - the total variation distance of categories, of the
    values that are there. Trends: 1 - half the difference of the correlations of two numbers (over rows that have
    both), 1 - the total variation distance of the joint frequencies of two categories (missing is one); a number
    beside a category is put into ten bins over the range of its own table.

    Args:
        columns: what they are, see `data.columns`; all-empty ones are left out.
        real, fake: the tables.
        least_correlation, least_association: pairs of numbers, and all other pairs, count where the real table's
            correlation, or Cramer's V, is above this. SDMetrics had 0, as published numbers do; since 0.28 its report
            has 0.5 and 0.3.

    Source:
        SDMetrics (Patki, Wedge & Veeramachaneni 2016, The Synthetic Data Vault), its `QualityReport`, whose bins of
        real and synthetic numbers are each of their own range, as here.

    Example:
        >>> columns = [{"name": "a", "kind": "number"}, {"name": "b", "kind": "category", "categories": ["x", "y"]}]
        >>> rows = Rows(np.array([[0.0, 0], [1, 1]]), np.ones((2, 2), bool))
        >>> quality(columns, rows, rows).score
        1.0
    """
    used = [i for i, c in enumerate(columns) if c["kind"] != "empty"]
    names = [c["name"] for c in columns]
    shapes = {}
    for i in used:
        distance = total_variation if columns[i]["kind"] == "category" else ks_distance
        a, b = (rows.x[rows.there[:, i], i] for rows in (real, fake))
        if len(a) and len(b):
            shapes[names[i]] = 1.0 - distance(a, b)
    trends = {}
    for i, j in combinations(used, 2):
        least = least_association if "category" in (columns[i]["kind"], columns[j]["kind"]) else least_correlation
        if (value := _trend(columns, real, fake, i, j, least)) is not None:
            trends[names[i], names[j]] = value
    return Quality(shapes, trends)


def ks_distance(a: Float[np.ndarray, " n"], b: Float[np.ndarray, " m"]) -> float:
    """The largest difference of two empirical distribution functions, in [0, 1].

    Example:
        >>> ks_distance(np.array([1.0, 2.0]), np.array([2.0, 3.0]))
        0.5
    """
    a, b = np.sort(a), np.sort(b)
    at = np.concatenate([a, b])
    below = (np.searchsorted(v, at, side="right") / len(v) for v in (a, b))
    return float(np.abs(np.subtract(*below)).max())


def total_variation(a: np.ndarray, b: np.ndarray) -> float:
    """Half the sum of the differences of the frequencies of each code, in [0, 1].

    Example:
        >>> total_variation(np.array([0, 0, 1, 1]), np.array([0, 0, 0, 2]))
        0.5
    """
    codes = np.unique(np.concatenate([a, b]))
    frequency = (np.bincount(np.searchsorted(codes, v), minlength=len(codes)) / len(v) for v in (a, b))
    return float(np.abs(np.subtract(*frequency)).sum() / 2)


def _codes(rows: Rows, i: int) -> np.ndarray:
    """A category's place, -1 where it is missing."""
    return np.where(rows.there[:, i], rows.x[:, i].astype(np.int64), -1)


def _binned(rows: Rows, i: int) -> np.ndarray:
    """The bin of each number, of ten over this table's own range and one more for its largest; missing: the last."""
    x = np.where(rows.there[:, i], rows.x[:, i].astype(np.float64), np.nan)
    return np.digitize(x, np.histogram_bin_edges(x[rows.there[:, i]], BINS))


def _trend(columns: Sequence[Mapping[str, Any]], real: Rows, fake: Rows, i: int, j: int, least: float) -> float | None:
    categories = [columns[k]["kind"] == "category" for k in (i, j)]
    if not any(categories):
        r, s = (_correlation(rows, i, j) for rows in (real, fake))
        return None if r is None or s is None or (least > 0 and abs(r) <= least) else 1.0 - abs(r - s) / 2
    if any(not rows.there[:, k].any() for rows in (real, fake) for k in (i, j)):
        return None
    codes = [_codes if is_category else _binned for is_category in categories]
    coded = [[code(rows, k) for code, k in zip(codes, (i, j), strict=True)] for rows in (real, fake)]
    if least > 0 and not cramers_v(*coded[0]) > least:
        return None
    base = 2 + max(int(v.max()) for pair in coded for v in pair)
    return 1.0 - total_variation(*((a + 1) * base + b + 1 for a, b in coded))


def cramers_v(a: np.ndarray, b: np.ndarray) -> float:
    """How far the codes of one column tell those of another, in [0, 1]; NaN where either has one code alone.

    Example:
        >>> cramers_v(np.array([0, 0, 1, 1]), np.array([5, 5, 7, 7])), cramers_v(np.arange(4) // 2, np.arange(4) % 2)
        (1.0, 0.0)
    """
    (rows, i), (columns, j) = (np.unique(v, return_inverse=True) for v in (a, b))
    table = np.bincount(i * len(columns) + j, minlength=len(rows) * len(columns)).reshape(len(rows), len(columns))
    if min(table.shape) < 2:
        return float("nan")
    expected = np.outer(table.sum(1), table.sum(0)) / len(a)
    chi2 = ((table - expected) ** 2 / expected).sum()
    return float(np.sqrt(chi2 / len(a) / (min(table.shape) - 1)))


def _correlation(rows: Rows, i: int, j: int) -> float | None:
    both = rows.there[:, i] & rows.there[:, j]
    a, b = (rows.x[both, k].astype(np.float64) for k in (i, j))
    if len(a) < 2 or a.std() == 0 or b.std() == 0:
        return None
    return float(np.corrcoef(a, b)[0, 1])


def check_columns(columns: Sequence[Mapping[str, Any]], *tables: Rows) -> None:
    """Refuse tables that do not have these columns.

    Raises:
        UsageError: naming both numbers.
    """
    for rows in tables:
        if rows.x.ndim != 2 or rows.x.shape[1] != len(columns) or rows.there.shape != rows.x.shape:
            raise UsageError(f"a table of the shape {rows.x.shape} has not the {len(columns)} columns that are given.")
