"""Stacked digits: three images of a labelled set as the channels of one, a thousand modes whose names are known."""

import numpy as np

from genjax.data.examples import Examples
from genjax.errors import UsageError


def stacked(images: Examples, n: int = 128_000, seed: int = 0, depth: int = 3) -> Examples:
    """n stacks of `depth` images, each drawn with replacement and independently of the others.

    The label is the number that the classes spell, first channel first: of 10 classes, 100 a + 10 b + c. To train on
    it: `np.savez("stacked.npz", image=s.x, label=s.y)` and `--data stacked.npz`.

    Args:
        images: of one channel, with labels: the training part of an MNIST-like set.
        n: stacks; the published set has 128,000.
        seed: same seed, same stacks.
        depth: channels.

    Raises:
        UsageError: images without labels or of more than one channel; n or depth below 1.

    Source:
        Metz et al. 2017, Unrolled Generative Adversarial Networks; Lin et al. 2018, PacGAN, for 128,000.

    Example:
        >>> s = stacked(Examples(np.zeros((4, 8, 8, 1), np.uint8), np.array([1, 1, 1, 9], np.int32)), n=5)
        >>> s.x.shape, set(s.y.tolist()) <= {111, 119, 191, 911, 199, 919, 991, 999}
        ((5, 8, 8, 3), True)
    """
    if images.y is None:
        raise UsageError("stacked: these images have no labels, so the modes of their stacks have no names.")
    if images.x.shape[-1] != 1:
        raise UsageError(f"stacked: images of {images.x.shape[-1]} channels; wanted one, to be stacked.")
    if n < 1 or depth < 1:
        raise UsageError(f"stacked: n={n} and depth={depth} must be at least 1.")
    n_classes = int(images.y.max()) + 1
    if n_classes**depth >= 2**31:
        raise UsageError(f"stacked: {n_classes} classes to the power of {depth} are too many to number.")
    # The legacy generator's streams are frozen by NumPy's own policy; those of `default_rng` may change.
    which = np.random.RandomState(seed).randint(len(images.x), size=(n, depth))
    pixels = images.x[which, ..., 0].transpose(0, 2, 3, 1)
    names = images.y[which].astype(np.int64) @ n_classes ** np.arange(depth)[::-1]
    return Examples(np.ascontiguousarray(pixels), names.astype(np.int32))
