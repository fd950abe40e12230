"""Neighbours: exact against float64 by hand, whatever the offset, ties and parts; authenticity in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import metrics
from genjax.errors import UsageError

RECIPROCAL = {1: 2 / 3, 2: 6 * np.pi / (8 * np.pi + 3 * np.sqrt(3)), 3: 16 / 27}
"""Chance that a point is its nearest neighbour's nearest neighbour, in so many dimensions."""


def by_hand(a, b, k, exclude=None):
    d2 = np.stack([np.square(b.astype(np.float64) - row.astype(np.float64)).sum(1) for row in a])
    if exclude is not None:
        d2[np.arange(len(a)), exclude] = np.inf
    index = np.argsort(d2, axis=1, kind="stable")[:, :k]
    return index, np.sqrt(np.take_along_axis(d2, index, 1))


@pytest.mark.parametrize("k", [1, 5])
@pytest.mark.parametrize("d", [1, 2, 50, 784])
@pytest.mark.parametrize("kind", ["uint8", "normal", "tight", "offset", "few levels"])
def test_exact(kind, d, k):
    random = np.random.default_rng(d)
    if kind == "uint8":
        a, b = (random.integers(0, 256, (n, d), np.uint8) for n in (40, 300))
    elif kind == "few levels":  # many ties, most of them exact
        a, b = (random.integers(0, 2, (n, d)).astype(np.float32) for n in (40, 300))
    else:
        a, b = (random.normal(size=(n, d)) for n in (40, 300))
        if kind == "tight":  # clusters far from the common centre
            a, b = (1000.0 * (np.arange(len(x)) % 3)[:, None] + 1e-4 * x for x in (a, b))
        if kind == "offset":
            a, b = a + 1e7, b + 1e7
    index, distance = metrics.nearest_neighbours(a, b, k)
    want_index, want = by_hand(a, b, k)
    np.testing.assert_array_equal(index, want_index)
    np.testing.assert_allclose(distance, want, rtol=1e-12)


def test_a_common_offset_changes_no_neighbour():
    random = np.random.default_rng(0)
    a, b = (random.integers(0, 64, (n, 100)).astype(np.float32) / 64 for n in (100, 500))
    here = metrics.nearest_neighbours(a, b, 4)
    there = metrics.nearest_neighbours(a + 65_536, b + 65_536, 4)  # exact in float32
    np.testing.assert_array_equal(here.index, there.index)
    np.testing.assert_array_equal(here.distance, there.distance)


def test_images_themselves_duplicates_and_parts(monkeypatch):
    x = np.random.default_rng(0).integers(0, 256, (90, 6, 5, 3), np.uint8)
    x[60:80] = x[3]  # more copies than the first pass keeps
    found = metrics.nearest_neighbours(x, x, 3, exclude=np.arange(90))
    want = by_hand(x.reshape(90, -1), x.reshape(90, -1), 3, np.arange(90))
    np.testing.assert_array_equal(found.index, want[0])
    np.testing.assert_array_equal(found.index[70], [3, 60, 61])
    np.testing.assert_array_equal(found.distance, want[1])
    monkeypatch.setattr("genjax.metrics.neighbours.ELEMENTS", 90 * 7)
    again = metrics.nearest_neighbours(x, x, 3, exclude=np.arange(90))
    np.testing.assert_array_equal(again.index, found.index)
    some = np.where(np.arange(90) % 2, np.arange(90), -1)
    index = metrics.nearest_neighbours(x[:50], x[:50], 49, exclude=some[:50]).index
    assert (index[1::2] != np.arange(1, 50, 2)[:, None]).all()
    assert (index[::2] == np.arange(0, 50, 2)[:, None]).any(1).all()


def test_all_rows_equal_and_one_row():
    assert metrics.nearest_neighbours(np.ones((2, 3)), np.ones((20, 3)), 2).index.tolist() == [[0, 1], [0, 1]]
    assert metrics.nearest_neighbours(np.ones((2, 3)), np.zeros((1, 3))).distance.ravel() == pytest.approx(3**0.5)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_samples_of_the_data_are_authentic_as_geometry_has_it(d):
    """A sample is not where it and its neighbour are each other's nearest."""
    random = np.random.default_rng(d)
    found = metrics.authenticity(random.uniform(size=(6000, d)), random.uniform(size=(6000, d)))
    assert found.share == pytest.approx(1 - RECIPROCAL[d], abs=0.025)


def test_copies_and_near_copies_are_not_authentic_and_strangers_are():
    random = np.random.default_rng(0)
    train = random.normal(size=(500, 20))
    assert metrics.authenticity(train[:100], train).share == 0
    assert metrics.authenticity(train[:100] + 1e-3 * random.normal(size=(100, 20)), train).share == 0
    assert metrics.authenticity(train[:100] + 100, train).share == 1
    assert metrics.authenticity(np.array([[-1.0]]), np.array([[0.0], [1.0]])).share == 0  # as far, not farther
    own = by_hand(train, train, 1, np.arange(500))[1][:, 0]
    fresh = random.normal(size=(200, 20))
    index, distance = by_hand(fresh, train, 1)
    found = metrics.authenticity(fresh, train)
    np.testing.assert_allclose(found.own, own[index[:, 0]], rtol=1e-12)
    np.testing.assert_array_equal(found.authentic, distance[:, 0] > own[index[:, 0]])
    assert 0.2 < found.share < 0.8


def test_half_copies_are_half_the_share():
    random = np.random.default_rng(0)
    train, fresh = random.uniform(size=(4000, 2)), random.uniform(size=(2000, 2))
    both = np.concatenate([fresh, train[:2000]])
    assert metrics.authenticity(both, train).share == pytest.approx((1 - RECIPROCAL[2]) / 2, abs=0.025)


def test_held_out_gap_of_known_logits():
    """Normals of means 1 and 0: gap 1, AUC Phi(1 / sqrt 2), accuracy gap Phi(1) - Phi(0)."""
    random = np.random.default_rng(0)
    n = 200_000
    train, other, fake = random.normal(1, 1, n), random.normal(0, 1, n), random.normal(-1, 1, n)
    found = metrics.held_out_gap(lambda x: x, train, other, fake)
    assert found.gap == pytest.approx(1, abs=0.01)
    assert found.auc == pytest.approx(0.76025, abs=0.003)
    assert found.accuracy_gap == pytest.approx(0.841345 - 0.5, abs=0.005)
    assert found.overfit == pytest.approx(0.5, abs=0.01)
    same = metrics.held_out_gap(lambda x: x, train[: n // 2], train[n // 2 :])
    assert same.gap == pytest.approx(0, abs=0.02)
    assert same.auc == pytest.approx(0.5, abs=0.005)
    assert same.overfit is None


def test_held_out_gap_counts_pairs_and_ties_and_runs_in_batches():
    a, b = np.array([0.0, 1.0, 1.0, 3.0]), np.array([1.0, 0.0, 2.0])
    pairs = [(x > y) + 0.5 * (x == y) for x in a for y in b]
    assert metrics.held_out_gap(lambda x: x, a, b).auc == np.mean(pairs)
    sizes = []

    def score(x):
        sizes.append(len(x))
        return x.astype(float).mean((1, 2, 3))

    x = np.random.default_rng(0).integers(0, 256, (600, 4, 4, 1), np.uint8)
    found = metrics.held_out_gap(score, x, x[:10])
    assert set(sizes[:3]) == {256}
    assert found.train == pytest.approx(x.mean((1, 2, 3)).mean())
    assert np.isnan(metrics.held_out_gap(score, x, x, x).overfit)
    jitted = metrics.held_out_gap(jax.jit(lambda v: jnp.mean(v.astype(jnp.float32), (1, 2, 3))), x, x[:10])
    assert jitted.gap == pytest.approx(found.gap, rel=1e-4)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.nearest_neighbours(np.zeros((3, 2)), np.zeros((3, 4))), "must agree"),
        (lambda: metrics.nearest_neighbours(np.zeros((3, 2)), np.zeros((4, 2)), 5), "1 ... 4"),
        (lambda: metrics.nearest_neighbours(np.zeros((3, 2)), np.zeros((4, 2)), 4, np.arange(3)), "1 ... 3"),
        (lambda: metrics.nearest_neighbours(np.zeros((3, 2)), np.zeros((4, 2)), exclude=np.arange(2)), r"\(3,\)"),
        (lambda: metrics.nearest_neighbours(np.full((3, 2), np.nan), np.zeros((4, 2))), "3 of 3 queries"),
        (lambda: metrics.nearest_neighbours(np.zeros(3), np.zeros((4, 1))), "queries are"),
        (lambda: metrics.authenticity(np.zeros((3, 2)), np.zeros((1, 2))), "at least 2"),
        (lambda: metrics.held_out_gap(lambda x: x, np.zeros(3), np.zeros(0)), "held_out has shape"),
        (lambda: metrics.held_out_gap(lambda x: x[:, None], np.zeros(3), np.zeros(3)), r"\(3, 1\)"),
        (lambda: metrics.held_out_gap(lambda x: x / 0.0 if x[0] else x, np.ones(3) * np.inf, np.zeros(3)), "finite"),
    ],
)
def test_errors_teach(call, message):
    with pytest.raises(UsageError, match=message):
        call()
