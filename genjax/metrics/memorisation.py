"""Whether a model repeats its training set, or its discriminator has learned it by heart."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float

from genjax.errors import UsageError
from genjax.metrics.neighbours import nearest_neighbours

BATCH = 256
"""Examples that a discriminator scores at once."""


class Authenticity(NamedTuple):
    """Which samples are not copies of training examples."""

    share: float
    """Share of the samples that are authentic, 0 ... 1."""
    authentic: Bool[np.ndarray, " n"]
    distance: Float[np.ndarray, " n"]
    """To the nearest training example."""
    own: Float[np.ndarray, " n"]
    """From that example to its own nearest among the others."""


class HeldOutGap(NamedTuple):
    """How a discriminator's logits differ between training and held-out images: 0, 0 and 1/2 where they do not."""

    train: float
    """Mean logit of training images."""
    held_out: float
    """Mean logit of held-out images."""
    gap: float
    """train - held_out: in logits, whose unit is the discriminator's own."""
    accuracy_gap: float
    """Share of training images with a logit above 0, less that of held-out ones: -1 ... 1."""
    auc: float
    """Chance that a random training image has a higher logit than a random held-out one (ties count half): 0 ... 1."""
    overfit: float | None
    """gap / (train - generated): 0 where held-out images pass for real as training ones do, 1 where they pass for
    generated; None without generated images, NaN where the divisor is 0."""


def authenticity(samples: Any, train: Any) -> Authenticity:
    """Share of samples farther from their nearest training example than that is from its own nearest neighbour.

    A copy is at distance 0 and never authentic; nor is a sample that is nearer to a training example than any other
    of them. Samples from the very distribution of the training set have a share that depends on its dimension: 1/3 in
    one, 0.38 in two, 0.41 in three, towards 1/2 in many; take that of held-out data beside it. Samples far from all
    data are authentic: read it beside precision. Where training examples occur twice, samples near one of them pass.

    Args:
        samples: (n, ...) pixels or features, each made flat.
        train: (m, ...) the training examples, at least 2.

    Raises:
        UsageError: see `nearest_neighbours`.

    Source:
        Alaa et al. 2022, How Faithful is your Synthetic Data? (authenticity).

    Example:
        >>> authenticity(np.array([[0.0], [0.4], [3.0]]), np.array([[0.0], [1.0]])).authentic.tolist()
        [False, False, True]
    """
    train = np.asarray(train)
    if len(train) < 2:
        raise UsageError(f"train has {len(train)} examples; authenticity needs at least 2 to compare them.")
    near = nearest_neighbours(samples, train)
    which, back = np.unique(near.index[:, 0], return_inverse=True)
    own = nearest_neighbours(train[which], train, exclude=which).distance[back.ravel(), 0]
    distance = near.distance[:, 0]
    authentic = distance > own
    return Authenticity(float(authentic.mean()), authentic, distance, own)


def held_out_gap(score: Callable[[np.ndarray], Any], train: Any, held_out: Any, fake: Any = None) -> HeldOutGap:
    """How well a discriminator tells its training images from others of the same distribution.

    Args:
        score: examples (b, ...) -> logits (b,), a discriminator of fixed weights; larger is more real.
        train: (n, ...) examples it was trained on.
        held_out: (m, ...) examples of the same distribution it was not.
        fake: (l, ...) generated ones, for `overfit`.

    Raises:
        UsageError: nothing to score; scores that are not one finite number an example.

    Source:
        Karras et al. 2020, Training Generative Adversarial Networks with Limited Data (r_v, here `overfit`). The area
        under the curve is the Mann-Whitney statistic.

    Example:
        >>> held_out_gap(lambda x: x[:, 0], np.array([[2.0], [0.5]]), np.array([[1.0], [-1.0]])).auc
        0.75
    """
    a, b = _scores(score, train, "train"), _scores(score, held_out, "held_out")
    mean_a, mean_b = float(a.mean()), float(b.mean())
    overfit = None
    if fake is not None:
        whole = mean_a - float(_scores(score, fake, "fake").mean())
        overfit = (mean_a - mean_b) / whole if whole else float("nan")
    accuracy_gap = float((a > 0).mean() - (b > 0).mean())
    return HeldOutGap(mean_a, mean_b, mean_a - mean_b, accuracy_gap, _auc(a, b), overfit)


def _scores(score: Callable[[np.ndarray], Any], x: Any, name: str) -> Float[np.ndarray, " n"]:
    """Logits of all examples in float64. Batches are of one size, the last filled up: compiled once."""
    x = np.asarray(x)
    if x.ndim < 1 or len(x) == 0:
        raise UsageError(f"{name} has shape {x.shape}; wanted at least one example.")
    size, outs = min(BATCH, len(x)), []
    for start in range(0, len(x), size):
        part = x[start : start + size]
        filled = np.concatenate([part, np.repeat(x[:1], size - len(part), axis=0)])
        out = np.asarray(score(filled), np.float64)
        if out.shape != (size,) or not np.isfinite(out[: len(part)]).all():
            raise UsageError(f"score gave {out.shape} for {size} examples of {name}; wanted one finite logit each.")
        outs.append(out[: len(part)])
    return np.concatenate(outs)


def _auc(a: np.ndarray, b: np.ndarray) -> float:
    """P(a > b) + P(a = b) / 2."""
    b = np.sort(b)
    below, up_to = np.searchsorted(b, a, "left"), np.searchsorted(b, a, "right")
    return float((below + up_to).sum() / (2.0 * len(a) * len(b)))
