"""Precision, recall, density, coverage: the papers' definitions in float64, and who is a neighbour beyond rounding."""

import jax
import numpy as np
import pytest
from scipy.spatial.distance import cdist

from genjax import metrics
from genjax.errors import UsageError
from genjax.metrics import manifold, samples

RNG = np.random.default_rng(0)


def by_definition(real: np.ndarray, fake: np.ndarray, k: int) -> tuple[float, ...]:
    """Naeem et al. 2020, equations of section 3, with loops; balls open."""
    real, fake = real.astype(np.float64), fake.astype(np.float64)

    def radii(x):
        return np.array([sorted(np.delete(row, i))[k - 1] for i, row in enumerate(cdist(x, x))])

    d, r_real, r_fake = cdist(real, fake), radii(real), radii(fake)
    precision = np.mean([any(d[i, j] < r_real[i] for i in range(len(real))) for j in range(len(fake))])
    recall = np.mean([any(d[i, j] < r_fake[j] for j in range(len(fake))) for i in range(len(real))])
    density = sum(d[i, j] < r_real[i] for i in range(len(real)) for j in range(len(fake))) / (k * len(fake))
    coverage = np.mean([min(d[i]) < r_real[i] for i in range(len(real))])
    return float(precision), float(recall), float(density), float(coverage)


@pytest.mark.parametrize(("n", "m", "d", "k"), [(60, 47, 2, 3), (80, 80, 40, 1), (150, 150, 16, 5)])
def test_against_the_definition(n, m, d, k):
    x, y = RNG.standard_normal((n, d)), 0.7 * RNG.standard_normal((m, d)) + 0.3
    assert metrics.prdc(x, y, k) == pytest.approx(by_definition(x, y, k), abs=1e-12)


def test_chunks_do_not_change_it(monkeypatch):
    x, y = RNG.standard_normal((2, 97, 6))
    whole = metrics.prdc(x, y[:61])
    monkeypatch.setattr(manifold, "chunk_rows", lambda *_: 10)
    monkeypatch.setattr(manifold, "block_size", lambda _: 14)
    monkeypatch.setattr(samples, "BLOCK", 13)
    assert metrics.prdc(x, y[:61]) == whole


@pytest.mark.parametrize(("n", "k"), [(2, 1), (6, 5), (101, 7)])
def test_smallest(n, k):
    x = RNG.integers(0, 50, (20, n)).astype(np.float32)
    found = jax.jit(manifold._smallest, static_argnums=1)(x, k)
    np.testing.assert_array_equal(found, np.sort(x, axis=1)[:, :k])


@pytest.mark.parametrize("size", [4, 16, 60, 97])
def test_radii_by_blocks(size):
    x = RNG.standard_normal((97, 3)).astype(np.float32)
    expected = np.sort(cdist(x, x, "sqeuclidean"), axis=1)[:, 5]
    found = manifold._radii(x, samples.squared_norms(x).astype(np.float32), k=5, size=size)
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)


def clusters(offset: float, spread: float) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng(5)
    centres = offset * rng.standard_normal((4, 16))
    return tuple(centres[rng.integers(0, 4, 150)] + spread * s * rng.standard_normal((150, 16)) for s in (1, 0.9))


def test_a_large_common_offset_changes_nothing():
    x, y = RNG.standard_normal((2, 150, 16))
    expected = by_definition(x, y, 5)
    assert metrics.prdc(x + 1e6, y + 1e6) == pytest.approx(expected, abs=1e-12)
    # In float32 the samples themselves are rounded, and are then compared as they are.
    x, y = ((v + 1e4).astype(np.float32) for v in (x, y))
    assert metrics.prdc(x, y) == pytest.approx(by_definition(x, y, 5), abs=1e-12)


def test_tight_clusters_far_apart():
    # Expanded float32 distances are all noise here, wherever the centre is: everything is computed again.
    x, y = clusters(1e3, 1e-2)
    assert metrics.prdc(x, y) == pytest.approx(by_definition(x, y, 5), abs=1e-12)


def test_what_float32_decides_alone_is_right(monkeypatch):
    # Without the second look numbers of the hard case are wrong, of the easy one right: the bound finds the doubt.
    easy, hard = clusters(1.0, 1.0), clusters(1e3, 1e-2)
    monkeypatch.setattr(manifold, "rounding", lambda d: 0.0)
    assert metrics.prdc(*easy) == pytest.approx(by_definition(*easy, 5), abs=1e-12)
    assert metrics.prdc(*hard) != pytest.approx(by_definition(*hard, 5), abs=1e-3)


@pytest.mark.parametrize("d", [3, 64, 2048])
def test_rounding_is_within_its_bound(d):
    worst = 0.0
    for mean in (0.0, 1.0):
        a, b = (RNG.standard_normal((2, 200, d)) + mean).astype(np.float32)
        norms = [samples.squared_norms(v) for v in (a, b)]
        found = manifold._squared(a, norms[0].astype(np.float32), b, norms[1].astype(np.float32))
        exact = norms[0][:, None] + norms[1][None, :] - 2 * a.astype(np.float64) @ b.T.astype(np.float64)
        worst = max(worst, float((np.abs(np.asarray(found) - exact) / (norms[0][:, None] + norms[1][None, :])).max()))
    assert 0 < worst < manifold.rounding(d) / 2


def test_ties_on_a_grid_are_ties():
    # Distances of pixels tie often; all of it must be exact, for any offset.
    x, y = RNG.integers(0, 3, (2, 150, 16))
    expected = by_definition(x, y, 5)
    assert metrics.prdc(x, y) == pytest.approx(expected, abs=1e-12)
    assert metrics.prdc(x + 200, y + 200) == pytest.approx(expected, abs=1e-12)
    assert metrics.prdc(x.astype(np.uint8), y.astype(np.uint8)) == pytest.approx(expected, abs=1e-12)


def test_a_copy_of_the_real_samples():
    x = RNG.standard_normal((150, 16))
    assert metrics.prdc(x, x) == (1.0, 1.0, 1.0, 1.0)


def test_expected_values_for_equal_distributions():
    found = np.array([metrics.prdc(*np.random.default_rng(s).standard_normal((2, 500, 4)), k=3) for s in range(4)])
    assert found[:, 2].mean() == pytest.approx(1.0, abs=0.05)
    assert found[:, 3].mean() == pytest.approx(1 - 2**-3, abs=0.02)


def test_a_lost_mode_and_an_outlier():
    real = np.concatenate([RNG.standard_normal((100, 2)), RNG.standard_normal((100, 2)) + 100])
    one = metrics.prdc(real, RNG.standard_normal((200, 2)))
    assert one.precision > 0.9
    assert one.recall < 0.55
    assert one.coverage < 0.55
    far = metrics.prdc(real, RNG.standard_normal((200, 2)) + 1e6)
    assert far == (0.0, 0.0, 0.0, 0.0)


def test_samples_that_are_all_equal():
    x = np.ones((10, 3))
    assert metrics.prdc(x, x) == (0.0, 0.0, 0.0, 0.0)  # balls without an inside
    assert metrics.prdc(x, RNG.standard_normal((10, 3)))[:1] == (0.0,)


def test_too_few_samples_are_refused():
    with pytest.raises(UsageError, match="at least 6"):
        metrics.prdc(np.zeros((5, 2)), np.zeros((9, 2)))
    with pytest.raises(UsageError, match="k=0"):
        metrics.prdc(np.zeros((5, 2)), np.zeros((9, 2)), k=0)
