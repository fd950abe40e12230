"""Optax transformations inside a step: what their updates are given, and how keys in their states are kept."""

import inspect
import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import jax.numpy as jnp
import optax

from genjax import headroom
from genjax.errors import UsageError
from genjax.train import in_place
from genjax.train.leaves import describe, named_leaves
from genjax.types import Metrics

ASKED = ("value", "grad", "value_fn", "obj_fn", "loss", "grad_fn")
"""What optax's transformations ask for: the loss and its gradient, as numbers and as functions of parameters."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class KeptKey:
    """A PRNG key of an optimizer's own (`optax.add_noise` has one) as the numbers that it is made of.

    A state holds numbers alone, so that it can be saved, compared and digested.
    """

    data: Any
    impl: str = field(metadata={"static": True})


def only(tx: optax.GradientTransformation, *parts: str) -> optax.GradientTransformation:
    """`tx` on some parts of the parameters of a move, by their paths; the others stay where they are.

    Args:
        tx: the transformation, which sees these parts alone.
        parts: paths of what moves, the player first: `"vae/encoder"`.

    Raises:
        UsageError: where it begins, if there is no such part.

    Example:
        >>> params = {"vae": {"encoder": jnp.ones(2), "decoder": jnp.ones(2)}}
        >>> tx = only(optax.sgd(0.5), "vae/encoder")
        >>> updates, _ = tx.update(params, tx.init(params), params)
        >>> updates["vae"]["encoder"].tolist(), updates["vae"]["decoder"].tolist()
        ([-0.5, -0.5], [0.0, 0.0])
    """

    def names(params: Any) -> Any:
        paths = dict.fromkeys(named_leaves(params), "stays")
        for part in parts:
            inside = [name for name in paths if f"{name}/".startswith(f"{part}/")]
            if not inside:
                raise UsageError(f"only: no parameter lies under {part!r}; there are {', '.join(list(paths)[:5])}, ...")
            paths |= dict.fromkeys(inside, "moves")
        return jax.tree.unflatten(jax.tree.structure(params), list(paths.values()))

    return optax.multi_transform({"moves": tx, "stays": optax.set_to_zero()}, names)


def init(tx: optax.GradientTransformation, params: Any) -> Any:
    """`tx.init(params)` with its keys kept as numbers."""
    return _kept(tx.init(params))


def update(
    tx: optax.GradientTransformation, name: str, grads: Any, state: Any, params: Any, value: Any, slope: Any,
    value_fn: Callable[[Any], Any],
) -> tuple[Any, Any]:  # fmt: skip
    """`(updates, state)` of `tx.update`, which is given more where it takes more than gradients.

    Args:
        tx: the transformation.
        name: the move's, for messages.
        grads: what it transforms: the gradient, clipped where the move clips.
        state: from `init`.
        params: what moves.
        value: the loss at `params`.
        slope: its gradient there.
        value_fn: `value_fn(params)`: the loss elsewhere, of the same minibatch and draws.

    Raises:
        UsageError: the transformation refuses the update.
    """
    try:
        updates, new = tx.update(grads, _given(state), params, **_asked(tx, value, slope, value_fn))
        if wrong := _other_shapes(updates, params):
            raise ValueError(f"its update of {wrong} has another shape than the parameter.")
    except (TypeError, ValueError, IndexError, KeyError, AttributeError) as e:
        reason = str(e).strip().splitlines() or [type(e).__name__]
        raise UsageError(
            f"move {name!r}: its optimizer cannot be used here: {reason[0]}\n"
            f"It gets the mean gradient of a minibatch and, where it asks, {', '.join(ASKED)}. Try another one."
        ) from e
    return updates, _kept(new)


def _asked(tx: optax.GradientTransformation, value: Any, slope: Any, value_fn: Callable[[Any], Any]) -> dict[str, Any]:
    """What a transformation takes beside gradient, state and parameters."""
    if not isinstance(tx, optax.GradientTransformationExtraArgs):
        return {}

    def loss_at(params, obj_fn=None, loss=None, grad_fn=None):  # line searches refuse what their function does not take
        del obj_fn, loss, grad_fn
        return value_fn(params)

    every = (value, slope, loss_at, loss_at, value, lambda params, i: jax.grad(value_fn)(params))
    takes = inspect.signature(tx.update).parameters
    anything = any(p.kind is p.VAR_KEYWORD for p in takes.values())
    return {name: given for name, given in zip(ASKED, every, strict=True) if anything or name in takes}


def check(step: Any, model: Any, members: int = 1, devices: int = 1, tried: bool = False) -> None:
    """Refuse, before anything is computed or written, a state that could not be saved, moved or held.

    Args:
        step: from `make_step`.
        model: with `init(key)`.
        members: of a population.
        devices: among which a state is split at most.
        tried: whether each move's update is known to work, as those of shipped recipes are; tracing it takes time.

    Raises:
        UsageError: naming the leaf, the move or the size, and what to do.
    """
    state = step.shapes(model)
    try:
        for name, leaf in named_leaves(state).items():
            describe(name, leaf)
    except (TypeError, ValueError) as e:
        raise UsageError(
            f"this run could not save its state: {e}\nNothing was trained. Mend the model or the optimizer."
        ) from None
    each = headroom.COPIES * sum(math.prod(x.shape) * x.dtype.itemsize for x in jax.tree.leaves(state)) // devices
    if members > 1:
        headroom.refuse_beyond(f"--seeds, --sweep: {members:,} members", each, members, "states of this model", _free())
    else:
        headroom.refuse_beyond("this model", each, 1, "state with its gradients and its copy to save", _free())
    if tried:
        return
    for move in step.moves:
        params = {p: state.players[p].params for p in move.players}
        jax.eval_shape(_alone(move), params, state.opt[move.name])


def _other_shapes(updates: Any, params: Any) -> str:
    """The first leaf whose update has another shape, as of optimizers that want a gradient per example; or nothing."""
    if jax.tree.structure(updates) != jax.tree.structure(params):
        return ""  # None for a leaf that stays as it is
    have, want = (named_leaves(tree) for tree in (updates, params))
    return next((name for name in want if jnp.shape(have[name]) != jnp.shape(want[name])), "")


def _free() -> int | None:
    """Bytes of the device that trains; None for the host's own."""
    stats = jax.local_devices()[0].memory_stats() or {}
    limit = stats.get("bytes_limit")
    return None if limit is None else limit - stats.get("bytes_in_use", 0)


def _alone(move: Any) -> Callable[[Any, Any], tuple[Any, Any]]:
    """`(params, state) -> (updates, state)` of a move's optimizer, for its shapes and operations alone."""
    return lambda params, opt: update(move.tx, move.name, params, opt, params, jnp.float32(0.0), params, _length)


def _length(params: Any) -> Any:
    """Stands for a loss where only shapes count."""
    return optax.tree.norm(params)


def _kept(state: Any) -> Any:
    """A state's keys as numbers."""

    def kept(x):
        return KeptKey(jax.random.key_data(x), str(jax.random.key_impl(x))) if _is_key(x) else x

    return jax.tree.map(kept, state)


def _given(state: Any) -> Any:
    """A state as its transformation made it."""

    def back(x):
        return jax.random.wrap_key_data(x.data, impl=x.impl) if isinstance(x, KeptKey) else x

    return jax.tree.map(back, state, is_leaf=lambda x: isinstance(x, KeptKey))


def _is_key(x: Any) -> bool:
    return hasattr(x, "dtype") and jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key)


def _last(move: Any, params: Any, new_params: Any, state: Any, new: Any) -> Any:
    """A new optimizer state in which what XLA computes again for the parameters is written after them."""
    again = in_place.remade(lambda p, s: _alone(move)(p, s)[1], params, state)
    late = [i for i, is_late in enumerate(again) if is_late]
    if not late:
        return new
    (leaves, tree), olds = jax.tree.flatten(new), jax.tree.leaves(state)
    written = in_place.after(new_params, [leaves[i] for i in late], [olds[i] for i in late])
    for i, leaf in zip(late, written, strict=True):
        leaves[i] = leaf
    return jax.tree.unflatten(tree, leaves)


def apply(move: Any, params, net, opt_state, new_net, row: Metrics, grads, value_fn, one_device: bool = True):
    """One update of a `Move`: norms, clip, the optimizer, guard.

    Args:
        move: which one.
        params, net: of all players, before it; `new_net` after its loss was computed.
        opt_state: of its optimizer.
        row: its metrics, with the loss.
        grads: the gradient in the movers' parameters.
        value_fn: the loss as a function of these, for optimizers that search along a line.
        one_device: whether no array is split; then what is new is written over the old, see `in_place`.

    Returns:
        ((params, net, opt_state) after it, metrics).
    """
    slope = grads
    moved = {p: params[p] for p in move.players}
    if move.guarded or move.norms or move.clip is not None:
        norm = optax.tree.norm(grads)
        if move.norms:
            row = {**row, "grad_norm": norm}
    if move.clip is not None:
        scale = jnp.minimum(1.0, move.clip / jnp.maximum(norm, 1e-12))
        grads = jax.tree.map(lambda g: g * scale.astype(g.dtype), grads)
    updates, new_opt = update(move.tx, move.name, grads, opt_state, moved, row["loss"], slope, value_fn)
    new_params: Any = optax.apply_updates(moved, updates)
    if one_device:
        new_params = in_place.after(grads, new_params, moved)
        new_opt = _last(move, moved, new_params, opt_state, new_opt)
    if move.norms:
        row = {**row, "update_norm": optax.tree.norm(updates), "param_norm": optax.tree.norm(moved)}
    if move.guarded:
        ok = jnp.isfinite(norm) & jnp.isfinite(row["loss"])  # skip_above alone must also refuse NaN
        if move.skip_above is not None:
            ok &= norm <= move.skip_above
        old = (moved, net, opt_state)
        new_params, new_net, new_opt = jax.tree.map(
            lambda new, old: jnp.where(ok, new, old), (new_params, new_net, new_opt), old
        )
        row = {**row, "skipped": 1.0 - ok.astype(jnp.float32)}
    return ({**params, **new_params}, new_net, new_opt), row
