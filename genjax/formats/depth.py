"""Which stored value is white: pixels of 10, 12 or 14 bits come in files and arrays of 16.

The rule looks at a whole data set, never at one image: the smallest of `WHITES` that holds its largest value.
"""

import numpy as np
from jaxtyping import Integer, UInt8

from genjax.errors import UsageError

WHITES = (255, 1023, 4095, 16383, 65535)
"""White of pixels of 8, 10, 12, 14 and 16 bits."""
DARK = 32
"""A set none of whose 8-bit pixels reaches this is nearly black: a mask of classes, or scaled twice."""


def white_of(most: int, name: str, white: int | None = None) -> int:
    """White of a set of 16-bit images whose largest value is `most`.

    Args:
        most: over all its images.
        name: of the set, for errors.
        white: what a run was trained with, where the images are for it.

    Raises:
        UsageError: the images hold only 0 and 1, or more than `white`.

    Example:
        >>> white_of(200, "a"), white_of(4000, "a"), white_of(65535, "a"), white_of(200, "a", white=4095)
        (255, 4095, 65535, 4095)
    """
    if most == 1 and white is None:
        raise UsageError(f"{name}: 16-bit images hold only 0 and 1, which is black. Save them as 0 and 255, of 8 bits.")
    if white is None:
        return next((w for w in WHITES if most <= w), WHITES[-1]) if most else WHITES[-1]
    if most > white:
        raise UsageError(f"{name}: images hold {most}, but {white} is white in the run's data. Scale them alike.")
    return white


def eight_bits(a: Integer[np.ndarray, "..."], white: int) -> UInt8[np.ndarray, "..."]:
    """Pixels 0 ... white as 0 ... 255, halves to even."""
    return np.rint(a / (white / 255)).astype(np.uint8)


def said_of_white(name: str, most: int, white: int) -> list[str]:
    """What a person should know of 16-bit images: nothing where all 16 bits are used."""
    if white == WHITES[-1]:
        return []
    bits = white.bit_length()
    return [f"{name}: its 16-bit images hold 0 ... {most}: taken as {bits} bits, {white} is white and becomes 255."]


def said_of_dark(name: str, most: int) -> list[str]:
    """What a person should know of 8-bit images whose largest value is `most`."""
    if most >= DARK:
        return []
    return [f"{name}: no training pixel is above {most} of 255, so the images are nearly black. Are they scaled right?"]
