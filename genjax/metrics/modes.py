"""Modes lost and kept: Gaussians on rings and grids, and the thousand modes of stacked digits."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from genjax.errors import UsageError
from genjax.metrics.pixels import Pictures, check_pictures

BLOCK = 4096
"""Samples compared with the centres at once."""


class ModeCoverage(NamedTuple):
    """How samples cover a mixture of known modes."""

    hit: int
    """Modes with at least one good sample: grows with the number of samples, so say that number with it."""
    n_modes: int
    good: float
    """Share of samples within `n_sd` standard deviations of their nearest mode's centre, 0 ... 1."""
    kl: float
    """KL(histogram of the samples' nearest modes || weights), nats, >= 0; NaN where no sample is finite."""
    counts: Int[np.ndarray, " k"]
    """Samples nearest to each mode, good or not; samples that are not finite are nearest to none."""
    good_counts: Int[np.ndarray, " k"]
    """The good ones among them."""


class StackedCoverage(NamedTuple):
    """How stacks of digits cover their possible modes."""

    hit: int
    """Modes that at least one sample is classified as."""
    n_modes: int
    kl: float
    """KL(histogram of samples || uniform, or the real histogram), nats, >= 0: the "reverse" divergence."""
    counts: Int[np.ndarray, " k"]
    """Samples of each mode."""


def mode_coverage(samples: Any, centers: Any, sd: float, *, n_sd: float = 3.0, weights: Any = None) -> ModeCoverage:
    """How many of a mixture's modes the samples hit, and what share of the samples lies close to a mode.

    A sample belongs to the mode whose centre is nearest; it is good within `n_sd` standard deviations of it
    (Euclidean). A mode is hit where a good sample belongs to it. The KL is of all samples, good or not. In two
    dimensions the data itself has a share of 1 - exp(-n_sd^2 / 2) good samples: 0.9889 for three. A perfect model's KL
    of n samples is about (k - 1) / (2 n) for k modes, not 0.

    Args:
        samples: (n, d), or (n, ...) made flat. Those that are not finite count as bad.
        centers: (k, d) centres of the modes.
        sd: the standard deviation of a mode in every direction, > 0.
        n_sd: how many of them still make a good sample, > 0.
        weights: (k,) shares of the modes in the data; equal by default.

    Raises:
        UsageError: shapes that do not fit, no samples, sd or n_sd not above 0, weights that are no shares.

    Source:
        Srivastava et al. 2017, VEEGAN, and Lin et al. 2018, PacGAN: three standard deviations, a mode counted from its
        first good sample; PacGAN also has the KL between histograms of nearest modes.

    Example:
        >>> mode_coverage(np.zeros((4, 2)), np.array([[0.0, 0.0], [9.0, 0.0]]), sd=1.0)[:3]
        (1, 2, 1.0)
    """
    x, c = np.asarray(samples), np.asarray(centers, np.float64)
    x = x.reshape(len(x), -1) if x.size else x
    if c.ndim != 2 or c.size == 0 or x.ndim != 2 or len(x) == 0 or x.shape[1] != c.shape[1]:
        raise UsageError(f"samples {np.shape(samples)} and centers {c.shape}: wanted (n, d) and (k, d), n and k >= 1.")
    if not (sd > 0 and n_sd > 0):
        raise UsageError(f"sd={sd} and n_sd={n_sd} must be above 0.")
    k = len(c)
    counts, good_counts = np.zeros(k, np.int64), np.zeros(k, np.int64)
    for start in range(0, len(x), BLOCK):
        part = x[start : start + BLOCK].astype(np.float64)
        part = part[np.isfinite(part).all(1)]
        square = np.square(part[:, None, :] - c[None]).sum(-1)  # differences first: no common offset can hide a mode
        nearest = square.argmin(1)
        good = square[np.arange(len(part)), nearest] <= (n_sd * sd) ** 2
        counts += np.bincount(nearest, minlength=k)
        good_counts += np.bincount(nearest[good], minlength=k)
    share = float(good_counts.sum() / len(x))
    return ModeCoverage(int((good_counts > 0).sum()), k, share, histogram_kl(counts, weights), counts, good_counts)


def stacked_coverage(images: Pictures, logits: Callable[[np.ndarray], Any], real: Any = None) -> StackedCoverage:
    """Stacked MNIST: how many of the 1000 triples of digits the samples show, and how evenly.

    Each channel is classified by itself; the mode is the number its classes spell, first channel first, as in
    `data.stacked`. The published protocol takes 26,000 samples; a perfect model's KL is then about 999 / 52,000 = 0.019
    nats, not 0. The numbers are only as good as the classifier: name it with them.

    Args:
        images: (n, h, w, c) pixels 0 ... 255, a digit in each channel.
        logits: images (n, h, w, 1) -> (n, n_classes); `feature_net("mnist").logits`.
        real: (n_classes ** c,) counts of real stacks to compare with; by default all modes are equally likely.

    Raises:
        UsageError: images or logits of another shape; logits that are not finite.

    Source:
        Metz et al. 2017, Unrolled Generative Adversarial Networks (the data set); Srivastava et al. 2017, VEEGAN, and
        Lin et al. 2018, PacGAN (26,000 samples, reverse KL).
    """
    mode, n_modes = stacked_modes(images, logits)
    counts = np.bincount(mode, minlength=n_modes)
    return StackedCoverage(int((counts > 0).sum()), n_modes, histogram_kl(counts, real), counts)


def stacked_modes(images: Pictures, logits: Callable[[np.ndarray], Any]) -> tuple[Int[np.ndarray, " n"], int]:
    """The mode of each stack of digits, and how many there are; see `stacked_coverage`."""
    images = check_pictures("images", images)
    mode, n_classes = np.zeros(len(images), np.int64), 0
    for channel in range(images.shape[3]):
        scores = classified(logits, images[..., channel : channel + 1])
        n_classes = scores.shape[1]
        mode = mode * n_classes + scores.argmax(1)
    return mode, n_classes ** images.shape[3]


def histogram_kl(counts: Any, reference: Any = None) -> float:
    """KL(counts || reference) of two histograms in nats; >= 0, infinite where the reference lacks what was counted.

    Bins counted 0 times add 0. A histogram of n draws from the reference itself has about (k - 1) / (2 n).

    Args:
        counts: (k,) counts, >= 0; NaN comes out where all are 0.
        reference: (k,) counts or shares, of any positive sum; equal ones by default.

    Example:
        >>> round(histogram_kl([10, 10, 0, 0]), 6), histogram_kl([1, 1], [1, 0])
        (0.693147, inf)
    """
    n = np.asarray(counts, np.float64)
    q = np.ones(n.shape) if reference is None else np.asarray(reference, np.float64)
    if n.ndim != 1 or q.shape != n.shape or not (n >= 0).all() or not (q >= 0).all() or not 0 < q.sum() < np.inf:
        raise UsageError(f"histograms of {n.shape} and {q.shape} bins: wanted two of (k,), none negative, not empty.")
    if n.sum() == 0:
        return float("nan")
    p, q = n / n.sum(), q / q.sum()
    seen = p > 0
    if (q[seen] == 0).any():
        return float("inf")
    return max(0.0, float((p[seen] * np.log(p[seen] / q[seen])).sum()))


def classified(logits: Callable[[np.ndarray], Any], images: np.ndarray) -> Float[np.ndarray, "n classes"]:
    """The classifier's logits, checked to be one finite row an image."""
    scores = np.asarray(logits(images))
    if scores.ndim != 2 or len(scores) != len(images) or scores.shape[1] < 2 or not np.isfinite(scores).all():
        raise UsageError(
            f"the classifier gave {scores.shape} for {len(images)} images; wanted (n, n_classes), finite, 2 or more."
        )
    return scores
