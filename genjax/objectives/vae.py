"""Objectives of the variational autoencoder: maximise the evidence lower bound."""

from collections.abc import Callable

import jax
import jax.numpy as jnp

from genjax import distributions, losses
from genjax.losses.reduce import mean
from genjax.models import VAE
from genjax.objectives.trains import trains
from genjax.types import Array, Aux, Batch, Context, Key, Objective, Params, PerExample, State


def vae(model: VAE) -> Objective:
    """The negative evidence lower bound, nats per example; one sample of z per example.

    Source:
        Kingma & Welling 2014, Auto-Encoding Variational Bayes.
    """
    return beta_vae(model, beta=1.0)


def beta_vae(model: VAE, beta=1.0, warm_up: int = 0, free_bits: float = 0.0) -> Objective:
    """D + beta R: distortion -log p(x|z) plus weighted rate KL(q(z|x) || p(z)), nats per example.

    Args:
        model: the VAE.
        beta: weight of the rate, >= 0; 1 gives the evidence lower bound.
        warm_up: steps over which the weight grows linearly from 0 to beta; 0 for none.
        free_bits: nats of rate per latent dimension (batch mean) below which the rate is not reduced further.

    Reports:
        elbo, rate and distortion without beta, warm-up or free bits, so that they stay comparable; beta in force.

    Source:
        Higgins et al. 2017, beta-VAE; Bowman et al. 2016 (warm-up); Kingma et al. 2016 (free bits).
    """

    def loss(params: Params, batch: Batch, ctx: Context):
        k_encode, k_z, k_decode = jax.random.split(ctx.key, 3)
        q, s = model.encode(params["vae"], ctx.state["vae"], batch.x, batch.y, train=True, key=k_encode)
        p, s = model.decode(params["vae"], s, q.sample(k_z), batch.y, train=True, key=k_decode)
        D, R = -p.log_prob(batch.x), losses.kl_std_normal(q)
        weight = beta * jnp.minimum(1.0, (ctx.step + 1) / warm_up) if warm_up else jnp.asarray(beta, jnp.float32)
        rate = mean(R, batch.mask)
        if free_bits:
            each = distributions.Normal(q.mu.reshape(-1, 1), q.logvar.reshape(-1, 1))  # one dimension at a time
            rate = losses.free_bits(losses.kl_std_normal(each).reshape(q.mu.shape), free_bits, batch.mask)
        total = mean(D, batch.mask) + weight * rate
        elbo = mean(losses.elbo(D, R), batch.mask)
        terms = {"elbo": elbo, "rate": mean(R, batch.mask), "distortion": mean(D, batch.mask), "beta": weight}
        return total, Aux(terms, {"vae": s})

    return trains(model, loss)


def score_vae(model: VAE) -> Callable[[Params, State, Batch, Key], dict[str, Array]]:
    """`score(params, state, batch, key)`: latent distribution and bound of each; a low bound is unusual.

    Returns:
        mu, sigma (batch, z): mean and standard deviation of q(z | x); elbo, rate, distortion (batch,) in nats, with
        one sample of z.
    """

    def score(params: Params, state: State, batch: Batch, key: Key) -> dict[str, Array]:
        q, _ = model.encode(params["vae"], state["vae"], batch.x, batch.y)
        p, _ = model.decode(params["vae"], state["vae"], q.sample(key), batch.y)
        D: PerExample = -p.log_prob(batch.x)
        R: PerExample = losses.kl_std_normal(q)
        return {"elbo": losses.elbo(D, R), "rate": R, "distortion": D, "mu": q.mu, "sigma": jnp.exp(0.5 * q.logvar)}

    return score
