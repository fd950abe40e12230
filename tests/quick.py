"""Compilation for tests that ask what a function computes, not how fast: three times quicker, the same numbers."""

import functools

import jax

QUICK = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
quick_jit = functools.partial(jax.jit, compiler_options=QUICK)
