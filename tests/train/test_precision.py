"""Training with bfloat16 nets: what stays float32, and how far every term drifts from a float32 run."""

from functools import partial

import jax
import jax.numpy as jnp
import pytest
from quick import few, quick_jit
from scripts import load_script

from genjax.types import Batch

bench = load_script("experiments/bench/precision.py")

BOUND = 0.03
"""Largest mean relative drift allowed in a term: three times the largest measured over 200 steps (0.0096, a DCGAN's
gradient norm), eight units of 2**-8. A float32 run from parameters rounded once drifts by 0.0067 in the same term."""
TINY = {"size": 8, "batch_size": 8}
"""Images and minibatches of the first steps: one stage fewer in every net, and so half as much to compile."""


@pytest.mark.parametrize("name", few(bench.MODELS, "dcgan"))
def test_only_products_of_the_nets_are_bfloat16(name):
    """Every leaf of parameters, statistics, optimizer state and metrics is float32; without the flag nothing is not."""
    for precision in ("bf16", "f32"):
        model, step, _ = bench.build(name, precision)
        state = jax.eval_shape(partial(step.init, model), jax.random.key(0))
        x = Batch(jnp.zeros((step.n_batches, 4, bench.SIZE, bench.SIZE, 1)))
        jaxpr, out = jax.make_jaxpr(step, return_shape=True)(state, x, jax.random.key(0))
        assert {str(v.dtype) for v in jax.tree.leaves(out)} <= {"float32", "int32"}
        assert ("bf16" in str(jaxpr)) == (precision == "bf16")


@pytest.mark.parametrize("name", few(bench.MODELS))
def test_first_steps_drift_little(name):
    table = bench.drift(bench.runs(name, 5, 1, ("f32", "bf16"), quick_jit, **TINY))
    assert {t: row for t, row in table.items() if not row["steps relative"] < BOUND} == {}
    assert any(row["steps"] > 0 for row in table.values())


@pytest.mark.slow
@pytest.mark.parametrize("name", bench.MODELS)
def test_two_hundred_steps_drift_little(name):
    """Term by term, beside a control that differs by one rounding of the first parameters."""
    table = bench.drift(bench.runs(name, 200, 1))
    assert {t: row for t, row in table.items() if not row["steps relative"] < BOUND} == {}
    assert any(row["steps"] > 0 for row in table.values())
