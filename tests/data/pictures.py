"""Small image folders for tests."""

from pathlib import Path

import numpy as np
from PIL import Image


def save(path: Path, array: np.ndarray, **options) -> np.ndarray:
    """Writes an array as the image file that the suffix says."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(array).save(path, **options)
    return array


def noise(seed: int, *shape: int) -> np.ndarray:
    """uint8 noise."""
    return np.random.default_rng(seed).integers(0, 256, shape or (8, 8), np.uint8)


def classes(root: Path, names=("cat", "dog"), n: int = 2, shape=(8, 8, 3)) -> Path:
    """A folder of class folders."""
    for c, name in enumerate(names):
        for i in range(n):
            save(root / name / f"{i}.png", noise(10 * c + i, *shape))
    return root
