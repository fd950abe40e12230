"""Sliced Wasserstein distance, and MIND, its scaled square: random directions, one sort each."""

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from genjax import rng
from genjax.errors import UsageError
from genjax.metrics.samples import Samples, blocks, centred, chunk_rows, pair
from genjax.types import Key


def sliced_wasserstein(real: Samples, fake: Samples, key: Key, n_projections: int = 1000) -> float:
    """Root mean square over random unit directions of the 2-Wasserstein distance of the projections; >= 0.

    In units of the features. Exact in each direction, also for sets of unlike size.

    Args:
        real: (n, d).
        fake: (m, d).
        key: draws the directions; the same key gives the same directions to whatever is compared.
        n_projections: directions; the estimate's relative error falls like its root.

    Raises:
        UsageError: samples that are not (n, d), not finite, or of unlike d; no direction.

    Source:
        Bonneel et al. 2015, Sliced and Radon Wasserstein Barycenters of Measures.

    Example:
        >>> x = np.asarray([[0.0], [1.0], [5.0]])
        >>> sliced_wasserstein(x, x + 2, jax.random.key(0))
        2.0
    """
    return float(np.sqrt(_mean_square(real, fake, key, n_projections)))


def mind(real: Samples, fake: Samples, key: Key, n_projections: int = 1000) -> float:
    """MIND: 3 d times the mean squared 2-Wasserstein distance of projections on random directions; >= 0.

    Needs far fewer samples than a Fréchet distance and sees more than two moments. For Gaussians that differ by a shift
    it is, on average over directions, three times the Fréchet distance. Its bias falls with n: compare at one n.

    Args:
        real: (n, d).
        fake: (m, d).
        key: draws the directions.
        n_projections: directions.

    Raises:
        UsageError: as `sliced_wasserstein`.

    Source:
        Berthet et al. 2026, MIND: Monge Inception Distance for Generative Models Evaluation.
    """
    return 3 * real.shape[-1] * _mean_square(real, fake, key, n_projections)


def _mean_square(real: Samples, fake: Samples, key: Key, n_projections: int) -> float:
    """Mean over directions of the squared distance of projections. They are made on the device, and sorted on the host:
    NumPy sorts several times faster than XLA does on a CPU, and an accelerator has little to do."""
    if n_projections < 1:
        raise UsageError(f"n_projections={n_projections} must be at least 1.")
    both = centred(*pair(real, fake, least=1))
    theta = jax.random.normal(rng.named(key, "directions"), (n_projections, both.centre.size), jnp.float32)
    theta /= jnp.linalg.norm(theta, axis=1, keepdims=True)
    a, b = jnp.asarray(both.real), jnp.asarray(both.fake)
    i, j, weight = _coupling(len(a), len(b))
    squares = []
    for rows in blocks(n_projections, chunk_rows(n_projections, len(a) + len(b))):
        x, y = (np.sort(np.asarray(_projections(theta[rows], v)), axis=1) for v in (a, b))
        squares.append(np.square(x[:, i] - y[:, j]) @ weight)
    return float(np.concatenate(squares).mean())


@jax.jit
def _projections(theta, x) -> Float[Array, "p n"]:
    return jnp.matmul(theta, x.T, precision="highest")


def _coupling(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The optimal plan between n and m sorted points of equal weight: (index, index, mass) of its parts."""
    ends = np.union1d(np.arange(1, n + 1) * m, np.arange(1, m + 1) * n)  # in units of 1 / (n m)
    starts = np.concatenate([[0], ends[:-1]])
    return starts // m, starts // n, (ends - starts) / (n * m)
