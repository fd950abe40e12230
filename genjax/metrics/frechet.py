"""Fréchet distance between Gaussians fitted to samples (in a feature space), and its limit for many samples."""

import warnings
from typing import NamedTuple, TypeAlias

import jax
import numpy as np

from genjax import rng
from genjax.errors import UsageError
from genjax.metrics.samples import Samples, blocks, checked
from genjax.types import Key


class Moments(NamedTuple):
    """Mean and covariance of samples, in float64: all that a Fréchet distance needs of them."""

    mean: np.ndarray
    """(d,)"""
    cov: np.ndarray
    """(d, d), divided by n - 1"""
    n: int | None = None
    """Samples they were computed from; None where nobody knows."""


Gaussian: TypeAlias = Samples | Moments | tuple[np.ndarray, np.ndarray]
"""Samples (n, d), their `Moments`, or a pair (mean (d,), cov (d, d))."""


def moments(features: Samples) -> Moments:
    """Mean and unbiased covariance of samples (n, d) in float64, in two passes by blocks of rows.

    Example:
        >>> moments(np.asarray([[0.0, 1.0], [2.0, 1.0]])).cov.tolist()
        [[2.0, 0.0], [0.0, 0.0]]
    """
    return _moments(checked("features", features))


def frechet_distance(real: Gaussian, fake: Gaussian) -> float:
    """Fréchet distance between the Gaussians fitted to two sets of samples, in squared units of the features; >= 0.

    |mu_r - mu_f|^2 + Tr(S_r + S_f - 2 (S_r S_f)^(1/2)), in float64 on the host. With S = A A' from symmetric
    eigendecompositions, the trace of the root is the sum of the singular values of A_r' A_f: always real, and exact to
    rounding where covariances are singular, where roots of the product's eigenvalues keep only half of the digits.

    In the features of the TensorFlow Inception-v3 this is the FID; in others give it their name (`fd_mnist`).
    Its bias falls like 1/n and depends on the model: compare distances of one n only, or see `frechet_infinity`.

    Args:
        real: samples (n, d), or `Moments`, or (mean, cov).
        fake: likewise, of the same d.

    Raises:
        UsageError: samples that are not (n, d), not finite, or of unlike d; a covariance with negative eigenvalues.

    Warns:
        UserWarning: no more samples than dimensions.

    Source:
        Dowson & Landau 1982, The Fréchet distance between multivariate normal distributions; Heusel et al. 2017,
        GANs Trained by a Two Time-Scale Update Rule Converge to a Local Nash Equilibrium (FID).

    Example:
        >>> round(frechet_distance((np.zeros(2), np.eye(2)), (np.ones(2), 4 * np.eye(2))), 12)
        4.0
    """
    r, f = _gaussian("real", real), _gaussian("fake", fake)
    if r.mean.shape != f.mean.shape:
        raise UsageError(
            f"real has {r.mean.size} features a sample and fake {f.mean.size}; both must come from one feature net."
        )
    for name, g in (("real", r), ("fake", f)):
        if g.n is not None and g.n <= g.mean.size:
            warnings.warn(
                f"{name} has {g.n} samples in {g.mean.size} dimensions: their covariance is singular and the Fréchet "
                "distance far too large. Take more, or use kernel_distance or mind, which need fewer.",
                stacklevel=2,
            )
    return _distance(r, _factor("real", r.cov), f)


def frechet_infinity(
    real: Gaussian, fake: Samples, key: Key, n_sizes: int = 15, smallest: int | None = None
) -> float:
    """The Fréchet distance that infinitely many fake samples would have, as a line in 1/n says; may be below 0.

    Distances of random subsets of `n_sizes` sizes, evenly spaced from `smallest` to all, are fitted by least squares
    to a + b/n; the result is a. What remains is the bias of the real samples, the same for every model.

    Args:
        real: samples (n, d), `Moments`, or (mean, cov); used as a whole.
        fake: samples (m, d).
        key: draws the subsets.
        n_sizes: subset sizes, at least 2.
        smallest: the smallest; by default a tenth of m, more where that would not exceed d. The line is an expansion
            for n well above d.

    Raises:
        UsageError: as `frechet_distance`; too few samples for so many sizes.

    Warns:
        UserWarning: the smallest subset has no more samples than dimensions.

    Source:
        Chong & Forsyth 2020, Effectively Unbiased FID and Inception Score and where to find them. They draw the
        samples themselves by a Sobol sequence; here the samples are given.
    """
    r, x = _gaussian("real", real), checked("fake", fake)
    m, d = x.shape
    if r.mean.shape != (d,):
        raise UsageError(f"real has {r.mean.size} features a sample and fake {d}; both must come from one feature net.")
    smallest = max(m // 10, min(d + 1, m // 2)) if smallest is None else smallest
    if n_sizes < 2 or smallest < 2 or m - smallest < n_sizes - 1:
        raise UsageError(f"{m} fake samples do not give {n_sizes} sizes from {smallest} on; take more samples.")
    if smallest <= d or (r.n is not None and r.n <= d):
        warnings.warn(
            f"subsets from {smallest} fake samples on and {r.n or 'given moments of'} real ones in {d} dimensions: "
            "covariances are singular, and the distance is no line in 1/n there. Take more samples.",
            stacklevel=2,
        )
    sizes = np.linspace(smallest, m, n_sizes).astype(int)
    factor = _factor("real", r.cov)
    found = []
    for i, n in enumerate(sizes):
        rows = np.asarray(jax.random.permutation(rng.at_step(rng.named(key, "subsets"), i), m))[:n]
        found.append(_distance(r, factor, _moments(x[np.sort(rows)])))
    return float(np.polynomial.Polynomial.fit(1 / sizes, found, 1)(0.0))


def _moments(x: np.ndarray) -> Moments:
    n, d = x.shape
    mean = np.sum([x[rows].sum(0, dtype=np.float64) for rows in blocks(n)], 0) / n
    cov = np.zeros((d, d))
    for rows in blocks(n):
        a = x[rows] - mean
        cov += a.T @ a
    return Moments(mean, cov / (n - 1), n)


def _gaussian(name: str, x: Gaussian) -> Moments:
    """Moments of whatever describes a Gaussian, checked."""
    if not isinstance(x, tuple):
        return _moments(checked(name, x))
    mean, cov = (np.asarray(a, np.float64) for a in x[:2])
    if mean.ndim != 1 or cov.shape != 2 * mean.shape:
        raise UsageError(f"{name}: a mean of shape {mean.shape} and a covariance of shape {cov.shape} do not fit.")
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise UsageError(f"{name}: mean or covariance hold NaN or infinity.")
    return Moments(mean, (cov + cov.T) / 2, x.n if isinstance(x, Moments) else None)


def _factor(name: str, cov: np.ndarray) -> np.ndarray:
    """A (d, rank) with A A' = cov."""
    values, vectors = np.linalg.eigh(cov)
    if values[0] < -1e-3 * abs(values[-1]):
        raise UsageError(f"{name}: the covariance has the eigenvalue {values[0]:.3g}; none can be negative.")
    kept = values > 0  # what rounding has made of zeros is some 1e-16 of the largest
    return vectors[:, kept] * np.sqrt(values[kept])


def _distance(r: Moments, factor: np.ndarray, f: Moments) -> float:
    """The distance, given A of the first covariance."""
    other = _factor("fake", f.cov)
    root = np.linalg.svd(factor.T @ other, compute_uv=False).sum() if factor.size and other.size else 0.0
    total = np.square(r.mean - f.mean).sum() + np.trace(r.cov) + np.trace(f.cov) - 2 * root
    return max(0.0, float(total))
