"""Priors p(z) of an autoencoder's latents: bundles of pure functions, as likelihoods are for p(x | z).

A prior has parameters of its own, trained jointly with the model's; `apply` makes a distribution of them, with
`log_prob(z)`. Samples are made of noise: `noise` draws it and `latents` takes it to z, so that the same noise shows how
samples change while a model trains.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from genjax.distributions.gaussian import Normal
from genjax.distributions.numerics import LOG_2PI, at_least_float32
from genjax.types import Key, Net, Params, PerExample, UsageError

Encode = Callable[[Any], Normal]
"""A model's q(z | x) as a function of x alone."""


@dataclass(frozen=True)
class Prior:
    """A distribution of latents z as pure functions.

    Attributes:
        init: `init(key) -> Params`: its own parameters; `{}` where there are none.
        apply: `apply(params, encode) -> p`, which has `log_prob(z) -> (batch,)` in nats; `encode(x) -> q(z | x)`.
        noise: `noise(key, n, temperature)`: a tree of arrays, n first; a temperature below 1 asks for likelier samples.
        latents: `latents(params, noise, encode) -> (n, z)`: samples of p(z) where the temperature is 1.
        name: as `--prior` has it.
    """

    init: Callable[[Key], Params]
    apply: Callable[[Params, Encode], Any]
    noise: Callable[[Key, int, float | int], Any]
    latents: Callable[[Params, Any, Encode], Float[Array, "n z"]]
    name: str = ""


def standard_normal(z_dim: int) -> Prior:
    """N(0, I) over z_dim dimensions; its noise is z itself.

    Example:
        >>> p = standard_normal(3)
        >>> p.noise(jax.random.key(0), 2, 1.0).shape, p.apply({}, None).shape
        ((2, 3), (1, 3))
    """

    def noise(key: Key, n: int, temperature: float | int = 1.0) -> Float[Array, "n z"]:
        return scaled(jax.random.normal(key, (n, z_dim), jnp.float32), temperature)

    return Prior(lambda key: {}, lambda *_: Normal.standard((1, z_dim)), noise, lambda _, z, __: z, "standard_normal")


def scaled(noise: Any, temperature: float | int) -> Any:
    """Normal draws times a temperature, untouched where that is 1."""
    return noise if isinstance(temperature, int | float) and temperature == 1 else noise * jnp.float32(temperature)


def rate(q: Any, p: Any, z: Float[Array, "batch z"]) -> Float[Array, "batch groups"]:
    """KL(q(z | x) || p(z)) per example and group, nats: closed form for two normals, a group for each dimension.

    For any other pair the estimate log q(z | x) - log p(z) of the sample z, in one group; it may be negative.

    Example:
        >>> q = Normal(jnp.ones((1, 2)), jnp.zeros((1, 2)))
        >>> rate(q, Normal.standard((1, 2)), q.mu).tolist()
        [[0.5, 0.5]]
    """
    if isinstance(q, Normal) and isinstance(p, Normal):
        return q.kl_terms(p)
    return (q.log_prob(z) - p.log_prob(z))[:, None]


class Mixture(NamedTuple):
    """An evenly weighted mixture of normals over the same event, one for each row of the fields."""

    components: Normal

    def log_prob(self, z: Float[Array, "batch z"]) -> PerExample:
        """Log density per example, nats; memory grows with batch * components."""
        q, n_z = self.components, z.shape[1]
        terms = q.logvar[None] + jnp.square(at_least_float32(z)[:, None] - q.mean[None]) * jnp.exp(-q.logvar)[None]
        each = -0.5 * (terms.sum(2) + n_z * LOG_2PI)
        return jax.nn.logsumexp(each, axis=1) - math.log(each.shape[1])


def vamp(z_dim: int, shape: tuple[int, ...], n: int = 500, low: float = 0.0, high: float = 1.0) -> Prior:
    """VampPrior: the mean of q(z | u_k) over n learned pseudo-inputs u_k, kept within (low, high) by a sigmoid.

    The encoder is the model's own, in evaluation mode. Its rate is estimated by the sample of z.

    Args:
        z_dim: latent dimensions.
        shape: of one example.
        n: pseudo-inputs, at least 1; the paper has 500.
        low, high: the range of the data.

    Source:
        Tomczak & Welling 2018, VAE with a VampPrior.
    """
    if n < 1:
        raise UsageError(f"n={n}: a VampPrior needs at least 1 pseudo-input. Try 500.")

    def components(params: Params, encode: Encode) -> Normal:
        return encode(low + (high - low) * jax.nn.sigmoid(params["inputs"]))

    def init(key: Key) -> Params:
        return {"inputs": jax.random.normal(key, (n, *shape), jnp.float32)}

    def noise(key: Key, m: int, temperature: float | int = 1.0) -> dict[str, Array]:
        k_which, k_eps = jax.random.split(key)
        eps = scaled(jax.random.normal(k_eps, (m, z_dim), jnp.float32), temperature)
        return {"which": jax.random.randint(k_which, (m,), 0, n), "eps": eps}

    def latents(params: Params, noise: dict[str, Array], encode: Encode) -> Float[Array, "m z"]:
        q = jax.tree.map(lambda v: v[noise["which"]], components(params, encode))
        return q.mean + q.scale * noise["eps"]

    return Prior(init, lambda params, encode: Mixture(components(params, encode)), noise, latents, "vamp")


class Flow(NamedTuple):
    """N(0, I) moved by coupling layers, each of which scales and shifts every second dimension by the others."""

    params: Sequence[Params]
    nets: Sequence[Net]

    def normalise(self, z: Float[Array, "batch z"]) -> tuple[Float[Array, "batch z"], PerExample]:
        """z on its way to N(0, I), and log |det| of the Jacobian, per example in nats."""
        log_det = jnp.zeros(z.shape[0], jnp.float32)
        for i in range(len(self.nets)):
            keep, s, t = self._coupling(i, z)
            z, log_det = jnp.where(keep, z, (z - t) * jnp.exp(-s)), log_det - jnp.where(keep, 0.0, s).sum(1)
        return z, log_det

    def generate(self, u: Float[Array, "batch z"]) -> Float[Array, "batch z"]:
        """The inverse: standard normal draws to z."""
        for i in reversed(range(len(self.nets))):
            keep, s, t = self._coupling(i, u)
            u = jnp.where(keep, u, u * jnp.exp(s) + t)
        return u

    def log_prob(self, z: Float[Array, "batch z"]) -> PerExample:
        """Log density per example, nats."""
        u, log_det = self.normalise(at_least_float32(z))
        return Normal.standard((1, z.shape[1])).log_prob(u) + log_det

    def _coupling(self, i: int, z: Float[Array, "batch z"]):
        """Layer i: which dimensions it keeps, and log-scales and shifts of the others."""
        keep = (jnp.arange(z.shape[1]) % 2 == i % 2)[None]
        out, _ = self.nets[i].apply(self.params[i]["net"], {}, jnp.where(keep, z, 0.0))
        s, t = jnp.split(at_least_float32(out) * self.params[i]["gain"][None], 2, axis=1)
        return keep, 2.0 * jnp.tanh(0.5 * s), t


def realnvp(z_dim: int, nets: Sequence[Net]) -> Prior:
    """A RealNVP flow: N(0, I) through one coupling layer for each net, the identity to begin with.

    Its density is exact; the rate is estimated by the sample of z.

    Args:
        z_dim: latent dimensions, at least 2.
        nets: (batch, z_dim) -> (batch, 2 z_dim), say `nets.mlp_encoder((z_dim,), 2 * z_dim)`; an even number.

    Source:
        Dinh, Sohl-Dickstein & Bengio 2017, Density estimation using Real NVP; as a prior: Huang et al. 2017, Learnable
        Explicit Density for Continuous Latent Space and Variational Inference.
    """
    if z_dim < 2:
        raise UsageError(f"z_dim={z_dim}: a coupling needs at least 2 dimensions. Use standard_normal for one.")
    if any(net.couples_examples for net in nets):
        raise UsageError(
            "a coupling layer's net may not look at other examples (batch norm): a prior is of one example."
        )

    def init(key: Key) -> Params:
        keys = jax.random.split(key, len(nets))
        layers = [
            {"net": net.init(k)[0], "gain": jnp.zeros(2 * z_dim, jnp.float32)}
            for net, k in zip(nets, keys, strict=True)
        ]
        return {str(i): layer for i, layer in enumerate(layers)}

    def flow(params: Params, encode: Encode | None = None) -> Flow:
        return Flow([params[str(i)] for i in range(len(nets))], nets)

    noise = standard_normal(z_dim).noise
    return Prior(init, flow, noise, lambda params, u, encode: flow(params).generate(u), "realnvp")
