import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats

from genjax.distributions import Normal

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # distrax's own, at import
    import distrax

HALF_LOG_2PI = 0.9189385332046727


def random_normal(seed: int, shape=(3, 4, 2)) -> Normal:
    rng = np.random.default_rng(seed)
    return Normal(jnp.array(rng.normal(size=shape), jnp.float32), jnp.array(rng.normal(size=shape), jnp.float32))


def test_the_constant_is_half_log_2pi_per_dimension():
    p = Normal.standard((1, 1))
    assert float(p.log_prob(jnp.zeros((1, 1)))[0]) == pytest.approx(-HALF_LOG_2PI, abs=1e-7)
    p = Normal.standard((2, 28, 28, 1))
    np.testing.assert_allclose(p.log_prob(jnp.zeros((2, 28, 28, 1))), -784 * HALF_LOG_2PI, rtol=1e-6)


def test_log_prob_equals_scipy():
    p = random_normal(0)
    x = np.random.default_rng(1).normal(size=p.shape)
    expected = scipy.stats.norm.logpdf(x, np.asarray(p.mu), np.exp(np.asarray(p.logvar) / 2)).sum(axis=(1, 2))
    np.testing.assert_allclose(p.log_prob(jnp.array(x, jnp.float32)), expected, rtol=2e-6)


def test_density_integrates_to_one():
    grid = jnp.linspace(-12.0, 12.0, 4001)[:, None]
    p = Normal(jnp.full((1, 1), 0.7), jnp.full((1, 1), 0.4))
    assert float(jnp.exp(p.log_prob(grid)).sum() * (24.0 / 4000)) == pytest.approx(1.0, abs=1e-5)


def test_kl_equals_distrax():
    q, p = random_normal(2), random_normal(3)

    def reference(d):
        return distrax.Normal(d.mu, jnp.exp(d.logvar / 2))

    expected = reference(q).kl_divergence(reference(p)).sum((1, 2))
    np.testing.assert_allclose(q.kl(p), expected, rtol=1e-5)


def test_kl_equals_numerical_integration():
    x = np.linspace(-15, 15, 30001)
    q, p = scipy.stats.norm(0.3, 0.8), scipy.stats.norm(-0.5, 1.7)
    expected = np.trapezoid(q.pdf(x) * (q.logpdf(x) - p.logpdf(x)), x)
    one = jnp.ones((1, 1))
    kl = Normal(0.3 * one, 2 * jnp.log(0.8 * one)).kl(Normal(-0.5 * one, 2 * jnp.log(1.7 * one)))
    assert float(kl[0]) == pytest.approx(expected, rel=1e-5)


def test_kl_keeps_its_digits_for_almost_equal_variances():
    # KL = (exp(d) - 1 - d) / 2 = d^2 / 4 + O(d^3): 2.5e-9 here, far below float32's step at 1.
    q = Normal(jnp.zeros((1, 1)), jnp.full((1, 1), 1e-4))
    assert float(q.kl(Normal.standard((1, 1)))[0]) == pytest.approx(2.5e-9, rel=0.1)
    assert float(q.kl(q)[0]) == 0.0


def test_kl_of_equal_variances_is_half_the_squared_distance_summed():
    mu = jnp.array(np.random.default_rng(4).normal(size=(5, 7)), jnp.float32)
    np.testing.assert_allclose(
        Normal(mu, jnp.zeros((5, 7))).kl(Normal.standard((5, 7))), (np.asarray(mu) ** 2 / 2).sum(1), rtol=1e-6
    )


def test_fields_broadcast_before_the_sum():
    full, x = random_normal(5), jnp.ones((3, 4, 2))
    one_variance = Normal(full.mu, jnp.full((1, 1, 1), -1.3))
    spread = Normal(full.mu, jnp.full((3, 4, 2), -1.3))
    np.testing.assert_allclose(one_variance.log_prob(x), spread.log_prob(x), rtol=1e-6)
    np.testing.assert_allclose(one_variance.kl(full), spread.kl(full), rtol=1e-6)
    np.testing.assert_allclose(full.kl(one_variance), full.kl(spread), rtol=1e-6)
    for a in (one_variance.mean, one_variance.mode, one_variance.scale, one_variance.sample(jax.random.key(0))):
        assert a.shape == (3, 4, 2)


def test_samples_have_the_moments():
    n = 40_000
    p = Normal(jnp.full((n, 1), 1.5), jnp.full((1, 1), 2 * np.log(0.5)))
    x = np.asarray(p.sample(jax.random.key(0)), np.float64)
    # Five standard errors: sd / sqrt(n) for the mean, sd / sqrt(2 n) for the standard deviation.
    assert abs(x.mean() - 1.5) < 5 * 0.5 / np.sqrt(n)
    assert abs(x.std() - 0.5) < 5 * 0.5 / np.sqrt(2 * n)


def test_samples_are_reparametrised():
    q = random_normal(6)
    x = q.sample(jax.random.key(1))
    d_mu, d_logvar = jax.grad(lambda q: q.sample(jax.random.key(1)).sum())(q)
    np.testing.assert_allclose(d_mu, 1.0)
    np.testing.assert_allclose(d_logvar, 0.5 * (x - q.mu), rtol=1e-5, atol=1e-6)


def test_samples_come_with_their_log_densities():
    q = random_normal(7)
    z, log_q = q.samples(jax.random.key(1), 5)
    mu, scale = (np.asarray(a, np.float64)[:, None] for a in (q.mean, q.scale))
    expected = scipy.stats.norm.logpdf(np.asarray(z, np.float64), mu, scale).sum((2, 3))
    assert z.shape == (3, 5, 4, 2)
    np.testing.assert_allclose(log_q, expected, rtol=1e-5)
    np.testing.assert_allclose(q.log_probs(z), expected, rtol=1e-5)
    np.testing.assert_allclose(q.log_probs(z)[:, 2], q.log_prob(z[:, 2]), rtol=1e-5)

    # Where z moves with its own density, that depends on the scale alone; at a fixed z on both.
    moving = jax.grad(lambda q: q.samples(jax.random.key(1), 5)[1].sum())(q)
    np.testing.assert_array_equal(moving.mu, 0.0)
    np.testing.assert_allclose(moving.logvar, -0.5 * 5)
    fixed = jax.grad(lambda q: q.log_probs(z).sum())(q)
    np.testing.assert_allclose(fixed.mu, ((z - q.mean[:, None]) / q.scale[:, None] ** 2).sum(1), rtol=1e-4, atol=1e-5)


def test_log_variance_is_not_clamped():
    # A floor at -6 or so inside Normal would silently change densities: the exact value at logvar = -20.
    p = Normal(jnp.zeros((1, 1)), jnp.full((1, 1), -20.0))
    assert float(p.log_prob(jnp.zeros((1, 1)))[0]) == pytest.approx(10.0 - HALF_LOG_2PI, rel=1e-6)


def test_half_precision_fields_are_computed_in_float32():
    q = Normal(*(a.astype(jnp.bfloat16) for a in random_normal(7)))
    exact = Normal(*(a.astype(jnp.float32) for a in q))
    assert q.kl(exact).dtype == q.log_prob(q.mu).dtype == q.sample(jax.random.key(0)).dtype == jnp.float32
    np.testing.assert_array_equal(q.log_prob(q.mu), exact.log_prob(exact.mu))


def test_is_a_pytree_under_jit_and_vmap():
    q = random_normal(8)
    np.testing.assert_allclose(jax.jit(lambda q: q.kl(q))(q), 0.0)
    stacked = jax.tree.map(lambda a: jnp.stack([a, a + 1]), q)
    assert jax.vmap(lambda q: q.log_prob(q.mu))(stacked).shape == (2, 3)


def test_uniform_dequantisation_bounds_the_discrete_likelihood():
    # P(v) is the integral of p over [v, v + 1) / 256; by Jensen E_u log(p((v + u) / 256) / 256) <= log P(v).
    mu, sigma = 0.42, 0.004
    v = np.arange(100, 116)
    edges = scipy.stats.norm(mu, sigma).cdf(np.arange(100, 117) / 256)
    log_mass = np.log(np.diff(edges))
    u = (np.arange(256) + 0.5) / 256
    x = jnp.array((v[:, None] + u) / 256, jnp.float32).reshape(-1, 1)
    p = Normal(jnp.full((1, 1), mu), jnp.full((1, 1), 2 * np.log(sigma)))
    bound = np.asarray(p.log_prob(x)).reshape(16, 256).mean(1) - np.log(256)
    assert (bound < log_mass + 1e-4).all()
    assert (bound[6:9] > log_mass[6:9] - 0.5).all()  # and near the mode it is not vacuous
