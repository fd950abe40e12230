"""A traced step as a flat program: what is inlined, merged, dropped, weighted."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import train_toys as toys
from jax import lax

from genjax import nets, train
from genjax.plan.cost import Work, work
from genjax.plan.program import trace, walk

X = jax.ShapeDtypeStruct((4, 3), jnp.float32)


def names(f, *args, **options):
    return [op.name for op in trace(f, *args, **options).ops]


def total(program):
    w = Work()
    for inner, op, times in walk(program):
        w = w.plus(work(op, inner.values), times)
    return w


def test_functions_are_inlined_repeats_merged_and_dead_code_dropped():
    @jax.custom_vjp
    def square(x):
        return x * x

    square.defvjp(lambda x: (x * x, x), lambda x, g: (2 * x * g,))

    def f(x):
        jnp.sin(x)  # nobody reads it
        return jax.jit(square)(x) + jax.jit(square)(x) + jax.checkpoint(jnp.exp)(x)

    assert sorted(names(f, X)) == ["add", "add", "exp", "mul"]


def test_nothing_is_merged_out_of_a_branch():
    def f(x, p):
        y = lax.cond(p, jnp.exp, lambda x: x, x)
        return y + jnp.exp(x)

    assert names(f, X, jax.ShapeDtypeStruct((), jnp.bool_)).count("exp") == 2


def test_the_platform_chooses_the_branch():
    w = jax.ShapeDtypeStruct((4, 4, 2, 3), jnp.float32)
    g = jax.ShapeDtypeStruct((1, 5, 5, 3), jnp.float32)

    def dilations(platform):
        program = trace(lambda g, w: nets.conv_transpose(g, w, 2), g, w, platform=platform)
        return [op.params["lhs_dilation"] for op in program.ops if op.name == "conv_general_dilated"]

    assert dilations("cpu") == []  # one matrix product, and sums
    assert dilations("tpu") == dilations("default") == [(2, 2)]


@pytest.mark.parametrize("every", [1, 3, 16])
def test_a_branch_that_the_step_decides_counts_its_share(every):
    def f(step, x):
        return lax.cond(step % every == 0, lambda x: x @ x.T, lambda x: x @ x.T * 0 + 1, x)

    program = trace(f, jax.ShapeDtypeStruct((), jnp.int32), X, period=every, step=0)
    assert sum(op.weight for op in program.ops if op.name == "dot_general") == pytest.approx(1.0)
    weights = [op.weight for op in program.ops if op.name == "add"]
    assert weights == ([] if every == 1 else [pytest.approx(1 - 1 / every)])
    assert program.remarks == ()


def test_a_branch_that_data_decide_is_said_to():
    program = trace(lambda x: lax.cond(x.sum() > 0, jnp.exp, jnp.log, x), X)
    assert {op.name: op.weight for op in program.ops if op.name in ("exp", "log")} == {"exp": 0.5, "log": 0.5}
    assert "depends on data" in program.remarks[0]


def test_loops_count_their_turns():
    def f(x):
        return lax.scan(lambda c, _: (c @ c, None), x, None, length=7)[0]

    assert total(trace(f, jnp.ones((3, 3)))).matrix == 7 * 2 * 27
    program = trace(lambda x: lax.while_loop(lambda c: c.sum() < 9, lambda c: c @ c, x), jnp.ones((3, 3)))
    assert total(program).matrix == 2 * 27
    assert "counted once" in program.remarks[0]


@pytest.mark.parametrize(("every", "repeat", "accumulate"), [(1, 1, 1), (4, 1, 1), (1, 3, 1), (1, 1, 2)])
def test_moves_count_as_often_as_they_run(every, repeat, accumulate):
    def loss(params, batch, ctx):
        from genjax.types import Aux

        return (batch.x @ params["p"]["w"] ** 2).sum(), Aux({})

    move = train.Move("p", loss, optax.sgd(0.1), every=every, repeat=repeat)
    step = train.make_step(move, accumulate=accumulate)
    key = jax.random.key(0)
    state = step.init(toys.Linear, key)
    from genjax.types import Batch

    batches = Batch(jax.ShapeDtypeStruct((step.n_batches, 6, 3), jnp.float32))
    program = trace(step, state, batches, key, period=every, step=0)
    once = total(trace(lambda w, x: jax.grad(lambda w: (x @ w**2).sum())(w), jnp.ones(3), jnp.ones((6, 3)))).matrix
    assert once > 0
    # Of the value nobody asks for but the metric, whose product the gradient does not need.
    assert total(program).matrix == pytest.approx((once + 2 * 6 * 3) * repeat / every)


def test_inputs_are_the_leaves_in_order():
    args = {"a": jnp.ones(2), "b": np.ones(3, np.float32)}
    program = trace(lambda t: t["a"].sum() + t["b"].sum() + jnp.arange(5.0)[2], args)
    assert [program.values[i].shape for i in program.inputs[:2]] == [(2,), (3,)]
