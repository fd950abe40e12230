"""The importance-weighted objective: a tighter bound on log p(x) from several samples of z."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from genjax import losses
from genjax.losses.reduce import mean
from genjax.models import VAE
from genjax.types import Aux, Batch, Context, Objective, Params, UsageError


def iwae(model: VAE, k: int = 50) -> Objective:
    """Minus the importance-weighted bound of k samples a image, nats per example.

    With k = 1 it is the evidence lower bound with the rate estimated by the sample of z that the distortion uses, where
    `vae` has the closed form: equal in expectation, not draw by draw.

    Args:
        model: the VAE.
        k: samples of z for each example, at least 1. Memory and time of the decoder grow with it.

    Reports:
        bound (of k samples), elbo (of the same samples, each by itself), rate and distortion (means over the samples),
        and ess, the effective number of samples, 1 to k.

    Source:
        Burda, Grosse & Salakhutdinov 2016, Importance Weighted Autoencoders.
    """
    _check(k)

    def loss(params: Params, batch: Batch, ctx: Context):
        w, state = _weigh(model, k, params["vae"], batch, ctx)
        bound = losses.iwae(w.log_weights)
        total = -mean(bound, batch.mask)
        return total, Aux(_terms(w, bound, batch), {"vae": state})

    return loss


class _Weighed(NamedTuple):
    """k samples of z for each example, and what they weigh, in nats."""

    log_likelihood: Float[Array, "k batch"]
    """log p(x | z)."""
    log_ratio: Float[Array, "k batch"]
    """log p(z) - log q(z | x)."""

    @property
    def log_weights(self) -> Float[Array, "k batch"]:
        return self.log_likelihood + self.log_ratio


def _weigh(model: VAE, k: int, params: Params, batch: Batch, ctx: Context):
    """Encodes once, decodes k * batch latents as one batch; the weights, and the net state."""
    k_encode, k_z, k_decode = jax.random.split(ctx.key, 3)
    q, state = model.encode(params, ctx.state["vae"], batch.x, batch.y, train=True, key=k_encode)
    mu, scale = q.mean, q.scale
    eps = jax.random.normal(k_z, (k, *mu.shape), mu.dtype)
    z = mu[None] + scale[None] * eps
    x, y = (_tiled(a, k) for a in (batch.x, batch.y))
    p, state = model.decode(params, state, z.reshape(-1, z.shape[-1]), y, train=True, key=k_decode)
    # log N(z; 0, I) - log N(z; mu, sigma): the constants cancel, and (z - mu) / sigma is eps
    log_ratio = 0.5 * ((jnp.square(eps) - jnp.square(z)).sum(-1) + q.logvar.sum(-1)[None])
    return _Weighed(p.log_prob(x).reshape(k, -1), log_ratio), state


def _terms(w: _Weighed, bound, batch: Batch):
    """Metrics of weighted samples."""

    def over_samples(values):
        return mean(values.mean(0), batch.mask)

    share = jax.nn.softmax(w.log_weights, axis=0)
    return {
        "bound": mean(bound, batch.mask),
        "elbo": over_samples(w.log_weights),
        "rate": over_samples(-w.log_ratio),
        "distortion": over_samples(-w.log_likelihood),
        "ess": mean(1.0 / jnp.square(share).sum(0), batch.mask),
    }


def _tiled(a, k: int):
    """k copies along the example axis, the copies of one draw side by side."""
    return None if a is None else jnp.broadcast_to(a[None], (k, *a.shape)).reshape(-1, *a.shape[1:])


def _check(k: int) -> None:
    if k < 1:
        raise UsageError(f"k={k}: the bound needs at least 1 sample. Try 50.")
