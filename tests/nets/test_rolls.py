"""Nets of rolls: binary outputs that a gradient passes through, any number of steps, masks, lowering."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import few, normal, quick_jit, uniform

from genjax.nets.rolls import halvings, roll_discriminator, roll_generator


@pytest.mark.parametrize("steps", few([4, 7, 16, 33], 7))
def test_any_number_of_steps(steps):
    g, d = roll_generator(3, (steps, 9), 8), roll_discriminator((steps, 9), 8)
    params, state = quick_jit(g.init)(jax.random.key(0))
    x, _ = quick_jit(lambda z: g.apply(params, state, z))(jax.random.normal(jax.random.key(1), (2, 3)))
    assert x.shape == (2, steps, 9)
    assert set(np.unique(x)) <= {0.0, 1.0}
    params, state = quick_jit(d.init)(jax.random.key(0))
    assert quick_jit(lambda x: d.apply(params, state, x)[0])(x).shape == (2,)
    assert 4 * 2 ** halvings(steps) >= steps


def test_a_gradient_passes_through():
    g = roll_generator(3, (8, 9), 8)
    params, state = quick_jit(g.init)(jax.random.key(0))
    z = normal(1, (2, 3))
    w = normal(2, (2, 8, 9))
    grads = quick_jit(jax.grad(lambda p: (w * g.apply(p, state, z)[0]).sum()))(params)
    assert all(float(jnp.abs(v).max()) > 0 for v in jax.tree.leaves(grads))


def test_steps_that_do_not_count_are_silent_to_the_critic():
    d = roll_discriminator((8, 9), 8)
    params, state = quick_jit(d.init)(jax.random.key(0))
    x = (uniform(1, (2, 8, 9)) < 0.5).astype(jnp.float32)
    mask = jnp.arange(8)[None] < jnp.array([[5], [8]])
    score = quick_jit(lambda x: d.apply(params, state, x, event_mask=mask)[0])
    assert (score(x) == score(jnp.where(mask[:, :, None], x, 1.0))).all()
    assert (score(x) != score(x.at[:, 0].set(1.0 - x[:, 0]))).all()


def test_lowers_for_every_platform():
    g, d = roll_generator(3, (8, 9), 8), roll_discriminator((8, 9), 8)

    def both(key):
        (pg, sg), (pd, sd) = g.init(key), d.init(key)
        return d.apply(pd, sd, g.apply(pg, sg, jax.random.normal(key, (4, 3)))[0])[0]

    jax.export.export(jax.jit(both), platforms=("cpu", "cuda", "tpu"))(jax.random.key(0))
