"""Updates written over what they replace: the same numbers, and no copies in the compiled loop."""

import re

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import few

from genjax.train import in_place
from genjax.train.step import Move, advance, make_step
from genjax.types import Aux, Batch

SHAPE = (16, 24)
ROOT = jax.random.key(0)


class Deep:
    """Two layers, so that a weight is read again, for the gradient of the one before, after its own gradient."""

    @staticmethod
    def init(key):
        del key
        return {"p": {"a": jnp.full(SHAPE, 0.1), "b": jnp.full(SHAPE[::-1], 0.2), "c": jnp.full((), 0.5)}}, {"p": {}}


class Constant:
    """The same examples at every step."""

    def batches(self, data, key, step, i, n_batches):
        del key, step, i
        return Batch(jnp.broadcast_to(data, (n_batches, *data.shape)))


def loss(params, batch, ctx):
    del ctx
    p = params["p"]
    return (jnp.tanh(jnp.tanh(batch.x @ p["a"]) @ p["b"]) * p["c"] - batch.x).var(), Aux({})


def program(b1, repeat=3):
    """The loop over steps, compiled with all passes, and its arguments."""
    step = make_step(Move("p", loss, optax.adam(1e-3, b1=b1), repeat=repeat))
    x = jnp.asarray(np.random.default_rng(0).normal(size=(8, SHAPE[0])), jnp.float32)
    args = step.init(Deep, ROOT), x, ROOT, jnp.int32(3)
    loop = jax.jit(advance(step, Constant(), 3), donate_argnums=0)
    options = {"xla_backend_optimization_level": 1, "xla_llvm_disable_expensive_passes": False}
    return loop.lower(*args).compile(options), args


@pytest.mark.skipif(jax.default_backend() != "cpu", reason="XLA's compiler for CPUs is asked")
@pytest.mark.parametrize("b1", few([0.5, 0.9], 0.5))
def test_no_weight_and_no_moment_is_copied_and_no_bit_changes(b1, monkeypatch):
    ordered, args = program(b1)
    monkeypatch.setattr(in_place, "after", lambda first, new, old: new)
    plain, _ = program(b1)

    def copies(compiled):
        return re.findall(r"= f32\[(?:16,24|24,16)\]\S* copy\(", compiled.as_text())

    assert copies(plain), "XLA has learnt to see it: in_place is of no use any more"
    assert not copies(ordered)
    again = jax.tree.map(jnp.copy, args)
    for new, old in zip(jax.tree.leaves(ordered(*args)), jax.tree.leaves(plain(*again)), strict=True):
        np.testing.assert_array_equal(new, old)


def test_what_is_new_is_kept_whatever_came_first():
    firsts = [jnp.nan, jnp.inf, -jnp.inf, -0.0, 1e-45, -1.0]
    for first in (jnp.full(3, v, dtype) for v in firsts for dtype in (jnp.float32, jnp.bfloat16)):
        assert in_place.after({"x": first}, jnp.ones(2), jnp.zeros(2)).tolist() == [1.0, 1.0]
    for nothing in ({}, {"x": jnp.ones(0)}, {"x": jnp.arange(2)}):
        assert in_place.after(nothing, jnp.ones(2), jnp.zeros(2)).tolist() == [1.0, 1.0]


@pytest.mark.parametrize(
    ("tx", "again"),
    [(optax.adam(1.0, b1=0.5), [False, True, False]), (optax.adam(1.0), [False] * 3), (optax.sgd(1.0), []),
     (optax.chain(optax.clip_by_global_norm(1.0), optax.adamw(1.0, b1=0.5)), [False, True, False]),
     (optax.inject_hyperparams(optax.adam)(1.0, b1=0.5), [])],
)  # fmt: skip
def test_moments_of_decay_one_half_are_found(tx, again):
    params = jnp.ones(2)
    found = in_place.remade(lambda p, s: tx.update(p, s, p)[1], params, tx.init(params))
    assert (found == again) if again else not any(found)
