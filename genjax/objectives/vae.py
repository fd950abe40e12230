"""Objectives of autoencoders: maximise the evidence lower bound."""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from genjax import distributions, losses
from genjax.losses.reduce import mean, weights
from genjax.models.contract import Pass, require
from genjax.objectives.trains import trains
from genjax.types import Array, Aux, Batch, Context, Key, Objective, Params, State, masked


def vae(model: Any) -> Objective:
    """The negative evidence lower bound, nats per example; one sample of z per example.

    Source:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes.
    """
    return beta_vae(model, beta=1.0)


def beta_vae(model: Any, beta=1.0, warm_up: int = 0, free_bits: float = 0.0) -> Objective:
    """D + beta R: distortion -log p(x|z) plus weighted rate KL(q(z|x) || p(z)), nats per example.

    Args:
        model: an autoencoder, see `models.contract`.
        beta: weight of the rate, >= 0; 1 gives the evidence lower bound.
        warm_up: steps over which the weight grows linearly from 0 to beta; 0 for none.
        free_bits: nats of rate per group (batch mean) below which the rate is not reduced further; the model says what
            a group is: a latent dimension of a `models.VAE` whose prior is N(0, I).

    Reports:
        elbo, rate and distortion without beta, warm-up or free bits, so that they stay comparable; beta in force.

    Source:
        Higgins et al. 2017, beta-VAE; Bowman et al. 2016 (warm-up); Kingma et al. 2016 (free bits).
    """
    require(model, "beta_vae", "forward")

    def loss(params: Params, batch: Batch, ctx: Context):
        mask = masked(batch.event_mask)
        out = model.forward(params, ctx.state, batch.x, batch.y, train=True, key=ctx.key, **mask)
        D, R = -distributions.log_prob(out.p, batch.x, batch.event_mask), out.rate.sum(1)
        weight = beta * jnp.minimum(1.0, (ctx.step + 1) / warm_up) if warm_up else jnp.asarray(beta, jnp.float32)
        rate = losses.free_bits(out.rate, free_bits, batch.mask) if free_bits else mean(R, batch.mask)
        total = mean(D, batch.mask) + weight * rate
        elbo = mean(losses.elbo(D, R), batch.mask)
        terms = {"elbo": elbo, "rate": mean(R, batch.mask), "distortion": mean(D, batch.mask), "beta": weight}
        if out.penalty is not None:
            terms["penalty"] = mean(out.penalty, batch.mask)
            total = total + terms["penalty"]
        return total, Aux(terms, out.state, observed(out, batch))

    return trains(model, loss, getattr(model, "players", None))


def observed(out: Pass, batch: Batch) -> dict[str, Any]:
    """What a pass observes for the model's running numbers (a codebook's counts): batch means, constants."""
    return jax.lax.stop_gradient(out.observe(weights(out.rate.shape[0], batch.mask)))


def score_vae(model: Any) -> Callable[[Params, State, Batch, Key], dict[str, Array]]:
    """`score(params, state, batch, key)`: latent distribution and bound of each example.

    The bound is a sum over the event, so of examples of unequal lengths the longest have the lowest, whatever they
    hold: those are compared by `elbo_per_element`. A low one is unlike what the model has learnt. A high one is no
    proof of the contrary: plain or repetitive examples are likely under many models.

    Returns:
        mu, sigma (batch, z): mean and standard deviation of q(z | x), where the model has such; elbo, rate, distortion
        (batch,) in nats, with one sample of z. Of masked events also elements (batch,), how many the event mask counts
        (symbols of a text, steps of a piece, whatever the number of keys), and elbo_per_element, nats for each.

    Source:
        Nalisnick et al. 2019, Do Deep Generative Models Know What They Don't Know? (likely examples of other data).
    """
    require(model, "score_vae", "forward")

    def score(params: Params, state: State, batch: Batch, key: Key) -> dict[str, Array]:
        out = model.forward(params, state, batch.x, batch.y, key=key, **masked(batch.event_mask))
        D, R = -distributions.log_prob(out.p, batch.x, batch.event_mask), out.rate.sum(1)
        elbo = losses.elbo(D, R)
        latents = {} if out.q is None else {"mu": out.q.mean, "sigma": out.q.scale}
        return {"elbo": elbo, "rate": R, "distortion": D, **_per_element(elbo, batch.event_mask), **latents}

    return score


def _per_element(elbo: Array, event_mask: Array | None) -> dict[str, Array]:
    """The elements that count and the bound of each, nats; nothing without a mask. An empty event counts as one."""
    if event_mask is None:
        return {}
    elements = event_mask.reshape(len(event_mask), -1).sum(1)
    return {"elements": elements, "elbo_per_element": elbo / jnp.maximum(elements, 1)}
