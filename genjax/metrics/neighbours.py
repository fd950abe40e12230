"""Exact nearest neighbours of samples among others, in pixels or in features."""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Int

from genjax.errors import UsageError

ELEMENTS = 2**24
"""Distances that a compiled part holds at once."""
SPARE = 8
"""Candidates beyond k that the first pass keeps."""
BLOCK = 2048
"""Rows that the host moves at once in float64."""


class Neighbours(NamedTuple):
    """The k nearest reference rows of each query, nearest first; of equally near ones the first."""

    index: Int[np.ndarray, "n k"]
    distance: Float[np.ndarray, "n k"]
    """Euclidean, float64."""


def nearest_neighbours(queries: Any, reference: Any, k: int = 1, exclude: Any = None) -> Neighbours:
    """The k nearest rows of `reference` to each query: by Euclidean distance, exact, ties to the lower index.

    A first pass on the device in float32 ranks all rows by a lower bound of their distance and keeps a few more than k;
    these are measured in float64 on the host. Where the bound does not prove that the k nearest are among them (ties,
    close points far from the centre), all rows are measured whose bound is no farther than the k-th of these. So
    neither a common offset nor the device changes the result.

    Args:
        queries: (n, ...), each made flat: images uint8, features, any real dtype.
        reference: (m, ...) of the same size.
        k: how many, 1 <= k <= m; one less with `exclude`.
        exclude: (n,) the reference row that does not count for each query: `np.arange(n)` where the queries are the
            reference.

    Raises:
        UsageError: sizes that do not fit, values that are not finite, k out of range.

    Example:
        >>> x = np.array([[0.0], [1.0], [5.0]])
        >>> nearest_neighbours(x, x, exclude=np.arange(3)).index.ravel().tolist()
        [1, 0, 1]
    """
    a, b = _rows("queries", queries), _rows("reference", reference)
    if a.shape[1] != b.shape[1]:
        raise UsageError(f"queries have {a.shape[1]} values each, the reference {b.shape[1]}; they must agree.")
    n, m = len(a), len(b)
    without = np.full(n, -1) if exclude is None else np.asarray(exclude)
    others = m - (exclude is not None)
    if not 1 <= k <= others:
        raise UsageError(f"k={k} neighbours of {others} rows that count; k must lie in 1 ... {others}.")
    if without.shape != (n,) or without.min() < -1 or without.max() >= m:
        raise UsageError(f"exclude has shape {without.shape}; wanted ({n},), each a row 0 ... {m - 1}.")
    index, distance = np.empty((n, k), np.int64), np.empty((n, k))
    n_pool = min(k + SPARE, others)
    centre, scale = _frame(a, b)
    b32 = jnp.asarray(_moved(b, centre, scale))
    norms = jnp.asarray(np.square(np.asarray(b32), dtype=np.float64).sum(1).astype(np.float32))
    rows = max(1, min(n, ELEMENTS // m))
    for start in range(0, n, rows):
        part = slice(start, min(start + rows, n))
        own, fill = a[part], rows - (part.stop - part.start)
        moved = np.pad(_moved(own, centre, scale), [(0, fill), (0, 0)])
        out = np.pad(without[part], (0, fill)).astype(np.int32)
        pool, bound = _pool(moved, b32, norms, out, n_pool)
        pool, bound = np.asarray(pool)[: len(own)], np.asarray(bound)[: len(own)].astype(np.float64) * scale**2
        i, d2 = _measured(own, b, pool, k)
        unsure = np.flatnonzero((n_pool < m - (without[part] >= 0)) & ~(d2[:, -1] < bound))
        if unsure.size:
            bounds = np.asarray(_lower_bounds(moved, b32, norms, out))[unsure]
            for row, below in zip(unsure, bounds <= d2[unsure, -1:] / scale**2, strict=True):
                i[row], d2[row] = (v[0] for v in _measured(own[row : row + 1], b, np.flatnonzero(below)[None], k))
        index[part], distance[part] = i, np.sqrt(d2)
    return Neighbours(index, distance)


def _rows(name: str, x: Any) -> np.ndarray:
    """(n, d) of the dtype it came in; a UsageError where that cannot be compared."""
    x = np.asarray(x)
    if x.ndim < 2 or x.size == 0 or x.dtype.kind not in "uifb":
        raise UsageError(f"{name} are {x.dtype} {x.shape}; wanted real numbers (n, ...), not empty.")
    x = x.reshape(len(x), -1)
    bad = sum(int((~np.isfinite(x[s : s + BLOCK])).any(1).sum()) for s in range(0, len(x), BLOCK))
    if bad:
        raise UsageError(f"{bad} of {len(x)} {name} hold NaN or infinity; find where they come from.")
    return x


def _frame(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, float]:
    """The reference's mean and the largest distance from it along an axis, of both sets: float32 then suffices."""
    centre = sum(b[s : s + BLOCK].sum(0, dtype=np.float64) for s in range(0, len(b), BLOCK)) / len(b)
    largest = max(float(np.abs(x[s : s + BLOCK] - centre).max()) for x in (a, b) for s in range(0, len(x), BLOCK))
    return centre, largest or 1.0


def _moved(x: np.ndarray, centre: np.ndarray, scale: float) -> np.ndarray:
    out = np.empty(x.shape, np.float32)
    for s in range(0, len(x), BLOCK):
        out[s : s + BLOCK] = (x[s : s + BLOCK] - centre) / scale
    return out


@jax.jit
def _lower_bounds(a: Any, b: Any, norms: Any, without: Any) -> Float[Array, "q m"]:
    """What each squared distance surely is not below; infinite for the row that does not count.

    What float32 can lose of |a|^2 + |b|^2 - 2 a.b over d terms, its inputs' rounding included, is below
    (d + 16) 2^-24 (|a|^2 + |b|^2): so much is taken off.
    """
    lost = (a.shape[1] + 16) * 2.0**-24
    both = jnp.square(a).sum(1)[:, None] + norms[None, :]
    bound = (1 - lost) * both - 2 * jnp.matmul(a, b.T, precision="highest")
    return jnp.where(without[:, None] == jnp.arange(b.shape[0])[None, :], jnp.inf, bound)


@functools.partial(jax.jit, static_argnames="n_pool")
def _pool(a: Any, b: Any, norms: Any, without: Any, n_pool: int) -> tuple[Array, Array]:
    """Rows (q, n_pool) of least lower bound, and the bound (q,) below which no other row's is."""
    least, pool = lax.top_k(-_lower_bounds(a, b, norms, without), n_pool)
    return pool, -least[:, -1]


def _measured(own: np.ndarray, b: np.ndarray, pool: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest of each query's pool and their squared distances in float64, differences first."""
    pool = np.sort(pool, axis=1)  # then a stable sort puts the lower of equally near rows first
    d2 = np.empty(pool.shape)
    step = max(1, 2**22 // (pool.shape[1] * b.shape[1]))
    for s in range(0, len(own), step):
        difference = b[pool[s : s + step]].astype(np.float64) - own[s : s + step, None].astype(np.float64)
        d2[s : s + step] = np.square(difference).sum(-1)
    first = np.argsort(d2, axis=1, kind="stable")[:, :k]
    return np.take_along_axis(pool, first, 1).astype(np.int64), np.take_along_axis(d2, first, 1)
