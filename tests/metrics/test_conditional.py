"""Class-conditional metrics: counts by hand, and distances of known Gaussians class by class."""

import numpy as np
import pytest

from genjax import metrics
from genjax.errors import UsageError


def logits(images):
    """A classifier of four classes that reads the class off the first pixel."""
    return np.eye(4)[np.asarray(images)[:, 0, 0, 0]]


def test_accuracy_by_class():
    asked = np.array([0, 0, 0, 1, 1, 3])
    given = np.array([0, 0, 2, 1, 0, 3])
    images = np.broadcast_to(given[:, None, None, None], (6, 2, 2, 1)).astype(np.uint8)
    found = metrics.class_accuracy(images, asked, logits)
    assert found.accuracy == pytest.approx(4 / 6)
    np.testing.assert_allclose(found.per_class, [2 / 3, 1 / 2, np.nan, 1])
    want = np.zeros((4, 4), int)
    np.add.at(want, (asked, given), 1)
    np.testing.assert_array_equal(found.confusion, want)


def squared_mean_distance(real, fake):
    return float(np.square(real.mean(0) - fake.mean(0)).sum())


def test_distance_is_within_each_class():
    """Swapped classes are invisible to the distance of all, and not to that of each."""
    random = np.random.default_rng(0)
    y = np.arange(600) % 3
    real = random.normal(size=(600, 2)) + 10.0 * y[:, None]
    fake = random.normal(size=(600, 2)) + 10.0 * y[:, None]
    right = metrics.frechet_per_class(real, y, fake, y, squared_mean_distance)
    assert right.mean < 0.2
    swapped = metrics.frechet_per_class(real, y, fake, np.array([1, 0, 2])[y], squared_mean_distance)
    np.testing.assert_allclose(swapped.per_class, [200, 200, 0], rtol=0.05, atol=0.2)
    assert swapped.mean == pytest.approx(swapped.per_class.mean())
    assert squared_mean_distance(real, fake) < 0.2
    some = metrics.frechet_per_class(real, y, fake[y != 1], y[y != 1], squared_mean_distance)
    assert np.isnan(some.per_class[1])
    assert some.mean == pytest.approx(np.nanmean(some.per_class))


def test_default_distance_of_known_gaussians():
    """N(0, I) against N(m, 4 I): |m|^2 + d."""
    random = np.random.default_rng(0)
    y = np.arange(40_000) % 2
    real = random.normal(size=(40_000, 3))
    fake = 2 * random.normal(size=(40_000, 3)) + np.array([[0.0], [2.0]])[y]
    found = metrics.frechet_per_class(real, y, fake, y)
    np.testing.assert_allclose(found.per_class, [3, 3 + 12], rtol=0.05)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: metrics.class_accuracy(np.zeros((2, 3, 3, 1), np.uint8), [0, 9], logits), "0 ... 3"),
        (lambda: metrics.class_accuracy(np.zeros((2, 3, 3, 1), np.uint8), [0.5, 1.0], logits), "whole number"),
        (lambda: metrics.class_accuracy(np.zeros((2, 3, 3, 1), np.uint8), [0], logits), r"\(1,\)"),
        (lambda: metrics.frechet_per_class(np.zeros((2, 1)), [0, 1], np.zeros((2, 1)), [0, 1]), "no class has 2"),
    ],
)
def test_errors_teach(call, message):
    with pytest.raises(UsageError, match=message):
        call()
