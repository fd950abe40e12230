"""The evidence log p(x) of a VAE by importance sampling, and its bounds.

Everything here is computed in float32 with full matrix precision, whatever the nets use in training.
"""

import functools
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from genjax import distributions, losses, nets
from genjax.distributions.numerics import LOG_2PI
from genjax.metrics.batches import by_id
from genjax.models.contract import require
from genjax.types import Key, Params, PerExample, State, UsageError, masked

DECODED = {"cpu": 2**20, "default": 2**24}
"""Numbers that the decoder may give at once, by platform: what a CPU's cache holds; 64 MiB elsewhere."""


class IwEstimate(NamedTuple):
    """What samples of q(z | x) say about each example; in nats."""

    log_likelihood: PerExample
    """Importance-weighted bound of all the samples: at most log p(x) in expectation, equal to it as they grow."""
    error: PerExample
    """Its standard error by the samples' own spread, sqrt(1 / ess - 1 / n_samples); too small where ess is near 1."""
    ess: PerExample
    """Effective sample size (sum w)^2 / sum w^2, 1 ... n_samples. Near 1 the estimate is not to be trusted."""
    elbo: PerExample
    """Evidence lower bound, -(distortion + rate)."""
    rate: PerExample
    """KL(q(z | x) || p(z)): closed form where p(z) is N(0, I), else the mean over the samples."""
    distortion: PerExample
    """-log p(x | z), mean over the samples."""


def iw_log_likelihood(
    model: Any,
    params: Params,
    state: State,
    x: Any,
    key: Key,
    n_samples: int = 5000,
    *,
    y: Int[Array, " batch"] | None = None,
    id: Int[Array, " batch"] | None = None,
    chunk: int | None = None,
    event_mask: Any = None,
) -> IwEstimate:
    """log p(x) of each example by importance sampling from q(z | x), with the evidence lower bound beside it.

    The example is encoded once; a scan decodes some samples after others and keeps a running log-sum-exp, so memory
    does not grow with `n_samples`. Sample k of an example is drawn with `fold_in(fold_in(key, id), k)`: neither the
    chunk nor the batch it is in changes more than the last digits, and more samples are the same ones and others.
    With one sample it is a (noisy) evidence lower bound. It is compiled once for a model, its settings and shapes.

    Args:
        model: an autoencoder with `encode`, `decode` and `prior_of`, its posterior a diagonal normal: `models.VAE`.
        params: over players, as `train.evaluation` gives them.
        state: net states, likewise.
        x: (batch, ...) in the likelihood's range: transform pixels first, with `fixed` for a test set.
        key: same key, same numbers.
        n_samples: samples of z an example, at least 1.
        y: labels of a class-conditional model.
        id: what tells the examples' draws apart; 0, 1, 2, ... without it.
        chunk: samples decoded at once; None chooses.
        event_mask: of masked data, (batch, *first event axes).

    Raises:
        UsageError: `n_samples` or `chunk` below 1; a model that gives no density of its latents.

    Source:
        Burda, Grosse & Salakhutdinov 2016, Importance Weighted Autoencoders (5000 samples).
    """
    for name, value in (("n_samples", n_samples), ("chunk", 1 if chunk is None else chunk)):
        if value < 1:
            raise UsageError(f"{name}={value} must be at least 1.")
    require(model, "iw_log_likelihood", "encode", "decode", "prior_of")
    return _estimated(model, params, state, x, key, n_samples, y, id, chunk, event_mask)


@functools.partial(jax.jit, static_argnames=("model", "n_samples", "chunk"))
def _estimated(
    model: Any, params: Params, state: State, x: Any, key: Key, n_samples: int, y, id, chunk, event_mask
) -> IwEstimate:
    with nets.full_precision():
        q, _ = model.encode(params["vae"], state["vae"], x, y, **masked(event_mask))
        prior = model.prior_of(params["vae"], state["vae"], **masked(event_mask))
    likelihood = log_likelihood_of(model, params, state, x, y, event_mask)
    keys = by_id(key, jnp.arange(q.shape[0]) if id is None else id)
    one = jax.eval_shape(lambda z: jax.tree.leaves(model.decode(params["vae"], state["vae"], z, y)[0]), q.mean)
    size = sum(math.prod(leaf.shape) for leaf in one)

    def on(limit: int) -> Callable[[], _Running]:
        samples = min(max(limit // size, 1), n_samples) if chunk is None else chunk
        return lambda: _sampled(likelihood, q, prior, keys, n_samples, samples)

    total = lax.platform_dependent(**{p: on(limit) for p, limit in DECODED.items()})
    rate = q.kl(prior) if isinstance(prior, distributions.Normal) else -total.log_ratio / n_samples
    return _estimate(total, rate, n_samples)


def bits_per_dim(log_likelihood: Any, n_dims: Any, levels: int = 1) -> Any:
    """Nats per example as bits per dimension of x, lower is better: -log p / (n_dims log 2) + log2 levels.

    Args:
        log_likelihood: log p(x) or a bound on it, in nats, an array or a number.
        n_dims: dimensions of x, h * w * c of an image; of masked data an array, those that count of each example.
        levels: 1 where p is a probability of pixels (discretised logistics, categorical, Bernoulli); where it is a
            density of dequantised ones, how many grey levels one unit of x holds: 256 after `data.dequantize`.

    Source:
        Theis, van den Oord & Bethge 2016, A note on the evaluation of generative models.

    Example:
        >>> bits_per_dim(-784 * math.log(256.0), 784)  # every level of every pixel equally likely
        8.0
        >>> bits_per_dim(0.0, 784, levels=256)  # the same as a density
        8.0
    """
    if np.min(n_dims) < 1 or levels < 1:
        raise UsageError(f"n_dims={np.min(n_dims)} and levels={levels} must be at least 1.")
    return -log_likelihood / (n_dims * math.log(2.0)) + math.log2(levels)


def log_likelihood_of(
    model: Any, params: Params, state: State, x: Any, y: Any, event_mask: Any = None
) -> Callable[[Array], Array]:
    """`f(z)`: (m, batch, z) to log p(x | z) in nats, (m, batch), in full precision."""

    def log_likelihood(z: Float[Array, "m batch z"]) -> Float[Array, "m batch"]:
        m, n = z.shape[:2]
        repeated = lambda a: jnp.broadcast_to(a[None], (m, *a.shape)).reshape(m * n, *a.shape[1:])  # noqa: E731
        with nets.full_precision():
            labels = None if y is None else repeated(y)
            p, _ = model.decode(params["vae"], state["vae"], z.reshape(m * n, -1), labels)
            mask = None if event_mask is None else repeated(event_mask)
            return distributions.log_prob(p, jax.tree.map(repeated, x), mask).reshape(m, n)

    return log_likelihood


class _Running(NamedTuple):
    """The largest log weight so far, and the sums of the weights and of their squares divided by its exponential."""

    top: PerExample
    weights: PerExample
    squares: PerExample
    distortion: PerExample
    """Sum of -log p(x | z)."""
    log_ratio: PerExample
    """Sum of log p(z) - log q(z | x)."""


def log_prior_of(prior: Any, z: Float[Array, "m batch z"]) -> Float[Array, "m batch"]:
    """log p(z) in nats, in full precision."""
    with nets.full_precision():
        return prior.log_prob(z.reshape(-1, z.shape[2])).reshape(z.shape[:2])


def _sampled(likelihood: Callable, q: distributions.Normal, prior: Any, keys, n_samples: int, chunk: int) -> _Running:
    """All samples, `chunk` at a time; what the last chunk has too many weighs nothing."""
    mu, scale, logvar = q.mean, q.scale, jnp.broadcast_to(q.logvar, q.shape)

    def body(total: _Running, first):
        k = first + jnp.arange(chunk)
        eps = jax.vmap(lambda i: normals(keys, i, mu.shape[1:]))(k)
        z = mu[None] + scale[None] * eps
        log_x = likelihood(z)
        log_q = -0.5 * (jnp.square(eps).sum(2) + logvar.sum(1)[None] + mu.shape[1] * LOG_2PI)
        log_ratio = log_prior_of(prior, z) - log_q
        counts = (k < n_samples)[:, None]
        sums = jnp.where(counts, -log_x, 0.0), jnp.where(counts, log_ratio, 0.0)
        return _add(total, jnp.where(counts, log_x + log_ratio, -jnp.inf), *sums), None

    zero = jnp.zeros(mu.shape[0], jnp.float32)
    start = _Running(zero - jnp.inf, zero, zero, zero, zero)
    return lax.scan(body, start, jnp.arange(0, n_samples, chunk))[0]


def _add(total: _Running, log_weights: Float[Array, "m batch"], distortion: Any, log_ratio: Any) -> _Running:
    top = jnp.maximum(total.top, log_weights.max(0))
    at = jnp.where(top == -jnp.inf, 0.0, top)  # no weight yet: a difference of infinities is no number
    w, before = jnp.exp(log_weights - at[None]), jnp.exp(total.top - at)
    weights = total.weights * before + w.sum(0)
    squares = total.squares * jnp.square(before) + jnp.square(w).sum(0)
    return _Running(top, weights, squares, total.distortion + distortion.sum(0), total.log_ratio + log_ratio.sum(0))


def _estimate(total: _Running, rate: PerExample, n_samples: int) -> IwEstimate:
    ess, distortion = jnp.square(total.weights) / total.squares, total.distortion / n_samples
    return IwEstimate(
        log_likelihood=total.top + jnp.log(total.weights) - math.log(n_samples),
        error=jnp.sqrt(jnp.maximum(1.0 / ess - 1.0 / n_samples, 0.0)),
        ess=ess,
        elbo=losses.elbo(distortion, rate),
        rate=rate,
        distortion=distortion,
    )


def normals(keys: Array, i: Any, shape: tuple[int, ...]) -> Float[Array, "batch ..."]:
    """Draw i of each key: (batch, *shape) standard normals."""
    return jax.vmap(lambda key: jax.random.normal(jax.random.fold_in(key, i), shape, jnp.float32))(keys)
