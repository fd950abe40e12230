import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from genjax import losses
from genjax.distributions import Normal

RNG = np.random.default_rng(0)
Q = Normal(jnp.array(RNG.normal(size=(6, 5)), jnp.float32), jnp.array(RNG.normal(size=(6, 5)), jnp.float32))


def test_kl_is_summed_over_z_not_averaged():
    mu = jnp.array(RNG.normal(size=(4, 32)), jnp.float32)
    expected = (np.asarray(mu, np.float64) ** 2 / 2).sum(1)
    np.testing.assert_allclose(losses.kl_std_normal(Normal(mu, jnp.zeros((4, 32)))), expected, rtol=1e-6)


def test_the_standard_normal_is_the_general_case_at_zero():
    np.testing.assert_allclose(losses.kl_std_normal(Q), losses.kl_normal(Q, Normal.standard((6, 5))), rtol=1e-6)
    np.testing.assert_allclose(losses.kl_std_normal(Q), losses.kl_normal(Q, Normal.standard((1, 5))), rtol=1e-6)


def test_kl_equals_numerical_integration():
    x = np.linspace(-14, 14, 20001)
    for i in range(3):
        expected = 0.0
        for mu, logvar in zip(np.asarray(Q.mu[i]), np.asarray(Q.logvar[i]), strict=True):
            q = scipy.stats.norm(mu, np.exp(logvar / 2))
            expected += np.trapezoid(q.pdf(x) * (q.logpdf(x) - scipy.stats.norm.logpdf(x)), x)
        assert float(losses.kl_std_normal(Q)[i]) == pytest.approx(expected, rel=1e-5)


def test_one_variance_for_all_dimensions_counts_once_per_dimension():
    q = Normal(jnp.zeros((2, 7)), jnp.full((1, 1), -1.0))
    expected = 7 * 0.5 * (np.exp(-1.0) - 1.0 + 1.0)
    np.testing.assert_allclose(losses.kl_std_normal(q), expected, rtol=1e-6)


def test_half_precision_is_computed_in_float32():
    q = Normal(*(a.astype(jnp.bfloat16) for a in Q))
    exact = Normal(*(a.astype(jnp.float32) for a in q))
    assert losses.kl_std_normal(q).dtype == losses.kl_normal(q, q).dtype == jnp.float32
    np.testing.assert_array_equal(losses.kl_std_normal(q), losses.kl_std_normal(exact))
