"""The vector-quantised autoencoder: codes, running means, straight-through gradients and its bound, by hand."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import scipy.special
from gaussian_vae import fixed
from quick import few, first_state, normal, quick_jit, uniform

from genjax import distributions, models, nets, objectives, train
from genjax.types import Batch, Context

ROOT = jax.random.key(0)
SHAPE = (4, 4, 1)
N, K, D = 3, 5, 2


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


def small(**changes):
    enc, dec = nets.mlp_encoder(SHAPE, N * D, (8,)), nets.mlp_decoder(N * D, SHAPE, (8,))
    return models.VQVAE(enc, dec, N, K, D, **changes)


def step_of(model, **kwargs):
    return train.make_step(train.Move("vae", objectives.vq_vae(model), optax.sgd(0.1)), **kwargs)


def by_hand(model, state, x, mask=None, decay=0.99):
    """Codes chosen, and the codebook after one update, in NumPy."""
    params, net = ({k: v[i] for k, v in state.players.items()} for i in (0, 1))
    encode = quick_jit(model.encoder.apply)
    v = np.asarray(encode(params["vae"]["encoder"], net["vae"]["encoder"], x)[0], np.float64)
    v = v.reshape(len(x), N, D)
    book = jax.tree.map(np.asarray, net["codebook"])
    codes = book["sum"] / book["count"][:, None]
    chosen = np.square(v[:, :, None] - codes[None, None]).sum(3).argmin(2)
    one = np.eye(K)[chosen]
    w = np.ones(len(x)) if mask is None else np.asarray(mask, float)
    w = w / w.sum()
    seen = {
        "count": np.einsum("b,bnk->k", w, one), "sum": np.einsum("b,bnk,bnd->kd", w, one, v),
        "usage": np.einsum("b,bnk->nk", w, one),
    }  # fmt: skip
    return chosen, codes, v, {k: decay * book[k] + (1 - decay) * seen[k] for k in book}


@pytest.mark.parametrize(("parts", "masked"), few(itertools.product((1, 3), (False, True)), (3, True)))
def test_the_codebook_follows_by_running_means_once_an_update(parts, masked):
    model = small(decay=0.9)
    step = dataclasses.replace(step_of(model), accumulate=parts)
    state = first_state(step, model, ROOT)
    x = uniform(1, (6, *SHAPE))
    mask = jnp.array([1, 1, 1, 1, 0, 1]) > 0 if masked else None
    _, _, _, want = by_hand(model, state, x, mask, 0.9)
    after, row = quick_jit(step)(state, Batch(x[None], mask=None if mask is None else mask[None]), ROOT)
    got = after.players["codebook"].state
    for k in want:
        np.testing.assert_allclose(got[k], want[k], rtol=1e-5, atol=1e-7)
    assert after.players["codebook"].params == {}
    assert np.isfinite(float(row["penalty"]))


def test_another_objective_keeps_the_codebook_and_the_commitment():
    """`factor_vae` without weight for its critic trains the codebook as `vq_vae` does; both fit into one step."""
    model = small(decay=0.9, commitment=0.5)
    batches = Batch(uniform(1, (6, *SHAPE))[None])
    obj = objectives.factor_vae(model, nets.mlp_discriminator((N * D,), (8,)), 0.0)
    moves = train.Move("vae", obj.vae, optax.sgd(0.1)), train.Move("critic", obj.critic, optax.sgd(0.1))
    both, alone = train.make_step(*moves), step_of(model)
    state = first_state(both, model, ROOT)
    after, row = quick_jit(both)(state, batches, ROOT)
    vq = state._replace(players={k: state.players[k] for k in ("vae", "codebook")}, opt={"vae": state.opt["vae"]})
    want, want_row = quick_jit(alone)(vq, batches, ROOT)
    for a, b in zip(*(jax.tree.leaves(s.players["codebook"].state) for s in (after, want)), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-6)
    for name in ("loss", "penalty"):
        np.testing.assert_allclose(row[f"vae/{name}"], want_row[name], rtol=1e-5)
    train.make_step(train.Move("vae", objectives.vq_vae(model), optax.sgd(0.1)), *moves[1:])  # one codebook, not two


def test_distortion_rate_and_commitment_by_hand():
    model = small(commitment=0.5)
    state = first_state(step_of(model), model, ROOT)
    x = jnp.asarray(jax.random.bernoulli(jax.random.key(1), 0.4, (6, *SHAPE)), jnp.float32)
    chosen, codes, v, _ = by_hand(model, state, x)
    params, net = ({k: p[i] for k, p in state.players.items()} for i in (0, 1))
    out = quick_jit(lambda x: model.forward(params, net, x, key=ROOT)._replace(observe=None))(x)
    z = codes[chosen].reshape(6, -1)
    decode = quick_jit(model.decoder.apply)
    log_odds = np.asarray(decode(params["vae"]["decoder"], {}, jnp.asarray(z, jnp.float32))[0], np.float64)
    p = scipy.special.expit(log_odds)
    log_x = np.where(np.asarray(x) > 0, np.log(p), np.log1p(-p)).sum((1, 2, 3))
    np.testing.assert_allclose(out.p.log_prob(x), log_x, rtol=1e-5)
    np.testing.assert_allclose(out.rate, np.log(K), rtol=1e-4)  # every code equally likely to begin with
    np.testing.assert_allclose(out.penalty, 0.5 * np.square(v - codes[chosen]).sum((1, 2)), rtol=1e-5)
    loss, aux = quick_jit(objectives.vq_vae(model))(params, Batch(x), Context(net, ROOT, jnp.int32(0)))
    rate = np.asarray(out.rate).sum(1)
    assert float(loss) == pytest.approx(float((-log_x + rate + out.penalty).mean()), rel=1e-5)
    assert float(aux.metrics["elbo"]) == pytest.approx(float((log_x - rate).mean()), rel=1e-5)


def test_the_gradient_passes_straight_through_the_codes():
    """d loss / d encoder's output is that at the codes plus the commitment's, 2 beta (v - e)."""
    enc, dec = fixed(lambda x, y: x.reshape(x.shape[0], -1)), fixed(lambda z, y: z[:, None, :, None])
    direct = models.VQVAE(enc, dec, N, K, D, distributions.gaussian(1.0), commitment=0.3)
    params, net = quick_jit(direct.init)(ROOT)
    net = net | {"codebook": direct.players["codebook"].init(ROOT)[1]}
    v = normal(2, (4, 1, N * D, 1))
    target = normal(3, (4, 1, N * D, 1))

    def loss(v):
        out = direct.forward(params, net, v, key=ROOT)
        return (out.penalty - out.p.log_prob(target)).sum()

    codes = np.asarray(direct.codes(net))
    flat = np.asarray(v).reshape(4, N, D)
    chosen = codes[np.square(flat[:, :, None] - codes).sum(3).argmin(2)].reshape(v.shape)
    want = (chosen - np.asarray(target)) + 2 * 0.3 * (np.asarray(v) - chosen)
    np.testing.assert_allclose(quick_jit(jax.grad(loss))(v), want, rtol=1e-4, atol=1e-5)


@pytest.mark.slow
def test_minus_distortion_and_rate_is_below_the_evidence():
    """log p(x) by enumeration of all codes: the bound is below it, and their probabilities sum to 1."""
    enc, dec = nets.mlp_encoder(SHAPE, 2 * D, (8,)), nets.mlp_decoder(2 * D, SHAPE, (8,))
    model = models.VQVAE(enc, dec, 2, K, D)
    params, net = quick_jit(model.init)(ROOT)
    book = model.players["codebook"].init(ROOT)[1]
    usage = jax.random.dirichlet(jax.random.key(4), jnp.ones(K), (2,))
    net = net | {"codebook": {**book, "usage": usage}}
    x = jnp.asarray(jax.random.bernoulli(jax.random.key(1), 0.4, (6, *SHAPE)), jnp.float32)

    @quick_jit
    def bound_and_joints(x):
        out = model.forward(params, net, x, key=ROOT)
        log_p, each = model.log_prior(net), []
        for a, b in itertools.product(range(K), repeat=2):
            z = jnp.tile(model.codes(net)[jnp.array([a, b])].reshape(1, -1), (6, 1))
            p = model._decoded(params, net, z, None)
            each.append(p.log_prob(x) + log_p[0, a] + log_p[1, b])
        return out.p.log_prob(x) - out.rate.sum(1), jnp.stack(each), log_p

    bound, each, log_p = bound_and_joints(x)
    assert (np.asarray(bound) <= scipy.special.logsumexp(np.array(each), 0) + 1e-4).all()
    np.testing.assert_allclose(scipy.special.logsumexp(np.asarray(log_p), 1), 0.0, atol=1e-5)


@pytest.mark.slow
def test_samples_have_the_prior_of_each_latent():
    model = small()
    params, net = quick_jit(model.init)(ROOT)
    usage = jax.random.dirichlet(jax.random.key(4), jnp.ones(K), (N,))
    net = net | {"codebook": {**model.players["codebook"].init(ROOT)[1], "usage": usage}}
    z = np.asarray(model.latents(params, net, model.noise(ROOT, 20_000))).reshape(-1, N, D)
    codes = np.asarray(model.codes(net))
    for n in range(N):
        share = [(np.abs(z[:, n] - codes[k]).sum(1) < 1e-6).mean() for k in range(K)]
        np.testing.assert_allclose(share, usage[n], atol=0.02)
    cold = np.asarray(model.latents(params, net, model.noise(ROOT, 50, 1e-3))).reshape(-1, N, D)
    np.testing.assert_allclose(cold, np.broadcast_to(codes[np.asarray(usage).argmax(1)], cold.shape), atol=1e-6)
    assert model.sample(params, net, ROOT, 3).shape == (3, *SHAPE)
    assert model.draw(params, net, model.noise(ROOT, 3), ROOT).shape == (3, *SHAPE)


def test_a_skipped_update_leaves_the_codebook():
    model = small()
    move = train.Move("vae", objectives.vq_vae(model), optax.sgd(0.1), skip_nonfinite=True)
    step = train.make_step(move)
    state = first_state(step, model, ROOT)
    after, row = quick_jit(step)(state, Batch(jnp.full((1, 2, *SHAPE), jnp.nan)), ROOT)
    assert float(row["skipped"]) == 1.0
    for a, b in zip(*(jax.tree.leaves(s.players) for s in (state, after)), strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("field", ["n_latents", "n_codes", "code_dim"])
def test_sizes_are_checked(field):
    with pytest.raises(ValueError, match=field):
        dataclasses.replace(small(), **{field: 0})
