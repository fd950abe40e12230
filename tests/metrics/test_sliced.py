"""Sliced Wasserstein distance and MIND: closed forms, exact plans for sets of unlike size, offsets."""

import jax
import numpy as np
import pytest
import scipy.optimize
import scipy.stats

from genjax import metrics, rng
from genjax.errors import UsageError
from genjax.metrics import sliced

RNG = np.random.default_rng(0)
KEY = jax.random.key(0)


def by_definition(x: np.ndarray, y: np.ndarray, n_projections: int) -> float:
    """Mean W2^2 in float64, repeating samples until both sets are of one size."""
    theta = np.asarray(jax.random.normal(rng.named(KEY, "directions"), (n_projections, x.shape[1])), np.float64)
    theta /= np.linalg.norm(theta, axis=1, keepdims=True)
    size = np.lcm(len(x), len(y))
    a, b = (np.sort(np.repeat(v @ theta.T, size // len(v), axis=0), axis=0) for v in (x, y))
    return float(np.square(a - b).mean())


@pytest.mark.parametrize(("n", "m"), [(50, 50), (50, 30), (7, 64), (1, 9)])
def test_against_the_definition(n, m):
    x, y = RNG.standard_normal((n, 6)), 0.5 + 2 * RNG.standard_normal((m, 6))
    expected = by_definition(x, y, 100)
    assert metrics.sliced_wasserstein(x, y, KEY, 100) == pytest.approx(np.sqrt(expected), rel=1e-6)
    assert metrics.mind(x, y, KEY, 100) == pytest.approx(18 * expected, rel=1e-6)


def test_one_dimension_is_the_assignment_problem():
    x, y = RNG.standard_normal((2, 40, 1))
    cost = np.square(x - y.T)
    rows, columns = scipy.optimize.linear_sum_assignment(cost)
    assert metrics.mind(x, y, KEY, 3) == pytest.approx(3 * cost[rows, columns].mean(), rel=1e-5)


@pytest.mark.parametrize(("n", "m"), [(5, 5), (12, 8), (3, 100), (10000, 9999)])
def test_plan_has_the_right_marginals(n, m):
    i, j, weight = sliced._coupling(n, m)
    np.testing.assert_allclose(np.bincount(i, weight, n), 1 / n, rtol=1e-5)
    np.testing.assert_allclose(np.bincount(j, weight, m), 1 / m, rtol=1e-5)
    assert (np.diff(i) >= 0).all()
    assert (np.diff(j) >= 0).all()


def test_a_shift_in_closed_form():
    # W2 of each projection is theta.c, and its mean square |c|^2 / d.
    x, c = RNG.standard_normal((300, 8)), RNG.standard_normal(8)
    found = metrics.mind(x, x + c, KEY, 4000)
    assert found == pytest.approx(3 * c @ c, rel=5 * np.sqrt(2 / 4000))
    assert metrics.sliced_wasserstein(x, x, KEY) == 0


def test_scaled_gaussians_in_closed_form():
    x, y = RNG.standard_normal((5000, 3)), 2 * RNG.standard_normal((5000, 3))
    assert metrics.sliced_wasserstein(x, y, KEY, 200) == pytest.approx(1.0, rel=0.03)
    assert metrics.mind(x, y, KEY, 200) == pytest.approx(9.0, rel=0.06)


def test_a_large_common_offset_changes_nothing():
    x, y = RNG.standard_normal((2, 100, 4))
    near = metrics.mind(x, y, KEY)
    assert metrics.mind(x + 1e7, y + 1e7, KEY) == pytest.approx(near, rel=1e-5)


def test_chunks_do_not_change_it(monkeypatch):
    x, y = RNG.standard_normal((2, 40, 4))
    whole = metrics.mind(x, y, KEY, 33)
    monkeypatch.setattr(sliced, "chunk_rows", lambda *_: 10)
    assert metrics.mind(x, y, KEY, 33) == pytest.approx(whole, rel=1e-6)


def test_it_is_a_function_of_its_key():
    x, y = RNG.standard_normal((2, 40, 4))
    assert metrics.mind(x, y, KEY) == metrics.mind(x, y, KEY)
    assert metrics.mind(x, y, KEY) != metrics.mind(x, y, jax.random.key(1))


def test_no_directions_are_refused():
    with pytest.raises(UsageError, match="n_projections=0"):
        metrics.mind(np.zeros((2, 2)), np.zeros((2, 2)), KEY, 0)
