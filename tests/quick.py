"""What keeps `make test` short: quick compilation, and combinations of which only a few run in it."""

import functools
import re
import threading
from collections.abc import Iterable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import pytest

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""For tests that ask what a function computes, not how fast: three times quicker to compile, the same numbers."""
QUICK_XLA = " ".join((
    "--xla_llvm_disable_expensive_passes=true",
    "--xla_cpu_parallel_codegen_split_count=1",
    "--xla_backend_optimization_level=0",
    *(["--xla_cpu_use_fusion_emitters=false"] if jax.__version_info__ < (0, 11) else []),  # unknown afterwards
))  # fmt: skip
"""For all of `make test`: compiles in a third of the time. `make test-all` has XLA as users have it."""


def keep_contexts() -> None:
    """Lower ten programs in one context of MLIR, as jax 0.12 does: in 0.10 making one takes as long as tracing."""
    if jax.__version_info__ >= (0, 11):
        return
    from jax._src.interpreters import mlir

    kept, make = threading.local(), mlir.make_ir_context

    def context():
        kept.uses = getattr(kept, "uses", 0) + 1
        if kept.uses % 10 == 1:
            kept.context = make()
        return kept.context

    mlir.make_ir_context = context


quick_jit = functools.partial(jax.jit, compiler_options=QUICK)


def few(values: Iterable[Any], *fast: Any) -> list[Any]:
    """Values of `parametrize`, tuples for several arguments: `fast` run in `make test`, the others are marked slow."""
    values = list(values)
    assert all(f in values for f in fast), f"{fast} are to be among {values}"
    several = isinstance(values[0], tuple)
    marks = {True: (), False: (pytest.mark.slow,)}
    return [pytest.param(*(v if several else (v,)), marks=marks[v in fast]) for v in values]


def normal(seed: int, shape: tuple[int, ...]) -> jax.Array:
    """Numbers for a test to work on, without a program: `jax.random` compiles one for every shape."""
    return jnp.asarray(np.random.default_rng(seed).normal(size=shape), jnp.float32)


def uniform(seed: int, shape: tuple[int, ...]) -> jax.Array:
    """The same, between 0 and 1."""
    return jnp.asarray(np.random.default_rng(seed).uniform(size=shape), jnp.float32)


def first_state(step, model, key):
    """`step.init(model, key)` as one program; operation by operation it is a hundred."""
    return quick_jit(functools.partial(step.init, model))(key)


def assert_no_collective_in_a_loop(compiled: jax.stages.Compiled) -> None:
    """Devices add up what they have, and they talk outside of every loop's body."""
    computations = re.split(r"\n(?=%|ENTRY)", compiled.as_text())
    talking = [c for c in computations if re.search(r"all-(reduce|gather)\(", c)]
    assert any("all-reduce(" in c for c in talking)
    assert all(c.startswith("ENTRY") for c in talking)


def of_another_kind(recipe) -> bool:
    """Whether a recipe takes neither images nor points: it is then tested on its own embedded set."""
    return not {"image", "points"} & set(recipe.Config.domains)
