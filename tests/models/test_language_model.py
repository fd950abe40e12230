"""A language model is an autoencoder whose rate is 0: its bound is its likelihood, its samples are draws."""

import jax
import jax.numpy as jnp
import numpy as np
from quick import quick_jit

from genjax import distributions, models, nets, objectives
from genjax.types import Batch, Context


def test_its_bound_is_its_likelihood():
    decoder = nets.gru_decoder(0, 4, 5, 8)
    model = models.LanguageModel(decoder.net, distributions.autoregressive(decoder.chain))
    params, state = quick_jit(model.init)(jax.random.key(0))
    x = jax.random.randint(jax.random.key(1), (3, 5), 0, 4)
    mask = jnp.arange(5)[None] < jnp.array([[2], [5], [3]])
    batch = Batch(x, event_mask=mask)
    loss, aux = quick_jit(objectives.vae(model))(params, batch, Context(state, jax.random.key(2), jnp.int32(0)))
    p, _ = model.of(params, state, 3)
    np.testing.assert_allclose(loss, -p.log_prob(x, mask).mean(), rtol=1e-6)
    assert aux.metrics["rate"] == 0.0
    score = quick_jit(objectives.score_vae(model))(params, state, batch, jax.random.key(0))
    np.testing.assert_allclose(score["elbo"], p.log_prob(x, mask), rtol=1e-6)
    drawn = model.sample(params, state, jax.random.key(3), 50)
    assert drawn.shape == (50, 5)
    assert len(np.unique(drawn, axis=0)) > 40
