"""VAE objectives against the linear-Gaussian model, where the evidence is known in closed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from gaussian_vae import SIGMA, Z, linear_gaussian
from quick import quick_jit

from genjax import distributions, models, objectives
from genjax.types import Batch, Context, Net

ROOT = jax.random.key(0)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


def context(vae, key=ROOT, step=0):
    return vae.init(ROOT)[0], Context(vae.init(ROOT)[1], key, jnp.int32(step))


def estimate(vae, x, n=2000):
    """Mean and standard error of the reported ELBO over n keys."""
    params, ctx = context(vae)
    loss = objectives.vae(vae)
    values = jax.vmap(lambda k: loss(params, Batch(x), ctx._replace(key=k))[1].metrics["elbo"])(
        jax.random.split(ROOT, n)
    )
    return float(values.mean()), float(values.std() / np.sqrt(n))


def test_at_the_exact_posterior_the_bound_is_the_evidence():
    vae, x, log_evidence = linear_gaussian()
    mean, error = estimate(vae, x)
    assert abs(mean - log_evidence(x).mean()) < 4 * error + 1e-4


def test_elsewhere_the_bound_is_below_the_evidence_by_the_kl():
    vae, x, log_evidence = linear_gaussian(exact=False)
    mean, error = estimate(vae, x)
    assert mean < log_evidence(x).mean() - 10 * error
    exact, _, _ = linear_gaussian()
    params, state = quick_jit(vae.init)(ROOT)
    q, _ = vae.encode(params["vae"], state["vae"], x)
    p, _ = exact.encode(params["vae"], state["vae"], x)
    gap = float(q.kl(p).mean())
    assert mean == pytest.approx(log_evidence(x).mean() - gap, abs=5 * error)


def test_terms_add_up():
    vae, x, _ = linear_gaussian(exact=False)
    params, ctx = context(vae)
    for beta in (0.0, 1.0, 4.0):
        total, aux = objectives.beta_vae(vae, beta)(params, Batch(x), ctx)
        m = aux.metrics
        assert float(total) == pytest.approx(float(m["distortion"] + beta * m["rate"]), rel=1e-6)
        assert float(m["elbo"]) == pytest.approx(float(-m["distortion"] - m["rate"]), rel=1e-6)
    assert float(objectives.vae(vae)(params, Batch(x), ctx)[0]) == pytest.approx(-float(m["elbo"]), rel=1e-6)


def test_warm_up_grows_linearly_and_leaves_the_reported_bound_alone():
    vae, x, _ = linear_gaussian(exact=False)
    params, ctx = context(vae)
    loss = objectives.beta_vae(vae, 2.0, warm_up=10)
    weights = [float(loss(params, Batch(x), ctx._replace(step=jnp.int32(s)))[1].metrics["beta"]) for s in (0, 4, 9, 50)]
    np.testing.assert_allclose(weights, [0.2, 1.0, 2.0, 2.0], rtol=1e-6)
    bounds = {float(loss(params, Batch(x), ctx._replace(step=jnp.int32(s)))[1].metrics["elbo"]) for s in (0, 50)}
    assert len(bounds) == 1


def test_free_bits_are_per_dimension_of_the_batch_mean():
    vae, x, _ = linear_gaussian(exact=False)
    params, ctx = context(vae)
    q, _ = vae.encode(params["vae"], ctx.state["vae"], x)
    per_dim = np.asarray(0.5 * (q.mu**2 + jnp.exp(q.logvar) - 1 - q.logvar)).mean(0)
    lam = float(per_dim.mean())  # one dimension above, one below
    assert per_dim.min() < lam < per_dim.max()
    total, aux = objectives.beta_vae(vae, 1.0, free_bits=lam)(params, Batch(x), ctx)
    assert float(total - aux.metrics["distortion"]) == pytest.approx(np.maximum(per_dim, lam).sum(), rel=1e-5)
    assert float(aux.metrics["rate"]) == pytest.approx(per_dim.sum(), rel=1e-5)


def test_masked_examples_do_not_count():
    vae, x, _ = linear_gaussian(exact=False)
    params, ctx = context(vae)
    mask = jnp.arange(64) < 40
    spoiled = jnp.where(mask[:, None, None, None], x, 1e3)
    a, aux_a = objectives.beta_vae(vae, 2.0, free_bits=0.1)(params, Batch(x, mask=mask), ctx)
    b, aux_b = objectives.beta_vae(vae, 2.0, free_bits=0.1)(params, Batch(spoiled, mask=mask), ctx)
    assert float(a) == pytest.approx(float(b), rel=1e-6)
    assert float(aux_a.metrics["elbo"]) == pytest.approx(float(aux_b.metrics["elbo"]), rel=1e-6)


def test_gradient_is_that_of_the_formula_by_hand():
    """Reparametrised gradient of a 1-D model against the same loss written out."""

    def encode(p, s, x, train=False, key=None, y=None):
        return jnp.stack([p["a"] * x[:, 0, 0, 0], jnp.full(x.shape[0], -0.4)], 1), s

    def decode(p, s, z, train=False, key=None, y=None):
        return (p["c"] * z)[:, :, None, None], s

    net = Net(lambda key: ({"a": jnp.float32(0.3)}, {}), encode)
    out = Net(lambda key: ({"c": jnp.float32(0.8)}, {}), decode)
    vae = models.VAE(net, out, 1, distributions.gaussian(SIGMA))
    x = jnp.array([0.5, -1.0, 2.0]).reshape(3, 1, 1, 1)
    params, ctx = context(vae)
    g = jax.grad(lambda p: objectives.vae(vae)(p, Batch(x), ctx)[0])(params)
    k_z = jax.random.split(ctx.key, 3)[1]
    eps = distributions.Normal(jnp.zeros((3, 1)), jnp.zeros((3, 1))).sample(k_z)[:, 0]

    def by_hand(a, c):
        v = x[:, 0, 0, 0]
        mu, logvar = a * v, -0.4
        z = mu + np.exp(0.5 * logvar) * eps
        d = 0.5 * ((v - c * z) / SIGMA) ** 2 + np.log(SIGMA) + 0.5 * np.log(2 * np.pi)
        return (d + 0.5 * (mu**2 + np.exp(logvar) - 1 - logvar)).mean()

    da, dc = jax.grad(by_hand, (0, 1))(0.3, 0.8)
    assert float(g["vae"]["encoder"]["a"]) == pytest.approx(float(da), rel=1e-5)
    assert float(g["vae"]["decoder"]["c"]) == pytest.approx(float(dc), rel=1e-5)


def test_score_gives_each_example_its_own_numbers():
    vae, x, _log_evidence = linear_gaussian()
    params, state = quick_jit(vae.init)(ROOT)
    scores = objectives.score_vae(vae)(params, state, Batch(x), ROOT)
    assert scores["mu"].shape == scores["sigma"].shape == (64, Z)
    np.testing.assert_allclose(scores["elbo"], -scores["rate"] - scores["distortion"], rtol=1e-5)
    alone = objectives.score_vae(vae)(params, state, Batch(x[:1]), ROOT)
    np.testing.assert_allclose(alone["rate"], scores["rate"][:1], rtol=1e-5)
    odd = objectives.score_vae(vae)(params, state, Batch(x.at[3].add(20.0)), ROOT)["elbo"]
    assert int(jnp.argmin(odd)) == 3  # the unusual image is found


def test_refusals():
    vae, _, _ = linear_gaussian()
    with pytest.raises(ValueError, match="z_dim=0"):
        models.VAE(vae.encoder, vae.decoder, 0)
    with pytest.raises(ValueError, match="z_dim=0"):
        models.GAN(vae.encoder, vae.decoder, 0)
