"""How sure a number is that was measured on samples."""

from collections.abc import Callable, Mapping

import numpy as np
from jaxtyping import Float

from genjax import progress, rng
from genjax.errors import UsageError
from genjax.metrics.interval import student_t
from genjax.types import Key

HALVES = "half-samples"


def half_samples(
    statistic: Callable[[np.ndarray], Mapping[str, float]], n: int, key: Key, n_resamples: int = 40
) -> dict[str, float]:
    """The half-width of the 95 % interval over samples for each number that `statistic` gives.

    The statistic is computed on random halves of the samples, drawn without replacement. Its standard deviation over
    them is the standard error at n where it is smooth in the samples' distribution (for a mean this is exact). The
    bootstrap draws with replacement instead, and so fills a sample with copies: that moves a Fréchet distance like a
    smaller n, puts k(x, x) into an unbiased kernel estimate, and makes every nearest neighbour a copy.

    Args:
        statistic: `statistic(indices) -> {name: value}` of the samples at those int32 indices.
        n: samples there are, at least 4.
        key: draws the halves.
        n_resamples: how many, at least 2; Student's t allows for few.

    Returns:
        t * sqrt(m / (n - m)) * sd for each name, m = n // 2; in the statistic's unit.

    Source:
        Shao & Wu 1989, A general theory for jackknife variance estimation (delete-d jackknife, here d = n - m).

    Example:
        >>> import jax
        >>> x = np.random.default_rng(0).normal(size=400)
        >>> half = half_samples(lambda i: {"mean": float(x[i].mean())}, 400, jax.random.key(0), 200)["mean"]
        >>> bool(abs(half / (1.96 * x.std() / 20) - 1) < 0.1)
        True
    """
    if n < 4 or n_resamples < 2:
        raise UsageError(f"n={n}, n_resamples={n_resamples}: halves need at least 4 samples, and 2 of them.")
    m = n // 2
    epochs, places = np.meshgrid(np.arange(n_resamples), np.arange(m), indexing="ij")
    halves = np.sort(rng.order(key, (epochs, places), n), axis=1)  # an epoch is a permutation of its own
    each = [dict(statistic(half)) for half in progress.over(list(halves), "halves of the interval")]
    scale = student_t(n_resamples - 1) * np.sqrt(m / (n - m))
    return {k: float(scale * np.std([e[k] for e in each], ddof=1)) for k in each[0]}


def of_mean(values: Float[np.ndarray, " n"]) -> float:
    """Half the width of the 95 % interval of a mean of independent values; NaN of one, or where one is not finite."""
    n = len(values)
    return float(student_t(n - 1) * np.std(values.astype(np.float64), ddof=1) / np.sqrt(n)) if n > 1 else float("nan")
