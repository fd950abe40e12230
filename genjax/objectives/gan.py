"""Objectives of the generative adversarial game."""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp

from genjax import losses
from genjax.losses.reduce import mean
from genjax.models import GAN
from genjax.objectives.trains import trains
from genjax.types import Array, Aux, Batch, Context, Key, Objective, Params, Penalty, State


class GanObjective(NamedTuple):
    """The two sides of the game, and what both may share."""

    d: Objective
    g: Objective
    draw: Callable[[Key, Batch], Any]
    """The step's latents: hand it to `make_step(..., draw=obj.draw)` and both moves see the same fakes."""
    score: Callable[[Params, State, Batch, Key], dict[str, Array]]
    """Each example's logit, and its probability of being real where the loss defines one."""


def gan(
    model: GAN, adversarial: losses.AdversarialPair = losses.nonsaturating, penalties: Sequence[Penalty] = ()
) -> GanObjective:
    """The discriminator's and the generator's objective for an adversarial pair, with penalties on the discriminator.

    The discriminator's objective leaves the generator's parameters alone and the other way round: each move takes a
    gradient over its own player only. A conditional generator makes its fakes with the labels of the real batch.

    Args:
        model: the GAN.
        adversarial: one of `losses.nonsaturating, minimax, hinge, least_squares, wasserstein, relativistic`.
        penalties: per-example penalties on the discriminator, weights included.

    Raises:
        UsageError: penalties on a discriminator that couples the examples of a batch.

    Source:
        Goodfellow et al. 2014; Gulrajani et al. 2017 for why batch norm and per-example penalties exclude each other.
    """
    if penalties:
        losses.check_critic(model.discriminator)

    def draw(key: Key, batch: Batch):
        return model.latents(key, jax.tree.leaves(batch.x)[0].shape[0])

    def fakes(params, batch, ctx, k_z, k_g):
        z = draw(k_z, batch) if ctx.draws is None else ctx.draws
        return model.fake(params["g"], ctx.state["g"], z, batch.y, train=True, key=k_g)

    def logits(params, batch, ctx, fake, k_d):
        """Real and fake logits: one pass where examples are independent, one each where batch norm couples them."""
        state, y = ctx.state["d"], batch.y
        k_real, k_fake = jax.random.split(k_d)
        if model.discriminator.couples_examples:
            real_logits, state = model.logits(params["d"], state, batch.x, y, train=True, key=k_real)
            fake_logits, state = model.logits(params["d"], state, fake, y, train=True, key=k_fake)
            return real_logits, fake_logits, state
        both = None if y is None else _paired(y, y)
        out, state = model.logits(params["d"], state, _paired(batch.x, fake), both, train=True, key=k_real)
        out = out.reshape(-1, 2)
        return out[:, 0], out[:, 1], state

    def d(params: Params, batch: Batch, ctx: Context):
        k_z, k_g, k_d, k_score, k_penalty = jax.random.split(ctx.key, 5)
        fake = jax.lax.stop_gradient(fakes(params, batch, ctx, k_z, k_g)[0])
        real_logits, fake_logits, s = logits(params, batch, ctx, fake, k_d)
        total = mean(adversarial.d(real_logits, fake_logits), batch.mask)
        terms = {"real_logit": mean(real_logits, batch.mask), "fake_logit": mean(fake_logits, batch.mask)}
        if adversarial.probability is not None:
            terms["real_probability"] = mean(adversarial.probability(real_logits), batch.mask)
            terms["fake_probability"] = mean(adversarial.probability(fake_logits), batch.mask)
        if penalties:

            def score_with(key):
                return lambda x: model.logits(params["d"], ctx.state["d"], x, batch.y, train=True, key=key)[0]

            keys, of_scores = (jax.random.split(k, len(penalties)) for k in (k_penalty, k_score))
            each = [
                mean(p(score_with(k_s), batch.x, fake, k), batch.mask)
                for p, k, k_s in zip(penalties, keys, of_scores, strict=True)
            ]
            terms["penalty"] = jnp.stack(each).sum()
            total = total + terms["penalty"]
        return total, Aux(terms, {"d": s})

    def g(params: Params, batch: Batch, ctx: Context):
        k_z, k_g, k_fake, k_real = jax.random.split(ctx.key, 4)
        fake, s = fakes(params, batch, ctx, k_z, k_g)
        fake_logits, _ = model.logits(params["d"], ctx.state["d"], fake, batch.y, train=True, key=k_fake)
        # read by relativistic losses only; XLA drops this pass for the others
        real_logits, _ = model.logits(params["d"], ctx.state["d"], batch.x, batch.y, train=True, key=k_real)
        return mean(adversarial.g(fake_logits, real_logits), batch.mask), Aux({}, {"g": s})

    def score(params: Params, state: State, batch: Batch, key: Key) -> dict[str, Array]:
        del key  # nothing is random here; a VAE's score has one
        out, _ = model.logits(params["d"], state["d"], batch.x, batch.y)
        return {"logit": out} | (
            {} if adversarial.probability is None else {"probability": adversarial.probability(out)}
        )

    return GanObjective(trains(model, d), trains(model, g), draw, score)


def _paired(real, fake):
    """[2 batch, ...]: real 0, fake 0, real 1, fake 1 and so on.

    One after the other, the batch's halves would change devices where its examples are split over many.
    """
    return jnp.stack([real, fake], axis=1).reshape(-1, *real.shape[1:])
