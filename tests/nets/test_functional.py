"""The adapter from modules to pure functions."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx
from jax import lax

from genjax import nets


class Counter(nnx.Module):
    """Two layers in a list, call-time noise, and a count of calls."""

    def __init__(self, n_layers: int, *, rngs: nnx.Rngs):
        self.layers = nnx.List([nnx.Linear(2, 2, rngs=rngs) for _ in range(n_layers)])
        self.calls = nnx.BatchStat(jnp.zeros(()))

    def __call__(self, x, *, train, key, y):
        for layer in self.layers:
            x = jnp.tanh(layer(x))
        if train:
            self.calls[...] = self.calls[...] + 1
        return x if key is None else x + jax.random.normal(key, x.shape)


@pytest.fixture
def net():
    return nets.functional(lambda rngs: Counter(12, rngs=rngs))


def test_trees_are_plain_dicts_of_arrays_with_string_keys(net):
    params, state = jax.jit(net.init)(jax.random.key(0))
    assert set(params["layers"]) == {str(i) for i in range(12)}

    def check(tree):
        assert type(tree) is dict
        for name, value in tree.items():
            assert type(name) is str
            if not isinstance(value, jax.Array):
                check(value)

    check(params)
    check(state)
    assert state == {"calls": 0}


def test_lists_of_more_than_ten_keep_their_order(net):
    """As strings, "10" sorts before "2": each array must still reach its own layer."""
    params, state = net.init(jax.random.key(0))
    x = jnp.ones((1, 2))
    want = x
    for i in range(12):
        layer = params["layers"][str(i)]
        want = jnp.tanh(want @ layer["kernel"] + layer["bias"][None])
    np.testing.assert_allclose(net.apply(params, state, x)[0], want, rtol=1e-6)


def test_init_is_a_function_of_the_key_under_jit_or_not(net):
    eager, jitted = net.init(jax.random.key(3)), jax.jit(net.init)(jax.random.key(3))
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-6), eager, jitted)
    other = net.init(jax.random.key(4))
    assert (other[0]["layers"]["0"]["kernel"] != eager[0]["layers"]["0"]["kernel"]).all()


def test_state_is_returned_and_the_given_one_left_alone(net):
    params, state = net.init(jax.random.key(0))
    x = jnp.ones((1, 2))
    once = net.apply(params, state, x, train=True)[1]
    twice = net.apply(params, once, x, train=True)[1]
    assert [float(s["calls"]) for s in (state, once, twice)] == [0, 1, 2]
    assert net.apply(params, twice, x)[1] == {"calls": 2}


def test_key_reaches_the_module(net):
    params, state = net.init(jax.random.key(0))
    x = jnp.ones((1, 2))
    a, b = (net.apply(params, state, x, key=jax.random.key(i))[0] for i in (1, 2))
    assert (a != b).all()


def test_describing_a_net_computes_nothing():
    def make(rngs):
        raise AssertionError("built")

    nets.functional(make)


def test_vmap_over_seeds_and_loop_equal_one_by_one(net):
    keys = jax.random.split(jax.random.key(0), 3)
    params, state = jax.vmap(net.init)(keys)
    x = jnp.ones((1, 2))
    out, _ = jax.vmap(net.apply, (0, 0, None))(params, state, x)
    for i in range(3):
        one = net.init(keys[i])
        np.testing.assert_allclose(out[i], net.apply(*one, x)[0], rtol=1e-5)

    def body(_, carry):
        x, s = carry
        return net.apply(one[0], s, x, train=True)

    looped = jax.jit(lambda x, s: lax.fori_loop(0, 3, body, (x, s)))(x, one[1])
    unrolled = (x, one[1])
    for i in range(3):
        unrolled = body(i, unrolled)
    np.testing.assert_allclose(looped[0], unrolled[0], rtol=1e-5)
    assert looped[1] == unrolled[1] == {"calls": 3}
