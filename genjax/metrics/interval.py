"""Mean and confidence interval of a few members' numbers."""

import math
from typing import NamedTuple

import numpy as np
from jaxtyping import Float


class Interval(NamedTuple):
    """A mean and the half-width of its 95 % confidence interval; NaN where fewer than two numbers are finite."""

    mean: np.ndarray
    half: np.ndarray


def interval(values: Float[np.ndarray, "*rows members"]) -> Interval:
    """Student's interval for the mean over the last axis: mean +- t * sd / sqrt(n), of the finite numbers alone.

    It holds for independent members that differ in their seed; over points of a sweep it means nothing.

    Source:
        Student 1908, The Probable Error of a Mean.

    Example:
        >>> mean, half = interval(np.array([1.0, 2.0, 3.0]))
        >>> float(mean), round(float(half), 3)
        (2.0, 2.484)
        >>> [float(v) for v in interval(np.array([0.1, 0.1, 0.1]))]
        [0.1, 0.0]
    """
    finite = np.isfinite(values)
    n = finite.sum(-1)
    mean = np.where(finite, values, 0.0).sum(-1) / np.where(n, n, np.nan)
    # rounding takes the mean of equal numbers out of their range, and they would have an interval
    mean = np.clip(
        mean,
        np.where(finite, values, np.inf).min(-1, initial=np.inf),
        np.where(finite, values, -np.inf).max(-1, initial=-np.inf),
    )
    deviation = np.where(finite, values - mean[..., None], 0.0)
    sd = np.sqrt((deviation**2).sum(-1) / np.where(n > 1, n - 1, np.nan))
    t = np.vectorize(lambda k: student_t(int(k) - 1) if k > 1 else math.nan, otypes=[float])(n)
    return Interval(mean, t * sd / np.sqrt(np.maximum(n, 1)))


def student_t(df: int, level: float = 0.95) -> float:
    """The t with P(|T| <= t) = level for df >= 1 degrees of freedom, by bisection.

    Source:
        Abramowitz & Stegun 1964, 26.7.3 and 26.7.4.

    Example:
        >>> round(student_t(7), 3)
        2.365
    """
    low, high = 0.0, 1.0
    while _within(high, df) < level:
        high *= 2.0
    for _ in range(60):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if _within(middle, df) < level else (low, middle)
    return 0.5 * (low + high)


def _within(t: float, df: int) -> float:
    """P(|T| <= t)."""
    theta = math.atan(t / math.sqrt(df))
    sine, cosine2 = math.sin(theta), math.cos(theta) ** 2
    odd = df % 2
    term, total = (math.cos(theta) if odd else 1.0), 0.0
    for k in range(2 if odd else 1, df, 2):  # 1 + 1/2 cos^2 + ..., or cos + 2/3 cos^3 + ...
        total += term
        term *= cosine2 * k / (k + 1)
    return 2.0 / math.pi * (theta + sine * total) if odd else sine * total
