"""What every distance between two sets of samples does first: check them, and move their common centre to zero."""

from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import jax
import numpy as np

from genjax.errors import UsageError

Samples: TypeAlias = np.ndarray | jax.Array
"""(n, d), a row per sample: features, or pixels made flat. Any real dtype."""

BLOCK = 2048
"""Rows that the host handles at once in float64."""


def check_samples(name: str, x: Samples, least: int = 2) -> np.ndarray:
    """The samples on the host, in float32 or float64; a UsageError where they cannot be compared.

    Args:
        name: what to call them in a message.
        x: (n, d).
        least: samples the metric needs.
    """
    x = np.asarray(x)
    if x.ndim != 2:
        raise UsageError(f"{name} has shape {x.shape}; a row per sample is needed: {name}.reshape(len({name}), -1).")
    if x.shape[0] < least or x.shape[1] < 1:
        raise UsageError(f"{name} has shape {x.shape}, but at least {least} samples of one feature are needed.")
    if x.dtype not in (np.float32, np.float64):
        if np.issubdtype(x.dtype, np.complexfloating) or x.dtype.kind in "OSUmM":
            raise UsageError(f"{name} holds {x.dtype}, but real numbers are needed.")
        x = x.astype(np.float64 if x.dtype.itemsize > 2 else np.float32)
    bad = sum(int((~np.isfinite(x[rows]).all(1)).sum()) for rows in blocks(len(x)))
    if bad:
        raise UsageError(f"{bad} of {len(x)} rows of {name} hold NaN or infinity; find where they come from.")
    return x


def pair(real: Samples, fake: Samples, least: int = 2) -> tuple[np.ndarray, np.ndarray]:
    """Both sets, checked, of one dimension."""
    real, fake = check_samples("real", real, least), check_samples("fake", fake, least)
    if real.shape[1] != fake.shape[1]:
        raise UsageError(
            f"real has {real.shape[1]} features a sample and fake {fake.shape[1]}; both must come from one feature net."
        )
    return real, fake


def blocks(n: int, size: int = BLOCK) -> Iterator[slice]:
    """0 ... n-1 in slices of at most `size`."""
    return (slice(i, min(i + size, n)) for i in range(0, n, size))


class Centred(NamedTuple):
    """Two sets of samples less a common centre, in float32.

    Distances and directions do not change with the centre, but what float32 loses does: an expansion
    |a|^2 + |b|^2 - 2 a.b keeps some 1e-7 of the norms, however small the distance.
    """

    real: np.ndarray
    """(n, d) float32"""
    fake: np.ndarray
    """(m, d) float32"""
    centre: np.ndarray
    """(d,) float64"""


def centred(real: np.ndarray, fake: np.ndarray) -> Centred:
    """Both sets less their common mean, which is computed and subtracted in float64.

    The mean is rounded to a power of two near the samples' spread: so pixels and other numbers on a grid stay on one,
    their distances are exact and equal ones compare equal.
    """
    n = len(real) + len(fake)
    parts = [x[rows] for x in (real, fake) for rows in blocks(len(x))]
    mean = np.sum([p.sum(0, dtype=np.float64) for p in parts], 0) / n
    spread = np.sqrt(sum(float(np.square(p - mean).sum()) for p in parts) / (n * mean.size))
    if spread > 0:
        step = np.exp2(np.floor(np.log2(spread)))
        mean = np.rint(mean / step) * step

    def moved(x: np.ndarray) -> np.ndarray:
        out = np.empty(x.shape, np.float32)
        for rows in blocks(len(x)):
            out[rows] = x[rows] - mean
        return out

    return Centred(moved(real), moved(fake), mean)


def squared_norms(x: np.ndarray) -> np.ndarray:
    """|x|^2 of each row, summed in float64."""
    return np.concatenate([np.square(x[rows], dtype=np.float64).sum(1) for rows in blocks(len(x))])


def chunk_rows(n_rows: int, n_columns: int, elements: int = 2**23) -> int:
    """Rows of an (n_rows, n_columns) matrix to hold at once, so that they have about so many elements."""
    return max(1, min(n_rows, elements // n_columns))
