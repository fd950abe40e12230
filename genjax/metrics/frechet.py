"""Fréchet distance between Gaussians fitted to samples (in a feature space), and its limit for many samples.

The distance needs the trace of (S_r S_f)^(1/2). With S = F F', F of shape (d, k), it is the sum of the singular values
of F_r' F_f. Two matrices F serve: from the eigenvectors of S, with k <= d, or the samples themselves less their mean,
with k = n. Of n < d samples the latter needs no (d, d) matrix at all: F_r' F_f is then the cross-Gram matrix of the two
sets. `_plan` chooses by cost, from the shapes alone, so that the same samples give the same number to the bit.
"""

import functools
import warnings
from collections.abc import Callable
from typing import NamedTuple, TypeAlias

import jax
import numpy as np

from genjax import rng
from genjax.errors import UsageError
from genjax.metrics.samples import Samples, blocks, check_samples
from genjax.types import Key


class Moments(NamedTuple):
    """Mean and covariance of samples, in float64: all that a Fréchet distance needs of them."""

    mean: np.ndarray
    """(d,)"""
    cov: np.ndarray
    """(d, d), divided by n - 1"""
    n: int | None = None
    """Samples they were computed from; None where unknown."""


class Fitted:
    """The Gaussian of samples, or a given one; what a distance needs of it is made when first asked for, and kept.

    Args:
        name: what to call it in a message.
        given: samples (n, d), their `Moments`, or (mean, cov).
    """

    def __init__(self, name: str, given: "Samples | Moments | tuple[np.ndarray, np.ndarray]"):
        self.name = name
        self._samples: np.ndarray | None = None
        if isinstance(given, tuple):
            self.moments = _checked(name, given)
            self.mean: np.ndarray = self.moments.mean
            self.n: int | None = self.moments.n
        else:
            self._samples = check_samples(name, given)
            self.n, self.mean = len(self._samples), _mean(self._samples)
        self.d = self.mean.size

    @functools.cached_property
    def moments(self) -> Moments:
        """Mean and covariance."""
        x, cov = self._rows(), np.zeros((self.d, self.d))
        for rows in blocks(len(x)):
            a = x[rows] - self.mean
            cov += a.T @ a
        return Moments(self.mean, cov / (len(x) - 1), len(x))

    def trace(self, by_samples: bool) -> float:
        """The trace of the covariance, from the samples where that matrix is not made."""
        if not by_samples:
            return float(np.trace(self.moments.cov))
        return self.squares(np.arange(self.n or 0), self.mean)

    def squares(self, rows: np.ndarray, mean: np.ndarray) -> float:
        """Trace of the covariance of those samples, whose mean it is."""
        x = self._rows()
        parts = [np.square(x[rows[part]] - mean).sum() for part in blocks(len(rows))]
        return float(np.sum(parts)) / (len(rows) - 1)

    @functools.cached_property
    def factor(self) -> np.ndarray:
        """(d, rank) F with F F' = cov, of eigenvectors."""
        return _factor(self.name, self.moments.cov, self.d if self.n is None else self.n - 1)

    def deviations(self) -> np.ndarray:
        """(d, n) F with F F' = cov, of the samples."""
        x = self._rows()
        return (x - self.mean).T / np.sqrt(len(x) - 1)

    def taken(self, rows: np.ndarray) -> "Fitted":
        """The same, fitted to these rows of the samples alone."""
        return Fitted(self.name, self._rows()[rows])

    @property
    def given_samples(self) -> bool:
        """Whether there are samples, or moments alone."""
        return self._samples is not None

    def mean_of(self, rows: np.ndarray) -> np.ndarray:
        """(d,) mean of those samples."""
        return _mean(self._rows()[rows])

    def _rows(self) -> np.ndarray:
        assert self._samples is not None
        return self._samples


Gaussian: TypeAlias = Samples | Moments | tuple[np.ndarray, np.ndarray] | Fitted
"""Samples (n, d), their `Moments`, a pair (mean (d,), cov (d, d)), or what `Fitted` made of one of them."""


def moments(features: Samples) -> Moments:
    """Mean and unbiased covariance of samples (n, d) in float64, in two passes by blocks of rows.

    Example:
        >>> moments(np.asarray([[0.0, 1.0], [2.0, 1.0]])).cov.tolist()
        [[2.0, 0.0], [0.0, 0.0]]
    """
    return Fitted("features", features).moments


def frechet_distance(real: Gaussian, fake: Gaussian) -> float:
    """Fréchet distance between the Gaussians fitted to two sets of samples, in squared units of the features; >= 0.

    |mu_r - mu_f|^2 + Tr(S_r + S_f - 2 (S_r S_f)^(1/2)), in float64 on the host. The trace of the root is a sum of
    singular values (see the module): always real, and exact to rounding where covariances are singular, where roots of
    the product's eigenvalues keep only half of the digits.

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
    r, f = _pair(real, fake)
    few = [f"{name} has {g.n} samples" for name, g in (("real", r), ("fake", f)) if g.n is not None and g.n <= g.d]
    if few:
        warnings.warn(
            f"{' and '.join(few)} in {f.d} dimensions: a covariance is singular, and the Fréchet distance mostly bias: "
            "compare it at one n only. kernel_distance (kd) has no bias.",
            stacklevel=2,
        )
    return _distance(r, f)


def frechet_of_subsets(real: Gaussian, fake: Gaussian) -> Callable[[np.ndarray], float]:
    """`f(rows)`: the Fréchet distance of `real` from those rows of `fake` alone, without a warning of few samples.

    Where samples stand for the covariance of a subset, their product with the real side is made once: a subset of it
    less its mean is that of the subset. Then a subset costs singular values alone, and no product of d terms.

    Args:
        real: as `frechet_distance`.
        fake: samples (m, d).
    """
    r, f = _pair(real, fake)
    products: dict[bool, np.ndarray] = {}

    def distance(rows: np.ndarray) -> float:
        n = len(rows)
        by_samples = _plan(r, n, f.d)
        real_samples, fake_samples = by_samples
        if not fake_samples or len(r.mean) * (f.n or 0) > MOST_KEPT:
            return _distance(r, f.taken(rows), by_samples)
        if real_samples not in products:
            left = r.deviations() if real_samples else r.factor
            products[real_samples] = left.T @ (f.deviations() * np.sqrt((f.n or 0) - 1))
        product = products[real_samples][:, rows]
        mean = f.mean_of(rows)
        root = _nuclear((product - product.mean(1, keepdims=True)) / np.sqrt(n - 1))
        return _total(r.mean - mean, r.trace(real_samples) + f.squares(rows, mean), root)

    return distance


def frechet_infinity(real: Gaussian, fake: Samples, key: Key, n_sizes: int = 15, smallest: int | None = None) -> float:
    """The Fréchet distance of infinitely many fake samples, extrapolated by a line in 1/n; may be below 0.

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
    r, f = _pair(real, check_samples("fake", fake))
    m, d = f.n or 0, f.d
    smallest = max(m // 10, min(d + 1, m // 2)) if smallest is None else smallest
    if n_sizes < 2 or smallest < 2 or m - smallest < n_sizes - 1:
        raise UsageError(f"{m} fake samples do not give {n_sizes} sizes from {smallest} on; take more samples.")
    if smallest <= d or (r.n is not None and r.n <= d):
        warnings.warn(
            f"subsets from {smallest} fake samples on and {r.n or 'given moments of'} real ones in {d} dimensions: "
            "covariances are singular, and the distance is no line in 1/n there. Take more samples.",
            stacklevel=2,
        )
    sizes, distance = np.linspace(smallest, m, n_sizes).astype(int), frechet_of_subsets(r, f)
    found = []
    for i, n in enumerate(sizes):
        rows = np.asarray(jax.random.permutation(rng.at_step(rng.named(key, "subsets"), i), m))[:n]
        found.append(distance(np.sort(rows)))
    return float(np.polynomial.Polynomial.fit(1 / sizes, found, 1)(0.0))


def operations(n: int, m: int, d: int) -> float:
    """About how many floating-point operations the distance of n real samples from m others in d dimensions takes."""
    return min(_costs(n, m, d).values())


MOST_KEPT = 2**26
"""Numbers of a product that is kept for subsets, at most: 512 MiB."""
USES = 20
"""Distances that a real side serves, about: one of all samples, and those of the halves of an interval."""
Plan: TypeAlias = tuple[bool, bool]
"""Whether the samples themselves stand for the covariance, of the real and of the fake side."""


def _costs(n: int, m: int, d: int) -> dict[Plan, float]:
    """Floating-point operations of each plan, roughly: products, eigenvectors, singular values."""
    found = {}
    for plan in ((False, False), (False, True), (True, False), (True, True)):
        k = [size if own else d for size, own in zip((n, m), plan, strict=True)]
        made = [0.0 if own else size * d**2 + 10.0 * d**3 for size, own in zip((n, m), plan, strict=True)]
        least, most = sorted(k)
        found[plan] = made[0] / USES + made[1] + 2.0 * least * most * d + 4.0 * most * least**2 + 8.0 * least**3
    return found


def _plan(r: Fitted, m: int, d: int, samples: bool = True) -> Plan:
    """The cheapest way of those there are; a function of the shapes alone."""
    costs = _costs(r.n or d, m, d)
    there = [p for p in costs if (r.given_samples or not p[0]) and (samples or not p[1])]
    return min(there, key=lambda plan: costs[plan])


def _mean(x: np.ndarray) -> np.ndarray:
    return np.sum([x[rows].sum(0, dtype=np.float64) for rows in blocks(len(x))], 0) / len(x)


def _pair(real: Gaussian, fake: Gaussian) -> tuple[Fitted, Fitted]:
    r, f = (g if isinstance(g, Fitted) else Fitted(name, g) for name, g in (("real", real), ("fake", fake)))
    if r.d != f.d:
        raise UsageError(f"real has {r.d} features a sample and fake {f.d}; both must come from one feature net.")
    return r, f


def _checked(name: str, given: tuple) -> Moments:
    """Given moments, checked."""
    mean, cov = (np.asarray(a, np.float64) for a in given[:2])
    if mean.ndim != 1 or cov.shape != 2 * mean.shape:
        raise UsageError(f"{name}: a mean of shape {mean.shape} and a covariance of shape {cov.shape} do not fit.")
    if not (np.isfinite(mean).all() and np.isfinite(cov).all()):
        raise UsageError(f"{name}: mean or covariance hold NaN or infinity.")
    return Moments(mean, (cov + cov.T) / 2, given.n if isinstance(given, Moments) else None)


def _factor(name: str, cov: np.ndarray, rank: int) -> np.ndarray:
    """F (d, rank) with F F' = cov, of that rank at most: what rounding makes of zeros, 1e-16 of the largest, has a root
    of 1e-8, and there may be thousands."""
    values, vectors = np.linalg.eigh(cov)
    if values[0] < -1e-3 * abs(values[-1]):
        raise UsageError(f"{name}: the covariance has the eigenvalue {values[0]:.3g}; none can be negative.")
    kept = (values > 0) & (np.arange(len(values)) >= len(values) - rank)
    return vectors[:, kept] * np.sqrt(values[kept])


def _distance(r: Fitted, f: Fitted, plan: Plan | None = None) -> float:
    """The distance, by the cheapest way or the given one."""
    own = plan or _plan(r, f.n or f.d, f.d, f.given_samples)
    left, right = (g.deviations() if by_samples else g.factor for g, by_samples in zip((r, f), own, strict=True))
    traces = [g.trace(by_samples) for g, by_samples in zip((r, f), own, strict=True)]
    return _total(r.mean - f.mean, sum(traces), _nuclear(left.T @ right))


def _nuclear(a: np.ndarray) -> float:
    """The sum of the singular values."""
    if not a.size:
        return 0.0
    if min(a.shape) < 0.8 * max(a.shape):
        tall = a if a.shape[0] > a.shape[1] else a.T
        a = np.asarray(np.linalg.qr(tall, mode="r"))  # made of products of blocks, as an SVD is not
    return float(np.linalg.svd(a, compute_uv=False).sum())


def _total(shift: np.ndarray, traces: float, root: float) -> float:
    return max(0.0, float(np.square(shift).sum() + traces - 2 * root))
