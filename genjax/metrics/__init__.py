"""Metrics: features or samples -> numbers, and how a number says what it is."""

from genjax.metrics.interval import Interval, interval
from genjax.metrics.protocol import (
    Difference,
    Protocol,
    Record,
    Subject,
    check_alike,
    compare,
    from_json,
    over_seeds,
    unlike,
)
from genjax.metrics.resampling import half_samples

__all__ = [
    "Difference",
    "Interval",
    "Protocol",
    "Record",
    "Subject",
    "check_alike",
    "compare",
    "from_json",
    "half_samples",
    "interval",
    "over_seeds",
    "unlike",
]
