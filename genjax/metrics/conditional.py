"""Whether a class-conditional model gives the class it was asked for, and each class as it is."""

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float, Int

from genjax.errors import UsageError
from genjax.metrics.frechet import frechet_distance
from genjax.metrics.modes import classified
from genjax.metrics.pixels import Pictures, check_pictures


class ClassAccuracy(NamedTuple):
    """A classifier's verdict on samples of asked classes."""

    accuracy: float
    """Share of samples classified as asked, 0 ... 1."""
    per_class: Float[np.ndarray, " c"]
    """The same for each class that was asked for; NaN for the others."""
    confusion: Int[np.ndarray, "c c"]
    """Samples by asked class (row) and classified one (column)."""


class ClassDistances(NamedTuple):
    """A distance within each class."""

    mean: float
    """Over the classes that have one."""
    per_class: Float[np.ndarray, " c"]
    """NaN for classes that either side has fewer than 2 samples of."""


def class_accuracy(images: Pictures, asked: Any, logits: Callable[[np.ndarray], Any]) -> ClassAccuracy:
    """How often a classifier finds the class in a sample that the model was asked for.

    The classifier's own error on real images bounds it: give that beside it. It does not see whether samples of a class
    are all alike.

    Args:
        images: (n, h, w, c) generated pixels 0 ... 255.
        asked: (n,) the class each was asked for, 0 <= asked < n_classes.
        logits: images -> (n, n_classes), `feature_net(...).logits`.

    Raises:
        UsageError: shapes that do not fit, classes the classifier does not have.

    Source:
        Shmelkov, Schmid & Alahari 2018, How good is my GAN? (GAN-test, with a classifier trained on real images).
    """
    images = check_pictures("images", images)
    scores = classified(logits, images)
    n_classes = scores.shape[1]
    y = _labels("asked", asked, len(images), n_classes)
    confusion = np.bincount(y * n_classes + scores.argmax(1), minlength=n_classes**2).reshape(n_classes, n_classes)
    of_class, right = confusion.sum(1), np.diagonal(confusion)
    per_class = np.where(of_class > 0, right / np.maximum(of_class, 1), np.nan)
    return ClassAccuracy(float(right.sum() / len(images)), per_class, confusion)


def frechet_per_class(
    real: Any, real_label: Any, fake: Any, fake_label: Any, distance: Callable[[Any, Any], float] = frechet_distance
) -> ClassDistances:
    """The Fréchet distance (in features) between real and generated samples of each class, and its mean over classes.

    Its bias is that of the samples of a class, not of all: compare only at the same numbers per class.

    Args:
        real: (n, d) features of real images.
        real_label: (n,) their classes.
        fake: (m, d) features of generated images.
        fake_label: (m,) the classes they were asked for.
        distance: `distance(real, fake) -> float` of the samples of a class.

    Raises:
        UsageError: shapes that do not fit; no class that both sides have 2 samples of.

    Source:
        Miyato & Koyama 2018, cGANs with Projection Discriminator (intra-FID).
    """
    real, fake = np.asarray(real), np.asarray(fake)
    y, y_fake = _labels("real_label", real_label, len(real)), _labels("fake_label", fake_label, len(fake))
    n_classes = int(max(y.max(), y_fake.max())) + 1
    enough = np.minimum(*(np.bincount(v, minlength=n_classes) for v in (y, y_fake))) >= 2
    if not enough.any():
        raise UsageError("no class has 2 real and 2 generated samples; label both with the same classes.")
    per_class = np.full(n_classes, np.nan)
    for c in np.flatnonzero(enough):
        per_class[c] = distance(real[y == c], fake[y_fake == c])
    return ClassDistances(float(per_class[enough].mean()), per_class)


def _labels(name: str, label: Any, n: int, n_classes: int | None = None) -> Int[np.ndarray, " n"]:
    y = np.asarray(label)
    if y.shape != (n,) or n == 0 or y.dtype.kind not in "ui":
        raise UsageError(f"{name} is {y.dtype} {y.shape}; wanted one whole number for each of {n} samples.")
    if y.min() < 0 or (n_classes is not None and y.max() >= n_classes):
        raise UsageError(f"{name} lies in {y.min()} ... {y.max()}; wanted classes 0 ... {(n_classes or 2**31) - 1}.")
    return y.astype(np.int64)
