"""How nearly black and white images are, which decides the likelihood that fits them. NumPy only."""

import numpy as np


def contrast(image: np.ndarray) -> float:
    """How much of a pixel survives if it is made black or white by a coin whose probability is the grey value.

    It is the share of the variance of such coin flips that the grey values themselves have, p (1 - p) being that of
    the flips: 1 for black and white, 0 for one grey everywhere. MNIST has 0.83, Fashion-MNIST 0.6, photographs 0.2 to
    0.3. Rounded to three digits.

    Args:
        image: pixels, uint8 of any shape.

    Example:
        >>> contrast(np.array([[0, 255]], np.uint8)), contrast(np.array([[64, 191]], np.uint8))
        (1.0, 0.248)
    """
    return contrast_of(counts_of(image))


def counts_of(image: np.ndarray) -> np.ndarray:
    """How often each of the 256 values of a pixel occurs."""
    return np.bincount(image.reshape(-1), minlength=256)


def contrast_of(counts: np.ndarray) -> float:
    """`contrast` of pixels that have been counted."""
    level = np.arange(256) / 255
    mean, square = (float((counts * v).sum() / counts.sum()) for v in (level, level**2))
    return round((square - mean**2) / (mean * (1 - mean)), 3) if 0 < mean < 1 else 1.0
