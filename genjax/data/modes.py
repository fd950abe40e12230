"""The modes of a column of numbers: a mixture of normals in one dimension, fitted by variational Bayes. NumPy only.

A column such as `capital-gain` (0 for most people, thousands for some) is no bell curve, and a net that must give
such a number directly spreads it. Told by its mode and by the place within it, each part is one that a net can give. A
value that many rows share is a mode of its own, without a width.
"""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

MOST = 10
"""Modes of a column at most, as in CTGAN."""
POINTS = 4096
"""Different values that a fit looks at; more of them are first put together to so many, by order."""
CONCENTRATION = 1e-3
"""The concentration of the Dirichlet process: how readily a further mode is opened. CTGAN's."""
LEAST_WEIGHT = 0.005
"""Share of the rows below which a mode is none. CTGAN's."""
ATOM = 0.05
"""Share of the rows that makes a value a mode of its own. Ours: CTGAN spreads `capital-gain`'s zeros over 0 +- 44."""
REGULAR = 1e-6
"""Added to the variances of components, in units of the column's variance."""


class Modes(NamedTuple):
    """Components of a mixture: first the values that many rows share, then normals, each by falling weight."""

    weight: Float64[np.ndarray, " k"]
    """Sums to 1."""
    mean: Float64[np.ndarray, " k"]
    sd: Float64[np.ndarray, " k"]
    """0 of a single value."""


class Posterior(NamedTuple):
    """The variational posterior of a Dirichlet process mixture: Beta sticks, normal-Wishart components."""

    stick_a: Float64[np.ndarray, " k"]
    stick_b: Float64[np.ndarray, " k"]
    mean: Float64[np.ndarray, " k"]
    mean_precision: Float64[np.ndarray, " k"]
    """In units of a component's precision."""
    dof: Float64[np.ndarray, " k"]
    variance: Float64[np.ndarray, " k"]

    @property
    def weight(self) -> Float64[np.ndarray, " k"]:
        """Expected weights, normalised over the components that there are."""
        total = self.stick_a + self.stick_b
        left = np.concatenate([[1.0], np.cumprod((self.stick_b / total)[:-1])])
        w = self.stick_a / total * left
        return w / w.sum()


def modes_of(x: Float[np.ndarray, " n"], most: int = MOST) -> Modes:
    """The modes of a column's values: those that many rows share, and a variational Bayesian mixture of all others.

    Args:
        x: finite values, at least one.
        most: modes at most, at least 2.

    Source:
        Xu et al. 2019, Modeling Tabular Data using Conditional GAN, section 4.2 (mode-specific normalisation); Blei &
        Jordan 2006, Variational Inference for Dirichlet Process Mixtures.

    Example:
        >>> x = np.concatenate([np.zeros(50), np.linspace(99.0, 101.0, 50)])
        >>> found = modes_of(x)
        >>> found.mean.round().tolist(), found.weight.round(2).tolist(), found.sd.round(1).tolist()
        ([0.0, 100.0], [0.5, 0.5], [0.0, 0.6])
    """
    values, counts = np.unique(np.asarray(x, np.float64), return_counts=True)
    n, by_count = counts.sum(), np.argsort(-counts, kind="stable")
    atoms = [i for i in by_count[: most - 1] if counts[i] >= max(ATOM * n, 2)]
    others = np.setdiff1d(np.arange(len(values)), atoms)
    weight, mean, sd = counts[atoms] / n, values[atoms], np.zeros(len(atoms))
    if len(others):
        rest = _mixture(values[others], counts[others].astype(np.float64), most - len(atoms))
        share = counts[others].sum() / n
        weight, mean, sd = (
            np.concatenate(pair) for pair in ((weight, rest.weight * share), (mean, rest.mean), (sd, rest.sd))
        )
    return Modes(weight, mean, sd)


def _mixture(values: np.ndarray, counts: np.ndarray, most: int) -> Modes:
    """The components that hold at least `LEAST_WEIGHT` of the points; a single value is one without a width."""
    if len(values) == 1:
        return Modes(np.ones(1), values, np.zeros(1))
    centre = np.average(values, weights=counts)
    scale = np.sqrt(np.average((values - centre) ** 2, weights=counts))
    points, n = _grouped((values - centre) / scale, counts)
    p = posterior(points, n, _nearest(points, _kmeans(points, n, min(most, len(points)))))
    keep = np.flatnonzero(p.weight > LEAST_WEIGHT)
    keep = keep[np.argsort(-p.weight[keep], kind="stable")]
    w = p.weight[keep]
    return Modes(w / w.sum(), p.mean[keep] * scale + centre, np.sqrt(p.variance[keep]) * scale)


def posterior(
    x: Float64[np.ndarray, " n"],
    counts: Float64[np.ndarray, " n"],
    share: Float64[np.ndarray, "n k"],
    iterations: int = 100,
    tolerance: float = 1e-5,
) -> Posterior:
    """Variational Bayes from given shares of the points in the components, until the shares of components stand still.

    Priors as scikit-learn's `BayesianGaussianMixture` has them: the mean of all x, its precision 1, one degree of
    freedom, the variance of all x.

    Args:
        x: points.
        counts: how often each is there.
        share: the share of each component in each point to begin with, rows sum to 1.
        iterations: at most.
        tolerance: largest change of a component's share of all points below which it ends; 0 for all iterations.
    """
    from scipy.special import digamma

    m0 = float(np.average(x, weights=counts))
    v0 = float((counts * (x - m0) ** 2).sum() / max(counts.sum() - 1, 1))
    held = np.full(share.shape[1], np.inf)
    p = _maximised(x, counts, share, m0, v0)
    for _ in range(iterations):
        precision_term = 0.5 * (np.log(2.0) + digamma(0.5 * p.dof) - np.log(p.dof) - 1.0 / p.mean_precision)
        log_normal = -0.5 * (np.log(2 * np.pi * p.variance) + (x[:, None] - p.mean) ** 2 / p.variance)
        both = digamma(p.stick_a + p.stick_b)
        log_weight = digamma(p.stick_a) - both
        log_weight[1:] += np.cumsum(digamma(p.stick_b) - both)[:-1]
        log_share = log_normal + precision_term + log_weight
        share = np.exp(log_share - log_share.max(1, keepdims=True))
        share /= share.sum(1, keepdims=True)
        p = _maximised(x, counts, share, m0, v0)
        now = (counts @ share) / counts.sum()
        if np.abs(now - held).max() < tolerance:
            break
        held = now
    return p


def _maximised(x, counts, share, m0: float, v0: float) -> Posterior:
    weighted = counts[:, None] * share
    n = weighted.sum(0) + 10 * np.finfo(np.float64).eps
    mean = x @ weighted / n
    spread = (weighted * (x[:, None] - mean) ** 2).sum(0) / n + REGULAR
    after = np.concatenate([np.cumsum(n[::-1])[-2::-1], [0.0]])
    beta, dof = 1.0 + n, 1.0 + n
    variance = (v0 + n * spread + n / beta * (mean - m0) ** 2) / dof
    return Posterior(1.0 + n, CONCENTRATION + after, (m0 + n * mean) / beta, beta, dof, variance)


def _grouped(x: np.ndarray, counts: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sorted points put together to at most `POINTS`, neighbours of nearly equal count each."""
    if len(x) <= POINTS:
        return x, counts
    group = np.minimum((np.cumsum(counts) - 0.5 * counts) / counts.sum() * POINTS, POINTS - 1).astype(int)
    total = np.bincount(group, counts, POINTS)
    mean = np.bincount(group, counts * x, POINTS)
    return mean[total > 0] / total[total > 0], total[total > 0]


def _kmeans(x: np.ndarray, counts: np.ndarray, k: int, iterations: int = 50) -> np.ndarray:
    """k centres of sorted points, by Lloyd's iterations from evenly spread quantiles of the different values."""
    centres = x[np.unique(np.linspace(0, len(x) - 1, k).round().astype(int))]
    for _ in range(iterations):
        label = np.abs(x[:, None] - centres).argmin(1)
        total = np.bincount(label, counts, len(centres))
        moved = np.where(total > 0, np.bincount(label, counts * x, len(centres)) / np.maximum(total, 1), centres)
        if (moved == centres).all():
            break
        centres = moved
    return centres


def _nearest(x: np.ndarray, centres: np.ndarray) -> np.ndarray:
    """One-hot shares: each point to its nearest centre."""
    return np.eye(len(centres))[np.abs(x[:, None] - centres).argmin(1)]
