"""Modes of a column: variational Bayes against scikit-learn, values that many rows share, groups of many values."""

import numpy as np
import pytest

from genjax.data import modes
from genjax.data.modes import modes_of


def test_equals_scikit_learn():
    """Thirty iterations from the same k-means: weights, means and variances to nine digits."""
    pytest.importorskip("sklearn")
    import warnings

    from sklearn.cluster import KMeans
    from sklearn.mixture import BayesianGaussianMixture

    random = np.random.RandomState(0)
    x = np.concatenate([random.standard_normal(200), 4 + 0.5 * random.standard_normal(100), random.rand(60) * 9 - 3])
    x = (x - x.mean()) / x.std()
    mixture = BayesianGaussianMixture(
        n_components=6,
        weight_concentration_prior=modes.CONCENTRATION,
        tol=0,
        max_iter=30,
        random_state=0,
        reg_covar=1e-6,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        mixture.fit(x[:, None])
    label = KMeans(6, n_init=1, random_state=np.random.RandomState(0)).fit(x[:, None]).labels_
    found = modes.posterior(x, np.ones(len(x)), np.eye(6)[label], 30, 0.0)
    np.testing.assert_allclose(found.weight, mixture.weights_, rtol=1e-9)
    np.testing.assert_allclose(found.mean, mixture.means_[:, 0], rtol=1e-7, atol=1e-9)
    np.testing.assert_allclose(found.variance, mixture.covariances_[:, 0, 0], rtol=1e-9)


def test_counts_stand_for_repeated_points():
    random = np.random.RandomState(1)
    values, counts = random.standard_normal(40), random.randint(1, 9, 40).astype(float)
    share = np.eye(3)[np.arange(40) % 3]
    repeat = np.repeat(np.arange(40), counts.astype(int))
    a = modes.posterior(values, counts, share)
    b = modes.posterior(values[repeat], np.ones(len(repeat)), share[repeat])
    for x, y in zip(a, b, strict=True):
        np.testing.assert_allclose(x, y, rtol=1e-9)


def test_shared_values_are_modes_of_their_own():
    random = np.random.RandomState(0)
    gain = np.where(random.rand(5000) < 0.9, 0.0, 3000 + 500 * random.standard_normal(5000))
    found = modes_of(gain)
    assert found.mean[0] == 0.0
    assert found.sd[0] == 0.0
    assert found.weight[0] == pytest.approx(0.9, abs=0.02)
    assert (found.sd[1:] > 0).all()
    assert np.average(found.mean[1:], weights=found.weight[1:]) == pytest.approx(3000, abs=60)


@pytest.mark.parametrize(
    ("values", "expected"), [([7.0] * 9, 1), ([0.0, 1.0] * 20, 2), ([1.0], 1), (list(range(10)) * 5, 10)]
)
def test_few_values_are_all_modes(values, expected):
    found = modes_of(np.array(values, float))
    assert len(found.mean) == expected
    assert (found.sd == 0).all()
    assert found.weight.sum() == pytest.approx(1)


def test_many_values_are_put_together():
    """A hundred thousand different values have the modes of the few thousand groups that they are put into."""
    random = np.random.RandomState(0)
    x = np.concatenate([random.standard_normal(60_000), 20 + random.standard_normal(40_000)])
    found = modes_of(x)
    low = found.mean < 10
    assert found.weight[low].sum() == pytest.approx(0.6, abs=1e-3)
    mean = np.average(found.mean[low], weights=found.weight[low])
    assert mean == pytest.approx(0, abs=0.02)
    second = np.average((found.mean**2 + found.sd**2)[low], weights=found.weight[low])
    assert second == pytest.approx(1, abs=0.05)


def test_scale_and_place_of_a_column_change_nothing():
    random = np.random.RandomState(0)
    x = np.concatenate([random.standard_normal(300), 8 + random.standard_normal(100)])
    a, b = modes_of(x), modes_of(1e6 * x - 3e8)
    np.testing.assert_allclose(b.weight, a.weight, rtol=1e-6)
    np.testing.assert_allclose(b.mean, 1e6 * a.mean - 3e8, rtol=1e-9)
    np.testing.assert_allclose(b.sd, 1e6 * a.sd, rtol=1e-6)
