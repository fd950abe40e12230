"""Exact nearest neighbours of samples among others, in pixels or in features."""

from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Int

from genjax import progress
from genjax.errors import UsageError

ELEMENTS = 2**22
"""Pairs that are looked at at once."""
BLOCK = 2048
"""Rows that the host moves at once in float64."""


class Neighbours(NamedTuple):
    """The k nearest reference rows of each query, nearest first; of equally near ones the first."""

    index: Int[np.ndarray, "n k"]
    distance: Float[np.ndarray, "n k"]
    """Euclidean, float64."""


def nearest_neighbours(queries: Any, reference: Any, k: int = 1, exclude: Any = None) -> Neighbours:
    """The k nearest rows of `reference` to each query: by Euclidean distance, exact, ties to the lower index.

    On the device, in float32, each pair gets a number that its squared distance is surely not below. On the host, in
    float64, k rows of small bounds are measured, and then every row whose bound is no farther than the farthest of
    these. So neither a common offset, nor ties, nor the device changes the result.

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
    centre, scale = _frame(a, b)
    b32 = _moved(b, centre, scale)
    norms = np.square(b32, dtype=np.float64).sum(1).astype(np.float32)
    on_device = jnp.asarray(b32), jnp.asarray(norms)
    rows = max(1, min(n, ELEMENTS // m))
    for start in progress.over(range(0, n, rows), "nearest neighbours", rows):
        part = slice(start, min(start + rows, n))
        fill = rows - (part.stop - start)  # parts of one shape: compiled once
        moved, out = np.pad(_moved(a[part], centre, scale), [(0, fill), (0, 0)]), np.pad(without[part], (0, fill))
        bounds = np.asarray(_lower_bounds(moved, *on_device, out.astype(np.int32)))[: rows - fill]
        index[part], square = _nearest(a[part], b, bounds, scale, k)
        distance[part] = np.sqrt(square)
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
    centre = np.sum([b[s : s + BLOCK].sum(0, dtype=np.float64) for s in range(0, len(b), BLOCK)], axis=0) / len(b)
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


def _nearest(a: np.ndarray, b: np.ndarray, bounds: np.ndarray, scale: float, k: int) -> tuple[np.ndarray, np.ndarray]:
    """The k nearest rows of b to each of a, and their squared distances, from the bounds (q, m) in units of `scale`."""
    q, m = bounds.shape
    size = max(1, min(64, m // (4 * k)))  # the least bound of each of k groups: at least k rows that are near
    n_groups = m // size
    groups = bounds[:, : n_groups * size].reshape(q, n_groups, size)
    least = np.argpartition(groups.min(2), k - 1, axis=1)[:, :k]
    some = least * size + np.take_along_axis(groups, least[:, :, None], 1).argmin(2)
    rows = np.arange(q)
    reach = _squares(a, b, rows.repeat(k), some.ravel()).reshape(q, k).max(1) / scale**2
    at, candidate = np.nonzero(bounds <= np.nextafter(reach.astype(np.float32), np.float32(np.inf))[:, None])
    square = _squares(a, b, at, candidate)
    order = np.lexsort((square, at))  # stable: of equally near candidates the lower index stays first
    first = np.searchsorted(at, rows)[:, None] + np.arange(k)
    return candidate[order][first], square[order][first]


def _squares(a: np.ndarray, b: np.ndarray, i: np.ndarray, j: np.ndarray) -> Float[np.ndarray, " pairs"]:
    """|a[i] - b[j]|^2 in float64, differences first."""
    out, step = np.empty(len(i)), max(1, 2**21 // a.shape[1])
    for s in range(0, len(i), step):
        difference = a[i[s : s + step]].astype(np.float64) - b[j[s : s + step]]
        out[s : s + step] = np.square(difference).sum(1)
    return out
