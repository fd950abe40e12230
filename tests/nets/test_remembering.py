"""Decoders that remember: sums over all tiny pieces, step by step = all at once, what a step sees, hidden steps."""

import functools
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import normal, quick_jit

from genjax import nets
from genjax.distributions import Autoregressive
from genjax.errors import UsageError
from genjax.nets.functional import functional
from genjax.nets.remembering import REACH, UNITS, Moves

KEYS, T, Z = 2, 3, 2
KEY = jax.random.key(0)


def made(n=1, t=T, dropout=0.0, train=False):
    """p(x | z) of n draws of z, by a decoder in which everything depends on everything that it may see."""
    decoder = nets.remembering(Z, KEYS, t, 8, 1, dropout, hidden=4)
    z = jnp.repeat(normal(1, (1, t, Z)), n, 0)
    return Autoregressive(decoder.net.apply(_params(), {}, z, train=train, key=KEY)[0], decoder.chain)


@functools.cache
def _params():
    shapes = jax.eval_shape(nets.remembering(Z, KEYS, T, 8, 1, hidden=4).net.init, KEY)[0]
    return jax.tree.map(lambda v: 0.5 * normal(v.size, v.shape), shapes)


def pieces(n, t):
    return jnp.asarray(np.random.default_rng(3).integers(0, 2, (n, t, KEYS)), jnp.float32)


log_probs = quick_jit(Autoregressive.log_probs)


def test_probabilities_of_all_pieces_add_up_to_one():
    every = np.array(list(itertools.product((0.0, 1.0), repeat=T * KEYS)), np.float32).reshape(-1, T, KEYS)
    found = log_probs(made(len(every)), every)
    assert float(jnp.exp(found.sum(1)).sum()) == pytest.approx(1.0, abs=1e-5)
    assert float(found[:, 2].std()) > 0.1


def test_all_at_once_is_step_by_step():
    """Over more steps than the window holds."""
    p, x = made(3, t=7), pieces(3, 7)
    for whole, walked in zip(*quick_jit(_both)(p, x), strict=True):
        np.testing.assert_allclose(whole, walked, rtol=1e-4, atol=1e-4)


def _both(p, x):
    def step(state, x):
        carry, out = p.chain.step(p.given, *state)
        return (carry, x), out

    outs = jax.lax.scan(step, p.chain.start(p.given), x.swapaxes(0, 1))[1]
    return p.chain.whole(p.given, x), tuple(out.swapaxes(0, 1) for out in outs)


def test_the_mode_takes_what_is_likelier_than_not():
    """Step by step, and all steps again at once given what it took."""
    p = made(3, t=7)

    def both(p):
        out = p.chain.whole(p.given, p.mode)
        return p.mode, p.chain.emission(p.given, out).mode

    np.testing.assert_array_equal(*quick_jit(both)(p))


def test_a_step_sees_those_before_it_and_its_own_latents():
    p, t = made(t=6), 6
    x = normal(4, (1, t, KEYS))

    def of(x, z):
        said, near = p.chain.whole(p.given._replace(z=z), x)
        return said[0].sum(1) + near[0].sum((1, 2))

    of_x, of_z = quick_jit(jax.jacobian(of, (0, 1)))(x, p.given.z)
    back = np.subtract.outer(np.arange(t), np.arange(t))
    np.testing.assert_array_equal(np.abs(of_x[:, 0]).sum(2) > 0, (back > 0) & (back <= nets.memory(1)))
    np.testing.assert_array_equal(np.abs(of_z[:, 0]).sum(2) > 0, back == 0)


def test_the_beginning_is_not_silence():
    p = made(t=2)
    same_z = p.given._replace(z=jnp.repeat(p.given.z[:, :1], 2, 1))
    first, later = log_probs(Autoregressive(same_z, p.chain), jnp.zeros((1, 2, KEYS)))[0]
    assert abs(first - later) > 0.01


def test_dropout_is_of_training_alone():
    x = pieces(4, T)
    plain = log_probs(made(4), x)
    np.testing.assert_array_equal(log_probs(made(4, dropout=0.5), x), plain)
    assert np.abs(log_probs(made(4, dropout=0.5, train=True), x) - plain).max() > 0.01


def test_something_is_remembered():
    with pytest.raises(UsageError, match="layers=0"):
        nets.remembering(2, 3, 4, layers=0)


def test_moves_are_intervals():
    """Chords a semitone higher say the same a semitone higher; what two octaves do not reach hears nothing."""
    keys, net = 40, functional(lambda rngs: Moves(40, rngs=rngs))
    params = jax.tree.map(lambda v: normal(v.size, v.shape), jax.eval_shape(net.init, KEY)[0])
    run = quick_jit(lambda x: net.apply(params, {}, x.reshape(-1, 2 * keys), jnp.ones((3, UNITS)))[0])
    x = np.zeros((3, 2, keys), np.float32)
    x[0, 0, 5], x[0, 1, 12], x[1, 0, 6], x[1, 1, 13] = 1, 1, 1, 1
    low, high, silence = run(jnp.asarray(x))
    np.testing.assert_allclose(low[:-1], high[1:], rtol=1e-5, atol=1e-5)
    assert (np.flatnonzero((low != silence).any(1)) == np.arange(12 + REACH + 1)).all()
