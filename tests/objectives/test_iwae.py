"""The importance-weighted bound against NumPy, the evidence of a linear-Gaussian model, and its own limits."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from gaussian_vae import linear_gaussian
from quick import quick_jit

from genjax import losses, models, nets, objectives
from genjax.types import Batch, Context, UsageError

ROOT = jax.random.key(0)
SHAPE = (4, 3, 1)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


def context(vae, key=ROOT):
    params, state = vae.init(ROOT)
    return params, Context(state, key, jnp.int32(0))


def small(n_classes=0):
    enc = nets.mlp_encoder(SHAPE, 4, (6,), n_classes, activation=jnp.tanh)
    dec = nets.mlp_decoder(2, SHAPE, (6,), n_classes, activation=jnp.tanh)
    return models.VAE(enc, dec, 2, n_classes=n_classes)


def by_numpy(params, x, eps):
    """The bound of each example in float64, one sample and one example after another."""

    def mlp(p, h):
        n = len(p["layers"])
        for i in range(n):
            layer = {k: np.asarray(v, np.float64) for k, v in p["layers"][str(i)].items()}
            h = h @ layer["kernel"] + layer["bias"]
            h = np.tanh(h) if i < n - 1 else h
        return h

    bounds = []
    for b, pixels in enumerate(np.asarray(x, np.float64).reshape(x.shape[0], -1)):
        mu, logvar = np.split(mlp(params["encoder"], pixels), 2)
        log_w = []
        for noise in np.asarray(eps, np.float64)[:, b]:
            z = mu + np.exp(0.5 * logvar) * noise
            log_odds = mlp(params["decoder"], z)
            prob = scipy.special.expit(log_odds)
            log_x = (pixels * np.log(prob) + (1 - pixels) * np.log1p(-prob)).sum()
            log_prior = (-0.5 * z**2 - 0.5 * np.log(2 * np.pi)).sum()
            log_q = (-0.5 * (z - mu) ** 2 / np.exp(logvar) - 0.5 * logvar - 0.5 * np.log(2 * np.pi)).sum()
            log_w.append(log_x + log_prior - log_q)
        bounds.append(np.log(np.mean(np.exp(np.array(log_w) - max(log_w)))) + max(log_w))
    return np.array(bounds)


@pytest.mark.parametrize("k", [1, 7])
def test_value_and_gradient_against_numpy(k):
    """The value in float64 by hand; the gradient against central differences of that value."""
    vae = small()
    params, ctx = context(vae)
    x = jax.random.uniform(jax.random.key(1), (3, *SHAPE))
    (loss, aux), grads = quick_jit(jax.value_and_grad(objectives.iwae(vae, k), has_aux=True))(params, Batch(x), ctx)
    eps = jax.random.normal(jax.random.split(ctx.key, 3)[1], (k, 3, 2))
    bounds = by_numpy(params["vae"], x, eps)
    assert float(loss) == pytest.approx(-bounds.mean(), rel=1e-6)
    assert float(aux.metrics["bound"]) == pytest.approx(bounds.mean(), rel=1e-6)

    leaves, tree = jax.tree.flatten(params)
    rng = np.random.default_rng(0)
    way = [rng.normal(size=leaf.shape) for leaf in leaves]
    h = 1e-4

    def moved(sign):
        at = [np.asarray(leaf, np.float64) + sign * h * d for leaf, d in zip(leaves, way, strict=True)]
        return -by_numpy(jax.tree.unflatten(tree, at)["vae"], x, eps).mean()

    slope = (moved(1.0) - moved(-1.0)) / (2 * h)
    got = sum((np.asarray(g) * d).sum() for g, d in zip(jax.tree.leaves(grads), way, strict=True))
    assert got == pytest.approx(slope, rel=1e-4)


def test_the_bound_grows_with_k_to_the_evidence():
    vae, x, log_evidence = linear_gaussian(exact=False)
    params, ctx = context(vae)
    evidence = log_evidence(x).mean()

    def bound(k):
        def one(key):
            return objectives.iwae(vae, k)(params, Batch(x), ctx._replace(key=key))[1].metrics["bound"]

        return float(quick_jit(jax.vmap(one))(jax.random.split(ROOT, 400 // k + 8)).mean())

    found = [bound(k) for k in (1, 8, 4096)]
    assert found == sorted(found)
    assert found[0] < evidence - 0.3
    assert found[-1] == pytest.approx(evidence, abs=0.05)


def test_at_the_exact_posterior_every_sample_gives_the_evidence():
    vae, x, log_evidence = linear_gaussian()
    params, ctx = context(vae)
    for k in (1, 5):
        loss, aux = quick_jit(objectives.iwae(vae, k))(params, Batch(x), ctx)
        assert float(loss) == pytest.approx(-log_evidence(x).mean(), rel=1e-5)
        assert float(aux.metrics["ess"]) == pytest.approx(k, rel=1e-3)


def test_one_sample_is_the_elbo_in_expectation():
    vae, x, _ = linear_gaussian(exact=False)
    params, ctx = context(vae)
    keys = jax.random.split(ROOT, 2000)

    def mean(objective, name):
        one = lambda key: objective(params, Batch(x), ctx._replace(key=key))[1].metrics[name]  # noqa: E731
        values = quick_jit(jax.vmap(one))(keys)
        return float(values.mean()), float(values.std()) / len(keys) ** 0.5

    (a, error_a), (b, error_b) = mean(objectives.iwae(vae, 1), "bound"), mean(objectives.vae(vae), "elbo")
    assert abs(a - b) < 4 * np.hypot(error_a, error_b)


def test_terms_add_up_and_masked_examples_do_not_count():
    vae = small()
    params, ctx = context(vae)
    x = jax.random.uniform(jax.random.key(1), (6, *SHAPE))
    mask = jnp.arange(6) < 4
    loss = quick_jit(objectives.iwae(vae, 5))
    a, aux = loss(params, Batch(x, mask=mask), ctx)
    b, _ = loss(params, Batch(jnp.where(mask[:, None, None, None], x, 30.0), mask=mask), ctx)
    assert float(a) == pytest.approx(float(b), rel=1e-6)
    m = {name: float(v) for name, v in aux.metrics.items()}
    assert m["elbo"] == pytest.approx(-m["rate"] - m["distortion"], rel=1e-5)
    assert m["elbo"] < m["bound"] == pytest.approx(-float(a), rel=1e-6)
    assert 1.0 <= m["ess"] <= 5.0


def test_labels_reach_encoder_and_decoder_of_every_sample():
    vae = small(n_classes=3)
    params, ctx = context(vae)
    x, y = jax.random.uniform(jax.random.key(1), (4, *SHAPE)), jnp.array([0, 1, 2, 0])
    loss = quick_jit(objectives.iwae(vae, 3))
    whole = loss(params, Batch(x, y), ctx)[0]
    assert float(whole) != float(loss(params, Batch(x, (y + 1) % 3), ctx)[0])
    with pytest.raises(ValueError, match="n_classes=3"):
        loss(params, Batch(x), ctx)


def test_log_weights_of_any_size_are_finite():
    extreme = jnp.array([[1e4, -1e4], [-1e4, -1e4]])
    value, grad = jax.value_and_grad(lambda w: losses.iwae(w).sum())(extreme)
    np.testing.assert_allclose(value, 1e4 - np.log(2) - 1e4, atol=1e-2)
    assert bool(jnp.isfinite(grad).all())


def test_no_samples_are_refused():
    with pytest.raises(UsageError, match="k=0"):
        objectives.iwae(small(), 0)
