"""FactorVAE: the total correlation against its closed form, and who is moved by which move."""

from types import SimpleNamespace

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from gaussian_vae import fixed
from quick import first_state, normal, quick_jit

from genjax import distributions, models, nets, objectives, train
from genjax.models.contract import Pass
from genjax.objectives.factor_vae import permuted
from genjax.types import Batch, Context, Net

ROOT = jax.random.key(0)
SHAPE = (4, 4, 1)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


def small():
    vae = models.VAE(nets.mlp_encoder(SHAPE, 6, (8,)), nets.mlp_decoder(3, SHAPE, (8,)), 3)
    return vae, objectives.factor_vae(vae, nets.mlp_discriminator((3,), (8,)), 7.0)


def correlated(n, rho=0.8):
    """Draws of two normals, and their total correlation, -log(1 - rho^2) / 2."""
    a, b = normal(3, (2, n))
    return jnp.stack([a, rho * a + np.sqrt(1 - rho**2) * b], 1), -0.5 * np.log(1 - rho**2)


def shows(latents):
    """An autoencoder whose latents are its data."""

    def forward(params, state, x, y=None, *, train=False, key):
        return Pass(distributions.Normal.standard((1, 2)), jnp.zeros((x.shape[0], 1)), x, {})  # fmt: skip

    return SimpleNamespace(forward=forward)


def test_total_correlation_of_known_gaussians():
    """With the true log ratio for a critic, its mean is the total correlation in closed form."""
    z, truth = correlated(100_000)
    precision = np.linalg.inv([[1, 0.8], [0.8, 1]])
    joint = lambda z: -0.5 * ((z @ precision) * z).sum(1) + truth - np.log(2 * np.pi)  # noqa: E731
    critic = fixed(lambda z, y: joint(z) - jax.scipy.stats.norm.logpdf(z).sum(1))
    obj = objectives.factor_vae(shows(z), critic, 3.0)
    ctx = Context({"critic": {}}, ROOT, jnp.int32(0))
    loss, aux = quick_jit(obj.vae)({"critic": {}}, Batch(z), ctx)
    assert float(aux.metrics["total_correlation"]) == pytest.approx(truth, abs=0.02)
    assert float(loss) == pytest.approx(float(-aux.metrics["elbo"] + 3.0 * aux.metrics["total_correlation"]), rel=1e-5)


@pytest.mark.slow
def test_a_trained_critic_finds_the_total_correlation():
    """A critic of quadratic logits, which hold the truth, learns from permuted latents."""
    z, truth = correlated(4096)

    def logit(p, s, z, train=False, key=None, y=None):
        return p["b"] + (z[:, :, None] * z[:, None, :] * p["q"][None]).sum((1, 2)), s

    critic = Net(lambda key: ({"q": jnp.zeros((2, 2)), "b": jnp.zeros(())}, {}), logit)
    model = shows(z)
    model.init = lambda key: ({}, {})
    obj = objectives.factor_vae(model, critic)
    step = train.make_step(train.Move("critic", obj.critic, optax.adam(0.02)))
    state = first_state(step, model, ROOT)
    run = quick_jit(lambda s: jax.lax.fori_loop(0, 500, lambda i, s: step(s, Batch(z[None]), ROOT)[0], s))
    state = run(state)
    params, net = ({"critic": v} for v in state.players["critic"][:2])
    _, aux = obj.vae(params, Batch(z), Context(net, ROOT, jnp.int32(0)))
    assert float(aux.metrics["total_correlation"]) == pytest.approx(truth, abs=0.08)
    _, aux = obj.critic(params, Batch(z), Context(net, ROOT, jnp.int32(0)))
    assert 0.6 < float(aux.metrics["accuracy"]) < 0.9


@pytest.mark.slow
def test_without_weight_it_is_the_vae():
    vae, _ = small()
    obj = objectives.factor_vae(vae, nets.mlp_discriminator((3,), (8,)), 0.0)
    (params, state), (c, s) = vae.init(ROOT), nets.mlp_discriminator((3,), (8,)).init(ROOT)
    params, state = params | {"critic": c}, state | {"critic": s}
    batch, ctx = Batch(jax.random.uniform(ROOT, (6, *SHAPE))), Context(state, jax.random.key(5), jnp.int32(0))
    mine, plain = (
        quick_jit(jax.grad(lambda p, o=o: o(p, batch, ctx)[0]))(params) for o in (obj.vae, objectives.vae(vae))
    )
    np.testing.assert_allclose(obj.vae(params, batch, ctx)[0], objectives.vae(vae)(params, batch, ctx)[0], rtol=1e-6)
    for a, b in zip(jax.tree.leaves(mine["vae"]), jax.tree.leaves(plain["vae"]), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)


def test_each_move_leaves_the_other_player_bit_for_bit():
    vae, obj = small()
    batches = Batch(jax.random.uniform(ROOT, (1, 6, *SHAPE)))
    for name, move in (("critic", obj.critic), ("vae", obj.vae)):
        step = train.make_step(train.Move(name, move, optax.adam(0.1)))
        before = first_state(step, vae, ROOT)
        after, _ = quick_jit(step)(before, batches, ROOT)
        for player in before.players:
            same = [
                np.asarray(a).tobytes() == np.asarray(b).tobytes()
                for a, b in zip(*(jax.tree.leaves(s.players[player]) for s in (before, after)), strict=True)
            ]
            assert all(same) if player != name else not any(same[:1])


def test_permuted_keeps_every_marginal_and_breaks_the_rest():
    z, _ = correlated(2000)
    other = np.asarray(permuted(ROOT, z))
    for d in range(2):
        np.testing.assert_array_equal(np.sort(other[:, d]), np.sort(np.asarray(z)[:, d]))
    assert abs(np.corrcoef(other.T)[0, 1]) < 0.1
