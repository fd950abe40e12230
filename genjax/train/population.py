"""Many members in one program: seeds of one configuration, points of a sweep.

A member is the run of its seed and values: its key is `jax.random.key(seed)`, so its data order and its draws are that
run's. One compilation serves all, the data set is on the device once, and the step counter stays one scalar.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import jax
import jax.extend
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Int

from genjax import data as data_
from genjax.train.move import Move
from genjax.train.state import TrainState, refuse_used
from genjax.train.step import Step, advance, jit_once
from genjax.types import Array


def population(f: Callable[..., Any], n: int) -> Callable[..., Any]:
    """Maps `f` over n members on the leading axis of every argument and result, as suits the platform.

    Vectorised on accelerators. On CPU one member after the other where `f` convolves (vectorised convolutions become
    grouped ones there, 3 times slower), else vectorised as well. The choice is made when the program is lowered, so a
    program exported for TPU on a CPU machine is the vectorised one. What all members share, `f` closes over.

    Args:
        f: a function of one member's arrays; it is traced once.
        n: how many members, at least 1.

    Raises:
        ValueError: an argument has another leading axis.

    Example:
        >>> population(lambda x: x * x.sum(), 2)(jnp.array([[1.0, 2.0], [3.0, 4.0]])).tolist()
        [[3.0, 6.0], [21.0, 28.0]]
    """

    def mapped(*members: Any) -> Any:
        leaves, tree = jax.tree.flatten(members)
        if wrong := sorted({v.shape[:1] for v in leaves} - {(n,)}):
            raise ValueError(f"leading axes {wrong} of a population's arguments must be its size, {n}.")
        one = [jax.ShapeDtypeStruct(v.shape[1:], v.dtype) for v in leaves]
        jaxpr, shape = jax.make_jaxpr(lambda *v: f(*jax.tree.unflatten(tree, v)), return_shape=True)(*one)
        flat = jax.extend.core.jaxpr_as_fun(jaxpr)

        def in_turn(*v: Array) -> list[Array]:
            return lax.map(lambda one: flat(*one), v)

        def at_once(*v: Array) -> list[Array]:
            return jax.vmap(flat)(*v)

        on_cpu = in_turn if _convolves(jaxpr.jaxpr) else at_once
        out = lax.platform_dependent(*leaves, cpu=on_cpu, default=at_once)
        return jax.tree.unflatten(jax.tree.structure(shape), out)

    return mapped


def _convolves(jaxpr: Any) -> bool:
    """Whether a program holds a convolution, however deep."""
    inner = jax.extend.core.jaxprs_in_params
    return any(e.primitive.name == "conv_general_dilated" or any(map(_convolves, inner(e.params))) for e in jaxpr.eqns)


class Roots(NamedTuple):
    """What distinguishes the members: a root key and swept values for each, in the place of a single run's root key."""

    seed: Int[Array, " members"]
    """Seeds: a member's root key is `jax.random.key(seed)`."""
    values: dict[str, Any] = {}  # noqa: RUF012  (never mutated: NamedTuple default)
    """Swept numbers by field, [members] each."""


@dataclass(frozen=True, eq=False)
class Population:
    """A step of n members, in the place of a `Step` for `fit`, and `Roots` for the key (see `single.Single`).

    Its state is a `TrainState` whose leaves have a leading member axis, all but the scalar `step`; its metrics are
    lists over members.

    Args:
        step: that of member 0: the names and numbers that all members share.
        n: how many members.
        step_of: `step_of(values) -> Step` from a member's own values, which are traced; None where nothing is swept.

    Example:
        >>> from genjax.types import Aux
        >>> from genjax.train.step import make_step
        >>> import optax
        >>> def loss(params, batch, ctx):
        ...     return (params["p"]["w"] ** 2).sum(), Aux({})
        >>> def step_of(values):
        ...     return make_step(Move("p", loss, optax.sgd(values["lr"])))
        >>> Population(step_of({"lr": 0.1}), 3, step_of).labels
        ('p',)
    """

    step: Step
    n: int
    step_of: Callable[[dict[str, Any]], Step] | None = None
    programs: list = field(default_factory=list, init=False, repr=False, compare=False)
    """Compiled loops, as a `Step` keeps them."""

    @property
    def moves(self) -> tuple[Move, ...]:
        return self.step.moves

    @property
    def labels(self) -> tuple[str, ...]:
        return self.step.labels

    @property
    def n_batches(self) -> int:
        return self.step.n_batches

    @property
    def accumulate(self) -> int:
        return self.step.accumulate

    @property
    def one(self) -> Step:
        return self.step

    def chunk(self, source: "Shares", capacity: int) -> Callable[..., Any]:
        return advance_all(self, source, capacity)

    def mapped(self, f: Callable[..., Any]) -> Callable[..., Any]:
        return population(f, self.n)

    def roots(self, key: "Roots") -> list[Any]:
        return [jax.random.key(seed) for seed in np.asarray(key.seed).tolist()]

    def each(self, values: Any) -> list[Any]:
        return list(values)

    def stacked(self, trees: Sequence[Any]) -> Any:
        return jax.tree.map(lambda *v: jnp.stack(v), *trees)

    def joined(self, values: Sequence[Any]) -> list[Any]:
        return list(values)

    def of(self, values: dict[str, Any]) -> Step:
        """The step of a member whose swept numbers are `values`."""
        return self.step if self.step_of is None else self.step_of(values)

    def init(self, model: Any, roots: Roots) -> TrainState:
        """The state before the first step: each member's is that of `Step.init` with its key."""

        def member(seed: Array, values: dict[str, Any]) -> tuple[Any, Any]:
            return self.of(values).init(model, jax.random.key(seed))[1:]

        if isinstance(roots.seed, jax.core.Tracer):
            every = population(member, self.n)(*roots)
        else:  # one program called n times: the vectorised one compiles twice as long, and this runs once
            one = jit_once(member)
            each = [one(*jax.tree.map(lambda v, i=i: v[i], tuple(roots))) for i in range(self.n)]
            every = jax.tree.map(lambda *v: jnp.stack(v), *each)
        return TrainState(jnp.zeros((), jnp.int32), *every)


class Shares(NamedTuple):
    """The batches of all members; `fit` takes it in the place of a `Source`.

    Data in memory is shared, and each member gathers its own minibatches from it; of data read on demand each member
    has a reader and a window of its own, on a leading axis.
    """

    sources: tuple[data_.Source, ...]
    """One for all, or one for each member."""
    n: int

    @property
    def batch_size(self) -> int:
        """Examples of a minibatch, all members together."""
        return self.n * self.sources[0].batch_size

    @property
    def capacity(self) -> int | None:
        return self.sources[0].capacity

    def window(self, roots: Roots, start_step: int, n_steps: int, n_batches: int) -> Any:
        if self.capacity is None:
            return self.sources[0].window(jax.random.key(0), start_step, n_steps, n_batches)  # the same for any key
        keys = map(jax.random.key, np.asarray(roots.seed).tolist())
        each = [s.window(k, start_step, n_steps, n_batches) for s, k in zip(self.sources, keys, strict=True)]
        return jax.tree.map(lambda *v: jnp.stack(v), *each)


def shares(part: Any, batch_size: int, transform: Any, n: int) -> Shares:
    """The batches of n members from a part of a data set; windows of streamed data are n times shorter."""
    first = data_.make_source(part, batch_size, transform)
    if first.capacity is None:
        return Shares((first,), n)
    capacity = max(1, first.capacity // n)
    return Shares(tuple(data_.streamed(part, batch_size, transform, capacity=capacity) for _ in range(n)), n)


def advance_all(step: Population, source: Shares, capacity: int) -> Callable[..., Any]:
    """`advance` for all members: whole chunks of steps are mapped, so that on CPU a member's state stays in cache."""
    shared = source.capacity is None

    def chunk(state: TrainState, data: Any, roots: Roots, n: Any) -> tuple[TrainState, dict[str, Array]]:
        def member(players: Any, opt: Any, seed: Array, values: dict[str, Any], own: Any) -> tuple[Any, ...]:
            steps, batches = advance(step.of(values), source.sources[0], capacity), data if shared else own
            after, rows = steps(TrainState(state.step, players, opt), batches, jax.random.key(seed), n)
            return after.players, after.opt, rows

        own = None if shared else data
        players, opt, rows = population(member, step.n)(state.players, state.opt, *roots, own)
        return TrainState(state.step + n, players, opt), {k: v.T for k, v in rows.items()}

    return chunk


def member_of(state: TrainState, i: int) -> TrainState:
    """Member i's state as a run of its own has it."""
    refuse_used(state)
    return TrainState(state.step, *jax.tree.map(lambda v: v[i], (state.players, state.opt)))
