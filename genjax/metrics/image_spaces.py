"""Spaces in which images are compared: a feature net's, or that of the pixels; and the modes of stacked digits."""

import warnings

import numpy as np

from genjax.errors import UsageError
from genjax.metrics.features import SAME_AS, SHIPPED, feature_net
from genjax.metrics.modes import histogram_kl, stacked_modes
from genjax.metrics.spaces import Modes, Numbers, Space

PIXELS = "pixels"
STACKED = "stacked"
"""The name of a data set of stacked digits (`data.stacked`, in `stacked.npz`)."""
N_STACKED = 26_000
"""Samples that the modes of stacked digits are counted of in the literature."""
DIGIT_NETS = {(28, 28): "mnist", (8, 8): "digits"}
"""By the sides of an image, the classifier that names the digit of a channel."""


def pixels() -> Space:
    """The space of the pixels themselves, scaled to [0, 1]: for data without a feature net.

    Example:
        >>> pixels().features(np.full((1, 2, 2, 1), 255, np.uint8)).tolist()
        [[1.0, 1.0, 1.0, 1.0]]
    """
    return Space(PIXELS, "", lambda images: images.reshape(len(images), -1).astype(np.float32) / 255.0)


def image_space(name: str, dataset: str, shape: tuple[int, ...]) -> Space:
    """The space of images that `--features` names, with the modes of the data set where they are known.

    Args:
        name: a feature net, or `pixels`; empty for the data set's own net, and for pixels where it has none.
        dataset: the data set's name.
        shape: (h, w, c) of its images.

    Raises:
        UsageError: there is no such net, or it takes images of another shape.
    """
    modes, own = stacked_modes_of(dataset, shape), SHIPPED.get(SAME_AS.get(dataset, dataset))
    if name == PIXELS or (not name and (own is None or own.shape != tuple(shape))):
        return pixels()._replace(modes=modes)
    net = feature_net(name or dataset)
    if net.shape is not None and tuple(net.shape) != tuple(shape):
        takes, has = ("x".join(map(str, s)) for s in (net.shape, shape))
        raise UsageError(f"--features={name}: takes images of {takes}, {dataset} has {has}. Try --features pixels.")
    return Space(net.name, net.sha256, net.features, net.logits, modes)


def stacked_modes_of(dataset: str, shape: tuple[int, ...]) -> Modes | None:
    """The modes of `stacked`; None for other data, and for images that only have such a name.

    Stacks of three digits are told apart by the classifier of their size, a channel at a time.
    """
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
