"""A linear-Gaussian VAE without parameters, whose evidence and posterior are known in closed form."""

import jax.numpy as jnp
import numpy as np

from genjax import distributions, models
from genjax.types import Net

SIGMA = 0.5
Z, N = 2, 5


def fixed(function):
    """A net with no parameters."""
    return Net(lambda key: ({}, {}), lambda params, state, x, train=False, key=None, y=None: (function(x, y), state))


def linear_gaussian(seed=0, exact=True):
    """x = W z + b + noise, shaped as 1 x N images; the encoder is the exact posterior's mean and (diagonal) variance.

    W has orthogonal columns, so the posterior is diagonal: precision I + W'W / sigma^2.
    """
    rng = np.random.default_rng(seed)
    q, _ = np.linalg.qr(rng.normal(size=(N, Z)))
    w, b = q * np.array([1.5, 0.7]), rng.normal(size=N)
    variance = 1.0 / (1.0 + (w**2).sum(0) / SIGMA**2)

    def encode(x, y):
        mu = ((x.reshape(-1, N) - b[None]) @ w / SIGMA**2) * variance[None]
        mu = mu if exact else 0.5 * mu + 0.3
        return jnp.concatenate([mu, jnp.broadcast_to(jnp.log(variance)[None], mu.shape)], 1).astype(jnp.float32)

    decode = lambda z, y: (z @ w.T + b[None]).reshape(-1, 1, N, 1).astype(jnp.float32)  # noqa: E731
    vae = models.VAE(fixed(encode), fixed(decode), Z, distributions.gaussian(SIGMA))
    covariance = w @ w.T + SIGMA**2 * np.eye(N)

    def log_evidence(x):
        d = np.asarray(x, np.float64).reshape(-1, N) - b
        _, logdet = np.linalg.slogdet(covariance)
        return -0.5 * (np.einsum("bi,ij,bj->b", d, np.linalg.inv(covariance), d) + logdet + N * np.log(2 * np.pi))

    x = (rng.normal(size=(64, Z)) @ w.T + b + SIGMA * rng.normal(size=(64, N))).reshape(64, 1, N, 1)
    return vae, jnp.asarray(x, jnp.float32), log_evidence
