"""Segments of a net whose inside is computed again in the backward pass instead of being kept (rematerialisation).

`jax.checkpoint` around a whole net frees nothing: all of it is recomputed at once, before the first derivative is
taken. A segment must be recomputed only when the derivative with respect to its output has arrived, and on CPU XLA
drops the optimisation barriers that say so before it schedules: there the recomputation runs in a branch whose
predicate needs that derivative. On TPU and GPU, whose schedulers respect a barrier and where a branch would wait for
the host, it stands behind a barrier. The choice is made at lowering. Reverse mode only, like the convolution.
"""

import contextlib
import contextvars
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax

_ON: contextvars.ContextVar[bool] = contextvars.ContextVar("recompute", default=False)
"""Read only while a net is traced, inside `recomputing`: a net's `apply` stays a pure function."""


@contextlib.contextmanager
def recomputing():
    """Segments of the nets applied inside keep their inputs only."""
    token = _ON.set(True)
    try:
        yield
    finally:
        _ON.reset(token)


def segment(f: Callable, modules: Any, *args: Any) -> Any:
    """`f(modules, *args)`, recomputed in the backward pass of a net that was asked to.

    Args:
        f: a function of arrays of floats, drawing nothing; what it needs of modules is in `modules`.
        modules: a module, or a tuple of them; a running statistic that `f` assigns is kept.
        args: arrays of floats, the segment's inputs: what is kept.
    """
    if not _ON.get():
        return f(modules, *args)
    graph, params, rest = nnx.split(modules, nnx.Param, ...)

    def pure(params, rest, *args):
        merged = nnx.merge(graph, params, rest)
        out = f(merged, *args)
        return out, nnx.split(merged, nnx.Param, ...)[2]

    out, rest = _recomputed(pure)(params, rest, *args)
    nnx.update(modules, rest)
    return out


def _recomputed(f: Callable, late: bool = False) -> Callable:
    """`f`, keeping its arguments alone for its derivatives, of any order; `late`: computed after its last argument."""

    @jax.custom_vjp
    def g(*args):
        return _late(f, *args) if late else f(*args)

    def backward(args, ct):
        return _recomputed(lambda args, ct: jax.vjp(f, *args)[1](ct), late=True)(args, ct)

    g.defvjp(lambda *args: (g(*args), args), backward)
    return g


def _late(f: Callable, args, ct):
    """`f(args, ct)`, none of which can be scheduled before `ct` is there."""

    def branch(args, ct):
        # One element of each, for some may be constant zeros.
        there = sum(v.reshape(-1)[0].astype(jnp.float32) for v in jax.tree.leaves(ct))
        shape = jax.eval_shape(f, args, ct)
        nan = lambda args, ct: jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shape)  # noqa: E731
        # True but for NaN, for which it gives NaN too; no compiler can know.
        return lax.cond(there == there, f, nan, args, ct)

    def barrier(args, ct):
        return f(*lax.optimization_barrier((args, ct)))

    return lax.platform_dependent(args, ct, cpu=branch, default=barrier)
