"""The GRU against a loop in NumPy and against automatic differentiation of a plain one; masks, order, derivatives."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax import lax
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P
from quick import assert_no_collective_in_a_loop, few, normal, quick_jit

from genjax import nets
from genjax.nets.recurrent import FEW_VALUES, Gates, gru, gru_encoder, gru_step, look_up

T, N, H = 5, 3, 4


def arrays(seed=0, t=T):
    rng = np.random.default_rng(seed)
    draw = lambda *shape: jnp.asarray(rng.normal(size=shape), jnp.float32)  # noqa: E731
    a, u = (Gates(*(draw(*shape) for _ in range(3))) for shape in ((t, N, H), (H, H)))
    return a, u, draw(H), draw(N, H)


def mask_of(t=T):
    return jnp.arange(t)[:, None] < jnp.array([[2, t, 4]])


def by_hand(a, u, bias, start, mask=None, reverse=False):
    """A loop in float64."""
    a, u = ([np.asarray(v, np.float64) for v in g] for g in (a, u))
    bias, h = np.asarray(bias, np.float64), np.asarray(start, np.float64)
    sigmoid = lambda x: 1 / (1 + np.exp(-x))  # noqa: E731
    out = np.zeros((len(a[0]), *h.shape))
    for t in range(len(out))[:: -1 if reverse else 1]:
        r, z = (sigmoid(a[i][t] + h @ u[i]) for i in range(2))
        n = np.tanh(a[2][t] + r * (h @ u[2] + bias))
        new = (1 - z) * n + z * h
        h = new if mask is None else np.where(np.asarray(mask)[t][:, None], new, h)
        out[t] = h
    return out


def plain(a, u, bias, start, mask=None, reverse=False):
    """The same in JAX, whose derivatives are JAX's own."""
    mask = jnp.ones((a[0].shape[0], N), bool) if mask is None else mask

    def body(h, step):
        a, m = step
        r, z = (jax.nn.sigmoid(a[i] + h @ u[i]) for i in range(2))
        n = jnp.tanh(a[2] + r * (h @ u[2] + bias[None]))
        h = jnp.where(m[:, None], (1 - z) * n + z * h, h)
        return h, h

    return lax.scan(body, start, (a, mask), reverse=reverse)[1]


CASES = [(m, r) for m in (False, True) for r in (False, True)]


@pytest.mark.parametrize(("masked", "reverse"), few(CASES, (False, False), (True, True)))
def test_value_and_gradients(masked, reverse):
    args, mask = arrays(), mask_of() if masked else None
    value = quick_jit(lambda *args: gru(*args, mask, reverse))(*args)
    np.testing.assert_allclose(value, by_hand(*args, mask, reverse), atol=1e-5)
    weigh = np.random.default_rng(9).normal(size=(T, N, H)).astype(np.float32)
    of = lambda f: quick_jit(jax.grad(lambda *args: (weigh * f(*args, mask, reverse)).sum(), (0, 1, 2, 3)))(*args)  # noqa: E731
    for ours, theirs in zip(jax.tree.leaves(of(gru)), jax.tree.leaves(of(plain)), strict=True):
        np.testing.assert_allclose(ours, theirs, atol=1e-5)


@pytest.mark.slow
def test_gradient_of_a_gradient():
    args, mask = arrays(1), mask_of()

    def penalty(f):
        slope = lambda *args: jax.grad(lambda *args: jnp.square(f(*args, mask)).sum(), (0, 1))(*args)  # noqa: E731
        of = lambda *args: sum(jnp.square(g).sum() for g in jax.tree.leaves(slope(*args)))  # noqa: E731
        return quick_jit(jax.grad(of, (0, 1, 2, 3)))(*args)

    for ours, theirs in zip(jax.tree.leaves(penalty(gru)), jax.tree.leaves(penalty(plain)), strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=1e-3, atol=1e-3)


def test_one_step_is_a_step_of_the_whole():
    a, u, bias, start = arrays()
    whole, h, step = quick_jit(gru)(a, u, bias, start), start, quick_jit(gru_step)
    for t in range(T):
        h = step(Gates(*(np.asarray(v)[t] for v in a)), u, bias, h)
        np.testing.assert_allclose(h, whole[t], atol=1e-6)


def test_what_a_mask_leaves_out_changes_nothing():
    a, u, bias, start = arrays()
    mask, other = mask_of(), Gates(*(jnp.where(mask_of()[..., None], v, 1e3) for v in a))
    masked = lambda a: gru(a, u, bias, start, mask)  # noqa: E731
    f = quick_jit(masked)
    np.testing.assert_array_equal(f(a), f(other))
    short = quick_jit(lambda a: gru(a, u, bias, start))(Gates(*(np.asarray(v)[:2] for v in a)))
    np.testing.assert_array_equal(np.asarray(f(a))[-1, 0], np.asarray(short)[-1, 0])
    for g in quick_jit(jax.grad(lambda a: masked(a).sum()))(a):
        assert (np.asarray(g)[~np.asarray(mask)] == 0).all()


def test_half_precision_keeps_the_state():
    a, u, bias, start = arrays()
    half = gru(jax.tree.map(lambda v: v.astype(jnp.bfloat16), a), u, bias, start)
    assert half.dtype == jnp.float32
    np.testing.assert_allclose(half, gru(a, u, bias, start), atol=0.05)


@pytest.mark.parametrize("k", [5, FEW_VALUES + 3])
def test_look_up(k):
    table, index = normal(0, (k, 2)), jnp.array([[0, k - 1], [-1, 2]])
    expected = np.where(np.asarray(index)[..., None] >= 0, np.asarray(table)[np.asarray(index)], 0.0)
    np.testing.assert_allclose(look_up(table, index), expected, atol=1e-6)
    g = jax.grad(lambda t: look_up(t, index).sum())(table)
    counts = np.bincount(np.asarray(index)[np.asarray(index) >= 0], minlength=k)
    np.testing.assert_allclose(g, np.repeat(counts[:, None], 2, 1))


@pytest.mark.parametrize("symbols", few([True, False]))
def test_encoder_sees_the_masked_sequence_and_nothing_else(symbols):
    net = gru_encoder(6, 4, 8, symbols=symbols)
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = jax.random.randint(jax.random.key(1), (2, 7), 0, 6)
    x = x if symbols else jax.nn.one_hot(x, 6)
    mask = jnp.arange(7)[None] < jnp.array([[3], [7]])
    apply = quick_jit(lambda x, **more: net.apply(params, state, x, **more)[0])
    out = apply(x, event_mask=mask)
    np.testing.assert_allclose(out[0], apply(x[:1, :3])[0], atol=1e-6)
    np.testing.assert_allclose(out[1], apply(x[1:])[0], atol=1e-6)
    assert not np.allclose(apply(x)[0], out[0])
    assert not np.allclose(apply(x[:, ::-1])[1], out[1])  # both directions are read, and not alike


@pytest.mark.slow
def test_labels_reach_the_encoder():
    net = gru_encoder(6, 4, 8, symbols=True, n_classes=3)
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = jnp.zeros((2, 3), jnp.int32)
    out = quick_jit(lambda y: net.apply(params, state, x, y=y)[0])(jnp.array([0, 2]))
    assert not np.allclose(out[0], out[1])


@pytest.mark.slow
def test_every_device_reads_its_own_sequences():
    net = gru_encoder(6, 4, 8, symbols=True)
    params, state = quick_jit(net.init)(jax.random.key(0))
    mesh = Mesh(np.array(jax.devices()[:4]), ("data",))
    x = jax.device_put(jax.random.randint(jax.random.key(1), (8, 7), 0, 6), NamedSharding(mesh, P("data")))
    loss = lambda params, x: jnp.square(net.apply(params, state, x)[0]).mean()  # noqa: E731
    with nets.batches_over(mesh):
        step = jax.jit(jax.value_and_grad(loss)).lower(params, x).compile()
    assert_no_collective_in_a_loop(step)
    assert "all-gather" not in step.as_text()
    one = quick_jit(jax.value_and_grad(loss))(params, jax.device_put(x, jax.devices()[0]))
    for a, b in zip(jax.tree.leaves(step(params, x)), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-6)


@pytest.mark.slow
def test_it_lowers_for_every_platform_and_vectorises_over_seeds():
    net = gru_encoder(6, 4, 8, symbols=True)
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = jnp.zeros((2, 3), jnp.int32)
    grad = jax.jit(jax.grad(lambda p: jnp.square(net.apply(p, state, x)[0]).sum()))
    jax.export.export(grad, platforms=("cpu", "cuda", "tpu"))(params)
    seeds = quick_jit(jax.vmap(lambda k: net.init(k)[0]))(jax.random.split(jax.random.key(0), 2))
    both = quick_jit(jax.vmap(grad))(seeds)
    one = grad(jax.tree.map(lambda v: v[1], seeds))
    for a, b in zip(jax.tree.leaves(both), jax.tree.leaves(one), strict=True):
        np.testing.assert_allclose(a[1], b, atol=1e-5)
