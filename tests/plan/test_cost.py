"""Operations of each primitive, against counting by hand and by convolving ones."""

import itertools

import jax
import jax.numpy as jnp
import pytest
from jax import lax

from genjax import nets
from genjax.plan.cost import THREEFRY, Work, taps, work
from genjax.plan.program import trace, walk


def count(f, *args, platform="default") -> Work:
    program = trace(f, *args, platform=platform)
    total = Work()
    for inner, op, times in walk(program):
        total = total.plus(work(op, inner.values), times)
    return total


def test_a_dense_layer_forward_and_backward():
    b, k, n = 5, 7, 3
    x, w, bias = jnp.ones((b, k)), jnp.ones((k, n)), jnp.ones((1, n))

    def loss(w, bias, x):
        return jnp.square(x @ w + bias).sum()

    forward = count(loss, w, bias, x)
    assert forward.matrix == 2 * b * k * n
    assert forward.vector == b * n * 3  # bias, square, sum
    assert count(jax.grad(loss), w, bias, x).matrix == 2 * (2 * b * k * n)  # forward, and dw
    assert count(jax.grad(loss, argnums=(0, 1, 2)), w, bias, x).matrix == 3 * (2 * b * k * n)


def test_a_batched_product():
    a, b = jnp.ones((6, 5, 4)), jnp.ones((6, 4, 3))
    assert count(jnp.matmul, a, b).matrix == 2 * 6 * 5 * 4 * 3
    assert count(lambda a, b: jnp.einsum("bij,bjk->ik", a, b), a, b).matrix == 2 * 6 * 5 * 4 * 3


CONVS = list(itertools.product((5, 8), (1, 3, 4), (1, 2), ("SAME", "VALID")))


@pytest.mark.parametrize(("size", "kernel", "stride", "padding"), CONVS)
def test_convolutions_count_the_products_of_values(size, kernel, stride, padding):
    """Ones convolved with ones: each product with a value adds 1 to the sum of the result, one with padding adds 0."""
    x, w = jnp.ones((2, size, size, 3)), jnp.ones((kernel, kernel, 3, 4))
    conv = lambda x, w: nets.conv(x, w, stride, padding)  # noqa: E731
    products = float(conv(x, w).sum())
    assert count(conv, x, w).matrix == 2 * products
    g = jnp.ones(conv(x, w).shape)
    back = lambda g, w: nets.conv_transpose(g, w, stride, padding, (size, size))  # noqa: E731
    assert count(back, g, w).matrix == 2 * products  # its transpose costs the same
    every = jax.grad(lambda x, w: jnp.square(conv(x, w)).sum(), argnums=(0, 1))
    assert count(every, x, w).matrix == 3 * 2 * products


@pytest.mark.parametrize(("groups", "batch_groups", "dilation"), [(2, 1, 1), (1, 2, 1), (1, 1, 2), (4, 1, 2)])
def test_grouped_and_dilated_convolutions(groups, batch_groups, dilation):
    x = jnp.ones((4, 9, 9, 4))
    w = jnp.ones((3, 2, 4 // groups, 8))

    def conv(x, w):
        return lax.conv_general_dilated(
            x, w, (2, 1), ((1, 2), (0, 1)), (1, 2), (dilation, dilation), ("NHWC", "HWIO", "NHWC"),
            feature_group_count=groups, batch_group_count=batch_groups,
        )  # fmt: skip

    assert count(conv, x, w).matrix == 2 * float(conv(x, w).sum())


def test_taps_of_an_axis():
    assert taps(4, 3, 4, 1, 1, 1, 1) == 10
    assert taps(4, 1, 4, 1, 0, 1, 1) == 4
    assert taps(2, 4, 4, 1, 2, 2, 1) == taps(4, 4, 2, 2, 1, 1, 1)  # a transposed convolution and its convolution


@pytest.mark.parametrize(
    ("f", "expected"),
    [
        (lambda x: x * 2 + 1, Work(vector=24)),
        (lambda x: x.sum(0), Work(vector=12)),
        (lambda x: jnp.exp(x), Work(transcendental=12)),
        (lambda x: jnp.tanh(x).sum(), Work(transcendental=12, vector=12)),
        (lambda x: x**3, Work(vector=24)),
        (lambda x: x.T.reshape(2, 6)[:, 1:3], Work()),
        (lambda x: jnp.broadcast_to(x[:, :1], (4, 3)), Work()),
        (lambda x: jnp.concatenate([x, x]), Work()),
        (lambda x: jnp.cumsum(x, 0), Work(vector=12)),
        (lambda x: lax.sort(x, dimension=0), Work(vector=12 * 2)),
    ],
)
def test_elementwise_reductions_and_movement(f, expected):
    assert count(f, jnp.ones((4, 3))) == expected


def test_random_numbers():
    w = count(lambda key: jax.random.bits(key, (10,)), jax.random.key(0))
    assert w == Work(random=10 * THREEFRY)
    assert THREEFRY == (20 * 5 + 5 * 3 + 2) / 2


def test_xla_counts_the_same_products():
    x, w = jnp.ones((8, 16)), jnp.ones((16, 4))
    k = jnp.ones((3, 3, 1, 2))
    image = jnp.ones((2, 6, 6, 1))
    for f, args in ((lambda x, w: x @ w, (x, w)), (lambda i, k: nets.conv(i, k, 2), (image, k))):
        xla = jax.jit(f).lower(*args).cost_analysis()["flops"]
        assert count(f, *args, platform="cpu").matrix == xla
