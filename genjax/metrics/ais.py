"""Annealed importance sampling: log p(x) of a VAE without its encoder, and how far that can be off.

Chains go from the prior to the posterior through p(z) p(x | z)^beta, beta from 0 to 1, by Hamiltonian Monte Carlo.
They cost a thousand times what `iw_log_likelihood` costs for one sample, and check it on some examples: a poor encoder
makes importance sampling pessimistic without a sign of it, and cannot touch this.
"""

import functools
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from genjax import losses, nets
from genjax.metrics.batches import by_id
from genjax.metrics.likelihood import log_likelihood_of, log_prior_of, normals
from genjax.models.contract import require
from genjax.models.labels import labels_for
from genjax.rng import named
from genjax.types import Key, Params, PerExample, State, UsageError

ACCEPT = 0.65
"""Share of accepted proposals at which a Hamiltonian step is about as long as pays."""
RATE = 0.1
"""How fast the step size adapts: the change of its logarithm when the share of accepted proposals is off by 1."""
TUNING_CHAINS = 8


class Annealed(NamedTuple):
    """What annealed chains say about each example."""

    log_likelihood: PerExample
    """Lower bound on log p(x) in expectation, nats; tighter with more temperatures and chains."""
    ess: PerExample
    """Effective number of chains, 1 ... n_chains."""
    acceptance: PerExample
    """Share of accepted proposals, mean over temperatures and chains; `ACCEPT` is aimed at."""


class Bidirectional(NamedTuple):
    """Chains both ways on data simulated from the model: E lower <= log p(x) <= E upper."""

    x: Any
    """The simulated data, (n, ...)."""
    lower: PerExample
    """From the prior to the posterior, nats."""
    upper: PerExample
    """From the posterior, of which the latent that made x is an exact sample, to the prior, nats."""
    acceptance: PerExample
    """Share of accepted proposals in the lower bound's chains, as in `Annealed`."""

    @property
    def gap(self) -> PerExample:
        """upper - lower: in the mean at least 0, and at least what either bound is off."""
        return self.upper - self.lower


def ais_log_likelihood(
    model: Any,
    params: Params,
    state: State,
    x: Any,
    key: Key,
    n_temperatures: int = 500,
    n_chains: int = 16,
    n_leapfrog: int = 10,
    *,
    y: Int[Array, " batch"] | None = None,
    id: Int[Array, " batch"] | None = None,
) -> Annealed:
    """log p(x) of each example by annealed importance sampling; compiled once for its settings.

    Step sizes are tuned for each example and temperature by chains of their own first and then held, so the chains
    that count are Markov chains with the right invariant distributions and the bound holds. About
    n_temperatures * n_leapfrog * (n_chains + 8) decodings with their gradients an example.

    Args:
        model: an autoencoder with `decode` and `prior_of`, such as `models.VAE`; its encoder is not used.
        params: over players.
        state: net states, likewise.
        x: (batch, ...) in the likelihood's range.
        key: same key, same numbers.
        n_temperatures: steps from the prior to the posterior, at least 1, along a sigmoid.
        n_chains: independent chains an example, at least 1.
        n_leapfrog: leapfrog steps of a transition, at least 1.
        y: labels of a class-conditional model.
        id: what tells the examples' draws apart; 0, 1, 2, ... without it.

    Source:
        Wu, Burda, Salakhutdinov & Grosse 2017, On the Quantitative Analysis of Decoder-Based Generative Models;
        Neal 2001, Annealed importance sampling.
    """
    return _annealed(model, params, state, x, key, n_temperatures, n_chains, n_leapfrog, y, id)


@partial(jax.jit, static_argnames=("model", "n_temperatures", "n_chains", "n_leapfrog"))
def _annealed(model, params, state, x, key, n_temperatures, n_chains, n_leapfrog, y, id) -> Annealed:
    run = _checked(model, params, state, x, y, n_temperatures, n_leapfrog, n_chains)
    n = jax.tree.leaves(x)[0].shape[0]
    keys = by_id(key, jnp.arange(n) if id is None else id)
    return _forward(run, _tuned(run, keys), keys, n_chains)


def bidirectional(
    model: Any,
    params: Params,
    state: State,
    key: Key,
    n: int = 16,
    n_temperatures: int = 500,
    n_chains: int = 16,
    n_leapfrog: int = 10,
) -> Bidirectional:
    """Bounds the distance of `ais_log_likelihood` from log p(x) at these settings, on n draws of the model.

    A gap well below the differences one wants to see says that the settings are enough, for data like the model's.
    Arguments as there; labels of a class-conditional model are 0, 1, 2, ... in turn.

    Source:
        Grosse, Ghahramani & Adams 2015, Sandwiching the marginal likelihood using bidirectional Monte Carlo.
    """
    return _sandwiched(model, params, state, key, n, n_temperatures, n_chains, n_leapfrog)


@partial(jax.jit, static_argnames=("model", "n", "n_temperatures", "n_chains", "n_leapfrog"))
def _sandwiched(model, params, state, key, n, n_temperatures, n_chains, n_leapfrog) -> Bidirectional:
    k_z, k_x, k_chains = (named(key, name) for name in ("latent", "data", "chains"))
    y = labels_for(n, model.n_classes)
    with nets.full_precision():
        z = model.latents(params, state, model.noise(k_z, n))
        x = lax.stop_gradient(model.decode(params["vae"], state["vae"], z, y)[0].sample(k_x))
    run = _checked(model, params, state, x, y, n_temperatures, n_leapfrog, n_chains)
    keys = by_id(k_chains, jnp.arange(n))
    sizes = _tuned(run, keys)
    lower, upper = _forward(run, sizes, keys, n_chains), _backward(run, sizes, keys, z, n_chains)
    return Bidirectional(x, lower.log_likelihood, upper, lower.acceptance)


class _Run(NamedTuple):
    """What chains share."""

    log_likelihood: Callable[[Array], Array]
    """(chains, batch, z) -> (chains, batch)."""
    log_prior: Callable[[Array], Array]
    """Likewise."""
    start: Callable[[Array, int], Array]
    """`start(keys, n_chains)`: samples of the prior, (chains, batch, z), of each example's key."""
    betas: np.ndarray
    """0 = beta_0 < ... < beta_T = 1."""
    n_leapfrog: int


class _Point(NamedTuple):
    """Where the chains are."""

    z: Float[Array, "chains batch z"]
    log_x: Float[Array, "chains batch"]
    """log p(x | z)."""
    slope: Float[Array, "chains batch z"]
    """Its gradient in z."""
    log_z: Float[Array, "chains batch"]
    """log p(z)."""
    slope_z: Float[Array, "chains batch z"]
    """Its gradient."""


def _checked(
    model: Any, params: Params, state: State, x: Any, y: Any, n_temperatures: int, n_leapfrog: int, n_chains: int
) -> _Run:
    require(model, "annealed importance sampling", "decode", "prior_of")
    counts = {"n_temperatures": n_temperatures, "n_chains": n_chains, "n_leapfrog": n_leapfrog}
    for name, value in counts.items():
        if value < 1:
            raise UsageError(f"{name}={value} must be at least 1.")
    with nets.full_precision():
        prior = model.prior_of(params["vae"], state["vae"])

    def start(keys: Array, n_chains: int) -> Array:
        noise = jax.vmap(lambda key: model.noise(jax.random.fold_in(key, 0), n_chains))(keys)
        with nets.full_precision():
            return jax.vmap(lambda one: model.latents(params, state, one), out_axes=1)(noise)

    likelihood = log_likelihood_of(model, params, state, x, y)
    return _Run(likelihood, partial(log_prior_of, prior), start, _betas(n_temperatures), n_leapfrog)


def _betas(n: int, radius: float = 4.0) -> np.ndarray:
    """n + 1 inverse temperatures along a sigmoid: most of them near 0 and 1, where the distributions change fastest."""
    s = 1.0 / (1.0 + np.exp(-np.linspace(-radius, radius, n + 1)))
    return (s - s[0]) / (s[-1] - s[0])


def _forward(run: _Run, sizes: Array, keys: Array, n_chains: int) -> Annealed:
    start, stream = _point(run, run.start(_stream(keys, "start"), n_chains)), _stream(keys, "forward")

    def step(carry, now):
        point, log_w = carry
        t, before, beta, size = now
        log_w = log_w + (beta - before) * point.log_x
        point, accept = _transition(run, point, beta, size, stream, t)
        return (point, log_w), accept.mean(0)

    between = (jnp.arange(1, len(run.betas)), *_pairs(run), sizes)
    (_, log_w), accept = lax.scan(step, (start, jnp.zeros_like(start.log_x)), between)
    ess = 1.0 / jnp.square(jax.nn.softmax(log_w, axis=0)).sum(0)
    return Annealed(losses.iwae(log_w), ess, accept.mean(0))


def _backward(run: _Run, sizes: Array, keys: Array, z: Float[Array, "batch z"], n_chains: int) -> PerExample:
    """The same chains from an exact sample of the posterior back to the prior: an upper bound in expectation."""
    start, stream = _point(run, jnp.broadcast_to(z[None], (n_chains, *z.shape))), _stream(keys, "backward")

    def step(carry, now):
        point, log_w = carry
        t, before, beta, size = now
        point, _ = _transition(run, point, beta, size, stream, t)
        return (point, log_w + (beta - before) * point.log_x), None

    between = (jnp.arange(1, len(run.betas)), *_pairs(run), sizes)
    (_, log_w), _ = lax.scan(step, (start, jnp.zeros_like(start.log_x)), between, reverse=True)
    return -losses.iwae(-log_w)


def _tuned(run: _Run, keys: Array) -> Float[Array, "t batch"]:
    """A step size for each temperature and example, found by a few annealed chains that serve for nothing else."""
    start, stream = _point(run, run.start(_stream(keys, "tuned"), TUNING_CHAINS)), _stream(keys, "tune")

    def step(carry, now):
        point, log_size = carry
        t, beta = now
        point, accept = _transition(run, point, beta, jnp.exp(log_size), stream, t)
        # Beyond 2 the prior's trajectories diverge.
        log_size = jnp.minimum(log_size + RATE * (accept.mean(0) - ACCEPT), jnp.log(1.5))
        return (point, log_size), jnp.exp(log_size)

    size = jnp.full(start.log_x.shape[1], jnp.log(0.3))
    t = jnp.arange(1, len(run.betas))
    return lax.scan(step, (start, size), (t, _pairs(run)[1]))[1]


def _transition(run: _Run, here: _Point, beta, size: PerExample, keys: Array, t) -> tuple[_Point, Array]:
    """One Hamiltonian proposal that leaves p(z) p(x | z)^beta invariant, taken or not, and how likely it was taken.

    Draws number t of the streams `keys`, one an example.
    """
    n_chains, _, n_z = here.z.shape
    draws = normals(keys, 2 * t, (n_chains, n_z)).swapaxes(0, 1)
    uniform = lambda key: jax.random.uniform(jax.random.fold_in(key, 2 * t + 1), (n_chains + 1,), jnp.float32)  # noqa: E731
    u = jax.vmap(uniform)(keys).T
    size = (size * (0.8 + 0.4 * u[0]))[None, :, None]  # or a trajectory might close upon itself
    force = lambda p: beta * p.slope + p.slope_z  # noqa: E731
    energy = lambda p, v: 0.5 * jnp.square(v).sum(2) - p.log_z - beta * p.log_x  # noqa: E731

    def leap(_, at):
        p, v = at
        v = v + 0.5 * size * force(p)
        p = _point(run, p.z + size * v)
        return p, v + 0.5 * size * force(p)

    there, v = lax.fori_loop(0, run.n_leapfrog, leap, (here, draws))
    gain = energy(here, draws) - energy(there, v)
    accept = jnp.where(jnp.isnan(gain), 0.0, jnp.exp(jnp.minimum(gain, 0.0)))
    taken = u[1:] < accept
    pick = lambda a, b: jnp.where(taken.reshape(taken.shape + (1,) * (a.ndim - 2)), a, b)  # noqa: E731
    return jax.tree.map(pick, there, here), accept


def _point(run: _Run, z: Float[Array, "chains batch z"]) -> _Point:
    (log_x, back), (log_z, back_z) = jax.vjp(run.log_likelihood, z), jax.vjp(run.log_prior, z)
    return _Point(z, log_x, back(jnp.ones_like(log_x))[0], log_z, back_z(jnp.ones_like(log_z))[0])


def _pairs(run: _Run) -> tuple[Array, Array]:
    """beta_(t-1) and beta_t for t = 1 ... T."""
    betas = jnp.asarray(run.betas, jnp.float32)
    return betas[:-1], betas[1:]


def _stream(keys: Array, name: str) -> Array:
    """Each example's key of a stream."""
    return jax.vmap(functools.partial(named, name=name))(keys)
