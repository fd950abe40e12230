"""The adversarial game: who sees whom, what a move leaves alone, conditioning, and the optimal discriminator."""

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import few, normal, quick_jit

from genjax import losses, models, nets, objectives, train
from genjax.types import Batch, Context, UsageError

SHAPE = (4, 4, 1)
PAIRS = ("nonsaturating", "minimax", "hinge", "least_squares", "wasserstein", "relativistic")
ROOT = jax.random.key(0)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


def small(n_classes=0):
    g = nets.mlp_generator(3, SHAPE, (8,), n_classes)
    d = nets.mlp_discriminator(SHAPE, (8,), n_classes)
    return models.GAN(g, d, 3, n_classes)


def setting(gan, n=6, y=None):
    params, state = quick_jit(gan.init)(ROOT)
    x = jnp.asarray(np.random.default_rng(1).uniform(-1.0, 1.0, (n, *SHAPE)), jnp.float32)
    batch = Batch(x, y)
    obj = objectives.gan(gan)
    draws = obj.draw(jax.random.key(2), batch)
    return params, batch, Context(state, jax.random.key(3), jnp.int32(0), draws)


@pytest.mark.parametrize("name", PAIRS)
def test_losses_are_the_pair_at_the_logits(name):
    """Both moves against logits computed by hand from the same latents."""
    gan, pair = small(), getattr(losses, name)
    params, batch, ctx = setting(gan)
    obj = objectives.gan(gan, pair)
    fake, _ = gan.fake(params["g"], ctx.state["g"], ctx.draws["z"])
    real_logits, _ = gan.logits(params["d"], ctx.state["d"], batch.x)
    fake_logits, _ = gan.logits(params["d"], ctx.state["d"], fake)
    d, aux = quick_jit(obj.d)(params, batch, ctx)
    g, _ = quick_jit(obj.g)(params, batch, ctx)
    assert float(d) == pytest.approx(float(pair.d(real_logits, fake_logits).mean()), rel=1e-5, abs=1e-6)
    assert float(g) == pytest.approx(float(pair.g(fake_logits, real_logits).mean()), rel=1e-5, abs=1e-6)
    assert float(aux.metrics["real_logit"]) == pytest.approx(float(real_logits.mean()), rel=1e-5, abs=1e-6)
    assert ("real_probability" in aux.metrics) == (pair.probability is not None)
    scores = obj.score(params, ctx.state, batch, ROOT)
    np.testing.assert_allclose(scores["logit"], real_logits, rtol=1e-5, atol=1e-6)
    assert ("probability" in scores) == (pair.probability is not None)


@pytest.mark.parametrize("name", few(PAIRS, "hinge", "wasserstein"))
def test_the_discriminator_sends_no_gradient_to_the_generator(name):
    gan = small()
    params, batch, ctx = setting(gan)
    obj = objectives.gan(gan, getattr(losses, name), (losses.r1(1.0), losses.r2(1.0)))
    grads = quick_jit(jax.grad(lambda p: obj.d(p, batch, ctx)[0]))(params)
    assert all(float(jnp.abs(v).max()) == 0.0 for v in jax.tree.leaves(grads["g"]))
    assert any(float(jnp.abs(v).max()) > 0.0 for v in jax.tree.leaves(grads["d"]))
    grads = quick_jit(jax.grad(lambda p: obj.g(p, batch, ctx)[0]))(params)
    assert any(float(jnp.abs(v).max()) > 0.0 for v in jax.tree.leaves(grads["g"]))


def test_penalties_are_added_once_and_reported():
    gan = small()
    params, batch, ctx = setting(gan)
    plain, _ = objectives.gan(gan).d(params, batch, ctx)
    total, aux = objectives.gan(gan, penalties=(losses.r1(3.0), losses.r2(5.0))).d(params, batch, ctx)
    score = lambda x: gan.logits(params["d"], ctx.state["d"], x)[0]  # noqa: E731
    fake, _ = gan.fake(params["g"], ctx.state["g"], ctx.draws["z"])

    def half_square(x):
        return 0.5 * (jax.vmap(jax.grad(lambda v: score(v[None])[0]))(x) ** 2).sum((1, 2, 3)).mean()

    by_hand = 3.0 * half_square(batch.x) + 5.0 * half_square(fake)
    assert float(aux.metrics["penalty"]) == pytest.approx(float(by_hand), rel=1e-5)
    assert float(total) == pytest.approx(float(plain + by_hand), rel=1e-5)


@pytest.mark.parametrize("objective", [objectives.gan, partial(objectives.table_gan, n_train=9), objectives.classifier])
def test_a_model_of_another_family_is_refused_by_name(objective):
    vae = models.VAE(nets.mlp_encoder((4,), 4, (8,)), nets.mlp_decoder(2, (4,), (8,)), 2)
    with pytest.raises(UsageError, match=r"needs .* of a model; VAE has no"):
        objective(vae)


def test_a_penalty_refuses_a_critic_with_batch_norm():
    critic = nets.dcgan_discriminator((16, 16, 1), 8, norm="batch")
    gan = models.GAN(nets.mlp_generator(3, (16, 16, 1), (8,)), critic, 3)
    objectives.gan(gan)
    with pytest.raises(ValueError, match="couples the examples"):
        objectives.gan(gan, penalties=(losses.r1(1.0),))


@pytest.mark.slow
def test_batch_norm_sees_real_and_fake_apart():
    """Two passes, each normalised by its own batch, and the running statistics of both kept, real first."""
    critic = nets.dcgan_discriminator((16, 16, 1), 8, norm="batch")
    gan = models.GAN(nets.dcgan_generator(3, (16, 16, 1), 8), critic, 3)
    params, state = quick_jit(gan.init)(ROOT)
    batch = Batch(normal(1, (6, 16, 16, 1)))
    obj = objectives.gan(gan)
    ctx = Context(state, jax.random.key(3), jnp.int32(0), obj.draw(jax.random.key(2), batch))
    _, aux = quick_jit(obj.d)(params, batch, ctx)
    fake, _ = gan.fake(params["g"], state["g"], ctx.draws["z"], train=True)
    _, s = gan.logits(params["d"], state["d"], batch.x, train=True)
    _, s = gan.logits(params["d"], s, fake, train=True)
    for a, b in zip(jax.tree.leaves(aux.state["d"]), jax.tree.leaves(s), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-6)
    _, aux = quick_jit(obj.g)(params, batch, ctx)
    assert set(aux.state) == {"g"}


def test_conditional_fakes_carry_the_real_labels():
    gan = small(n_classes=4)
    y = jnp.array([0, 1, 2, 3, 0, 1])
    params, batch, ctx = setting(gan, y=y)
    obj = objectives.gan(gan, losses.relativistic)
    fake, _ = gan.fake(params["g"], ctx.state["g"], ctx.draws["z"], y)
    real_logits, _ = gan.logits(params["d"], ctx.state["d"], batch.x, y)
    fake_logits, _ = gan.logits(params["d"], ctx.state["d"], fake, y)
    expect = losses.relativistic.d(real_logits, fake_logits).mean()
    assert float(quick_jit(obj.d)(params, batch, ctx)[0]) == pytest.approx(float(expect), rel=1e-5)
    other, _ = gan.logits(params["d"], ctx.state["d"], batch.x, (y + 1) % 4)
    assert not np.allclose(other, real_logits)
    x = gan.sample(params, ctx.state, ROOT, 6)
    again = gan.generate(params, ctx.state, gan.noise(ROOT, 6), y)
    np.testing.assert_allclose(x, again, rtol=1e-6)  # labels default to 0, 1, 2, ... in turn


def test_a_mask_takes_examples_out():
    gan = small()
    params, batch, ctx = setting(gan)
    mask = jnp.array([1, 1, 1, 1, 0, 0]) > 0
    obj = objectives.gan(gan, losses.relativistic, (losses.r1(1.0),))
    spoiled = jnp.where(mask[:, None, None, None], batch.x, 7.0)
    for side in (obj.d, obj.g):
        a, _ = side(params, batch._replace(mask=mask), ctx)
        b, _ = side(params, Batch(spoiled, mask=mask), ctx)
        assert float(a) == pytest.approx(float(b), rel=1e-6)


def test_dirac_gan():
    """D(x) = psi x, data at 0, generator at theta: unregularised alternating play circles, R1 converges.

    Source: Mescheder et al. 2018, Which Training Methods for GANs do actually Converge? (the Dirac-GAN).
    """
    from genjax.types import Net

    g = Net(lambda k: ({"theta": jnp.ones(())}, {}),
            lambda p, s, z, train=False, key=None, y=None: (jnp.zeros((z.shape[0], 1)) + p["theta"], s))  # fmt: skip
    d = Net(
        lambda k: ({"psi": jnp.ones(())}, {}), lambda p, s, x, train=False, key=None, y=None: (p["psi"] * x[:, 0], s)
    )
    gan = models.GAN(g, d, 1)
    ends = {}
    for gamma in (0.0, 1.0):
        obj = objectives.gan(gan, losses.nonsaturating, (losses.r1(gamma),))
        step = train.make_step(train.Move("d", obj.d, optax.sgd(0.1)), train.Move("g", obj.g, optax.sgd(0.1)))
        state = step.init(gan, ROOT)
        run = jax.jit(
            lambda s, step=step: jax.lax.fori_loop(
                0, 400, lambda i, s: step(s, Batch(jnp.zeros((1, 2, 1))), ROOT)[0], s
            )
        )
        p = run(state).players
        ends[gamma] = float(jnp.hypot(p["g"].params["theta"], p["d"].params["psi"]))
    assert ends[0.0] > 0.2  # alternating play circles on; it neither arrives nor settles
    assert ends[1.0] < 1e-3


@pytest.mark.slow
def test_the_optimal_discriminator_of_two_gaussians():
    """Trained on real N(1, 1) and fake N(-1, 1), a linear logit finds the true log ratio 2 x."""
    from genjax.types import Net

    g = Net(lambda k: ({}, {}), lambda p, s, z, train=False, key=None, y=None: (z - 1.0, s))
    d = Net(lambda k: ({"w": jnp.zeros(()), "b": jnp.zeros(())}, {}),
            lambda p, s, x, train=False, key=None, y=None: (p["w"] * x[:, 0] + p["b"], s))  # fmt: skip
    gan = models.GAN(g, d, 1)
    obj = objectives.gan(gan)
    step = train.make_step(train.Move("d", obj.d, optax.adam(0.02)))
    state = step.init(gan, ROOT)

    def body(i, s):
        x = 1.0 + jax.random.normal(jax.random.fold_in(jax.random.key(5), i), (1, 4096, 1))
        return step(s, Batch(x), ROOT)[0]

    p = jax.jit(lambda s: jax.lax.fori_loop(0, 600, body, s))(state).players["d"].params
    assert float(p["w"]) == pytest.approx(2.0, abs=0.15)
    assert float(p["b"]) == pytest.approx(0.0, abs=0.1)
