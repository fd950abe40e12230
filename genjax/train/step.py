"""One step builder for any number of players and moves.

One player is a VAE; two are a GAN, alternating, the generator seeing the updated discriminator; a VAE with a
discriminator is the same builder again.
"""

import functools
import math
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from genjax import rng
from genjax.train import optimizer
from genjax.train.move import Move as Move
from genjax.train.reported import loss_and_aux
from genjax.train.single import Single
from genjax.train.state import Average, Ema, Player, TrainState, refuse_used
from genjax.types import Batch, Context, HasInit, Key, Metrics, Params, UsageError


@dataclass(frozen=True, eq=False)
class Step(Single):
    """`step(state, batches, key) -> (state, metrics)`, pure; see `make_step`."""

    moves: tuple[Move, ...]
    draw: Callable[[Key, Batch], Any] | None = None
    accumulate: int = 1
    ema: Mapping[str, Ema] = field(default_factory=dict)
    players: Mapping[str, HasInit] = field(default_factory=dict)
    """Those besides the model's."""
    scope: Callable[[], AbstractContextManager[None]] = nullcontext
    """Entered while the step is traced; see `mesh.Layout.spread`."""
    programs: list = field(default_factory=list, init=False, repr=False, compare=False)
    """Loops over this step that `fit` compiled, with what for: a second `fit` compiles nothing."""

    @property
    def n_batches(self) -> int:
        """Minibatches a step consumes, on the leading axis of its `batches`."""
        return max(m.repeat for m in self.moves)

    @property
    def labels(self) -> tuple[str, ...]:
        """Each move's own label: its name, numbered where several moves share one."""
        names = [m.name for m in self.moves]
        return tuple(n if names.count(n) == 1 else f"{n}.{names[:i].count(n)}" for i, n in enumerate(names))

    def init(self, model, key: Key) -> TrainState:
        """The state before the first step.

        Args:
            model: `model.init(key) -> (params, net_state)`, both over players; those of `players` join them.
            key: the run's root key.
        """
        if isinstance(key, jax.core.Tracer):
            return self._state(model.init, key, lambda f: f)
        return self._state(_initial(model.init), key, jit_once)

    def shapes(self, model) -> TrainState:
        """Shapes of the state that `init` gives; what is traced for them, `init` finds traced."""

        def shaped(f):
            return functools.partial(jax.eval_shape, f)

        return self._state(shaped(_initial(model.init)), jax.random.key(0), shaped)

    def _state(self, init: Callable, key: Key, once: Callable) -> TrainState:
        params, net = init(rng.named(key, "init"))
        if twice := sorted(set(params) & set(self.players)):
            raise UsageError(f"players {twice} are both the model's and the step's own. Give one another name.")
        for name, player in self.players.items():
            mine, state = once(_strong(player.init))(rng.named(key, f"init/{name}"))
            params, net = {**params, name: mine}, {**net, name: state}
        unknown = {p for m in self.moves for p in (*m.players, *m.updates)} | set(self.ema)
        if unknown := unknown - set(params):
            there = sorted(params)
            raise UsageError(f"players {sorted(unknown)} are neither the model's nor the step's; there are {there}.")
        # The average starts as a copy: a donated state may not hold one buffer twice.
        copy = once(lambda tree: jax.tree.map(jnp.copy, tree))
        players: dict[str, Player] = {
            p: Player(params[p], net[p], copy(Average(params[p], net[p])) if p in self.ema else None) for p in params
        }
        opt = {
            m.name: once(functools.partial(optimizer.init, m.tx))({p: params[p] for p in m.players})
            for m in reversed(self.moves)
        }
        return TrainState(jnp.zeros((), jnp.int32), players, opt)

    def key_of(self, key: Key, label: str, step, repeat) -> Key:
        """The key of one use; no two uses of a run share one. The only place where a step's keys are made."""
        return rng.at_step(rng.named(key, f"move/{label}"), step, repeat, 0)

    def check(self, batch_size: int):
        """Raises `UsageError` where batches of so many examples can't be accumulated in equal parts."""
        if batch_size % self.accumulate:
            raise UsageError(
                f"accumulate={self.accumulate}: must divide batch_size={batch_size}, for the parts are equal. "
                f"Try accumulate={math.gcd(batch_size, self.accumulate)}."
            )

    def chunk(self, source: Any, capacity: int) -> Callable[..., Any]:
        """`chunk(state, data, key, n)`: n <= capacity steps, see `advance`."""
        return advance(self, source, capacity)

    def __call__(self, state: TrainState, batches: Batch, key: Key) -> tuple[TrainState, Metrics]:
        refuse_used(state)
        with self.scope():
            return self._all_moves(state, batches, key)

    def _all_moves(self, state: TrainState, batches: Batch, key: Key) -> tuple[TrainState, Metrics]:
        params = {n: p.params for n, p in state.players.items()}
        net = {n: p.state for n, p in state.players.items()}
        opt, metrics = dict(state.opt), {}
        n = self.n_batches
        have, batch_size = jax.tree.leaves(batches)[0].shape[:2]
        if have != n:
            raise ValueError(f"batches hold {have} minibatches on the leading axis; this step consumes {n}.")
        self.check(batch_size)
        draws = self._draws(key, state.step, _at(batches, n - 1))
        for move, label in zip(self.moves, self.labels, strict=True):
            run = functools.partial(self._move, move, label, batches, draws, key, state.step)
            operands = (params, net, opt[move.name])
            if move.every > 1:
                shape = jax.eval_shape(run, *operands)[3]

                rest = functools.partial(_rest, shape)
                params, net, opt[move.name], row = lax.cond(state.step % move.every == 0, run, rest, *operands)
            else:
                params, net, opt[move.name], row = run(*operands)
            prefix = f"{label}/" if len(self.moves) > 1 else ""
            metrics |= {prefix + k: v for k, v in row.items()}
        return self._finish(state, params, net, opt, batches), metrics

    def _move(self, move: Move, label: str, batches: Batch, draws, key: Key, step, params, net, opt_state):
        """All repeats of one move: (params, net, opt_state, metrics) after it.

        The first repeats in one compiled loop; the last one apart, so that what it computes from the step's draws can
        be shared with the moves that follow.
        """
        n = self.n_batches
        carry, last = (params, net, opt_state), _at(batches, n - 1)
        if move.repeat == 1:
            carry, row = self._update(move, label, carry, last, draws, key, step, 0)
            return *carry, row
        early = jax.tree.map(lambda v: v[n - move.repeat : n - 1], batches)

        def body(carry, i_batch):
            i, batch = i_batch
            drawn = self._draws(key, step, batch, before=move.repeat - 1 - i)
            return self._update(move, label, carry, batch, drawn, key, step, i)

        carry, rows = lax.scan(body, carry, (jnp.arange(move.repeat - 1), early))
        carry, row = self._update(move, label, carry, last, draws, key, step, move.repeat - 1)
        return *carry, jax.tree.map(lambda v, vs: (v + vs.sum(0)) / move.repeat, row, rows)

    def _finish(self, state, params, net, opt, batches) -> TrainState:
        step = state.step + 1
        examples = jax.tree.leaves(batches)[0].shape[1]
        players = {n: p._replace(params=params[n], state=net[n]) for n, p in state.players.items()}
        for name, ema in self.ema.items():
            player = players[name]
            players[name] = player._replace(ema=ema.update(player.ema, player, step, examples))
        return TrainState(step, players, opt)

    def _draws(self, key: Key, step, batch: Batch, before=0):
        """The draws of the minibatch that comes `before` minibatches before the step's last."""
        if self.draw is None:
            return None
        # Counted from the last, on which all moves end: a minibatch has its draws whatever a move's repeats.
        return self.draw(self.key_of(key, "draws", step, before), batch)

    def _update(self, move: Move, label: str, carry, batch: Batch, draws, key: Key, step, repeat):
        """One optimizer update of one move."""
        params, net, opt_state = carry
        use = self.key_of(key, label, step, repeat)
        moved = {p: params[p] for p in move.players}

        def gradient(net, batch, drawn, key):
            ctx = Context(net, key, step, drawn)

            def objective(moved: Params):
                return loss_and_aux(move.name, move.loss({**params, **moved}, batch, ctx))

            (loss, aux), grads = jax.value_and_grad(objective, has_aux=True)(moved)
            kept = {**net, **{p: s for p, s in aux.state.items() if p in move.updates}}
            return kept, ({"loss": loss, **aux.metrics}, grads, aux.observed)

        def value(moved: Params, net, batch, drawn, key):
            """The loss alone, and the states after it."""
            loss, aux = move.loss({**params, **moved}, batch, Context(net, key, step, drawn))
            return {**net, **{p: s for p, s in aux.state.items() if p in move.updates}}, loss

        def value_fn(moved: Params):
            """The loss of other parameters: of this minibatch, with its draws and the states before it."""
            return self._over_parts(functools.partial(value, moved), net, batch, draws, use)[1]

        new_net, (row, grads, observed) = self._over_parts(gradient, net, batch, draws, use)
        new_net = self._followed(new_net, net, observed, jax.tree.leaves(batch.x)[0].shape[0])
        one_device = self.scope is nullcontext
        return optimizer.apply(move, params, net, opt_state, new_net, row, grads, value_fn, one_device)

    def _followed(self, new_net, net, observed, n: int):
        """States after the update: numbers that follow what was observed do so once, whatever the parts of a batch."""
        players: Mapping[str, Any] = self.players
        if unknown := sorted(n for n in observed if not hasattr(players.get(n), "update")):
            raise UsageError(f"Aux.observed names {unknown}, and the step has no types.Running of that name.")
        numbers = {name: players[name].update(net[name], means, n) for name, means in observed.items()}
        typed = jax.tree.map(lambda old, new: jnp.asarray(new, old.dtype), {k: net[k] for k in numbers}, numbers)
        return {**new_net, **typed}

    def _over_parts(self, of, net, batch: Batch, draws, key: Key):
        """`of(net, batch, draws, key) -> (net, means)` of a batch, or of its parts in turn."""
        if self.accumulate == 1:
            return of(net, batch, draws, key)
        return self._accumulated(of, net, batch, draws, key)

    def _accumulated(self, gradient, net, batch: Batch, draws, key: Key):
        """Sums of (count x mean, count) over the parts of a batch: masks of unequal counts stay exact.

        Part i holds the examples i, i + n, i + 2n, ...: a batch sharded over devices is split where it lies. Its key
        draws for them what the whole batch's draws.
        """
        n, size = self.accumulate, jax.tree.leaves(batch)[0].shape[0]

        def split(v):
            if v.shape[:1] != (size,):  # a draw for all examples together
                return jnp.broadcast_to(v, (n, *v.shape))
            return v.reshape(size // n, n, *v.shape[1:]).swapaxes(0, 1)

        parts = jax.tree.map(split, (batch, draws))

        def count_of(batch):
            return jax.tree.leaves(batch.x)[0].shape[0] if batch.mask is None else batch.mask.sum()

        def weighted(carry, xs):
            net, total, count = carry
            batch, drawn, i = xs
            net, out = gradient(net, batch, drawn, rng.part(key, i, n, size))
            c = jnp.asarray(count_of(batch), jnp.float32)
            return (net, jax.tree.map(lambda t, v: t + c * v, total, out), count + c), None

        shape = jax.eval_shape(gradient, net, *_at(parts, 0), key)[1]
        zero = jax.tree.map(lambda s: jnp.zeros(s.shape, s.dtype), shape)
        (net, total, count), _ = lax.scan(weighted, (net, zero, jnp.float32(0.0)), (*parts, jnp.arange(n)))
        return net, jax.tree.map(lambda t: t / jnp.maximum(count, 1.0), total)


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


def jit_once(function, **placed):
    """`jit` of what runs once; `placed` says where its results lie.

    The CPU compiler without its optimisations is five times quicker; plain elsewhere.
    """
    quick = {"xla_backend_optimization_level": 0} if jax.default_backend() == "cpu" else None
    return jax.jit(function, compiler_options=quick, **placed)


@functools.lru_cache(maxsize=8)
def _initial(init: Callable) -> Callable:
    """A model's `init` as a program: the same one for `Step.shapes` and then for `Step.init`, so traced once.

    Those of the last eight models are kept: a notebook compares a few, and trains each again.
    """
    return jit_once(_strong(init))


def _strong(init: Callable) -> Callable:
    """An `init` whose arrays have types of their own: a weak one changes with the first step, which compiles twice."""

    def first(key):
        return jax.tree.map(lambda v: lax.convert_element_type(v, jnp.result_type(v)), init(key))

    return first


def _rest(shape, params, net, opt_state):
    """A move that does not run this step: nothing changes, its metrics are NaN."""
    return params, net, opt_state, jax.tree.map(lambda s: jnp.full(s.shape, jnp.nan, s.dtype), shape)


def _at(tree: Any, i: int) -> Any:
    return jax.tree.map(lambda v: v[i], tree)


def make_step(
    *moves: Move,
    draw: Callable[[Key, Batch], Any] | None = None,
    accumulate: int = 1,
    ema: Mapping[str, Ema] | None = None,
    players: Mapping[str, HasInit] | None = None,
) -> Step:
    """Builds `step(state, batches, key) -> (state, metrics)` from moves.

    Moves run in order, each seeing the last one's result.

    `batches` carries `step.n_batches` = max repeat minibatches on a leading axis. Repeat i of the move
    with the most repeats sees minibatch i; a move with r repeats sees the last r, so that all end on the same one.
    `key` is the run's root key. Metrics are named `label/metric`, or `metric` alone when there is one move; those
    of repeats are averaged.

    Args:
        moves: what is done, in order.
        draw: `draw(key, batch)` makes arrays once per minibatch (a GAN's latents); all moves that see the
            minibatch find the same arrays in `ctx.draws`, and XLA computes what depends on them once.
        accumulate: equal parts of a minibatch that are computed in turn, their gradients averaged into one update: less
            memory, and the update of the whole (to rounding) where neither nets nor losses couple examples. What a
            loss draws for the whole it draws for the parts (`rng.part`).
        ema: moving averages by player.
        players: critics, running means and other players that are not the model's, by name. Those that the moves'
            objectives bring (a critic of `objectives.factor_vae`) need not be named again.

    Raises:
        ValueError: moves that contradict each other, or two unlike players of one name.

    Example:
        >>> import optax
        >>> from genjax.types import Aux
        >>> def loss(params, batch, ctx):
        ...     return ((params["p"]["w"] - batch.x) ** 2).mean(), Aux({})
        >>> step = make_step(Move("p", loss, optax.sgd(0.5)))
        >>> class Model:
        ...     init = staticmethod(lambda key: ({"p": {"w": jnp.zeros(())}}, {"p": {}}))
        >>> state = step.init(Model, jax.random.key(0))
        >>> state, metrics = step(state, Batch(jnp.ones((1, 4))), jax.random.key(0))
        >>> float(state.players["p"].params["w"]), float(metrics["loss"])
        (1.0, 1.0)
    """
    if not moves:
        raise ValueError("make_step needs at least one Move.")
    if accumulate < 1:
        raise ValueError(f"accumulate={accumulate} must be at least 1.")
    movers: dict[str, tuple[str, ...]] = {}
    for m in moves:
        if movers.setdefault(m.name, m.players) != m.players:
            both = f"{movers[m.name]} and {m.players}"
            raise ValueError(f"moves named {m.name!r} share one optimizer state but move {both}.")
    return Step(moves, draw, accumulate, dict(ema or {}), _all_players(players or {}, moves))


def _all_players(given: Mapping[str, HasInit], moves: tuple[Move, ...]) -> dict[str, HasInit]:
    """The players given and those that the moves' objectives bring."""
    found = dict(given)
    for move in moves:
        for name, player in getattr(move.loss, "players", {}).items():
            if found.setdefault(name, player) != player:
                raise ValueError(f"two unlike players are named {name!r}. One step has one of each name.")
    return found
