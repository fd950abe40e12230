"""Convolutions over time: what each step sees, masks, dropout in training alone, equal to a convolution."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import normal, quick_jit

from genjax.nets.over_time import causal_convs, centred_convs, each_step, memory, shifted


def seen(net, t, n_in):
    """Which steps each output depends on, by the gradient."""
    params, state = quick_jit(net.init)(jax.random.key(0))
    params["out"]["kernel"] = jnp.ones_like(params["out"]["kernel"])
    x = normal(1, (1, t, n_in))
    jac = quick_jit(jax.jacobian(lambda x: net.apply(params, state, x)[0].sum((0, 2))))(x)[:, 0]
    return np.abs(jac).sum(2) > 0


@pytest.mark.parametrize("layers", [0, 1, 3])
def test_causal_ones_see_so_far_back_and_nothing_ahead(layers):
    t = 12
    found = seen(causal_convs(2, 3, 8, layers), t, 2)
    back = np.subtract.outer(np.arange(t), np.arange(t))
    assert (found == ((back >= 0) & (back < memory(layers)))).all()


@pytest.mark.slow
def test_centred_ones_see_both_ways():
    found = seen(centred_convs(2, 3, 8, 2), 12, 2)
    apart = np.abs(np.subtract.outer(np.arange(12), np.arange(12)))
    assert (found == (apart <= 3)).all()


@pytest.mark.parametrize("make", [causal_convs, centred_convs])
def test_what_does_not_count_reaches_nobody(make):
    net = make(2, 3, 8, 2)
    params, state = quick_jit(net.init)(jax.random.key(0))
    mask = jnp.arange(6)[None] < jnp.array([[4], [6]])
    x = normal(1, (2, 6, 2))
    run = quick_jit(lambda x: net.apply(params, state, x, event_mask=mask)[0])
    a, b = run(x), run(jnp.where(mask[:, :, None], x, 9.0))
    assert (a[mask] == b[mask]).all()
    alone = quick_jit(lambda x: net.apply(params, state, x)[0])(x[:1, :4])
    np.testing.assert_allclose(a[0, :4], alone[0], rtol=1e-5, atol=1e-6)  # padding is as the end of the sequence


def test_a_shift_and_a_product_are_a_convolution():
    x, w = normal(0, (2, 7, 3)), normal(1, (3, 3, 4))
    ours = jnp.concatenate([shifted(x, k) for k in (-1, 0, 1)], -1) @ w.reshape(9, 4)
    flipped = w[::-1]  # a tap of -1 sees the step after
    theirs = jax.lax.conv_general_dilated(x, flipped, (1,), "SAME", dimension_numbers=("NWC", "WIO", "NWC"))
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-5)
    assert (shifted(x, 9) == 0).all()


def test_dropout_is_of_training_alone():
    net = each_step(3, 4, (16,), dropout=0.5, bias=-2.0)
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = jnp.ones((2, 5, 3))
    a, b = (net.apply(params, state, x, train=True, key=jax.random.key(k))[0] for k in (0, 1))
    c = net.apply(params, state, x, key=jax.random.key(0))[0]
    assert float(jnp.abs(a - b).max()) > 0
    assert (c == net.apply(params, state, x)[0]).all()
    assert (params["out"]["bias"] == -2.0).all()
