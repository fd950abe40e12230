"""Sums over examples whose gradient is taken while the examples pass by.

A loss that decodes many samples an example (k of them, say) makes k * batch outputs at once. They outgrow a CPU's cache
many times over, and every pass over them then runs at the speed of memory. But an example's terms need no other
example: on CPU a loop computes a few examples at a time and takes their gradient at once, before the next ones come.
Elsewhere all are computed together.
"""

import functools
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax

from genjax.nets.devices import each_device, n_chunks
from genjax.types import Array, Key, Params, PerExample, State

CACHE = 2**20
"""Outputs that a CPU's cache is taken to hold, with what is computed from them."""


class _Sum(NamedTuple):
    """The static part of `by_example`."""

    value: Callable
    size: int
    couples: bool
    reweighted: Callable | None


def by_example(
    value: Callable[..., tuple[Array, tuple[Any, State]]],
    size: int,
    couples: bool = False,
    reweighted: Callable[[Any, Any, Any], Any] | None = None,
) -> Callable[[Params, Any, Any, PerExample, State, Key], tuple[Array, tuple[Any, State]]]:
    """`(params, inputs, constants, weights, state, key) -> (sum, (each, state))`, a few examples after others on CPU.

    Args:
        value: `value(params, inputs, constants, state, key) -> (values, (each, state))`: a value of each example, whose
            weighted sum is taken, and what else each one has; it closes over no arrays. The gradient of the sum reaches
            `params` and `inputs`, whose leaves have the examples first; `constants` likewise, without a gradient. An
            example of weight 0 adds nothing, whatever its value.
        size: outputs an example that are to stay in the cache.
        couples: whether an example's terms need the others after all (batch norm): then all are computed together.
        reweighted: `reweighted(inputs, each, gradient) -> gradient`: changes the gradient of the inputs, example by
            example, for estimators whose gradient is not that of their value.
    """
    static = _Sum(value, size, couples, reweighted)

    def summed(params, inputs, constants, weights, state, key):
        return _summed(static, params, inputs, (constants, weights), state, key)

    return summed


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _summed(static: _Sum, params: Params, inputs: Any, constants: Any, state: State, key: Key):
    (total, _), (each, _), s = _by_platform(_plain, static, params, inputs, constants, state, key)
    return total, (each, s)


def _summed_fwd(static: _Sum, *args):
    (total, g_params), (each, g), s = _by_platform(_with_grad, static, *args)
    return (total, (each, s)), (g_params, g)


def _summed_bwd(static: _Sum, grads, cotangents):
    params, inputs = jax.tree.map(lambda g: g * cotangents[0].astype(g.dtype), grads)
    return params, inputs, None, None, None


_summed.defvjp(_summed_fwd, _summed_bwd)


def _total(static: _Sum, params: Params, inputs: Any, constants: tuple[Any, PerExample], *rest):
    """The weighted sum of some examples' values, and what else `value` gives."""
    of, weights = constants
    values, more = static.value(params, inputs, of, *rest)
    return jnp.where(weights > 0, weights * values, 0.0).sum(), more


def _plain(static: _Sum, *args):
    """What adds up over examples, what each of them has, and the state: without gradients."""
    total, (each, s) = _total(static, *args)
    return (total, None), (each, None), s


def _with_grad(static: _Sum, params: Params, inputs: Any, *rest):
    """The same with the gradients of the parameters, which add up, and of the inputs."""
    value = jax.value_and_grad(functools.partial(_total, static), (0, 1), has_aux=True)
    (total, (each, s)), (g_params, g) = value(params, inputs, *rest)
    return (total, g_params), (each, g if static.reweighted is None else static.reweighted(inputs, each, g)), s


def _by_platform(function, static: _Sum, params, inputs, constants, state, key):
    """A few examples after others on CPU, where each is treated by itself; all together elsewhere."""
    whole = functools.partial(function, static)
    n = jax.tree.leaves(inputs)[0].shape[0]
    if static.couples or n_chunks(n, static.size, CACHE) == 1:
        return whole(params, inputs, constants, state, key)
    takes, gives = ("whole", "split", "split", "whole", "whole", "split"), ("summed", "split", "whole")
    in_chunks = each_device(functools.partial(_in_chunks, whole, static.size), n, takes, gives)
    other = lambda *args: whole(*args[:-1])  # noqa: E731
    return lax.platform_dependent(params, inputs, constants, state, key, jnp.arange(n), cpu=in_chunks, default=other)


def _in_chunks(function, size: int, params, inputs, constants, state, key, index):
    """`function` of some examples after others, its sums added up, its values per example in their order.

    A part draws with the index of its first example among all, so that no two parts anywhere draw alike.
    """
    chunks = n_chunks(index.shape[0], size, CACHE)

    def chunk(index, inputs, constants):
        return function(params, inputs, constants, state, jax.random.fold_in(key, index[0]))

    def body(total, part):
        sums, each, s = chunk(*part)
        return jax.tree.map(jnp.add, total, sums), (each, s)

    parts = jax.tree.map(lambda v: v.reshape(-1, chunks, *v.shape[1:]).swapaxes(0, 1), (index, inputs, constants))
    like = jax.eval_shape(chunk, *jax.tree.map(lambda v: v[0], parts))[0]
    zero = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), like)
    sums, (each, s) = lax.scan(body, zero, parts)
    each = jax.tree.map(lambda v: v.swapaxes(0, 1).reshape(-1, *v.shape[2:]), each)
    return sums, each, jax.tree.map(lambda v: v[-1], s)
