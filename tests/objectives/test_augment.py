"""Adaptive augmentation and penalties that keep numbers: their dynamics, who sees what, and lazy moves."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import first_state, quick_jit

from genjax import losses, models, nets, objectives, train
from genjax.types import Augmentation, Batch, Context, Game, Net, Penalty, UsageError

ROOT = jax.random.key(0)
SHAPE = (6, 6, 1)
CHANGES = (objectives.mirror, objectives.quarter_turn, objectives.translate, objectives.brightness, objectives.contrast)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


def model():
    return models.GAN(nets.mlp_generator(3, SHAPE, (8,)), nets.mlp_discriminator(SHAPE, (8,)), 3)


def images(n=6, seed=1):
    return jnp.asarray(np.random.default_rng(seed).uniform(-1.0, 1.0, (n, *SHAPE)), jnp.float32)


def state_of(p):
    return {"ada": {"p": jnp.float32(p)}}


@pytest.mark.slow
def test_nothing_changes_at_p_0_and_every_change_happens_at_its_share():
    x, keys = images(2000), jax.random.split(ROOT, 2000)
    ada = objectives.ada(CHANGES)
    np.testing.assert_array_equal(ada.apply(keys, x, state_of(0.0)), x)
    brighter = objectives.ada((lambda key, x: x + 10.0,)).apply(keys, x, state_of(0.3))
    assert float((brighter - x > 5).mean()) == pytest.approx(0.3, abs=0.04)
    assert (
        len(np.unique(np.asarray(ada.apply(keys, x[:1].repeat(2000, 0), state_of(0.8))).reshape(2000, -1), axis=0))
        > 900
    )


@pytest.mark.parametrize("change", CHANGES)
def test_changes_keep_the_shape_and_pass_gradients(change):
    for shape in (SHAPE, (5, 8, 3)):
        x = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        assert jax.eval_shape(change, jax.random.key(2), x).shape == x.shape
        slope = quick_jit(jax.grad(lambda x: jnp.square(change(jax.random.key(2), x)).sum()))(x)
        assert float(jnp.abs(slope).max()) > 0


def test_changes_of_places_keep_what_they_move():
    x = jax.random.normal(ROOT, SHAPE)
    for change in (objectives.mirror, objectives.quarter_turn):
        np.testing.assert_array_equal(np.sort(np.ravel(change(jax.random.key(3), x))), np.sort(np.ravel(x)))
    x, keys = jax.random.normal(ROOT, (4, 6, 1)), jax.random.split(ROOT, 1000)
    for change, versions in ((objectives.mirror, 2), (objectives.quarter_turn, 2)):
        made = np.asarray(jax.vmap(change, (0, None))(keys, x)).reshape(1000, -1)
        found, counts = np.unique(made, axis=0, return_counts=True)
        assert len(found) == versions
        assert counts.min() > 400
    square = np.asarray(jax.vmap(objectives.quarter_turn, (0, None))(keys, x[:, :4])).reshape(1000, -1)
    assert np.unique(square, axis=0, return_counts=True)[1].min() > 200


def test_p_follows_the_sign_of_the_logits_by_hand():
    """Each update moves it by n / 500,000 towards where the discriminator is as sure as the target; 0 <= p <= 0.8."""
    ada = objectives.ada(CHANGES, target=0.6, n=100)
    (number,) = ada.players.values()
    p = number.init(ROOT)[1]
    for sure, want in ((1.0, 0.08), (1.0, 0.16), (0.2, 0.08), (0.0, 0.0), (0.0, 0.0)):
        p = number.update(p, {"sign": jnp.float32(sure)}, 8)
        assert float(p["p"]) == pytest.approx(want, abs=1e-6)
    for _ in range(50):
        p = number.update(p, {"sign": jnp.float32(1.0)}, 8)
    assert float(p["p"]) == pytest.approx(0.8)
    assert ada.observe(jnp.array([2.0, -0.1]))["ada"]["sign"].tolist() == [1.0, -1.0]


@pytest.mark.slow
@pytest.mark.parametrize("parts", [1, 3])
def test_numbers_of_the_game_move_once_an_update_and_are_reported(parts):
    gan = model()
    obj = objectives.gan(
        gan, losses.hinge, (losses.lecam(0.5, decay=0.9, start=0),), augment=objectives.ada(CHANGES, n=100)
    )
    step = train.make_step(
        train.Move("d", obj.d, optax.sgd(0.0)), train.Move("g", obj.g, optax.sgd(0.0)), draw=obj.draw, accumulate=parts
    )
    state = first_state(step, gan, ROOT)
    assert set(state.players) == {"g", "d", "ada", "lecam"}
    batches = Batch(images()[None])
    after, row = quick_jit(step)(state, batches, ROOT)
    logit = float(row["d/real_logit"]), float(row["d/fake_logit"])
    got = after.players["lecam"].state
    assert float(got["real"]) == pytest.approx(0.1 * logit[0], rel=1e-4)
    assert float(got["fake"]) == pytest.approx(0.1 * logit[1], rel=1e-4)
    assert float(row["d/ada_p"]) == 0.0
    assert float(row["d/lecam_real"]) == 0.0
    assert float(after.players["ada"].state["p"]) in (0.0, pytest.approx(6 / 100))


def test_lecam_by_hand():
    real, fake = jnp.array([1.0, -2.0]), jnp.array([0.5, -3.0])
    state = {"lecam": {"real": 0.25, "fake": -0.5}}
    game = Game(None, None, None, ROOT, real, fake, 10, state)
    want = [(1.5**2 + 0.0) * 2.0, (0.0 + 3.25**2) * 2.0]
    np.testing.assert_allclose(losses.lecam(2.0, start=10)(game), want, rtol=1e-6)
    assert losses.lecam(2.0, start=11)(game).tolist() == [0.0, 0.0]
    with pytest.raises(UsageError, match="decay"):
        losses.lecam(decay=1.0)


def test_lecam_takes_a_discriminator_with_batch_norm():
    critic = nets.dcgan_discriminator((16, 16, 1), 8, norm="batch")
    gan = models.GAN(nets.mlp_generator(3, (16, 16, 1), (8,)), critic, 3)
    objectives.gan(gan, penalties=(losses.lecam(),))
    with pytest.raises(UsageError, match="couples the examples"):
        objectives.gan(gan, penalties=(losses.lecam(), lambda game: game.real_logits))


def setting(obj, gan):
    params, state = quick_jit(gan.init)(ROOT)
    batch = Batch(images())
    return params, batch, Context(state, jax.random.key(3), jnp.int32(0), obj.draw(jax.random.key(2), batch))


@pytest.mark.slow
def test_both_moves_see_the_same_augmented_fakes_and_a_gradient_reaches_the_generator():
    gan, seen = model(), []

    def apply(keys, x, state):
        seen.append((keys, x))
        return -x

    obj = objectives.gan(gan, augment=Augmentation(apply))
    params, batch, ctx = setting(obj, gan)
    fake, _ = gan.fake(params["g"], ctx.state["g"], ctx.draws["z"])
    d, _ = obj.d(params, batch, ctx)
    g, _ = obj.g(params, batch, ctx)
    score = lambda x: gan.logits(params["d"], ctx.state["d"], x)[0]  # noqa: E731
    assert float(d) == pytest.approx(float(losses.nonsaturating.d(score(-batch.x), score(-fake)).mean()), rel=1e-5)
    assert float(g) == pytest.approx(float(losses.nonsaturating.g(score(-fake), score(-batch.x)).mean()), rel=1e-5)
    (real_d, _), (fake_d, _), (real_g, _), (fake_g, _) = seen
    data = jax.random.key_data
    assert (data(real_d) == data(real_g)).all()
    assert (data(fake_d) == data(fake_g)).all()
    assert (data(real_d) != data(fake_d)).any(1).all()
    assert len(np.unique(np.asarray(data(real_d)), axis=0)) == 6
    assert float(optax.tree.norm(jax.grad(lambda p: obj.g(p, batch, ctx)[0])(params)["g"])) > 0


def test_r1_is_taken_at_the_image_before_the_augmentation():
    """An augmentation triples x before the critic w x: the slope at x is 3 w."""
    linear = Net(
        lambda key: ({"w": jnp.full(SHAPE, 0.1)}, {}),
        lambda p, s, x, train=False, key=None, y=None: ((x * p["w"][None]).sum((1, 2, 3)), s),
    )
    gan = models.GAN(nets.mlp_generator(3, SHAPE, (8,)), linear, 3)
    obj = objectives.gan(gan, penalties=(losses.r1(2.0),), augment=Augmentation(lambda keys, x, state: 3.0 * x))
    params, batch, ctx = setting(obj, gan)
    _, aux = obj.d(params, batch, ctx)
    assert float(aux.metrics["penalty"]) == pytest.approx(36 * 0.3**2, rel=1e-5)


@pytest.mark.slow
def test_a_lazy_penalty_is_a_second_move_and_equals_the_eager_one_on_average():
    """16 lazy steps of plain descent from one point: the penalty's gradient is there once, 16 times as strong."""
    gan = model()
    eager, lazy = (objectives.gan(gan, penalties=(losses.r1(3.0),), every=n) for n in (1, 4))
    plain = objectives.gan(gan)
    params, batch, ctx = setting(eager, gan)
    slope = lambda obj: jax.grad(lambda p: obj(p, batch, ctx)[0])(params)["d"]  # noqa: E731
    for whole, alone, without in zip(
        *(jax.tree.leaves(slope(o)) for o in (eager.d, lazy.penalty, plain.d)), strict=True
    ):
        np.testing.assert_allclose(whole - without, alone / 4, rtol=1e-4, atol=1e-6)
    for a, b in zip(jax.tree.leaves(slope(lazy.d)), jax.tree.leaves(slope(plain.d)), strict=True):
        np.testing.assert_array_equal(a, b)
    step = train.make_step(
        train.Move("d", lazy.d, optax.sgd(0.0)),
        train.Move("d", lazy.penalty, optax.sgd(0.0), every=4, name="regular"),
        train.Move("g", lazy.g, optax.sgd(0.0)),
        draw=lazy.draw,
    )
    state, rows = first_state(step, gan, ROOT), []
    for _ in range(5):
        state, row = quick_jit(step)(state, Batch(images()[None]), ROOT)
        rows.append(float(row["regular/penalty"]))
    assert [np.isfinite(r) for r in rows] == [True, False, False, False, True]
    with pytest.raises(UsageError, match="no penalties"):
        plain.penalty(params, batch, ctx)
    with pytest.raises(UsageError, match="every=0"):
        objectives.gan(gan, every=0)


def test_lazy_numbers_follow_too():
    gan = model()
    obj = objectives.gan(gan, penalties=(losses.lecam(decay=0.5),), every=2)
    step = train.make_step(train.Move("d", obj.penalty, optax.sgd(0.0), every=2), draw=obj.draw)
    state = first_state(step, gan, ROOT)
    numbers = []
    for _ in range(3):
        state, _ = quick_jit(step)(state, Batch(images()[None]), ROOT)
        numbers.append(float(state.players["lecam"].state["real"]))
    assert numbers[0] == numbers[1] != numbers[2]


def test_any_function_of_the_game_is_a_penalty():
    gan = model()
    obj = objectives.gan(gan, penalties=(lambda game: jnp.square(game.real_logits) * game.step,))
    params, batch, ctx = setting(obj, gan)
    _, aux = obj.d(params, batch, ctx._replace(step=jnp.int32(3)))
    logits, _ = gan.logits(params["d"], ctx.state["d"], batch.x)
    assert float(aux.metrics["penalty"]) == pytest.approx(3 * float(jnp.square(logits).mean()), rel=1e-5)


def test_two_parts_of_one_name_are_refused():
    lecam = losses.lecam()
    with pytest.raises(UsageError, match="'lecam'"):
        objectives.gan(model(), penalties=(lecam, dataclasses.replace(lecam)))
    with pytest.raises(UsageError, match="target"):
        objectives.ada(CHANGES, target=1.0)
    assert isinstance(lecam, Penalty)
