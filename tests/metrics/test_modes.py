"""Modes: against closed forms, a direct count, and the KL that a perfect model has."""

import numpy as np
import pytest

from genjax import data, metrics
from genjax.data import Examples
from genjax.errors import UsageError


@pytest.mark.parametrize("mixture", [data.ring(), data.grid(), data.ring(3, sd=0.1)])
def test_the_data_itself(mixture):
    """All modes, 1 - exp(-9/2) of the samples, (k - 1) / 2n nats."""
    n, k = 200_000, len(mixture.centers)
    x = mixture.draw(n, seed=3)
    found = metrics.mode_coverage(x.x, mixture.centers, mixture.sd)
    share = 1 - np.exp(-4.5)
    assert (found.hit, found.n_modes) == (k, k)
    assert abs(found.good - share) < 4 * np.sqrt(share * (1 - share) / n)
    assert found.kl == pytest.approx((k - 1) / (2 * n), rel=4 * np.sqrt(2 / (k - 1)))
    np.testing.assert_array_equal(found.counts, np.bincount(x.y, minlength=k))
    assert found.good_counts.sum() == pytest.approx(found.good * n)


@pytest.mark.parametrize("n_sd", [1.0, 2.0, 3.0])
def test_share_of_good_samples_in_two_dimensions(n_sd):
    x = np.random.default_rng(0).normal(size=(100_000, 2))
    good = metrics.mode_coverage(5 + 2 * x, np.full((1, 2), 5.0), 2.0, n_sd=n_sd).good
    assert abs(good - (1 - np.exp(-(n_sd**2) / 2))) < 4 * np.sqrt(0.25 / 100_000)


def test_equals_a_count_by_hand():
    random = np.random.default_rng(1)
    centers, x = random.normal(size=(7, 3)), random.normal(size=(9000, 3))
    distance = np.linalg.norm(x[:, None] - centers, axis=2)
    near, good = distance.argmin(1), distance.min(1) <= 3 * 0.1
    found = metrics.mode_coverage(x.astype(np.float32), centers, 0.1)
    counts = np.bincount(near, minlength=7)
    np.testing.assert_array_equal(found.counts, counts)
    assert found.good == good.mean()
    assert found.hit == len(set(near[good]))
    p = counts / 9000
    assert found.kl == pytest.approx((p * np.log(7 * p)).sum(), abs=1e-12)


def test_a_sample_between_modes_hits_none_and_lost_modes_cost_their_logarithm():
    ring = data.ring()
    between = metrics.mode_coverage(np.zeros((10, 2)), ring.centers, ring.sd)
    assert (between.hit, between.good) == (0, 0.0)
    one = metrics.mode_coverage(ring.centers[[3] * 5], ring.centers, ring.sd)
    assert (one.hit, one.good) == (1, 1.0)
    assert one.kl == pytest.approx(np.log(8))
    weights = np.arange(1, 9)
    two = metrics.mode_coverage(ring.centers[[0, 7]], ring.centers, ring.sd, weights=weights)
    assert two.kl == pytest.approx(0.5 * np.log(0.5 * 36 / 1) + 0.5 * np.log(0.5 * 36 / 8))


def test_an_offset_changes_nothing_and_samples_that_are_not_finite_are_bad():
    grid = data.grid()
    x = grid.draw(2000, 0).x.reshape(-1, 2).astype(np.float64)
    here = metrics.mode_coverage(x, grid.centers, grid.sd)
    there = metrics.mode_coverage(x + 1e9, grid.centers + 1e9, grid.sd)
    assert abs(here.good - there.good) < 1e-3  # float64 keeps 1e-7 there; an expanded square would keep nothing
    x[:500] = np.nan
    some = metrics.mode_coverage(x, grid.centers, grid.sd)
    assert some.counts.sum() == 1500
    assert some.good < 0.76
    none = metrics.mode_coverage(np.full((3, 2), np.inf), grid.centers, grid.sd)
    assert (none.hit, none.good) == (0, 0.0)
    assert np.isnan(none.kl)


def test_histogram_kl_of_draws_from_the_reference():
    """The mean over many histograms is (k - 1) / 2n: also the floor of Stacked MNIST, 0.019 nats at 26,000."""
    random = np.random.default_rng(0)
    n, k = 26_000, 1000
    values = [metrics.histogram_kl(random.multinomial(n, np.full(k, 1 / k))) for _ in range(50)]
    assert np.mean(values) == pytest.approx((k - 1) / (2 * n), rel=0.03)
    with pytest.raises(UsageError, match="bins"):
        metrics.histogram_kl([1, -1])


def digit(k, size=6):
    """An image that shows k as its grey level."""
    return np.full((size, size, 1), 20 * k, np.uint8)


def level(images):
    """A classifier of `digit`."""
    return -np.abs(np.asarray(images, float).mean((1, 2, 3))[:, None] - 20 * np.arange(10))


def test_stacks_are_counted_by_the_names_that_they_were_made_with():
    part = Examples(np.stack([digit(k) for k in range(10)]), np.arange(10, dtype=np.int32))
    s = data.stacked(part, n=26_000, seed=1)
    found = metrics.stacked_coverage(s.x, level)
    np.testing.assert_array_equal(found.counts, np.bincount(s.y, minlength=1000))
    assert (found.hit, found.n_modes) == (1000, 1000)
    assert found.kl == pytest.approx(999 / 52_000, rel=0.2)
    assert metrics.stacked_coverage(s.x, level, real=found.counts).kl == 0
    few = metrics.stacked_coverage(s.x[s.y < 100], level)
    assert few.hit == 100
    assert few.kl == pytest.approx(np.log(10), abs=0.05)
    assert metrics.stacked_coverage(s.x, level, real=few.counts).kl == np.inf


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.mode_coverage(np.zeros((3, 2)), np.zeros((2, 3)), 1.0), r"\(2, 3\)"),
        (lambda: metrics.mode_coverage(np.zeros((0, 2)), np.zeros((2, 2)), 1.0), "n and k >= 1"),
        (lambda: metrics.mode_coverage(np.zeros((3, 2)), np.zeros((2, 2)), 0.0), "sd=0.0"),
        (lambda: metrics.stacked_coverage(np.zeros((3, 4, 4)), level), r"\(3, 4, 4\)"),
        (lambda: metrics.stacked_coverage(np.zeros((3, 4, 4, 3)), lambda x: x[:, 0, 0, 0]), "classifier"),
    ],
)
def test_errors_teach(call, message):
    with pytest.raises(UsageError, match=message):
        call()
