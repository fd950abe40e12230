"""What the metrics of images do first: check them, and go through them in parts of one shape."""

from collections.abc import Callable
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from genjax.errors import UsageError

Pictures: TypeAlias = np.ndarray | jax.Array
"""(n, h, w, c), pixels 0 ... 255: uint8, or any other real dtype."""

ELEMENTS = 2**21
"""Pixels that a compiled part holds at once."""


def check_pictures(name: str, images: Pictures) -> np.ndarray:
    """The images on the host; a UsageError where they are no finite (n, h, w, c) of at least one pixel."""
    images = np.asarray(images)
    if images.ndim != 4 or images.size == 0:
        raise UsageError(f"{name} has shape {images.shape}; wanted (n, h, w, c), at least one image of one pixel.")
    if images.dtype.kind not in "uifb":
        raise UsageError(f"{name} holds {images.dtype}; wanted pixels 0 ... 255, uint8 or another real dtype.")
    if images.dtype.kind == "f" and not np.isfinite(images).all():
        bad = int((~np.isfinite(images).reshape(len(images), -1).all(1)).sum())
        raise UsageError(f"{bad} of {len(images)} {name} hold NaN or infinity; find where they come from.")
    return images


def in_parts(f: Callable[[jax.Array], Any], images: np.ndarray) -> Any:
    """`f(float32 images) -> tree of per-image arrays`, over parts of one shape: compiled once, the last part padded."""
    n = len(images)
    part = max(1, min(n, ELEMENTS // int(np.prod(images.shape[1:]))))
    outs = []
    for start in range(0, n, part):
        x = images[start : start + part].astype(np.float32)
        x = np.pad(x, [(0, part - len(x)), (0, 0), (0, 0), (0, 0)])
        outs.append(f(jnp.asarray(x)))
    return jax.tree.map(lambda *parts: np.concatenate([np.asarray(p) for p in parts])[:n], *outs)
