"""The Laplace distribution of 16-bit samples against scipy's in float64."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import quick_jit
from scipy import stats

from genjax.distributions import DiscretizedLaplace, Likelihood, laplace16

LEVELS = np.arange(-32768, 32768) / 32768.0
CASES = [(0.0, -3.0), (0.25, -6.0), (0.25 + 0.3 / 32768, -10.4), (0.25 + 0.5 / 32768, -12.0), (-1.0, -4.0),
         (1.2, -2.0), (0.9999, -1.0), (-3.0, 0.5), (0.1, -13.9)]  # fmt: skip


def masses(mu: float, log_scale: float) -> np.ndarray:
    """The mass of every level in float64."""
    edges = (LEVELS[:-1] + LEVELS[1:]) / 2
    d = stats.laplace(mu, np.exp(log_scale))
    upper = np.diff(d.sf(edges)) * -1.0
    inner = np.where(edges[1:] <= mu, np.diff(d.cdf(edges)), upper)
    return np.concatenate([[d.cdf(edges[0])], inner, [d.sf(edges[-1])]])


def all_levels(mu: float, log_scale: float) -> DiscretizedLaplace:
    full = jnp.full((65536, 1), 1.0)
    return DiscretizedLaplace(mu * full, log_scale * full)


@pytest.mark.parametrize(("mu", "log_scale"), CASES)
def test_masses_equal_scipys_and_sum_to_one(mu, log_scale):
    log_p = np.asarray(quick_jit(lambda x: all_levels(mu, log_scale).log_prob(x))(jnp.asarray(LEVELS)[:, None]))
    expected = masses(float(np.float32(mu)), log_scale)
    assert np.exp(log_p.astype(np.float64)).sum() == pytest.approx(1.0, abs=2e-4)
    seen = expected > 1e-30
    np.testing.assert_allclose(log_p[seen], np.log(expected[seen]), atol=2e-3, rtol=1e-3)
    assert np.isfinite(log_p).all()
    assert (log_p <= 1e-6).all()


@pytest.mark.parametrize(("mu", "log_scale"), CASES)
def test_mean_is_the_expectation_of_the_levels(mu, log_scale):
    exact = (masses(mu, log_scale) * LEVELS).sum()
    d = DiscretizedLaplace(jnp.full((1, 1), mu), jnp.full((1, 1), log_scale))
    assert float(d.mean[0, 0]) == pytest.approx(exact, abs=1.0 / 32768)
    assert abs(float(d.mode[0, 0]) - float(np.clip(mu, -1, LEVELS[-1]))) <= 0.5 / 32768 + 1e-7


def test_samples_lie_on_levels_and_follow_the_distribution():
    d = DiscretizedLaplace(jnp.full((20000, 1), 0.9), jnp.full((20000, 1), -2.0))
    x = np.asarray(d.sample(jax.random.key(0)))
    assert (x * 32768 == np.rint(x * 32768)).all()
    assert x.max() == LEVELS[-1]
    p = masses(0.9, -2.0)
    assert (x == LEVELS[-1]).mean() == pytest.approx(p[-1], abs=0.015)
    assert x.mean() == pytest.approx((p * LEVELS).sum(), abs=0.005)


def test_gradients_are_finite_everywhere():
    x = jnp.asarray([[-1.0, 0.0, 0.5, LEVELS[-1]]])

    def loss(mu, log_scale):
        return DiscretizedLaplace(mu + jnp.zeros((1, 4)), log_scale + jnp.zeros((1, 4))).log_prob(x).sum()

    grad = quick_jit(jax.grad(loss, argnums=(0, 1)))
    for mu in (-1e3, -1.0, 0.0, 0.5, 1.0, 1e3):
        for log_scale in (-14.0, -8.0, 2.0):
            assert all(np.isfinite(g) for g in grad(jnp.asarray(mu), jnp.asarray(log_scale)))


def test_likelihood_takes_two_numbers_a_sample():
    p = laplace16()
    assert p.n_out(1) == 2
    d = p.apply(p.init(1), jnp.zeros((3, 8, 2)))
    assert d.mean.shape == (3, 8)
    assert float(jnp.exp(d.log_scale[0, 0])) == pytest.approx(np.exp(-4), rel=1e-2)  # softly clamped
    wild = p.apply({}, jnp.full((1, 8, 2), 1e4)).log_prob(jnp.zeros((1, 8)))
    assert bool(jnp.isfinite(wild).all())
    assert isinstance(p, Likelihood)


def test_silence_costs_little_and_never_pays():
    """A model that is sure of silence gets nearly 0 nats for it, where a density would grow without end."""
    p = laplace16().apply({}, jnp.stack([jnp.zeros((1, 100)), jnp.full((1, 100), -50.0)], axis=-1))
    assert -1e-3 < float(p.log_prob(jnp.zeros((1, 100)))[0]) <= 0.0
