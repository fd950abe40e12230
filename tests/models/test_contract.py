"""What the rest of genjax may ask of a model, and that it asks for nothing else."""

import re
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import few, quick_jit

from genjax import data, distributions, models, nets
from genjax.types import Batch

SHAPE, Z = (4, 4, 1), 3
KEY = jax.random.key(0)
PACKAGE = Path(models.__file__).parents[1]


def mlps(z=Z, n_classes=0):
    return nets.mlp_encoder(SHAPE, 2 * z, (6,), n_classes), nets.mlp_decoder(z, SHAPE, (6,), n_classes)


MODELS = {
    "vae": lambda: models.VAE(*mlps(), Z),
    "conditional": lambda: models.VAE(*mlps(n_classes=3), Z, n_classes=3),
    "vamp": lambda: models.VAE(*mlps(), Z, prior=distributions.vamp(Z, SHAPE, 4)),
    "flow": lambda: models.VAE(*mlps(), Z, prior=distributions.realnvp(Z, [nets.mlp_encoder((Z,), 2 * Z, (6,))] * 2)),
    "vq_vae": lambda: models.VQVAE(nets.mlp_encoder(SHAPE, 6, (6,)), nets.mlp_decoder(6, SHAPE, (6,)), 3, 4, 2),
    "gan": lambda: models.GAN(nets.mlp_generator(Z, SHAPE, (6,)), nets.mlp_discriminator(SHAPE, (6,)), Z),
}


@pytest.fixture(params=few(MODELS, "conditional", "vq_vae", "gan"))
def ready(request):
    model, key = MODELS[request.param](), jax.random.key(0)
    params, state = quick_jit(model.init)(key)
    state |= {name: p.init(jax.random.fold_in(key, 1))[1] for name, p in getattr(model, "players", {}).items()}
    return model, params, state


def test_samples_are_made_of_noise(ready):
    model, params, state = ready

    @quick_jit
    def drawn(key):
        noise = model.noise(key, 5)
        assert all(v.shape[0] == 5 for v in jax.tree.leaves(noise))
        assert model.draw(params, state, noise, jax.random.key(2)).shape == (5, *SHAPE)
        first = jax.tree.map(lambda v: v[:2], noise)
        cold = model.noise(key, 5, 1e-6)
        pictures = [model.generate(params, state, n) for n in (noise, first, cold)]
        return *pictures, model.sample(params, state, key, 5)

    with jax.debug_key_reuse(False):
        x, first, cold, sampled = map(np.asarray, drawn(jax.random.key(1)))
    assert x.shape == (5, *SHAPE)
    np.testing.assert_array_equal(sampled, x)
    np.testing.assert_allclose(first, x[:2], rtol=1e-5, atol=1e-6)
    assert model.family in ("VAE", "GAN")
    assert np.abs(cold - x).max() > 0


def test_autoencoders_give_a_pass(ready):
    model, params, state = ready
    if not hasattr(model, "forward"):
        return
    y = jnp.zeros(5, jnp.int32) if model.n_classes else None

    def passes(x, key):
        for train in (False, True):
            out = model.forward(params, state, x, y, train=train, key=key)
            assert out.p.log_prob(x).shape == (5,)
            assert out.rate.shape[0] == 5
            assert out.rate.ndim == 2
            assert set(out.state) == {"vae"}
            assert model.picture(params, state, out.latents, y).shape == x.shape

    with jax.debug_key_reuse(False):
        jax.eval_shape(passes, jax.ShapeDtypeStruct((5, *SHAPE), jnp.float32), jax.random.key(4))


@pytest.mark.parametrize("name", [name for name in distributions.LIKELIHOODS if name])
def test_convolutions_take_what_every_likelihood_is_of(name):
    """Grey levels are integers, which a convolution refuses: the model shows them to it as numbers in [-1, 1]."""
    likelihood = distributions.likelihood_of(name, None)
    x = data.for_range(likelihood.support[0]).apply(jax.random.key(0), Batch(jnp.zeros((2, 8, 8, 1), jnp.uint8))).x
    encoder, decoder = nets.conv_encoder((8, 8, 1), 2 * Z, 4), nets.conv_decoder(Z, (8, 8, likelihood.n_out(1)), 4)
    model = models.VAE(encoder, decoder, Z, likelihood)
    params, state = jax.eval_shape(model.init, jax.random.key(0))
    out = jax.eval_shape(lambda p, s, x, k: model.forward(p, s, x, key=k).p.log_prob(x), params, state, x, KEY)
    assert out.shape == (2,)


def test_grey_levels_are_seen_as_numbers_about_0():
    levels = jnp.array([[0, 255]])
    assert distributions.categorical().seen(levels).tolist() == [[-1.0, 1.0]]
    assert distributions.bernoulli().seen(levels) is levels


@pytest.mark.parametrize(
    "pattern",
    [r"isinstance\([^)]*\b(models\.\w+|\w*VAE|\w*GAN|LanguageModel|Classifier)\b", r"random\.normal\([^)]*z_dim"],
)
def test_nobody_else_asks_what_a_model_is_or_draws_its_latents(pattern):
    found = [
        f"{path.relative_to(PACKAGE)}: {line.strip()}"
        for path in PACKAGE.rglob("*.py")
        if path.parent.name != "models" and path.name != "prior.py"
        for line in path.read_text().splitlines()
        if re.search(pattern, line)
    ]
    assert not found
