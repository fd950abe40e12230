"""Fréchet distance: Gaussians in closed form, an independent matrix root, singular covariances, the limit in 1/n."""

import warnings

import jax
import numpy as np
import pytest
import scipy.linalg

from genjax import metrics, rng
from genjax.errors import UsageError
from genjax.metrics import frechet
from genjax.metrics.frechet import Fitted, frechet_of_subsets

RNG = np.random.default_rng(0)


def spd(d: int, rank: int | None = None) -> np.ndarray:
    a = RNG.standard_normal((d, rank or d))
    return a @ a.T / d


def test_diagonal_gaussians_in_closed_form():
    mu, a, b = RNG.standard_normal(32), RNG.uniform(0, 4, 32), RNG.uniform(0, 4, 32)
    a[:8] = 0  # degenerate in some directions, in one of them or in both
    b[4:12] = 0
    expected = np.square(mu).sum() + np.square(np.sqrt(a) - np.sqrt(b)).sum()
    found = metrics.frechet_distance((np.zeros(32), np.diag(a)), (mu, np.diag(b)))
    assert found == pytest.approx(expected, rel=1e-13)


@pytest.mark.parametrize("rank", [24, 7])
def test_covariances_that_do_not_commute_in_closed_form(rank):
    # The optimal map between N(0, S) and N(0, T S T), T symmetric positive definite, is T: cost tr((T - I) S (T - I)).
    s, t = spd(24, rank), spd(24) + 0.1 * np.eye(24)
    moved = t - np.eye(24)
    expected = np.trace(moved @ s @ moved)
    zero = np.zeros(24)
    assert metrics.frechet_distance((zero, s), (zero, t @ s @ t)) == pytest.approx(expected, rel=1e-11)
    assert metrics.frechet_distance((zero, t @ s @ t), (zero, s)) == pytest.approx(expected, rel=1e-11)


def test_against_the_matrix_root():
    # Well conditioned: of a nearly singular product the Schur method's root keeps half of the digits.
    mix = np.eye(24) + 0.5 * spd(24)
    x, y = RNG.standard_normal((500, 24)) @ mix + 1, RNG.standard_normal((400, 24)) @ spd(24)[::-1] @ mix
    y += RNG.standard_normal((400, 24))
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    root = scipy.linalg.sqrtm(s @ t).real
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t - 2 * root)
    assert metrics.frechet_distance(x, y) == pytest.approx(expected, rel=1e-12)
    assert metrics.frechet_distance(metrics.moments(x), metrics.moments(y)) == metrics.frechet_distance(x, y)


def test_moments_of_samples():
    x = RNG.standard_normal((5000, 6)).astype(np.float32) * 3 + 1e3
    found = metrics.moments(x)
    np.testing.assert_allclose(found.mean, x.mean(0, dtype=np.float64), rtol=1e-14)
    np.testing.assert_allclose(found.cov, np.cov(x.astype(np.float64), rowvar=False), rtol=1e-9, atol=1e-9)
    assert found.n == 5000
    assert found.cov.dtype == np.float64


def test_the_same_singular_covariance_is_at_distance_zero():
    # A root of eigenvalues of the product would leave some 1e-8 for every direction without variance.
    s = spd(60, 10)
    assert metrics.frechet_distance((np.zeros(60), s), (np.zeros(60), s)) < 1e-12 * np.trace(s)
    flat = (np.zeros(3), np.zeros((3, 3)))
    assert metrics.frechet_distance(flat, flat) == 0
    assert metrics.frechet_distance(flat, (np.ones(3), np.eye(3))) == pytest.approx(6)


@pytest.mark.parametrize("n", [2, 10, 40])
def test_fewer_samples_than_dimensions_warn_and_give_a_finite_number(n):
    x, y = RNG.standard_normal((2, n, 40))
    with pytest.warns(UserWarning, match=f"{n} samples in 40 dimensions"):
        found = metrics.frechet_distance(x, metrics.Moments(y.mean(0), np.cov(y, rowvar=False)))
    assert isinstance(found, float)
    assert found > 0


@pytest.mark.parametrize(
    ("n", "m", "d"),
    [(30, 20, 200), (20, 30, 25), (25, 300, 40), (300, 25, 40), (300, 200, 40), (2, 2, 9), (41, 40, 40)],
)
def test_every_way_of_computing_it_agrees(n, m, d):
    """Eigenvectors of covariances, cross-Gram matrices of samples, and one of each; against a matrix root as well."""
    x, y = RNG.standard_normal((n, d)), 1.3 * RNG.standard_normal((m, d)) @ spd(d) + 0.2
    plans = [(a, b) for a in (False, True) for b in (False, True)]
    found = [frechet._distance(Fitted("x", x), Fitted("y", y), plan) for plan in plans]
    np.testing.assert_allclose(found, found[0], rtol=1e-9)
    s, t = np.cov(x, rowvar=False), np.cov(y, rowvar=False)
    # Of two products with the same eigenvalues but for zeros the smaller one, and contrasts in the place of deviations
    # from the mean: so the matrix whose root scipy takes is not singular.
    gram = (scipy.linalg.helmert(n) @ x) @ (scipy.linalg.helmert(m) @ y).T / np.sqrt((n - 1) * (m - 1))
    root = scipy.linalg.sqrtm((gram @ gram.T if n <= m else gram.T @ gram) if min(n, m) <= d else s @ t).real
    expected = np.square(x.mean(0) - y.mean(0)).sum() + np.trace(s + t) - 2 * np.trace(root)
    assert found[0] == pytest.approx(expected, rel=1e-9)


@pytest.mark.parametrize(("n", "m", "d"), [(30, 40, 200), (300, 40, 60), (300, 200, 20)])
def test_subsets_are_what_their_samples_give(n, m, d):
    x, y = RNG.standard_normal((n, d)) + 5, RNG.standard_normal((m, d))
    distance = frechet_of_subsets(Fitted("x", x), y)
    for _ in range(3):
        rows = np.sort(RNG.permutation(m)[: m // 2])
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            assert distance(rows) == pytest.approx(metrics.frechet_distance(x, y[rows]), rel=1e-11)


def test_few_samples_of_many_dimensions_make_no_matrix_of_dimensions(monkeypatch):
    """100 images of 32x32x3: no covariance, no eigenvectors; the product of both sets is made once for all halves."""
    x, y = RNG.standard_normal((2, 100, 3072)).astype(np.float32)
    made, real = [], Fitted("x", x)
    monkeypatch.setattr(np.linalg, "eigh", lambda a: pytest.fail("eigenvectors of covariances"))
    monkeypatch.setattr(Fitted, "deviations", lambda self, of=Fitted.deviations: made.append(1) or of(self))
    distance = frechet_of_subsets(real, y)
    found = [distance(np.sort(RNG.permutation(100)[:50])) for _ in range(20)]
    assert len(made) == 2
    assert np.isfinite(found).all()
    assert "moments" not in real.__dict__


def test_costs_are_of_the_shapes_alone():
    """So that a number never depends on what was computed before it."""
    x, y = RNG.standard_normal((50, 30)), RNG.standard_normal((40, 30))
    first, kept = metrics.frechet_distance(x, y), Fitted("x", x)
    assert np.isfinite(kept.factor).all()
    assert metrics.frechet_distance(kept, y) == first
    assert frechet.operations(100, 100, 3072) < 1e9 < frechet.operations(10_000, 10_000, 3072)
    assert frechet._plan(Fitted("x", x), 10_000, 30) == (False, False)


def test_enough_samples_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        metrics.frechet_distance(RNG.standard_normal((41, 40)), RNG.standard_normal((41, 40)))


def test_a_common_offset_changes_nothing():
    x, y = RNG.standard_normal((200, 5)), 1.2 * RNG.standard_normal((200, 5))
    near = metrics.frechet_distance(x, y)
    assert metrics.frechet_distance(x + 1e6, y + 1e6) == pytest.approx(near, rel=1e-6)


def test_bad_statistics_are_refused():
    good = (np.zeros(2), np.eye(2))
    for bad, message in [
        ((np.zeros(2), np.eye(3)), "do not fit"),
        ((np.zeros(2), -np.eye(2)), "none can be negative"),
        ((np.zeros(3), np.eye(3)), "one feature net"),
        ((np.full(2, np.nan), np.eye(2)), "NaN"),
        (np.zeros((1, 2)), "at least 2"),
    ]:
        with pytest.raises(UsageError, match=message):
            metrics.frechet_distance(good, bad)


def test_infinity_is_the_intercept_of_the_line():
    x = RNG.standard_normal((600, 3))
    key = jax.random.key(3)
    order = lambda i: jax.random.permutation(rng.at_step(rng.named(key, "subsets"), i), 600)  # noqa: E731
    sizes = np.linspace(60, 600, 15).astype(int)
    found = [metrics.frechet_distance(x[:50], x[np.asarray(order(i))[:n]]) for i, n in enumerate(sizes)]
    expected = np.linalg.lstsq(np.stack([np.ones(15), 1 / sizes], 1), np.array(found), rcond=None)[0][0]
    assert metrics.frechet_infinity(x[:50], x, key) == pytest.approx(expected, rel=1e-9)


def test_infinity_removes_the_bias_of_few_samples():
    # Of n samples of the very same Gaussian the distance is some d (d + 5) / (4 n), here 0.06, and a little convex in
    # 1/n: the line's intercept is a little below 0, as far as that of the expected distances.
    d, n = 20, 2000
    one = (np.zeros(d), np.eye(d))
    rng = np.random.default_rng(0)
    sizes = np.linspace(200, n, 15).astype(int)
    expected = [np.mean([metrics.frechet_distance(one, rng.standard_normal((m, d))) for _ in range(12)]) for m in sizes]
    intercept = np.polynomial.Polynomial.fit(1 / sizes, expected, 1)(0.0)
    found = [metrics.frechet_infinity(one, rng.standard_normal((n, d)), jax.random.key(i)) for i in range(6)]
    assert expected[-1] == pytest.approx(d * (d + 5) / 4 / n, rel=0.1)
    assert abs(intercept) < 0.25 * expected[-1]
    assert abs(np.mean(found) - intercept) < 4 * np.std(found, ddof=1) / np.sqrt(6) + 0.002


def test_infinity_says_what_is_too_few():
    real = (np.zeros(30), np.eye(30))
    with pytest.raises(UsageError, match="15 sizes"):
        metrics.frechet_infinity(real, RNG.standard_normal((20, 30)), jax.random.key(0))
    with pytest.warns(UserWarning, match="singular"):
        metrics.frechet_infinity(real, RNG.standard_normal((50, 30)), jax.random.key(0))
