"""Gradients accumulated over the parts of a batch are those of the whole batch, draws included."""

import dataclasses

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import quick_jit, uniform

from genjax import losses, models, nets, objectives
from genjax.train.step import Move, Step, make_step
from genjax.types import Batch

SHAPE, Z, N = (8, 8, 1), 4, 12


def keep_gradients():
    """An optimizer that changes nothing and keeps the gradient as its state."""
    return optax.GradientTransformation(
        lambda p: jax.tree.map(jnp.zeros_like, p), lambda g, s, p=None: (jax.tree.map(jnp.zeros_like, g), g)
    )


def vae() -> tuple[object, Step]:
    model = models.VAE(nets.conv_encoder(SHAPE, 2 * Z, 8), nets.conv_decoder(Z, SHAPE, 8), Z)
    return model, make_step(Move("vae", objectives.beta_vae(model, 2.0), keep_gradients(), norms=True))


def game(adversarial, *penalties, repeat=1) -> tuple[object, Step]:
    model = models.GAN(nets.dcgan_generator(Z, SHAPE, 8, "none"), nets.dcgan_discriminator(SHAPE, 8, "none"), Z)
    obj = objectives.gan(model, adversarial, penalties)
    d, g = Move("d", obj.d, keep_gradients(), repeat=repeat, norms=True), Move("g", obj.g, keep_gradients())
    return model, make_step(d, g, draw=obj.draw)


CASES = {
    "vae": vae,
    "wgan_gp": lambda: game(losses.wasserstein, losses.gradient_penalty(10.0), repeat=2),
    "relativistic": lambda: game(losses.relativistic, losses.r1(1.0), losses.r2(1.0)),
}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "masked"), [("vae", True), ("wgan_gp", False), ("relativistic", True)])
def test_equals_the_large_batch_where_the_loss_draws(name, masked):
    """Noise of z, latents, interpolation of the gradient penalty: every metric and the whole gradient, to 1e-5."""
    model, whole = CASES[name]()
    parts = dataclasses.replace(whole, accumulate=3)
    key = jax.random.key(0)
    x = uniform(1, (whole.n_batches, N, *SHAPE))
    mask = jnp.arange(N) % 5 != 0 if masked else None
    batches = Batch(x, mask=None if mask is None else jnp.broadcast_to(mask, x.shape[:2]))
    state = whole.init(model, key)
    (a, rows), (b, rows_b) = (quick_jit(s)(state, batches, key) for s in (whole, parts))
    vectors = [np.concatenate([np.ravel(v) for v in jax.tree.leaves(s.opt)]) for s in (a, b)]
    assert np.linalg.norm(vectors[0] - vectors[1]) <= 1e-5 * np.linalg.norm(vectors[0])
    assert np.linalg.norm(vectors[0]) > 0.1
    for k in rows:
        np.testing.assert_allclose(rows_b[k], rows[k], rtol=1e-5, atol=1e-6, err_msg=k)
    other, _ = quick_jit(parts)(state, batches, jax.random.key(5))
    again = np.concatenate([np.ravel(v) for v in jax.tree.leaves(other.opt)])
    assert np.linalg.norm(vectors[0] - again) > 1e-3 * np.linalg.norm(vectors[0])  # the draws do matter
