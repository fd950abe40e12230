"""Inception score: closed forms, the definition, logits against probabilities, splits."""

import jax
import numpy as np
import pytest
import scipy.special

from genjax import metrics
from genjax.errors import UsageError

RNG = np.random.default_rng(0)


def by_definition(p: np.ndarray, n_splits: int) -> tuple[float, float]:
    scores = []
    for part in np.array_split(p, n_splits):
        scores.append(np.exp(scipy.special.rel_entr(part, part.mean(0)).sum(1).mean()))
    return float(np.mean(scores)), float(np.std(scores))


def test_against_the_definition():
    logits = 3 * RNG.standard_normal((1000, 7))
    p = scipy.special.softmax(logits, axis=1)
    for n_splits in (1, 10):
        expected = by_definition(p, n_splits)
        assert metrics.inception_score(p, n_splits) == pytest.approx(expected, rel=1e-12)
        assert metrics.inception_score(logits, n_splits) == pytest.approx(expected, rel=1e-12)
        assert metrics.inception_score(logits + 1e4, n_splits) == pytest.approx(expected, rel=1e-9)
    assert metrics.inception_score(p.astype(np.float32)) == pytest.approx(by_definition(p, 10), rel=1e-5)


def test_closed_forms():
    assert metrics.inception_score(np.full((50, 4), 0.25)) == pytest.approx((1, 0), abs=1e-12)
    assert metrics.inception_score(np.eye(5)[np.arange(100) % 5]) == pytest.approx((5, 0), abs=1e-12)
    # Certain with chance 1 - e, else any of the other c - 1: log c - H.
    e, c = 0.1, 5
    p = np.where(np.eye(c) > 0, 1 - e, e / (c - 1))[np.arange(100) % c]
    entropy = -(1 - e) * np.log(1 - e) - e * np.log(e / (c - 1))
    assert metrics.inception_score(p)[0] == pytest.approx(c * np.exp(-entropy), rel=1e-12)


def test_extreme_logits_are_finite():
    found = metrics.inception_score(1e4 * RNG.standard_normal((100, 10)))
    assert np.isfinite(found).all()
    assert 1 <= found[0] <= 10


def test_sorted_samples_need_a_shuffle():
    p = np.eye(10)[np.repeat(np.arange(10), 100)]
    assert metrics.inception_score(p)[0] == 1
    key = jax.random.key(0)
    assert metrics.inception_score(p, key=key)[0] > 9
    assert metrics.inception_score(p, key=key) == metrics.inception_score(p, key=key)


def test_fewer_samples_than_splits_are_refused():
    with pytest.raises(UsageError, match="at least 10"):
        metrics.inception_score(np.ones((9, 2)) / 2)
    with pytest.raises(UsageError, match="n_splits=0"):
        metrics.inception_score(np.ones((9, 2)) / 2, n_splits=0)
