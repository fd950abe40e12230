"""Chunks of steps: the body of the program that a run compiles once."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from genjax.train.state import TrainState
from genjax.train.step import Step
from genjax.types import Key


def advance(step: Step, source: Any, capacity: int) -> Callable[..., Any]:
    """`chunk(state, data, key, n) -> (state, buffer)`: n <= capacity steps, n traced, in one loop.

    The step always runs inside this loop, even a single one: a run's bits depend on no chunk length, log interval
    or resume point, and one compilation serves them all. The buffer holds `capacity` values of each metric.
    """

    @functools.partial(jax.jit, inline=True)  # traced once, for its metrics' names and for the loop
    def one(i, state, data, key):
        return step(state, source.batches(data, key, state.step, i, step.n_batches), key)

    def chunk(state: TrainState, data: Any, key: Key, n: Any) -> tuple[TrainState, dict[str, jax.Array]]:
        names = sorted(jax.eval_shape(one, 0, state, data, key)[1])

        def body(i, carry):
            state, buffer = carry
            state, metrics = one(i, state, data, key)
            row = jnp.stack([metrics[k].astype(jnp.float32) for k in names])
            return state, lax.dynamic_update_index_in_dim(buffer, row, i, 0)

        buffer = jnp.zeros((capacity, len(names)), jnp.float32)
        state, buffer = lax.fori_loop(0, n, body, (state, buffer))
        return state, {k: buffer[:, j] for j, k in enumerate(names)}

    return chunk
