"""Chunks of steps: the body of the program that a run compiles once, for a step of one run or of many members."""

import functools
from collections.abc import Callable, Sequence
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
from jax import lax

from genjax.train.state import TrainState
from genjax.types import Key


def advance(step: Any, source: Any, capacity: int) -> Callable[..., Any]:
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


class Single:
    """What a step is asked where there may be many members, answered for a single run.

    A `Population` has its own answers, so that nobody asks which of both it has.
    """

    n: ClassVar[int | None] = None
    """How many members; None of a single run."""

    @property
    def one(self) -> Any:
        """The step of one run: this one, or that of member 0."""
        return self

    def chunk(self, source: Any, capacity: int) -> Callable[..., Any]:
        """`chunk(state, data, key, n)`: n <= capacity steps, see `advance`."""
        return advance(self, source, capacity)

    def mapped(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """`f` of one run's arrays, for the arrays of all members."""
        return f

    def roots(self, key: Key) -> list[Key]:
        """Each member's root key."""
        return [key]

    def each(self, values: Any) -> list[Any]:
        """Each member's part of an array."""
        return [values]

    def stacked(self, trees: Sequence[Any]) -> Any:
        """One tree a member as one tree, what `each` takes apart."""
        return trees[0]

    def joined(self, values: Sequence[Any]) -> Any:
        """One value a member, as rows have it: the value alone of a single run."""
        return values[0]


def jit_chunk(chunk: Callable[..., Any], **placed) -> Callable[..., Any]:
    """`jit` of a chunk whose first argument is given to its result; `placed` says where its results lie.

    On a CPU the loop's state stays in place: without this option every turn first copies what the optimizer keeps of
    each weight, since both the new weights and the new moments read it. The bits are the same either way.
    """
    in_place = {"xla_cpu_copy_insertion_use_region_analysis": True} if jax.default_backend() == "cpu" else None
    return jax.jit(chunk, donate_argnums=0, compiler_options=in_place, **placed)
