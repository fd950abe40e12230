"""Latents against quadrature, float64 NumPy and the closed forms of a linear-Gaussian model."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.integrate
import scipy.special
import scipy.stats
from gaussian_vae import linear_gaussian
from quick import quick_jit

from genjax import distributions, losses, metrics
from genjax.types import UsageError

ROOT = jax.random.key(0)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    with jax.debug_key_reuse(False):
        yield


def posteriors(n=6, n_z=1, seed=0, spread=1.5):
    r = np.random.default_rng(seed)
    mu, logvar = spread * r.normal(size=(n, n_z)), r.normal(size=(n, n_z)) - 1
    return distributions.Normal(jnp.asarray(mu, jnp.float32), jnp.asarray(logvar, jnp.float32))


def aggregate(q, n_samples=1, rows=None, key=ROOT):
    return quick_jit(lambda q, key: metrics.aggregate_posterior(q, key, n_samples, rows))(q, key)


def test_against_quadrature():
    """KL(q(z) || p(z)) and I_q(x; z) of six normals on a line, integrated."""
    q = posteriors()
    mu, sd = np.asarray(q.mu, np.float64)[:, 0], np.exp(0.5 * np.asarray(q.logvar, np.float64)[:, 0])
    mixture = lambda z: scipy.stats.norm.pdf(z, mu, sd).mean()  # noqa: E731
    integrand = lambda z: mixture(z) * (np.log(mixture(z)) - scipy.stats.norm.logpdf(z))  # noqa: E731
    kl = scipy.integrate.quad(integrand, -12, 12, limit=400, epsabs=1e-10)[0]
    entropy = scipy.integrate.quad(lambda z: -mixture(z) * np.log(mixture(z)), -12, 12, limit=400, epsabs=1e-10)[0]
    information = entropy - scipy.stats.norm.entropy(mu, sd).mean()
    out = aggregate(q, 40_000)
    assert float(out.kl) == pytest.approx(kl, abs=5e-3)
    assert float(out.mutual_information) == pytest.approx(information, abs=5e-3)
    assert float(out.rate) == pytest.approx(kl + information, rel=1e-5)


@pytest.mark.slow
def test_against_numpy_in_float64():
    q = posteriors(50, 7)
    eps = np.asarray(jax.random.normal(jax.random.fold_in(ROOT, 0), (50, 7)), np.float64)
    mu, sd = np.asarray(q.mu, np.float64), np.exp(0.5 * np.asarray(q.logvar, np.float64))
    z = mu + sd * eps
    log_q = scipy.stats.norm.logpdf(z[:, None], mu[None], sd[None]).sum(2)
    each = np.diag(log_q) - scipy.special.logsumexp(log_q, axis=1) + np.log(50)
    for rows in (8, None):
        out = aggregate(q, rows=rows)
        assert float(out.mutual_information) == pytest.approx(each.mean(), abs=2e-5)
        assert float(out.error) == pytest.approx(each.std() / 50**0.5, rel=1e-3)


@pytest.mark.slow
def test_the_two_limits_are_exact():
    collapsed = distributions.Normal(jnp.zeros((64, 3)), jnp.zeros((64, 3)))
    out = aggregate(collapsed)
    assert [float(v) for v in out] == pytest.approx([0.0, 0.0, 0.0, 0.0], abs=1e-6)
    apart = distributions.Normal(100.0 * jnp.arange(64.0)[:, None] * jnp.ones((1, 3)), jnp.full((64, 3), -8.0))
    out = aggregate(apart)
    assert float(out.mutual_information) == pytest.approx(np.log(64), rel=1e-6)
    assert float(out.kl) == pytest.approx(float(losses.kl_std_normal(apart).mean()) - np.log(64), rel=1e-6)


def test_linear_gaussian_model():
    """At the exact posterior q(z) is the prior and the rate is all information: -1/2 sum of log posterior variances."""
    vae, _, _ = linear_gaussian()
    z = jax.random.normal(ROOT, (3000, 2))
    x = vae.decode({"decoder": {}, "likelihood": {}}, {"decoder": {}}, z)[0].sample(jax.random.key(1))
    q = vae.encode({"encoder": {}}, {"encoder": {}}, x)[0]
    out = aggregate(q, 4)
    assert float(out.mutual_information) == pytest.approx(-0.5 * float(q.logvar[0].sum()), abs=0.05)
    assert float(out.kl) == pytest.approx(0.0, abs=0.05)


def test_active_units():
    r = np.random.default_rng(0)
    sd = np.array([0.05, 0.099, 0.101, 1.0, 0.0])
    raw = r.normal(size=(4000, 5))
    mu = jnp.asarray((raw - raw.mean(0)) / raw.std(0, ddof=1) * sd + 3.0, jnp.float32)
    assert int(jax.jit(metrics.active_units)(mu)) == 2
    assert int(metrics.active_units(mu, threshold=0.5)) == 1
    assert int(metrics.active_units(mu, threshold=0.002)) == 4
    with pytest.raises(UsageError, match="no variance"):
        metrics.active_units(mu[:1])


def test_kl_by_dimension_adds_up_to_the_rate():
    q = posteriors(9, 4)
    each = metrics.kl_per_dimension(q)
    mu, v = np.asarray(q.mu, np.float64), np.exp(np.asarray(q.logvar, np.float64))
    np.testing.assert_allclose(each, (0.5 * (mu**2 + v - 1 - np.log(v))).mean(0), rtol=1e-5)
    assert float(each.sum()) == pytest.approx(float(losses.kl_std_normal(q).mean()), rel=1e-6)


def test_no_samples_are_refused():
    with pytest.raises(UsageError, match="n_samples=0"):
        metrics.aggregate_posterior(posteriors(), ROOT, 0)
