"""The space in which images are compared, a feature net's or that of the pixels, and the modes that data have."""

import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Float, Int

from genjax import data
from genjax.data.synthetic import MIXTURES
from genjax.errors import UsageError
from genjax.metrics.features import SAME_AS, SHIPPED, feature_net
from genjax.metrics.modes import histogram_kl, mode_coverage, stacked_modes

PIXELS = "pixels"
STACKED = "stacked"
"""The name of a data set of stacked digits (`data.stacked`, in `stacked.npz`)."""
N_STACKED = 26_000
"""Samples that the modes of stacked digits are counted of in the literature."""
DIGIT_NETS = {(28, 28): "mnist", (8, 8): "digits"}
"""By the sides of an image, the classifier that names the digit of a channel."""
BLOCK = 10_000
"""Images of a set read on demand that are decoded at once."""

Kind: TypeAlias = Literal["images", "features", "logits", "classes", "modes"]
Numbers: TypeAlias = Mapping[str, float]


class Labelled(NamedTuple):
    """Images with the class of each: a real one's own, or that which a generated one was asked for."""

    features: Float[np.ndarray, "n d"]
    logits: Float[np.ndarray, "n classes"]
    label: Int[np.ndarray, " n"]


class Modes(NamedTuple):
    """What modes the data have, and what tells them apart."""

    rows: Callable[[np.ndarray], np.ndarray]
    """Samples (n, h, w, c) -> a row for each, (n, ...)."""
    coverage: Callable[[np.ndarray], Numbers]
    """Rows -> modes hit, their KL, and the share of good samples where a sample can be bad."""
    features: str = ""
    """The classifier that names the modes; empty where the coordinates do."""
    features_sha256: str = ""


class Space(NamedTuple):
    """Where images are compared: the fields of a feature net that a record names, and what is known of the data."""

    name: str
    sha256: str
    features: Callable[[np.ndarray], np.ndarray]
    """uint8 (n, h, w, c) -> float32 (n, d)"""
    logits: Callable[[np.ndarray], np.ndarray] | None = None
    """uint8 (n, h, w, c) -> (n, classes); None where the space has no classifier."""
    modes: Modes | None = None
    """The modes of the data set; None where they are not known."""

    def rows(self, kind: Kind, part: data.Examples | data.Lazy) -> Any:
        """What metrics of a kind see of images: arrays, or a `Labelled` of them, with a row for each image."""
        if isinstance(part, data.Lazy):
            blocks = (np.arange(i, min(i + BLOCK, part.n)) for i in range(0, part.n, BLOCK))
            each = [self.rows(kind, data.take(part, block)) for block in blocks]
            return jax.tree.map(lambda *rows: np.concatenate(rows), *each)
        if kind == "features":
            return np.asarray(self.features(part.x))
        if kind == "logits":
            assert self.logits is not None
            return np.asarray(self.logits(part.x))
        if kind == "classes":
            assert part.y is not None
            return Labelled(self.rows("features", part), self.rows("logits", part), part.y)
        if kind == "modes":
            assert self.modes is not None
            return self.modes.rows(part.x)
        return part.x


def pixels() -> Space:
    """The space of the pixels themselves, scaled to [0, 1]: for data without a feature net.

    Example:
        >>> pixels().features(np.full((1, 2, 2, 1), 255, np.uint8)).tolist()
        [[1.0, 1.0, 1.0, 1.0]]
    """
    return Space(PIXELS, "", lambda images: images.reshape(len(images), -1).astype(np.float32) / 255.0)


def space_of(name: str, dataset: str, shape: tuple[int, ...]) -> Space:
    """The space that `--features` names, with the modes of the data set where they are known.

    Args:
        name: a feature net, or `pixels`; empty for the data set's own net, and for pixels where it has none.
        dataset: the data set's name.
        shape: (h, w, c) of its images.

    Raises:
        UsageError: there is no such net, or it takes images of another shape.
    """
    modes, own = modes_of(dataset, shape), SHIPPED.get(SAME_AS.get(dataset, dataset))
    if name == PIXELS or (not name and (own is None or own.shape != tuple(shape))):
        return pixels()._replace(modes=modes)
    net = feature_net(name or dataset)
    if net.shape is not None and tuple(net.shape) != tuple(shape):
        takes, has = ("x".join(map(str, s)) for s in (net.shape, shape))
        raise UsageError(f"--features={name}: takes images of {takes}, {dataset} has {has}. Try --features pixels.")
    return Space(net.name, net.sha256, net.features, net.logits, modes)


def modes_of(dataset: str, shape: tuple[int, ...]) -> Modes | None:
    """The modes of `ring`, `grid` and `stacked`; None for other data, and for images that only have such a name.

    Stacks of three digits are told apart by the classifier of their size, a channel at a time.
    """
    if dataset in MIXTURES and tuple(shape) == (1, 1, 2):
        mixture = MIXTURES[dataset]()

        def of_points(rows: np.ndarray) -> Numbers:
            found = mode_coverage(rows, mixture.centers, mixture.sd)
            return {"modes": found.hit, "good_share": found.good, "modes_kl": found.kl}

        return Modes(lambda x: x.reshape(len(x), -1), of_points)
    if dataset != STACKED or shape[2] != 3 or tuple(shape[:2]) not in DIGIT_NETS:
        return None
    net = feature_net(DIGIT_NETS[shape[0], shape[1]])

    def of_stacks(rows: np.ndarray) -> Numbers:
        if len(rows) < N_STACKED:
            warnings.warn(
                f"of {len(rows):,} samples; published numbers are of {N_STACKED:,}: --n {N_STACKED}", stacklevel=2
            )
        counts = np.bincount(rows, minlength=net.n_classes**3)
        return {"modes": int((counts > 0).sum()), "modes_kl": histogram_kl(counts)}

    return Modes(lambda x: stacked_modes(x, net.logits)[0], of_stacks, net.name, net.sha256)
