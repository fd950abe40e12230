"""Each finding as a small training provokes it that is really set up wrong; `test_monitor` has the others.

Not finite, a skipped step, posterior collapse and mode collapse of a VAE are there.
"""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import quick_jit
from train_toys import ArraySource, Linear, squared_error

from genjax import data, distributions, losses, models, nets, objectives, rng, runs, train
from genjax.health import Monitor, budget, judge
from genjax.health import monitor as monitor_
from genjax.train.step import Move, make_step
from genjax.types import Aux, Batch, Net

KEY = jax.random.key(1)
DIGITS = data.load("digits")
SHAPE = DIGITS.spec.shape


@pytest.fixture(autouse=True)
def _soon(monkeypatch):
    """Judged from the start. Whether there is time for a look into the model, a test says."""
    monkeypatch.setattr(judge, "SETTLED", 1)


@pytest.fixture
def probing(monkeypatch):
    monkeypatch.setattr(budget, "LEAST", 0.0)
    monkeypatch.setattr(budget, "FIRST", 0.0)
    monkeypatch.setattr(monitor_, "Budget", lambda: budget.Budget(limit=1e9))


def found(model, step, transform, steps=60, dataset=DIGITS, source=None):
    """The codes told of a training with a row every five steps, by where; and the state after it."""
    experiment = runs.Experiment(model, step, transform, lambda *_: {})
    monitor, told = Monitor(experiment, dataset, KEY, 16, log_every=5), []
    source = source or data.make_source(dataset.train, 16, transform)
    fitted = train.fit(step, step.init(model, KEY), source, KEY, steps=steps, log_every=5,
                       hooks=train.Hooks(monitor=monitor),
                       on_row=lambda row, *_: told.extend(monitor.row(row)))  # fmt: skip
    told += monitor.take()
    return {(f.code, f.where) for f in told}, fitted.state, monitor


def small_gan(adversarial=losses.nonsaturating, tx_d=None, lr_g=1e-3, generator=None, hidden=32):
    model = models.GAN(
        generator or nets.mlp_generator(4, SHAPE, (16,)), nets.mlp_discriminator(SHAPE, (hidden,)), z_dim=4
    )
    obj = objectives.gan(model, adversarial)
    d, g = Move("d", obj.d, tx_d or optax.adam(1e-3), norms=True), Move("g", obj.g, optax.adam(lr_g), norms=True)
    return model, make_step(d, g, draw=obj.draw)


@pytest.mark.slow
def test_a_discriminator_too_fast_for_a_saturating_loss():
    model, step = small_gan(losses.minimax, optax.adam(0.3), lr_g=1e-9)
    assert found(model, step, data.to_signed())[0] >= {
        ("discriminator_wins", "d/loss"), ("logits_explode", "d/real_logit"), ("gradient_vanishes", "g/grad_norm"),
        ("updates_too_small", "g/update_norm"),
    }  # fmt: skip


@pytest.mark.slow
def test_a_discriminator_whose_weights_decay_to_nothing():
    model, step = small_gan(tx_d=optax.chain(optax.add_decayed_weights(50.0), optax.sgd(0.01)))
    assert ("logits_vanish", "d/real_logit") in found(model, step, data.to_signed())[0]


def test_a_loss_that_is_not_finite_every_third_step():
    def sometimes(params, batch, ctx):
        value, _ = squared_error(params, batch, ctx)
        return value * jnp.where(ctx.step % 3 == 1, jnp.inf, 1.0), Aux({})

    step = make_step(Move("p", sometimes, optax.sgd(0.01), skip_nonfinite=True))
    assert ("updates_skipped", "skipped") in found(Linear, step, data.to_unit(), source=ArraySource())[0]


def test_a_learning_rate_as_long_as_the_parameters():
    step = make_step(Move("p", squared_error, optax.adam(1.0, b1=0.0, b2=0.5), norms=True))
    assert ("updates_too_large", "update_norm") in found(Linear, step, data.to_unit(), source=ArraySource())[0]


@pytest.mark.slow
def test_a_learning_rate_that_kills_units(probing):
    vae = models.VAE(nets.mlp_encoder(SHAPE, 8, (32,)), nets.mlp_decoder(4, SHAPE, (32,)), 4, distributions.bernoulli())
    step = make_step(
        Move("vae", objectives.beta_vae(vae), optax.chain(optax.clip_by_global_norm(1.0), optax.sgd(30.0)))
    )
    codes, *_ = found(vae, step, data.binarize(), 40)
    assert any(code == "dead_units" and where.startswith("vae/") for code, where in codes)


@pytest.mark.slow
def test_a_discriminator_that_learns_few_images_by_heart(probing):
    """24 training images against a generator whose images are other real ones: what it tells apart it has by heart."""
    image = DIGITS.train.x[:1048]
    few, others = image[:24], data.to_signed().apply(KEY, Batch(image[24:536])).x
    dataset = dataclasses.replace(DIGITS, train=data.Examples(few), test=data.Examples(image[536:]), validation=None)

    def other(params, state, z, **_):
        return params["images"][(jnp.abs(z[:, 0]) * 1e4).astype(jnp.int32) % len(others)], state

    generator = Net(lambda key: ({"images": others}, {}), other)
    model, step = small_gan(tx_d=optax.adam(0.01), lr_g=1e-12, generator=generator, hidden=64)
    codes, *_ = found(model, step, data.to_signed(), 80, dataset)
    assert ("discriminator_overfits", "held-out gap") in codes


def looks(monitor, images):
    """The findings after two grids of the same images."""
    monitor.telling.history.clear()
    monitor.telling.open.clear()
    for at in (1, 2):
        monitor.samples(at, np.asarray(images))
    return {f.code for f in monitor.take()}


@pytest.mark.slow
def test_a_critic_without_a_penalty_lets_the_generator_collapse():
    """A Wasserstein critic that nothing bounds, and a generator of ten times its learning rate: all samples are one."""
    model, step = small_gan(losses.wasserstein, lr_g=0.01)
    _, state, monitor = found(model, step, data.to_signed(), 200)
    x = data.to_signed().inverse(model.sample(*train.evaluation(state), jax.random.key(2), 64))
    assert "mode_collapse" in looks(monitor, x)
    assert looks(monitor, DIGITS.test.x[:64]) == set()


@pytest.mark.slow
def test_samples_of_a_model_that_has_learnt_nothing_are_far():
    """A generator as it was initialised, and one after steps of a hundred times the usual length."""
    model, step = small_gan(losses.minimax, optax.adam(0.3), lr_g=0.3)
    _, state, monitor = found(model, step, data.to_signed(), 30)
    fresh = quick_jit(model.init)(rng.named(KEY, "init"))
    for params, net in (fresh, train.evaluation(state)):
        x = model.sample(params, net, jax.random.key(2), 64)
        assert "samples_far" in looks(monitor, data.to_signed().inverse(x))
    real = DIGITS.test.x[:64]
    monitor.samples(3, real)
    monitor.samples(4, real)
    assert {f.severity for f in monitor.take()} == {"over"}  # real images are not far
