"""A discriminator of several views is the sum of its nets, each on its own part."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import export
from quick import normal, quick_jit

from genjax import nets
from genjax.errors import UsageError

VIEWS = {
    "wave": (nets.wavegan_discriminator(130, 2, 2, 3), (130,)),
    "map": (nets.dcgan_discriminator((8, 8, 1), 4, "none", 3), (8, 8, 1)),
}


@pytest.mark.slow
def test_logits_are_the_sum_over_the_views():
    net = nets.seeing(VIEWS)
    params, state = quick_jit(net.init)(jax.random.key(0))
    x, y = normal(1, (5, 194)), jnp.array([0, 1, 2, 0, 1])
    out, after = quick_jit(lambda p, s: net.apply(p, s, x, y=y))(params, state)
    assert after == state
    wave = VIEWS["wave"][0].apply(params["wave"], {}, x[:, :130], y=y)[0]
    seen = VIEWS["map"][0].apply(params["map"], state["map"], x[:, 130:].reshape(5, 8, 8, 1), y=y)[0]
    np.testing.assert_allclose(out, wave + seen, rtol=1e-4, atol=1e-5)
    alone = nets.seeing(VIEWS | {"wave": (None, (130,))}).apply({"map": params["map"]}, {"map": state["map"]}, x, y=y)
    np.testing.assert_allclose(alone[0], seen, rtol=1e-5, atol=1e-6)
    assert list(alone[1]) == ["map"]
    assert not net.couples_examples
    assert nets.seeing({"m": (nets.dcgan_discriminator((16, 16, 1), 4), (16, 16, 1))}).couples_examples


def test_views_of_another_length_and_none_are_refused():
    net = nets.seeing(VIEWS)
    shapes = jax.eval_shape(net.init, jax.random.key(0))
    with pytest.raises(UsageError, match="vectors of 190 numbers; the views have 194"):
        jax.eval_shape(lambda p, s: net.apply(p, s, jnp.zeros((2, 190)), y=jnp.zeros(2, int)), *shapes)
    with pytest.raises(UsageError, match="at least one view"):
        nets.seeing({"map": (None, (8, 8, 1))})


def test_a_generator_seen_through_a_view():
    g = nets.wavegan_generator(4, 130, 2)
    net = nets.then(g, lambda x: jnp.concatenate([x, x[:, :2] ** 2], axis=1))
    params, state = quick_jit(net.init)(jax.random.key(0))
    out = net.apply(params, state, jnp.ones((3, 4)))[0]
    assert (out[:, :130] == g.apply(params, state, jnp.ones((3, 4)))[0]).all()
    assert out.shape == (3, 132)
    assert net.range is None


def test_lowers_for_every_platform():
    net = nets.seeing(VIEWS)
    params, state = quick_jit(net.init)(jax.random.key(0))

    def penalty(p, x):
        score = lambda x: net.apply(p, state, x, train=True, key=jax.random.key(0), y=jnp.zeros(2, int))[0]  # noqa: E731
        return (jax.grad(lambda x: score(x).sum())(x) ** 2).sum()

    made = export.export(jax.jit(jax.grad(penalty)), platforms=("cpu", "cuda", "tpu"))(params, jnp.zeros((2, 194)))
    assert made.platforms == ("cpu", "cuda", "tpu")
