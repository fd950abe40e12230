"""Importance-weighted objectives: a tighter bound on log p(x) from several samples of z.

Latents, weights and images have their example axis first here, then the samples: (batch, k, ...).

The k * batch decoded images of a step outgrow a CPU's cache many times over, and every pass over them then runs at the
speed of memory. But an example's weights need no other example: on CPU a loop decodes a few examples at a time and
takes their gradient at once, before the next ones come (`_summed`). Elsewhere all are decoded together.
"""

import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from genjax import distributions, losses, nets
from genjax.losses.reduce import mean
from genjax.models import VAE
from genjax.objectives.trains import trains
from genjax.types import Aux, Batch, Context, Objective, Params, PerExample, UsageError

CACHE = 2**20
"""Decoded elements that a CPU's cache is taken to hold, with what is computed from them."""


def iwae(model: VAE, k: int = 50) -> Objective:
    """Minus the importance-weighted bound of k samples an image, nats per example.

    With k = 1 it is the evidence lower bound with the rate estimated by the sample of z that the distortion uses, where
    `vae` has the closed form: equal in expectation, not draw by draw.

    Args:
        model: the VAE.
        k: samples of z for each example, at least 1. Time and, but for CPU, memory of the decoder grow with it.

    Reports:
        bound (of k samples), elbo (of the same samples, each by itself), rate and distortion (means over the samples),
        and ess, the effective number of samples, 1 to k.

    Source:
        Burda, Grosse & Salakhutdinov 2016, Importance Weighted Autoencoders.
    """
    return _weighted(model, k, doubly=False)


def dreg(model: VAE, k: int = 50) -> Objective:
    """`iwae` with the doubly reparameterised gradient: the encoder's does not drown in noise as k grows.

    Value, metrics and the decoder's gradient are those of `iwae`; the encoder's has the same expectation and a lower
    variance, none at all where q is the exact posterior.

    Source:
        Tucker et al. 2019, Doubly Reparameterized Gradient Estimators for Monte Carlo Objectives.
    """
    return _weighted(model, k, doubly=True)


class _Latents(NamedTuple):
    """Samples of q(z | x): what the encoder's gradient passes through."""

    z: Float[Array, "batch k z"]
    log_ratio: Float[Array, "batch k"]
    """log p(z) - log q(z | x) in nats."""


class _Data(NamedTuple):
    """What a bound needs besides, held constant."""

    x: Any
    y: Any
    share: PerExample
    """Weight of each example in the mean, summing to 1."""


class _Bound(NamedTuple):
    """The static part of an objective."""

    model: VAE
    k: int
    doubly: bool


def _weighted(model: VAE, k: int, doubly: bool) -> Objective:
    if k < 1:
        raise UsageError(f"k={k}: the bound needs at least 1 sample. Try 50.")
    static = _Bound(model, k, doubly)

    def loss(params: Params, batch: Batch, ctx: Context):
        k_encode, k_z, k_decode = jax.random.split(ctx.key, 3)
        vae, state = params["vae"], ctx.state["vae"]
        q, state = model.encode(vae, state, batch.x, batch.y, train=True, key=k_encode)
        share = jnp.ones(q.shape[0]) if batch.mask is None else batch.mask.astype(jnp.float32)
        data = _Data(batch.x, batch.y, share / jnp.maximum(share.sum(), 1e-12))
        latents = _sampled(q, k_z, k, doubly)
        decoder = {name: vae[name] for name in ("decoder", "likelihood")}
        bound, (log_likelihood, s) = _summed(static, decoder, latents, data, state["decoder"], k_decode)
        terms = _terms(log_likelihood, latents.log_ratio, batch.mask)
        return -bound, Aux(terms, {"vae": {**state, "decoder": s}})

    return trains(model, loss)


def _sampled(q: distributions.Normal, key, k: int, doubly: bool) -> _Latents:
    """k samples an example. `doubly`: the weights do not see that q depends on the encoder, only where z lies."""
    mu, scale, logvar = (a[:, None] for a in (q.mean, q.scale, q.logvar))
    eps = jax.random.normal(key, (mu.shape[0], k, mu.shape[2]), mu.dtype)
    eps = lax.optimization_barrier(eps)  # else every use of it computes it again
    z = mu + scale * eps
    if doubly:
        eps, logvar = (z - lax.stop_gradient(mu)) / lax.stop_gradient(scale), lax.stop_gradient(logvar)
    # log N(z; 0, I) - log N(z; mu, scale^2): the constants cancel
    return _Latents(z, 0.5 * ((jnp.square(eps) - jnp.square(z)).sum(2) + logvar.sum(2)))


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


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _summed(static: _Bound, decoder: Params, latents: _Latents, data: _Data, state, key):
    """(bound, (log p(x | z), state)): the mean bound, its gradient for decoder and latents taken as examples pass by.

    Data are constants: the gradient with respect to images comes through the latents alone.
    """
    (bound, _), (log_likelihood, _), s = _by_platform(_plain, static, decoder, latents, data, state, key)
    return bound, (log_likelihood, s)


def _summed_fwd(static: _Bound, decoder, latents, data, state, key):
    (bound, g_decoder), (log_likelihood, g), s = _by_platform(_with_grad, static, decoder, latents, data, state, key)
    return (bound, (log_likelihood, s)), (g_decoder, g)


def _summed_bwd(static: _Bound, grads, cotangents):
    decoder, latents = jax.tree.map(lambda g: g * cotangents[0].astype(g.dtype), grads)
    return decoder, latents, None, None, None


_summed.defvjp(_summed_fwd, _summed_bwd)


def _value(static: _Bound, decoder, latents: _Latents, data: _Data, state, key):
    """Of some examples: the sum of share * bound, and (log p(x | z), state)."""
    n, k = latents.log_ratio.shape
    x, y = jax.tree.map(lambda a: jnp.repeat(a, k, axis=0), data[:2])
    z = latents.z.reshape(n * k, -1)
    p, s = static.model.decode(decoder, {"decoder": state}, z, y, train=True, key=key)
    log_likelihood = p.log_prob(x).reshape(n, k)
    bound = losses.iwae((log_likelihood + latents.log_ratio).T)
    return jnp.where(data.share > 0, data.share * bound, 0.0).sum(), (log_likelihood, s["decoder"])


def _plain(static: _Bound, *args):
    """What adds up over examples, what each of them has, and the state: without gradients."""
    bound, (log_likelihood, s) = _value(static, *args)
    return (bound, None), (log_likelihood, None), s


def _with_grad(static: _Bound, decoder, latents: _Latents, *constants):
    """The same with the gradients of the decoder, which add up, and of the latents."""
    value = jax.value_and_grad(functools.partial(_value, static), (0, 1), has_aux=True)
    (bound, (log_likelihood, s)), (g_decoder, g) = value(decoder, latents, *constants)
    if static.doubly:
        # The bound's gradient has each sample's normalised weight once, the doubly reparameterised one twice.
        w = jax.nn.softmax(log_likelihood + latents.log_ratio, axis=1)
        g = _Latents(g.z * w[:, :, None], g.log_ratio * w)
    return (bound, g_decoder), (log_likelihood, g), s


def _by_platform(function, static: _Bound, decoder, latents: _Latents, data: _Data, state, key):
    """A few examples after others on CPU, where the decoder treats each by itself; all together elsewhere."""
    whole = functools.partial(function, static)
    if static.model.decoder.couples_examples or _n_chunks(static.k, data) == 1:
        return whole(decoder, latents, data, state, key)
    n = data.share.shape[0]
    takes, gives = ("whole", "split", "split", "whole", "whole", "split"), ("summed", "split", "whole")
    in_chunks = nets.each_device(functools.partial(_in_chunks, whole, static.k), n, takes, gives)
    other = lambda *args: whole(*args[:-1])  # noqa: E731
    return lax.platform_dependent(decoder, latents, data, state, key, jnp.arange(n), cpu=in_chunks, default=other)


def _n_chunks(k: int, data: _Data) -> int:
    """In how few equal parts the examples are decoded, so that k images of each in a part fit into the cache."""
    return nets.n_chunks(data.share.shape[0], k * math.prod(data.x.shape[1:]), CACHE)


def _in_chunks(function, k: int, decoder, latents: _Latents, data: _Data, state, key, index):
    """`function` of some examples after others, its sums added up, its values per example in their order.

    A part draws with the index of its first example among all, so that no two parts anywhere draw alike.
    """
    n_chunks = _n_chunks(k, data)

    def chunk(index, latents, data):
        return function(decoder, latents, data, state, jax.random.fold_in(key, index[0]))

    def body(total, part):
        sums, each, s = chunk(*part)
        return jax.tree.map(jnp.add, total, sums), (each, s)

    parts = jax.tree.map(lambda v: v.reshape(-1, n_chunks, *v.shape[1:]).swapaxes(0, 1), (index, latents, data))
    like = jax.eval_shape(chunk, *jax.tree.map(lambda v: v[0], parts))[0]
    zero = jax.tree.map(lambda v: jnp.zeros(v.shape, v.dtype), like)
    sums, (each, s) = lax.scan(body, zero, parts)
    each = jax.tree.map(lambda v: v.swapaxes(0, 1).reshape(-1, *v.shape[2:]), each)
    return sums, each, jax.tree.map(lambda v: v[-1], s)
