"""Compilation for tests that ask what a function computes, not how fast: three times quicker, the same numbers."""

import functools
import re

import jax

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
quick_jit = functools.partial(jax.jit, compiler_options=QUICK)


def first_state(step, model, key):
    """`step.init(model, key)` as one program; operation by operation it is a hundred."""
    return quick_jit(functools.partial(step.init, model))(key)


def assert_no_collective_in_a_loop(compiled: jax.stages.Compiled) -> None:
    """Devices add up what they have, and they talk outside of every loop's body."""
    computations = re.split(r"\n(?=%|ENTRY)", compiled.as_text())
    talking = [c for c in computations if re.search(r"all-(reduce|gather)\(", c)]
    assert any("all-reduce(" in c for c in talking)
    assert all(c.startswith("ENTRY") for c in talking)
