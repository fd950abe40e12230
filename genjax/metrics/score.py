"""Inception score: how sure a classifier is of each sample, and how many classes the samples share."""

import jax
import numpy as np

from genjax import rng
from genjax.errors import UsageError
from genjax.metrics.samples import Samples, check_samples
from genjax.types import Key


def inception_score(predictions: Samples, n_splits: int = 10, key: Key | None = None) -> tuple[float, float]:
    """exp of the mean KL(p(y|x) || p(y)), in [1, c]: mean and standard deviation over splits of the samples.

    Args:
        predictions: (n, c) of a classifier of c classes: logits, or probabilities (told by rows that all sum to 1).
        n_splits: consecutive parts of equal size (to one), each with its own p(y).
        key: shuffles first. Needed where samples come in order of their class, which would leave a part few classes.

    Raises:
        UsageError: predictions that are not (n, c) or not finite; fewer samples than splits.

    Source:
        Salimans et al. 2016, Improved Techniques for Training GANs. The deviation is over splits (divided by their
        number), as there: the spread of scores of n / n_splits samples, not the error of the mean.

    Example:
        >>> inception_score(np.eye(4)[np.arange(400) % 4], n_splits=10)
        (4.0, 0.0)
    """
    x = check_samples("predictions", predictions, least=max(1, n_splits)).astype(np.float64)
    n = len(x)
    if n_splits < 1:
        raise UsageError(f"n_splits={n_splits} must be at least 1.")
    if key is not None:
        x = x[np.asarray(jax.random.permutation(rng.named(key, "order"), n))]
    p = x if _are_probabilities(x) else _softmax(x)
    scores = [_score(p[i * n // n_splits : (i + 1) * n // n_splits]) for i in range(n_splits)]
    return float(np.mean(scores)), float(np.std(scores))


def _are_probabilities(x: np.ndarray) -> bool:
    """Whether every row is a distribution, to the rounding of half precision."""
    return bool((x >= 0).all() and np.allclose(x.sum(1), 1.0, rtol=0, atol=2e-3))


def _softmax(x: np.ndarray) -> np.ndarray:
    e = np.exp(x - x.max(1, keepdims=True))
    return e / e.sum(1, keepdims=True)


def _score(p: np.ndarray) -> float:
    """exp of the mutual information of sample and class: H(mean p) - mean H(p)."""
    return float(np.exp(_entropy(p.mean(0)[None])[0] - _entropy(p).mean()))


def _entropy(p: np.ndarray) -> np.ndarray:
    """-sum p log p of each row in nats, 0 log 0 = 0."""
    return -(p * np.log(np.where(p > 0, p, 1.0))).sum(1)
