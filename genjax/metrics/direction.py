"""Which way a metric is better, and which numbers praise nothing by themselves: one rule for every table and page.

A record holds what its genjax thought; of a metric that is in the table, the table decides.
"""

import math
from collections.abc import Mapping

from genjax.metrics.image_metrics import IMAGE_METRICS
from genjax.metrics.protocol import Record
from genjax.metrics.table import METRICS

BETTER: Mapping[str, str] = {k: v for m in (*METRICS.values(), *IMAGE_METRICS.values()) for k, v in m.better.items()}
"""`lower`, `higher`, `nearest` (to real data) or empty, by a metric's name without its space's."""
ARROWS = {"higher": " ↑", "lower": " ↓", "nearest": " ≈"}
IDEAL = {"density": 1.0, "high_frequency_ratio": 1.0, "laplacian_ratio": 1.0, "gap": 0.0, "gap_auc": 0.5}
"""What real data have, where a record has no floor."""
OF_EACH = ("precision", "density", "class_accuracy", "is", "good_share", "high_frequency_ratio", "laplacian_ratio")
"""Metrics that judge each sample by itself: a model that repeats one image may have the best values."""
FEW = {"recall": 0.05, "coverage": 0.05, "modes": 0.5}
"""Share of what real data have below which a measure of variety means collapse."""
SOME = 0.25
"""A share of it that speaks against: where recall or coverage reaches it, the other alone means no collapse."""


def stem(metric: str) -> str:
    """A metric's name as the table has it, without its space's.

    Example:
        >>> stem("class_fd_digits"), stem("fd_mnist"), stem("nll_ess"), stem("of_mine")
        ('class_fd', 'fd', 'nll_ess', 'of_mine')
    """
    found = [name for name in BETTER if metric == name or metric.startswith(f"{name}_")]
    return max(found, key=len, default=metric)


def known(metric: str) -> bool:
    """Whether the table has the metric."""
    return stem(metric) in BETTER


def better(metric: str, stored: str = "") -> str:
    """Which way a metric is better; as its record has it where the table does not know it."""
    return BETTER.get(stem(metric), stored)


def arrow(metric: str, stored: str = "") -> str:
    """The mark behind a metric's name, with a blank before it."""
    return ARROWS.get(better(metric, stored), "")


def shortfall(r: Record, floor: float | None = None) -> float:
    """How far a number is from the best, the less the better; NaN where no number of this metric is better."""
    way = better(r.protocol.metric, r.better)
    if way in ("higher", "lower"):
        return -r.value if way == "higher" else r.value
    ideal = floor if floor is not None else IDEAL.get(stem(r.protocol.metric)) if way == "nearest" else None
    return math.nan if ideal is None or way != "nearest" else abs(r.value - ideal)


def collapsed(records: Mapping[str, Record]) -> list[Record]:
    """The measures of variety, of records by metric, that say that a model makes few different samples."""
    share = {}
    for r in records.values():
        if (name := stem(r.protocol.metric)) in FEW and (real := r.floor if r.floor is not None else 1.0) > 0:
            share[name] = (r.value / real, r)
    low = {k for k, (of_real, _) in share.items() if of_real <= FEW[k]}
    for one, other in (("recall", "coverage"), ("coverage", "recall")):
        if other in share and share[other][0] > SOME:
            low -= {one}
    return [r for k, (_, r) in share.items() if k in low]
