"""The VAE's spectral term: beside the bound, never in it."""

import jax
import jax.numpy as jnp
import pytest
from quick import normal, quick_jit

from genjax import distributions, losses, models, nets, objectives
from genjax.types import Batch, Context

T = 1100


@pytest.fixture(scope="module")
def setting():
    likelihood = distributions.laplace16()
    model = models.VAE(
        nets.wave_encoder(T, 6, 2), nets.wave_decoder(3, T, likelihood.n_out(1), 2), 3, likelihood=likelihood
    )
    params, state = quick_jit(model.init)(jax.random.key(0))
    x = jnp.round(0.1 * normal(1, (4, T)) * 32768) / 32768
    return model, params, Batch(x), lambda: Context(state, jax.random.key(2), jnp.zeros((), jnp.int32))


@pytest.mark.slow
def test_the_loss_is_that_of_beta_vae_and_the_weighted_distance(setting):
    model, params, batch, ctx = setting
    both = objectives.spectral_vae(model, 100.0, beta=0.5, warm_up=4, free_bits=0.1)
    alone = objectives.beta_vae(model, 0.5, 4, 0.1)

    def values(params):
        out = model.forward(params, ctx().state, batch.x, train=True, key=ctx().key)
        distance = losses.spectral_distance(out.p.mean, batch.x).mean()
        return both(params, batch, ctx()), alone(params, batch, ctx()), distance

    (loss, aux), (bare, bare_aux), distance = quick_jit(values)(params)
    assert float(distance) > 0.1
    assert float(loss - bare) == pytest.approx(100.0 * float(distance), rel=1e-3)
    assert float(aux.metrics["penalty"]) == pytest.approx(100.0 * float(distance), rel=1e-4)
    for name in ("elbo", "rate", "distortion", "beta"):
        assert float(aux.metrics[name]) == pytest.approx(float(bare_aux.metrics[name]), rel=1e-5)
    assert both.model is model


@pytest.mark.slow
def test_of_weight_0_the_gradient_is_that_of_beta_vae(setting):
    model, params, batch, ctx = setting
    grads = [
        quick_jit(jax.grad(lambda p, f=f: f(p, batch, ctx())[0]))(params)
        for f in (objectives.spectral_vae(model, 0.0), objectives.beta_vae(model))
    ]
    for a, b in zip(*map(jax.tree.leaves, grads), strict=True):
        assert float(jnp.abs(a - b).max()) <= 1e-4 * float(jnp.abs(b).max()) + 1e-6
