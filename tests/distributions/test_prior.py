"""Priors: densities against direct sums, Jacobians and integrals, and the bounds that are made of them."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.special
import scipy.stats
from gaussian_vae import linear_gaussian
from quick import few, quick_jit

from genjax import distributions, metrics, models, nets, objectives
from genjax.types import Batch, Context, UsageError

ROOT = jax.random.key(0)
SHAPE = (4, 3, 1)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


def coupling(z_dim=2, layers=4):
    return distributions.realnvp(
        z_dim, [nets.mlp_encoder((z_dim,), 2 * z_dim, (16,), activation=jnp.tanh) for _ in range(layers)]
    )


def moved(prior, seed=1, scale=0.5):
    """Parameters of a prior, none where it was initialised."""
    rng = np.random.default_rng(seed)
    params = jax.device_get(quick_jit(prior.init)(ROOT))
    return jax.tree.map(lambda v: jnp.asarray(v + scale * rng.normal(size=v.shape), jnp.float32), params)


@pytest.mark.parametrize("z_dim", few([2, 5], 5))
def test_the_flow_inverts_and_its_determinant_is_the_jacobians(z_dim):
    prior = coupling(z_dim)
    flow = prior.apply(moved(prior), None)
    z = np.random.default_rng(2).normal(size=(7, z_dim)).astype(np.float32)

    @quick_jit
    def there_and_back(z):
        u, log_det = flow.normalise(z)
        return log_det, flow.generate(u), jax.vmap(jax.jacfwd(lambda one: flow.normalise(one[None])[0][0]))(z)

    log_det, back, jacobian = there_and_back(z)
    np.testing.assert_allclose(back, z, atol=1e-5)
    np.testing.assert_allclose(log_det, np.linalg.slogdet(np.asarray(jacobian, np.float64))[1], rtol=1e-4, atol=1e-5)
    assert float(jnp.abs(log_det).max()) > 0.1


def test_the_flows_density_integrates_to_one_and_is_that_of_its_samples():
    prior = coupling()
    params = moved(prior, scale=0.3)
    side = np.linspace(-12, 12, 481)
    grid = np.stack(np.meshgrid(side, side), -1).reshape(-1, 2).astype(np.float32)
    p = np.exp(np.asarray(quick_jit(lambda z: prior.apply(params, None).log_prob(z))(grid), np.float64))
    assert p.sum() * (side[1] - side[0]) ** 2 == pytest.approx(1.0, abs=0.01)
    z = np.asarray(quick_jit(lambda key: prior.latents(params, prior.noise(key, 20_000, 1.0), None))(ROOT))
    np.testing.assert_allclose(z.mean(0), (grid * p[:, None]).sum(0) / p.sum(), atol=0.05)
    np.testing.assert_allclose((z**2).mean(0), (grid**2 * p[:, None]).sum(0) / p.sum(), rtol=0.05)


def test_a_flow_begins_as_the_standard_normal():
    prior = coupling(3)
    z = np.random.default_rng(0).normal(size=(6, 3)).astype(np.float32)
    params = quick_jit(prior.init)(ROOT)
    log_prob, latents = quick_jit(lambda z: (prior.apply(params, None).log_prob(z), prior.latents(params, z, None)))(z)
    np.testing.assert_allclose(log_prob, scipy.stats.norm.logpdf(z.astype(np.float64)).sum(1), rtol=1e-5)
    np.testing.assert_array_equal(latents, z)


def vamp_model(n=4, z_dim=2):
    enc, dec = nets.mlp_encoder(SHAPE, 2 * z_dim, (6,)), nets.mlp_decoder(z_dim, SHAPE, (6,))
    vae = models.VAE(enc, dec, z_dim, prior=distributions.vamp(z_dim, SHAPE, n))
    return vae, *quick_jit(vae.init)(ROOT)


def test_a_vamp_prior_is_the_mixture_of_its_pseudo_inputs():
    vae, params, state = vamp_model()
    u = scipy.special.expit(np.asarray(params["vae"]["prior"]["inputs"], np.float64))
    q, _ = quick_jit(vae.encode)(params["vae"], state["vae"], jnp.asarray(u, jnp.float32))
    z = np.random.default_rng(2).normal(size=(9, 2)).astype(np.float32)
    each = scipy.stats.norm.logpdf(np.asarray(z)[:, None], np.asarray(q.mean), np.asarray(q.scale)).sum(2)
    want = scipy.special.logsumexp(each, 1) - np.log(4)
    log_prob = quick_jit(lambda z: vae.prior_of(params["vae"], state["vae"]).log_prob(z))(z)
    np.testing.assert_allclose(log_prob, want, rtol=1e-5)
    z = np.asarray(quick_jit(lambda key: vae.latents(params, state, vae.noise(key, 40_000)))(ROOT))
    np.testing.assert_allclose(z.mean(0), np.asarray(q.mean).mean(0), atol=0.05)
    second = (np.asarray(q.mean) ** 2 + np.asarray(q.scale) ** 2).mean(0)
    np.testing.assert_allclose((z**2).mean(0), second, rtol=0.05)


def test_rates_are_closed_where_they_can_be_and_agree_with_their_estimates():
    q = distributions.Normal(jnp.array([[0.5, -1.0]]), jnp.array([[0.3, -0.7]]))
    closed = distributions.rate(q, distributions.Normal.standard((1, 2)), q.mu)
    assert closed.shape == (1, 2)
    flow = coupling()
    start = quick_jit(flow.init)(ROOT)

    @quick_jit
    def estimated(eps):
        z = q.mean + q.scale * eps
        many = distributions.Normal(*(jnp.broadcast_to(a, z.shape) for a in q))
        return distributions.rate(many, flow.apply(start, None), z)

    estimate = estimated(np.random.default_rng(0).normal(size=(200_000, 2)).astype(np.float32))
    assert estimate.shape == (200_000, 1)
    assert float(estimate.mean()) == pytest.approx(float(closed.sum()), abs=0.02)


def one_latent():
    """A VAE with one latent and a VampPrior, whose evidence a sum over a fine grid of z gives."""
    enc, dec = nets.mlp_encoder(SHAPE, 2, (6,)), nets.mlp_decoder(1, SHAPE, (6,))
    vae = models.VAE(enc, dec, 1, prior=distributions.vamp(1, SHAPE, 3))
    params, state = quick_jit(vae.init)(ROOT)
    x = jnp.asarray(np.random.default_rng(1).integers(0, 2, (5, *SHAPE)), jnp.float32)
    z = np.linspace(-12, 12, 4801, dtype=np.float32)[:, None]

    @quick_jit
    def log_joint(x, z):
        p, _ = vae.decode(params["vae"], state["vae"], z)
        log_x = jax.vmap(lambda one: p.log_prob(jnp.broadcast_to(one[None], (len(z), *SHAPE))))(x)
        return log_x + vae.prior_of(params["vae"], state["vae"]).log_prob(z)[None]

    joint = np.asarray(log_joint(x, z), np.float64)
    return vae, params, state, x, scipy.special.logsumexp(joint, 1) + np.log(24 / 4800)


@pytest.mark.slow
def test_importance_and_annealed_estimates_of_a_vamp_vae_are_its_evidence():
    vae, params, state, x, truth = one_latent()
    found = quick_jit(lambda key: metrics.iw_log_likelihood(vae, params, state, x, key, 40_000))(ROOT)
    np.testing.assert_allclose(found.log_likelihood, truth, atol=0.03)
    annealed = quick_jit(lambda key: metrics.ais_log_likelihood(vae, params, state, x, key, 50, 128, 5))(ROOT)
    np.testing.assert_allclose(annealed.log_likelihood, truth, atol=0.05)


@pytest.mark.slow
def test_the_iwae_bound_of_a_vamp_vae_comes_near_its_evidence():
    vae, params, state, x, truth = one_latent()
    ctx = Context(state, ROOT, jnp.int32(0))
    loss, aux = quick_jit(objectives.iwae(vae, 2000))(params, Batch(x), ctx)
    assert float(-loss) == pytest.approx(truth.mean(), abs=0.03)
    elbo = quick_jit(
        jax.vmap(lambda key: objectives.vae(vae)(params, Batch(x), ctx._replace(key=key))[1].metrics["elbo"])
    )
    assert float(elbo(jax.random.split(ROOT, 2000)).mean()) == pytest.approx(float(aux.metrics["elbo"]), abs=0.05)
    assert float(aux.metrics["elbo"]) < truth.mean()


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["vamp", "realnvp"])
def test_doubly_reparameterised_gradients_of_a_learned_prior(kind):
    """Prior and decoder have the bound's own gradient; the encoder's agrees with it in expectation."""
    prior = distributions.vamp(2, SHAPE, 3) if kind == "vamp" else coupling()
    enc, dec = nets.mlp_encoder(SHAPE, 4, (6,)), nets.mlp_decoder(2, SHAPE, (6,))
    vae = models.VAE(enc, dec, 2, prior=prior)
    params, state = quick_jit(vae.init)(ROOT)
    params["vae"]["prior"] = moved(prior, scale=0.3)
    x = jnp.asarray(np.random.default_rng(1).integers(0, 2, (4, *SHAPE)), jnp.float32)

    def grads(objective, n=3000):
        def one(key):
            return jax.grad(lambda p: objective(p, Batch(x), Context(state, key, jnp.int32(0)))[0])(params)["vae"]

        found = quick_jit(lambda keys: jax.lax.map(one, keys, batch_size=100))(jax.random.split(ROOT, n))
        return jax.tree.map(
            lambda v: (np.asarray(v[0]), np.asarray(v.mean(0)), np.asarray(v.std(0) / np.sqrt(n))), found
        )

    plain, doubly = grads(objectives.iwae(vae, 3)), grads(objectives.dreg(vae, 3))
    is_stat = lambda v: isinstance(v, tuple)  # noqa: E731
    exact = ("decoder",) if kind == "vamp" else ("decoder", "prior")
    for name in exact:  # the pseudo-inputs' density passes the encoder: its samples are held there as well
        for a, b in zip(*(jax.tree.leaves(g[name], is_leaf=is_stat) for g in (plain, doubly)), strict=True):
            np.testing.assert_allclose(a[0], b[0], rtol=1e-4, atol=1e-5)
    for name in ("encoder", "prior"):
        for a, b in zip(*(jax.tree.leaves(g[name], is_leaf=is_stat) for g in (plain, doubly)), strict=True):
            far = np.abs(a[1] - b[1]) / np.sqrt(a[2] ** 2 + b[2] ** 2 + 1e-12)
            assert far.max() < 5.5


def test_what_cannot_be_is_refused_by_name():
    with pytest.raises(UsageError, match="at least 2 dimensions"):
        coupling(1)
    with pytest.raises(UsageError, match="pseudo-input"):
        distributions.vamp(2, SHAPE, 0)
    vq = models.VQVAE(nets.mlp_encoder(SHAPE, 4, (6,)), nets.mlp_decoder(4, SHAPE, (6,)), 2, 3, 2)
    with pytest.raises(UsageError, match="VQVAE has no encode"):
        objectives.iwae(vq, 2)
    with pytest.raises(UsageError, match="VQVAE has no encode"):
        metrics.iw_log_likelihood(vq, {}, {}, jnp.zeros((1, *SHAPE)), ROOT)
    gan = models.GAN(nets.mlp_generator(2, SHAPE, (6,)), nets.mlp_discriminator(SHAPE, (6,)), 2)
    for objective in (objectives.vae, objectives.score_vae):
        with pytest.raises(UsageError, match="GAN has no forward"):
            objective(gan)


@pytest.mark.slow
def test_a_linear_gaussian_vae_with_a_flow_that_is_the_identity():
    vae, x, log_evidence = linear_gaussian()
    flow = models.VAE(vae.encoder, vae.decoder, vae.z_dim, vae.likelihood, prior=coupling())
    params, state = quick_jit(flow.init)(ROOT)
    loss, _ = quick_jit(objectives.iwae(flow, 3))(params, Batch(x), Context(state, ROOT, jnp.int32(0)))
    assert float(-loss) == pytest.approx(log_evidence(x).mean(), rel=1e-4)
