"""Annealed importance sampling against the evidence of a linear-Gaussian model, from both sides."""

import dataclasses
import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gaussian_vae import fixed, linear_gaussian
from quick import quick_jit

from genjax import metrics, models, nets
from genjax.metrics import ais
from genjax.types import UsageError

ROOT = jax.random.key(0)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    with jax.debug_key_reuse(False):
        yield


@pytest.mark.slow
def test_the_evidence_without_the_encoder():
    vae, x, log_evidence = linear_gaussian()

    def unused(x, y):
        raise AssertionError("the encoder was asked")

    vae, n = dataclasses.replace(vae, encoder=fixed(unused)), 32
    params, state = quick_jit(vae.init)(ROOT)
    out = quick_jit(lambda x: metrics.ais_log_likelihood(vae, params, state, x, ROOT, 100, n, 5))(x)
    off, error = np.asarray(out.log_likelihood, np.float64) - log_evidence(x), np.sqrt(1 / np.asarray(out.ess) - 1 / n)
    assert error.max() < 0.2
    assert np.abs(off / error).max() < 4.5
    assert abs(off.mean()) < 3 * np.sqrt((error**2).mean() / 64) < 0.05
    assert 0.5 < float(out.acceptance.mean()) < 0.95


def both(vae, **settings):
    return quick_jit(lambda key: metrics.bidirectional(vae, *vae.init(ROOT), key, **settings))(ROOT)


@pytest.mark.slow
def test_bidirectional_bounds_close_on_the_evidence():
    """The issue's oracle: both are within their mean gap and its error of log p(x)."""
    vae, _, log_evidence = linear_gaussian()
    out = both(vae, n=64, n_temperatures=100, n_chains=16, n_leapfrog=5)
    exact, gap = log_evidence(out.x), np.asarray(out.gap, np.float64)
    error = gap.std() / 64**0.5
    assert error < 0.04
    assert -3 * error < gap.mean() < 3 * error + 0.01
    for bound in (out.lower, out.upper):
        assert abs((np.asarray(bound, np.float64) - exact).mean()) < abs(gap.mean()) + 3 * error


@pytest.mark.slow
def test_weights_are_unbiased_both_ways_however_few_temperatures():
    """E w = p(x), and E 1/w = 1/p(x) back from an exact sample, if each transition has the right distribution.

    So the logarithms of single chains bracket the evidence, here from far.
    """
    vae, _, log_evidence = linear_gaussian()
    out = both(vae, n=4000, n_temperatures=16, n_chains=1, n_leapfrog=3)
    exact = log_evidence(out.x)
    lower, upper = np.asarray(out.lower, np.float64) - exact, np.asarray(out.upper, np.float64) - exact
    for ratio in (np.exp(lower), np.exp(-upper)):
        assert abs(ratio.mean() - 1) < 4 * ratio.std() / 4000**0.5
        assert 0.2 < ratio.std() < 4
    assert lower.mean() < -0.1
    assert upper.mean() > 0.1


def test_a_transition_leaves_its_distribution_invariant():
    """Exact samples at beta = 0.4 stay so, whatever the step size; a wrong beta would move them."""
    vae, x, _ = linear_gaussian()
    params, state = quick_jit(vae.init)(ROOT)
    run = ais._checked(vae, params, state, x[:1], None, 3, 3, 1)
    beta, n = 0.4, 10_000
    q = vae.encode(params["vae"], state["vae"], x[:1])[0]  # the posterior; at beta its information counts beta times
    information = np.exp(-np.asarray(q.logvar, np.float64)[0]) - 1
    variance = 1 / (1 + beta * information)
    mean = variance * beta * (1 + information) * np.asarray(q.mu, np.float64)[0]
    draws = mean + np.sqrt(variance) * np.random.default_rng(0).normal(size=(n, 1, 2))
    start = quick_jit(functools.partial(ais._point, run))(jnp.asarray(draws, jnp.float32))
    keys = jax.random.split(ROOT, 1)
    move = quick_jit(lambda p, beta, size: ais._transition(run, p, beta, size, keys, 7))
    for size in (jnp.full(1, 0.2), jnp.full(1, 0.9)):
        after, accept = move(start, beta, size)
        assert 0.2 < float(accept.mean()) < 0.999
        moved = np.asarray(after.z, np.float64)[:, 0]
        assert np.abs((moved.mean(0) - mean) / np.sqrt(variance / n)).max() < 4
        np.testing.assert_allclose(np.cov(moved.T), np.diag(variance), atol=0.05 * variance.max())
        np.testing.assert_allclose(after.log_x, run.log_likelihood(after.z), rtol=1e-4, atol=1e-4)
        wrong = np.asarray(move(start, 0.1, size)[0].z, np.float64)[:, 0]
        assert np.abs((wrong.mean(0) - mean) / np.sqrt(variance / n)).max() > 4


@pytest.mark.slow
def test_nets_with_labels_agree_with_importance_sampling():
    """Two estimates that share no formula but the model's; an example's draws are those of its id."""
    shape = (4, 3, 1)
    vae = models.VAE(nets.mlp_encoder(shape, 4, (6,), 3), nets.mlp_decoder(2, shape, (6,), 3), 2, n_classes=3)
    params, state = quick_jit(vae.init)(ROOT)
    params["vae"]["decoder"] = jax.tree.map(lambda v: 2.0 * v, params["vae"]["decoder"])
    x, y = jax.random.bernoulli(jax.random.key(1), 0.4, (6, *shape)).astype(jnp.float32), jnp.arange(6) % 3
    settings = {"n_temperatures": 100, "n_chains": 32, "n_leapfrog": 5}
    f = quick_jit(functools.partial(metrics.ais_log_likelihood, vae, params, state, key=ROOT, **settings))
    chains = f(x, y=y, id=jnp.arange(6))
    samples = quick_jit(lambda: metrics.iw_log_likelihood(vae, params, state, x, ROOT, 20_000, y=y))()
    error = np.hypot(np.sqrt(1 / np.asarray(chains.ess) - 1 / 32), np.asarray(samples.error))
    assert error.max() < 0.2
    assert np.abs((chains.log_likelihood - samples.log_likelihood) / error).max() < 4
    turned = f(x[::-1], y=y[::-1], id=jnp.arange(6)[::-1])
    np.testing.assert_allclose(turned.log_likelihood[::-1], chains.log_likelihood, rtol=1e-5)
    other = f(x, y=(y + 1) % 3, id=jnp.arange(6))
    assert float(jnp.abs(other.log_likelihood - chains.log_likelihood).max()) > 0.5


@pytest.mark.slow
def test_a_class_conditional_model_makes_its_data_of_every_class():
    vae = models.VAE(nets.mlp_encoder((2, 2, 1), 4, (6,), 3), nets.mlp_decoder(2, (2, 2, 1), (6,), 3), 2, n_classes=3)
    out = both(vae, n=6, n_temperatures=50, n_chains=16, n_leapfrog=3)
    assert out.x.shape == (6, 2, 2, 1)
    assert abs(float(out.gap.mean())) < 0.2


def test_temperatures_begin_at_the_prior_and_end_at_the_posterior():
    betas = ais._betas(50)
    assert (betas[0], betas[-1]) == (0.0, 1.0)
    assert (np.diff(betas) > 0).all()
    np.testing.assert_allclose(betas, 1 - betas[::-1], atol=1e-12)


@pytest.mark.parametrize("settings", [(0, 1, 1), (2, 0, 1), (2, 1, 0)])
def test_nothing_of_anything_is_refused(settings):
    vae, x, _ = linear_gaussian()
    with pytest.raises(UsageError, match=r"n_\w+=0 must be at least 1"):
        metrics.ais_log_likelihood(vae, *vae.init(ROOT), x, ROOT, *settings)
