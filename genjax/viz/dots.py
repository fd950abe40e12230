"""Points in the plane as a picture of dots."""

from typing import Any

import numpy as np
from jaxtyping import UInt8


def dots(points: Any, side: int = 240, reach: float = 1.0, background: int = 255) -> UInt8[np.ndarray, "side side 1"]:
    """Points (n, 2) as black dots in the square from -reach to reach, the second coordinate upwards.

    Points outside the square, or not finite, are left out.

    Example:
        >>> int((dots(np.array([[0.0, 0.0], [5.0, 0.0]]), side=11) == 0).sum())
        9
    """
    points = np.asarray(points, np.float64)
    picture = np.full((side, side, 1), background, np.uint8)
    here = np.isfinite(points).all(1) & (np.abs(np.where(np.isfinite(points), points, 0)) <= reach).all(1)
    column, row = np.rint((points[here] / reach + 1) / 2 * (side - 1)).astype(int).T
    row = side - 1 - row
    size = max(1, side // 160)
    for down in range(-size, size + 1):
        for right in range(-size, size + 1):
            picture[np.clip(row + down, 0, side - 1), np.clip(column + right, 0, side - 1)] = 0
    return picture
