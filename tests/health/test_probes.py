"""What a probe measures, against what is put in: units killed by hand, a discriminator that knows its images."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import quick_jit

from genjax import data, models, recipes, rng
from genjax.health import judge, probes
from genjax.types import Net

KEY = jax.random.key(3)


def made(name, **more):
    """A recipe's experiment, small, with fresh players and its probe's reference."""
    recipe, dataset = recipes.load(name), data.load("digits")
    cfg = dataclasses.replace(recipe.SMOKE, **more)
    experiment = recipe.build(cfg, dataset.spec)
    params, state = quick_jit(experiment.model.init)(rng.named(KEY, "init"))
    ref = probes.reference(dataset, experiment.transform, experiment.model, 16, KEY)
    return experiment.model, params, state, ref


def look(model, params, state, ref):
    return {k: np.asarray(v) for k, v in quick_jit(probes.probe_of(model))(params, state, ref).items()}


@pytest.mark.parametrize("conditional", [False, True])
def test_latents_are_measured_as_the_encoder_gives_them(conditional):
    model, params, state, ref = made("vae_digits", z_dim=4, conditional=conditional)
    kernel = params["vae"]["encoder"]["layers"]["1"]["kernel"]
    params["vae"]["encoder"]["layers"]["1"]["kernel"] = kernel.at[:, 0].set(0.0)  # the first code's mean is constant
    got = look(model, params, state, ref)
    x, y = (None if v is None else jnp.asarray(v.reshape(-1, *v.shape[2:])) for v in (ref.x, ref.y))
    q, _ = model.encode(params["vae"], state["vae"], x, y)
    mu, logvar = np.asarray(q.mu, np.float64), np.asarray(q.logvar, np.float64)
    np.testing.assert_allclose(got["active"], mu.var(0), rtol=1e-4, atol=1e-9)
    np.testing.assert_allclose(got["rate"], 0.5 * (mu**2 + np.exp(logvar) - logvar - 1).mean(0), rtol=1e-4)
    assert got["active"][0] < 1e-9
    assert (y is None) != conditional


def test_units_killed_by_hand_are_counted():
    """A bias of -1e4 under a ReLU: 6 of 16 encoder units, and all but 2 of the decoder's."""
    model, params, state, ref = made("vae_digits")
    before = look(model, params, state, ref)["dead"]
    names = probes.layers(params)
    assert len(names) == len(before)
    for part, n in (("encoder", 6), ("decoder", 14)):
        layer = params["vae"][part]["layers"]["0"]
        layer["bias"] = layer["bias"].at[:n].set(-1e4)
    dead = dict(zip(names, look(model, params, state, ref)["dead"].tolist(), strict=True))
    assert dead.pop("vae/encoder/layers/0/bias") >= 6 / 16
    assert dead.pop("vae/decoder/layers/0/bias") >= 14 / 16
    found = judge.of_probe({"dead": list(dead.values())}, list(dead))
    assert found == []
    assert max(before) < judge.DEAD


@pytest.mark.slow
def test_a_fresh_gan_has_no_finding():
    """Conditional, with batch norm in the generator."""
    model, params, state, ref = made("gan_mnist", conditional=True)
    got = look(model, params, state, ref)
    assert set(got) == {"train_logit", "held_logit", "fake_logit", "standard_error", "logit_sd", "dead"}
    assert judge.of_probe(got, probes.layers(params)) == []
    noise = jax.vmap(lambda key: model.noise(key, 16))(ref.key).reshape(-1, model.z_dim)
    fake = model.generate(params, state, noise, jnp.asarray(ref.y.reshape(-1)))
    logits, _ = model.logits(params["d"], state["d"], fake, jnp.asarray(ref.y.reshape(-1)))
    assert got["fake_logit"] == pytest.approx(float(logits.mean()), abs=1e-5)


@pytest.mark.slow
def test_a_discriminator_that_knows_its_images_is_seen():
    """Its logit is minus the distance to the nearest training image: 0 for those, less for all others."""
    dataset = data.load("digits")
    recipe = recipes.load("gan_digits")
    built = recipe.build(recipe.SMOKE, dataset.spec)
    known = np.asarray(probes.reference(dataset, built.transform, built.model, 16, KEY).x).reshape(-1, 64)

    def apply(params, state, x, *, train=False, key=None, y=None):
        apart = jnp.abs(x.reshape(-1, 1, 64) - params["known"][None].reshape(1, -1, 64)).mean(-1)
        return -10.0 * apart.min(1), state

    knows = Net(lambda key: ({"known": jnp.asarray(known)}, {}), apply)
    model = models.GAN(built.model.generator, knows, built.model.z_dim)
    params, state = quick_jit(model.init)(KEY)
    ref = probes.reference(dataset, built.transform, model, 16, KEY)
    got = look(model, params, state, ref)
    assert got["train_logit"] == pytest.approx(0.0, abs=1e-5)
    assert got["held_logit"] < -0.5
    values = {**got, "fake_logit": 2 * got["held_logit"] + 0.1}  # held-out images are half way and a little more
    assert [f.code for f in judge.of_probe(values, probes.layers(params))] == ["discriminator_overfits"]
    alone = look(model, params, state, ref._replace(held=None, held_y=None))
    assert "held_logit" not in alone
    assert judge.of_probe(alone, probes.layers(params)) == []


def test_the_images_are_the_same_every_time_and_in_parts_of_a_batch():
    ref = made("vae_digits")[3]
    again = made("vae_digits")[3]
    assert all((a == b).all() for a, b in zip(jax.tree.leaves(ref), jax.tree.leaves(again), strict=True))
    assert ref.x.shape == (8, 16, 8, 8, 1)
    assert set(np.unique(ref.x)) == {0.0, 1.0}  # as the model sees them: binarised
    assert len(ref.key) == 8
    recipe, parted = recipes.load("vae_digits"), data.hold_out(data.load("digits"), 128)
    experiment = recipe.build(recipe.SMOKE, parted.spec)
    held = probes.reference(parted, data.to_unit(), experiment.model, 16, KEY).held
    pixels = np.round(255.0 * held).astype(np.uint8)
    assert pixels.reshape(128, 64).tolist() == parted.validation.x.reshape(128, 64).tolist()
