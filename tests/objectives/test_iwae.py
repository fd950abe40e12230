"""The importance-weighted bound against NumPy, the evidence of a linear-Gaussian model, and its own limits."""

import itertools
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
from gaussian_vae import linear_gaussian
from jax import export
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from numpy_mlp import mlp
from quick import assert_no_collective_in_a_loop, quick_jit, uniform

from genjax import distributions, losses, models, nets, objectives
from genjax.types import Batch, Context, UsageError

ROOT = jax.random.key(0)
SHAPE = (4, 3, 1)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


def context(vae, key=ROOT):
    params, state = quick_jit(vae.init)(ROOT)
    return params, Context(state, key, jnp.int32(0))


def small(n_classes=0):
    enc = nets.mlp_encoder(SHAPE, 4, (6,), n_classes, activation=jnp.tanh)
    dec = nets.mlp_decoder(2, SHAPE, (6,), n_classes, activation=jnp.tanh)
    return models.VAE(enc, dec, 2, n_classes=n_classes)


def by_numpy(params, x, eps):
    """The bound of each example in float64, one sample and one example after another."""

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
    x = uniform(1, (3, *SHAPE))
    (loss, aux), grads = quick_jit(jax.value_and_grad(objectives.iwae(vae, k), has_aux=True))(params, Batch(x), ctx)
    eps = jax.random.normal(jax.random.split(ctx.key, 3)[1], (3, k, 2)).swapaxes(0, 1)
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


@pytest.mark.slow
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
    x = uniform(1, (6, *SHAPE))
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
    x, y = uniform(1, (4, *SHAPE)), jnp.array([0, 1, 2, 0])
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


@pytest.mark.parametrize("objective", [objectives.iwae, objectives.dreg])
def test_a_few_examples_at_a_time_are_all_of_them_together(objective, monkeypatch):
    """The loop over chunks of a CPU against one chunk: loss, metrics and gradient, with masks and labels."""
    vae = small(n_classes=3)
    params, ctx = context(vae)
    x, y = uniform(1, (6, *SHAPE)), jnp.array([0, 1, 2, 0, 1, 2])
    batch = Batch(x, y, jnp.arange(6) < 5)

    def run(cache):
        monkeypatch.setattr(sys.modules["genjax.nets.by_example"], "CACHE", cache)
        f = jax.value_and_grad(objective(vae, 5), has_aux=True)
        text = quick_jit(f).lower(params, batch, ctx).as_text()
        return quick_jit(f)(params, batch, ctx), "tensor<10x12x" in text

    (one, looped_one), (many, looped_many) = run(2**20), run(2 * 5 * 12)
    assert (looped_one, looped_many) == (False, True)
    for a, b in zip(jax.tree.leaves(one), jax.tree.leaves(many), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("objective", "at_once"),
    list(itertools.product((objectives.iwae, objectives.dreg), (1, 4))),
)
def test_each_device_decodes_its_own_examples(objective, at_once, monkeypatch):
    """Eight examples on four devices, a device's two in turn or together: as on one, and no reduction in a loop."""
    monkeypatch.setattr(sys.modules["genjax.nets.by_example"], "CACHE", at_once * 5 * 12)
    vae = small(n_classes=3)
    params, ctx = context(vae)
    x, y = uniform(1, (8, *SHAPE)), jnp.arange(8) % 3
    batch = Batch(x, y, jnp.arange(8) < 7)
    f = jax.value_and_grad(objective(vae, 5), has_aux=True)
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))

    def spread(params, batch, ctx):
        with nets.batches_over(mesh):
            return f(params, batch, ctx)

    whole, split = NamedSharding(mesh, P()), NamedSharding(mesh, P("data"))
    args = jax.device_put(params, whole), jax.device_put(batch, split), jax.device_put(ctx, whole)
    compiled = quick_jit(spread).lower(*args).compile()
    for a, b in zip(jax.tree.leaves(compiled(*args)), jax.tree.leaves(quick_jit(f)(params, batch, ctx)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    assert_no_collective_in_a_loop(compiled)


def test_accelerators_decode_all_examples_together(monkeypatch):
    monkeypatch.setattr(sys.modules["genjax.nets.by_example"], "CACHE", 2 * 5 * 12)
    vae = small()
    params, ctx = context(vae)
    f = jax.jit(jax.value_and_grad(objectives.iwae(vae, 5), has_aux=True))
    batch = Batch(jnp.ones((6, *SHAPE)))
    for platform, looped in (("cpu", True), ("cuda", False), ("tpu", False)):
        text = export.export(f, platforms=[platform])(params, batch, ctx).mlir_module()
        assert ("tensor<30x12x" in text) != looped
        assert ("tensor<10x12x" in text) == looped


def test_a_decoder_that_couples_examples_sees_them_all_at_once(monkeypatch):
    monkeypatch.setattr(sys.modules["genjax.nets.by_example"], "CACHE", 1)
    inner = nets.mlp_generator(2, SHAPE, (6, 6), norm="batch")
    vae = models.VAE(nets.mlp_encoder(SHAPE, 4, (6,)), inner, 2)
    params, ctx = context(vae)
    text = jax.jit(objectives.iwae(vae, 5)).lower(params, Batch(jnp.ones((6, *SHAPE))), ctx).as_text()
    assert "tensor<30x12x" in text


def test_doubly_reparameterised_gradient():
    """Value and decoder gradient of iwae; the encoder's is Tucker et al.'s eq. 8 computed sample by sample."""
    vae = small()
    params, ctx = context(vae)
    x = uniform(1, (3, *SHAPE))
    k = 4
    (a, aux_a), g_a = quick_jit(jax.value_and_grad(objectives.iwae(vae, k), has_aux=True))(params, Batch(x), ctx)
    (b, aux_b), g_b = quick_jit(jax.value_and_grad(objectives.dreg(vae, k), has_aux=True))(params, Batch(x), ctx)
    assert float(a) == pytest.approx(float(b), rel=1e-6)
    for name in aux_a.metrics:
        assert float(aux_a.metrics[name]) == pytest.approx(float(aux_b.metrics[name]), rel=1e-5)
    for u, v in zip(*(jax.tree.leaves(g["vae"]["decoder"]) for g in (g_a, g_b)), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-4, atol=1e-6)

    eps = jax.random.normal(jax.random.split(ctx.key, 3)[1], (3, k, 2))
    p, state = params["vae"], ctx.state["vae"]
    fixed = vae.encode(p, state, x)[0]

    def surrogate(encoder):
        """Sum of w^2 log weight, the w constant, q's parameters constant but in z."""
        q = vae.encode({**p, "encoder": encoder}, state, x)[0]
        zs = [q.mu + q.scale * eps[:, j] for j in range(k)]
        prior = distributions.Normal(jnp.zeros((1, 2)), jnp.zeros((1, 2)))
        log_w = [vae.decode(p, state, z)[0].log_prob(x) + prior.log_prob(z) - fixed.log_prob(z) for z in zs]
        w = jax.nn.softmax(jax.lax.stop_gradient(jnp.stack(log_w)), axis=0)
        return -(jnp.square(w) * jnp.stack(log_w)).sum(0).mean()

    want = quick_jit(jax.grad(surrogate))(p["encoder"])
    for u, v in zip(jax.tree.leaves(g_b["vae"]["encoder"]), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(u, v, rtol=1e-4, atol=1e-6)
    other = jax.tree.map(lambda u, v: float(jnp.abs(u - v).max()), g_a["vae"]["encoder"], want)
    assert max(jax.tree.leaves(other)) > 1e-3
