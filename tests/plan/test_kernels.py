"""What is fused, what it reads and writes, and what is alive at once; by hand."""

import jax
import jax.numpy as jnp
import optax
import pytest

from genjax.plan.kernels import kernels, peak_memory
from genjax.plan.program import trace

B, K, N = 8, 16, 32
X, W = jnp.ones((B, K)), jnp.ones((K, N))


def kernels_of(f, *args, **options):
    return kernels(trace(f, *args), **options)


def test_an_elementwise_chain_is_one_kernel():
    (k,) = kernels_of(lambda x: jnp.tanh(x * 2 + 1) - x, X)
    assert (k.reads, k.writes, k.name) == ((X.nbytes,), (X.nbytes,), "fused")


def test_a_reduction_runs_with_what_it_reduces():
    (k,) = kernels_of(lambda x: jnp.square(x).sum(1), X)
    assert (k.reads, k.writes) == ((X.nbytes,), (4 * B,))


def test_work_after_a_reduction_is_another_kernel():
    first, second = kernels_of(lambda x: x - jnp.square(x).sum(1, keepdims=True), X)
    assert first.bytes == X.nbytes + 4 * B
    assert second.bytes == 2 * X.nbytes + 4 * B


@pytest.mark.parametrize("epilogues", [True, False])
def test_work_on_a_product_is_done_before_it_is_written(epilogues):
    bias = jnp.ones((1, N))
    made = kernels_of(lambda x, w, b: jax.nn.relu(x @ w + b), X, W, bias, epilogues=epilogues)
    out = 4 * B * N
    if epilogues:
        (k,) = made
        assert (k.name, k.bytes) == ("dot_general", X.nbytes + W.nbytes + bias.nbytes + out)
    else:
        assert [k.bytes for k in made] == [X.nbytes + W.nbytes + out, out + bias.nbytes + out]


def test_a_product_that_two_read_is_written():
    def f(x, w):
        h = x @ w
        return jnp.exp(h), h @ w.T

    assert sum(4 * B * N in k.writes for k in kernels_of(f, X, W)) == 2  # the product and its exponential


def test_adam_reads_four_arrays_and_writes_three():
    tx = optax.adam(1e-3)
    w = jnp.ones((64, 64))

    def update(g, opt, w):
        updates, opt = tx.update(g, opt, w)
        return optax.apply_updates(w, updates), opt

    large = [k for k in kernels_of(update, w, tx.init(w), w) if k.bytes > 100]
    (k,) = large
    assert k.reads.count(w.nbytes) == 4
    assert k.writes.count(w.nbytes) == 3


def test_a_slice_reads_what_it_gives():
    (k,) = kernels_of(lambda x: x[:2] * 2, X)
    assert k.bytes == 2 * (2 * K * 4)


def test_permuted_axes_are_noticed():
    (k,) = kernels_of(lambda x: x.T * 2, X)
    assert k.shuffled == X.nbytes
    (k,) = kernels_of(lambda x: jnp.ones((1, K, 1)).transpose(1, 0, 2) * x[:1, :, None].transpose(1, 0, 2), X)
    assert k.shuffled == 0  # only axes of length 1 move


def test_tiles_are_sums_and_columns():
    (k,) = kernels_of(lambda x, w: x @ w, X, W)
    assert (k.tile, k.rate) == ((K, N), "float32")
    conv = lambda x, w: jax.lax.conv_general_dilated(  # noqa: E731
        x, w, (1, 1), "SAME", dimension_numbers=("NHWC", "HWIO", "NHWC"), precision="highest"
    )
    (k,) = kernels_of(conv, jnp.ones((1, 8, 8, 5)), jnp.ones((3, 3, 5, 7)))
    assert (k.tile, k.rate) == ((45, 7), "float32:highest")


def test_memory_of_a_chain_of_products():
    """x and w stay; two products live at once, and the first dies before the third is made."""
    w = jnp.ones((16, 16))

    def f(x, w):
        return ((x @ w) @ w) @ w

    assert peak_memory(trace(f, w, w)) == 4 * w.nbytes


def test_donated_inputs_die_with_their_last_reader():
    w = jnp.ones((16, 16))
    program = trace(lambda a, b: a @ b @ b, w, w)
    assert peak_memory(program) == 4 * w.nbytes
    # a and b and the first product; then b, the first and the second, a being gone
    assert peak_memory(program, frozenset(program.inputs[:1])) == 3 * w.nbytes


def test_elementwise_work_writes_over_a_dying_operand():
    w = jnp.ones((16, 16))
    program = trace(lambda a, g: a - 0.1 * g, w, w)
    assert peak_memory(program) == 3 * w.nbytes
    assert peak_memory(program, frozenset(program.inputs[:1])) == 2 * w.nbytes


def test_a_loop_needs_what_its_body_needs():
    w = jnp.ones((16, 16))

    def f(x):
        return jax.lax.scan(lambda c, _: ((c @ c) @ c + 1, None), x, None, length=3)[0]

    program = trace(f, w)
    assert peak_memory(program) == 2 * w.nbytes + 2 * w.nbytes  # in, out, and the body's two products
