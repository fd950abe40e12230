"""Objectives of the generative adversarial game."""

import operator
from collections.abc import Callable, Mapping, Sequence
from functools import partial, reduce
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from genjax import losses, rng
from genjax.losses.reduce import mean, means
from genjax.models.contract import require
from genjax.objectives.trains import trains
from genjax.types import (
    Array,
    Augmentation,
    Aux,
    Batch,
    Context,
    Game,
    Key,
    Objective,
    Params,
    Penalty,
    State,
    UsageError,
    masked,
)


class GanObjective(NamedTuple):
    """The two sides of the game, and what both may share."""

    d: Objective
    g: Objective
    draw: Callable[[Key, Batch], dict[str, Any]]
    """The step's draws: hand it to `make_step(..., draw=obj.draw)` and both moves see the same fakes."""
    score: Callable[[Params, State, Batch, Key], dict[str, Array]]
    """Each example's logit, and its probability of being real where the loss defines one."""
    penalty: Objective
    """The penalties alone, times `every`: a lazy second move of the discriminator."""


def gan(
    model: Any,
    adversarial: losses.AdversarialPair = losses.nonsaturating,
    penalties: Sequence[Penalty | Callable[[Game], Any]] = (),
    *,
    augment: Augmentation | None = None,
    every: int = 1,
) -> GanObjective:
    """The discriminator's and the generator's objective for an adversarial pair, with penalties on the discriminator.

    The discriminator's objective leaves the generator's parameters alone and the other way round: each move takes a
    gradient over its own player only. A conditional generator makes its fakes with the labels of the real batch. The
    discriminator sees the fakes of masked data through the masks of the real batch: both have the same lengths.

    Args:
        model: a `models.GAN`, or another with `noise`, `fake`, `logits` and `discriminator`.
        adversarial: one of `losses.nonsaturating, minimax, hinge, least_squares, wasserstein, relativistic`.
        penalties: per-example penalties on the discriminator, weights included; functions of a `types.Game`.
        augment: random changes that the discriminator sees real and generated data through, in both moves. A penalty's
            gradient is taken at the data before them.
        every: with more than 1 the penalties are lazy: no part of `obj.d`, but of `obj.penalty`, and as many times as
            strong, for `Move("d", obj.penalty, tx, every=every)`.

    Raises:
        UsageError: a model that is no GAN; a penalty that takes the gradient of single scores, on a discriminator that
            couples the examples of a batch; `every` below 1.

    Source:
        Goodfellow et al. 2014; Gulrajani et al. 2017 for why batch norm and per-example penalties exclude each other;
        Karras et al. 2020, StyleGAN2, for lazy regularisation and for the augmentation in both moves (ADA).
    """
    require(model, "gan", "noise", "fake", "logits", "discriminator")
    if every < 1:
        raise UsageError(f"every={every}: must be at least 1; 16 is StyleGAN2's.")
    if any(getattr(p, "differentiates", True) for p in penalties):
        losses.check_critic(model.discriminator)
    players = _players(*penalties, augment)
    named = [name for p in penalties if (name := getattr(p, "name", ""))]
    if odd := [n for n in named if named.count(n) > 1 or not n.isidentifier()]:
        raise UsageError(f"penalties named {odd}: each wants a name of its own, of letters, digits and underscores.")

    def draw(key: Key, batch: Batch) -> dict[str, Any]:
        n = jax.tree.leaves(batch.x)[0].shape[0]
        if augment is None:
            return {"z": model.noise(key, n)}
        return {"z": model.noise(key, n), "augment": jax.random.split(rng.named(key, "augment"), n)}

    def drawn(batch: Batch, ctx: Context, key: Key) -> dict[str, Any]:
        return draw(key, batch) if ctx.draws is None else ctx.draws

    def seen(x, draws: dict[str, Any], state: State, side: int):
        """x as the discriminator sees it; side 0 is real, 1 fake."""
        if augment is None:
            return x
        return augment.apply(jax.vmap(lambda key: jax.random.fold_in(key, side))(draws["augment"]), x, state)

    def logits(params, batch, ctx, real, fake, k_d):
        """Real and fake logits: one pass where examples are independent, one each where batch norm couples them."""
        state, y, event_mask = ctx.state["d"], batch.y, batch.event_mask
        k_real, k_fake = jax.random.split(k_d)
        if model.discriminator.couples_examples:
            mask = masked(event_mask)
            real_logits, state = model.logits(params["d"], state, real, y, train=True, key=k_real, **mask)
            fake_logits, state = model.logits(params["d"], state, fake, y, train=True, key=k_fake, **mask)
            return real_logits, fake_logits, state
        both, masks = (None if a is None else _paired(a, a) for a in (y, event_mask))
        pairs = _paired(real, fake)
        out, state = model.logits(params["d"], state, pairs, both, train=True, key=k_real, **masked(masks))
        out = out.reshape(-1, 2)
        return out[:, 0], out[:, 1], state

    def play(params: Params, batch: Batch, ctx: Context) -> tuple[list[Game], Game, State]:
        """What each penalty sees of a round and what all see of it, and the discriminator's state after it."""
        k_z, k_g, k_d, k_score, k_penalty = jax.random.split(ctx.key, 5)
        draws = drawn(batch, ctx, k_z)
        fake, _ = model.fake(params["g"], ctx.state["g"], draws["z"], batch.y, train=True, key=k_g)
        fake = jax.lax.stop_gradient(fake)
        sides = seen(batch.x, draws, ctx.state, 0), seen(fake, draws, ctx.state, 1)
        real_logits, fake_logits, s = logits(params, batch, ctx, *sides, k_d)

        def score(key, x):
            x = seen(x, draws, ctx.state, 0)
            mask = masked(batch.event_mask)
            return model.logits(params["d"], ctx.state["d"], x, batch.y, train=True, key=key, **mask)[0]

        of_both = real_logits, fake_logits, ctx.step, ctx.state
        game = Game(partial(score, k_score), batch.x, fake, k_penalty, *of_both)
        if not penalties:
            return [], game, s
        keys = zip(*(jax.random.split(k, len(penalties)) for k in (k_score, k_penalty)), strict=True)
        return [game._replace(score=partial(score, k_s), key=k_p) for k_s, k_p in keys], game, s

    def regular(games: list[Game], mask):
        """The sum of the penalties' means, those that have a name, and what their numbers are updated with."""
        pairs = list(zip(penalties, games, strict=True))
        observed = [_observed(p, game, mask) for p, game in pairs]
        each = [mean(_per_example(p(game), game), mask) for p, game in pairs]
        names = [getattr(p, "name", "") for p in penalties]
        terms = {f"penalty_{name}": value for name, value in zip(names, each, strict=True) if name}
        return jnp.stack(each).sum(), terms, reduce(operator.or_, observed)

    def d(params: Params, batch: Batch, ctx: Context):
        games, game, s = play(params, batch, ctx)
        real, fake = game.real_logits, game.fake_logits
        total = mean(adversarial.d(real, fake), batch.mask)
        terms = {"real_logit": mean(real, batch.mask), "fake_logit": mean(fake, batch.mask)}
        if adversarial.probability is not None:
            terms["real_probability"] = mean(adversarial.probability(real), batch.mask)
            terms["fake_probability"] = mean(adversarial.probability(fake), batch.mask)
        observed = _observed(augment, real, batch.mask)
        if penalties and every == 1:
            terms["penalty"], each, of_penalties = regular(games, batch.mask)
            total, observed = total + terms["penalty"], observed | of_penalties
            terms |= each
        return total, Aux(terms | _numbers(players, ctx.state), {"d": s}, observed)

    def penalty(params: Params, batch: Batch, ctx: Context):
        if not penalties:
            raise UsageError("obj.penalty: this game has no penalties. Give gan(...) some.")
        value, each, observed = regular(play(params, batch, ctx)[0], batch.mask)
        return every * value, Aux({"penalty": value, **each}, {}, observed)

    def g(params: Params, batch: Batch, ctx: Context):
        k_z, k_g, k_fake, k_real = jax.random.split(ctx.key, 4)
        draws = drawn(batch, ctx, k_z)
        fake, s = model.fake(params["g"], ctx.state["g"], draws["z"], batch.y, train=True, key=k_g)
        real, fake = seen(batch.x, draws, ctx.state, 0), seen(fake, draws, ctx.state, 1)
        mask = masked(batch.event_mask)
        fake_logits, _ = model.logits(params["d"], ctx.state["d"], fake, batch.y, train=True, key=k_fake, **mask)
        # read by relativistic losses only; XLA drops this pass for the others
        real_logits, _ = model.logits(params["d"], ctx.state["d"], real, batch.y, train=True, key=k_real, **mask)
        return mean(adversarial.g(fake_logits, real_logits), batch.mask), Aux({}, {"g": s})

    def score(params: Params, state: State, batch: Batch, key: Key) -> dict[str, Array]:
        del key  # nothing is random here; a VAE's score has one
        out, _ = model.logits(params["d"], state["d"], batch.x, batch.y, **masked(batch.event_mask))
        return {"logit": out} | (
            {} if adversarial.probability is None else {"probability": adversarial.probability(out)}
        )

    d, g, penalty = (trains(model, side, players) for side in (d, g, penalty))
    return GanObjective(d, g, draw, score, penalty)


def _players(*parts: Any) -> dict[str, Any]:
    """The players that penalties and an augmentation bring."""
    found: dict[str, Any] = {}
    for part in parts:
        brought: Mapping[str, Any] = getattr(part, "players", {})
        if twice := sorted(set(found) & set(brought)):
            raise UsageError(f"two parts of the game keep numbers under the name {twice[0]!r}. Give only one of them.")
        found |= brought
    return found


def _per_example(values: Any, game: Game) -> Any:
    """A penalty's values, one an example.

    Raises:
        UsageError: they are of another shape, whose mean would be another number.
    """
    n = game.real_logits.shape[0]
    if jnp.shape(values) != (n,):
        raise UsageError(
            f"a penalty gave values of the shape {jnp.shape(values)}, and the batch has {n} examples: give one value "
            "an example. One number for the whole batch: jnp.full(n, it)."
        )
    return values


def _observed(part: Any, seen: Any, mask) -> dict[str, Any]:
    """Batch means of what a penalty or an augmentation observes."""
    observe = getattr(part, "observe", None)
    return {} if observe is None else means(observe(seen), mask)


def _numbers(players: Mapping[str, Any], state: State) -> dict[str, Array]:
    """The single numbers among the players' own, as metrics: `ada_p`."""
    return {f"{name}_{k}": v for name in players for k, v in state[name].items() if jnp.ndim(v) == 0}


def _paired(real, fake):
    """[2 batch, ...]: real 0, fake 0, real 1, fake 1 and so on.

    One after the other, the batch's halves would change devices where its examples are split over many.
    """
    return jnp.stack([real, fake], axis=1).reshape(-1, *real.shape[1:])
