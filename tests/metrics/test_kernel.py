"""Kernel distance: against the definition in float64, closed form of Gaussians, unbiased, offsets, subsets."""

import jax
import numpy as np
import pytest

from genjax import metrics
from genjax.errors import UsageError
from genjax.metrics import kernel

RNG = np.random.default_rng(0)


def by_definition(x: np.ndarray, y: np.ndarray) -> float:
    x, y = x.astype(np.longdouble), y.astype(np.longdouble)
    n, m, d = len(x), len(y), x.shape[1]
    xx, yy, xy = ((a @ b.T / d + 1) ** 3 for a, b in ((x, x), (y, y), (x, y)))
    return float((xx.sum() - np.trace(xx)) / (n * (n - 1)) + (yy.sum() - np.trace(yy)) / (m * (m - 1)) - 2 * xy.mean())


@pytest.mark.parametrize("offset", [0.0, 1.0, 30.0, 1000.0])
@pytest.mark.parametrize("shift", [0.0, 0.2])
def test_against_the_definition(offset, shift):
    x = (RNG.standard_normal((300, 24)) + offset).astype(np.float32)
    y = (1.1 * RNG.standard_normal((200, 24)) + offset + shift).astype(np.float32)
    scale = by_definition(x[:100], 1.1 * x[100:]) if shift == 0 else by_definition(x, y)
    assert metrics.kernel_distance(x, y) == pytest.approx(by_definition(x, y), rel=2e-6, abs=2e-6 * abs(scale))


def test_chunks_do_not_change_it(monkeypatch):
    x, y = RNG.standard_normal((97, 5)), 1 + RNG.standard_normal((61, 5))
    whole = metrics.kernel_distance(x, y)
    with monkeypatch.context() as m:
        m.setattr(kernel, "PAIRS", 1000)  # several looks at how far it is
        assert metrics.kernel_distance(x, y) == pytest.approx(whole, rel=1e-6)
    monkeypatch.setattr(kernel, "chunk_rows", lambda *_: 10)
    assert metrics.kernel_distance(x, y) == pytest.approx(whole, rel=1e-6)


def test_a_shift_of_gaussians_in_closed_form():
    # In one dimension E k = 1 + 3 E xy + 3 E x^2 E y^2 + E x^3 E y^3; x of N(0, 1) and y of N(c, 1).
    c = 0.5
    moment = {0: (0.0, 1.0, 0.0), c: (c, 1 + c * c, c**3 + 3 * c)}

    def mean(a, b):
        (a1, a2, a3), (b1, b2, b3) = moment[a], moment[b]
        return 1 + 3 * a1 * b1 + 3 * a2 * b2 + a3 * b3

    expected = mean(0, 0) + mean(c, c) - 2 * mean(0, c)
    found = [
        metrics.kernel_distance(rng.standard_normal((2000, 1)), c + rng.standard_normal((2000, 1)))
        for rng in map(np.random.default_rng, range(12))
    ]
    error = np.std(found, ddof=1) / np.sqrt(len(found))
    assert error < 0.05 * expected
    assert abs(np.mean(found) - expected) < 3.5 * error


def test_it_is_unbiased_for_equal_distributions():
    found = [metrics.kernel_distance(*np.random.default_rng(seed).standard_normal((2, 20, 4))) for seed in range(64)]
    assert abs(np.mean(found)) < 3.5 * np.std(found) / 8
    assert min(found) < 0 < max(found)


def test_subsets_are_keyed_and_agree_with_the_whole():
    x, y = RNG.standard_normal((400, 4)), 0.3 + RNG.standard_normal((400, 4))
    key = jax.random.key(1)
    mean, sd = metrics.kernel_distance_subsets(x, y, key, n_subsets=9, subset_size=100)
    assert (mean, sd) == metrics.kernel_distance_subsets(x, y, key, n_subsets=9, subset_size=100)
    assert mean != metrics.kernel_distance_subsets(x, y, jax.random.key(2), n_subsets=1, subset_size=100)[0]
    assert abs(mean - metrics.kernel_distance(x, y)) < 4 * sd / 3
    whole = metrics.kernel_distance_subsets(x, y, key, n_subsets=2, subset_size=400)
    assert whole[0] == pytest.approx(metrics.kernel_distance(x, y), rel=1e-5)
    assert whole[1] < 1e-5 * whole[0]


def test_a_subset_larger_than_a_set_is_refused():
    with pytest.raises(UsageError, match="2 to 30"):
        metrics.kernel_distance_subsets(np.zeros((40, 2)), np.zeros((30, 2)), jax.random.key(0))
