"""Importance-weighted objectives: a tighter bound on log p(x) from several samples of z.

Latents and weights have their example axis first here, then the samples: (batch, k, ...).
"""

import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from genjax import distributions, losses, nets
from genjax.losses.reduce import mean, weights
from genjax.models.contract import require
from genjax.objectives.trains import trains
from genjax.types import Aux, Batch, Context, Key, Objective, Params, UsageError, masked


def iwae(model: Any, k: int = 50) -> Objective:
    """Minus the importance-weighted bound of k samples an example, nats per example.

    With k = 1 it is the evidence lower bound with the rate estimated by the sample of z that the distortion uses, where
    `vae` may have a closed form: equal in expectation, not draw by draw.

    Args:
        model: an autoencoder with `encode`, `decode` and `prior_of`, its posterior a diagonal normal: `models.VAE`.
        k: samples of z for each example, at least 1. Time and, but for CPU, memory of the decoder grow with it.

    Reports:
        bound (of k samples), elbo (of the same samples, each by itself), rate and distortion (means over the samples),
        and ess, the effective number of samples, 1 to k.

    Source:
        Burda, Grosse & Salakhutdinov 2016, Importance Weighted Autoencoders.
    """
    return _weighted(model, k, doubly=False)


def dreg(model: Any, k: int = 50) -> Objective:
    """`iwae` with the doubly reparameterised gradient: the encoder's does not drown in noise as k grows.

    Value, metrics and the decoder's gradient are those of `iwae`; the encoder's has the same expectation and a lower
    variance, none at all where q is the exact posterior.

    Source:
        Tucker et al. 2019, Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives.
    """
    return _weighted(model, k, doubly=True)


class _Samples(NamedTuple):
    """Samples of q(z | x): what the encoder's gradient passes through."""

    z: Float[Array, "batch k z"]
    log_ratio: Float[Array, "batch k"]
    """log p(z) - log q(z | x) in nats."""
    learned: Float[Array, "batch k"]
    """0 in value, with the gradient of log p(z) in the prior's own parameters; where `log_ratio` has none of it."""


def _weighted(model: Any, k: int, doubly: bool) -> Objective:
    if k < 1:
        raise UsageError(f"k={k}: the bound needs at least 1 sample. Try 50.")
    require(model, "the importance-weighted bound", "encode", "decode", "prior_of")

    def bound(decoder: Params, samples: _Samples, data: Any, state: Any, key: Key):
        """The bound of each of some examples, and (log p(x | z), state)."""
        x, y, event_mask = jax.tree.map(lambda a: jnp.repeat(a, k, axis=0), data)
        z = samples.z.reshape(-1, samples.z.shape[2])
        p, s = model.decode(decoder, {"decoder": state}, z, y, train=True, key=key)
        log_likelihood = distributions.log_prob(p, x, event_mask).reshape(-1, k)
        return losses.iwae((log_likelihood + samples.log_ratio + samples.learned).T), (log_likelihood, s["decoder"])

    def loss(params: Params, batch: Batch, ctx: Context):
        k_encode, k_z, k_decode = jax.random.split(ctx.key, 3)
        vae, state = params["vae"], ctx.state["vae"]
        mask = masked(batch.event_mask)
        q, state = model.encode(vae, state, batch.x, batch.y, train=True, key=k_encode, **mask)
        z, log_q = q.samples(k_z, k)
        if doubly:  # the weights see where z lies, not that q depends on the encoder
            log_q = lax.stop_gradient(q).log_probs(z)
        log_prior, learned = _log_prior(model, vae, ctx.state["vae"], z, apart=doubly)
        samples = _Samples(z, log_prior - log_q, learned)
        data, share = (batch.x, batch.y, batch.event_mask), weights(q.shape[0], batch.mask)
        size = k * math.prod(jax.tree.leaves(batch.x)[0].shape[1:])
        summed = nets.by_example(bound, size, model.decoder.couples_examples, _doubled if doubly else None)
        decoder = {name: vae[name] for name in ("decoder", "likelihood")}
        value, (log_likelihood, s) = summed(decoder, samples, data, share, state["decoder"], k_decode)
        return -value, Aux(_terms(log_likelihood, samples.log_ratio, batch.mask), {"vae": {**state, "decoder": s}})

    return trains(model, loss, getattr(model, "players", None))


def _log_prior(model: Any, vae: Params, state: Any, z: Float[Array, "batch k z"], apart: bool):
    """log p(z) of each sample, and 0 with its gradient in the prior's own parameters, which then the first lacks.

    `apart`: the doubly reparameterised gradient has each weight once there, like the decoder's.
    """

    def log_prob(params: Params, z: Array) -> Array:
        return model.prior_of(params, state).log_prob(z.reshape(-1, z.shape[2])).reshape(z.shape[:2])

    if not (apart and vae.get("prior")):
        return log_prob(vae, z), jnp.zeros(z.shape[:2], z.dtype)
    learned = log_prob(vae, lax.stop_gradient(z))
    return log_prob(lax.stop_gradient(vae), z), learned - lax.stop_gradient(learned)


def _doubled(samples: _Samples, log_likelihood: Float[Array, "batch k"], g: _Samples) -> _Samples:
    """The bound's gradient has each sample's normalised weight once, the doubly reparameterised one twice."""
    w = jax.nn.softmax(log_likelihood + samples.log_ratio, axis=1)
    return _Samples(g.z * w[:, :, None], g.log_ratio * w, g.learned)


def _terms(log_likelihood, log_ratio, mask):
    """Metrics of weighted samples."""
    log_weights = lax.stop_gradient(log_likelihood + log_ratio)
    return {
        "bound": mean(losses.iwae(log_weights.T), mask),
        "elbo": mean(log_weights.mean(1), mask),
        "rate": mean(-log_ratio.mean(1), mask),
        "distortion": mean(-log_likelihood.mean(1), mask),
        "ess": mean(1.0 / jnp.square(jax.nn.softmax(log_weights, axis=1)).sum(1), mask),
    }
