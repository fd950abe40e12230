"""Precision, recall, density and coverage: which samples lie in the balls around the other set's."""

import math
from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from genjax.errors import UsageError
from genjax.metrics.samples import Samples, blocks, centred, chunk_rows, pair, squared_norms


class PRDC(NamedTuple):
    """Shares of samples in the other set's neighbourhoods."""

    precision: float
    """Share of fake samples inside some real ball, in [0, 1]."""
    recall: float
    """Share of real samples inside some fake ball, in [0, 1]."""
    density: float
    """Real balls a fake sample lies in, on average, divided by k: 1 is expected of equal distributions; unbounded."""
    coverage: float
    """Share of real balls that hold a fake sample, in [0, 1]; 1 - 2^-k is expected of equal distributions."""


def prdc(real: Samples, fake: Samples, k: int = 5) -> PRDC:
    """Precision, recall, density and coverage of fake samples. A ball reaches to its centre's k-th nearest neighbour.

    Neighbours are of the same set, the centre itself excluded; a ball holds what is strictly nearer than its radius.
    Coverage depends on the sizes of the sets: compare at one n and m.

    Distances come from float32 products by chunks of rows; no (n, m) matrix is kept. Where float32 cannot tell whether
    a sample is inside, the ball is computed again in float64, so that rounding decides no more than ties.

    Args:
        real: (n, d), n > k.
        fake: (m, d), m > k.
        k: at least 1.

    Raises:
        UsageError: samples that are not (n, d), not finite, of unlike d, or not more than k.

    Source:
        Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for Generative Models (density and coverage);
        Kynkäänniemi et al. 2019, Improved Precision and Recall Metric for Assessing Generative Models. There a ball
        is closed; here open for all four, as in the former's code. It matters where distances tie.

    Example:
        >>> x = np.arange(10.0)[:, None]
        >>> prdc(x, x + 0.25, k=2)
        PRDC(precision=1.0, recall=1.0, density=1.05, coverage=1.0)
    """
    if k < 1:
        raise UsageError(f"k={k} must be at least 1.")
    real, fake = pair(real, fake, least=k + 1)
    both = centred(real, fake)
    x, y = (_Side(jnp.asarray(a), jnp.asarray(squared_norms(a), jnp.float32)) for a in (both.real, both.fake))
    error = rounding(both.centre.size)
    radii = [_radii(*s, k=k, size=block_size(len(s.a))) for s in (x, y)]
    found = _Found(*map(np.array, _count(x, radii[0], y, radii[1], error, q=chunk_rows(len(x.a), len(y.a)))))
    # The balls that float32 left in doubt. What it found to be inside, surely is, and stays.
    for rows in blocks_of(found.x_doubt):
        inside = _inside(rows, real, fake, both.centre, k)
        found.hits[rows] = inside.sum(1)
        found.y_covered[:] |= inside.any(0)
    for rows in blocks_of(found.y_doubt):
        found.x_covered[:] |= _inside(rows, fake, real, both.centre, k).any(0)
    hits = found.hits
    return PRDC(
        precision=float(found.y_covered.mean()),
        recall=float(found.x_covered.mean()),
        density=float(hits.sum(dtype=np.int64)) / (k * len(fake)),
        coverage=float((hits > 0).mean()),
    )


def rounding(d: int) -> float:
    """Bound of the float32 error of an expanded |a - b|^2, in units of |a|^2 + |b|^2.

    The dot product of d terms decides: worst-case d half-ulps, here four times what sums of blocks show (a test
    holds it against float64).
    """
    return float(np.finfo(np.float32).eps) * (8 + 2 * np.sqrt(d))


def block_size(n: int, most: int = 1024) -> int:
    """Side of the square blocks of an (n, n) matrix: equal ones of at most so many rows."""
    return -(-n // -(-n // most))


def blocks_of(doubt: np.ndarray, size: int = 256):
    """Indices of the True ones, so many at a time."""
    rows = np.flatnonzero(doubt)
    return (rows[s] for s in blocks(len(rows), size))


class _Side(NamedTuple):
    """One set of samples about the common centre."""

    a: Float[Array, "n d"] | np.ndarray
    norms: Float[Array, " n"] | np.ndarray


class _Found(NamedTuple):
    """What the float32 pass tells of two sets x and y, each with the balls around its samples."""

    hits: np.ndarray
    """(n,) samples of y in each ball of x, where that is not in doubt"""
    x_doubt: np.ndarray
    """(n,) whether the number is in doubt"""
    y_doubt: np.ndarray
    """(m,) whether it is in doubt what of x a ball of y holds"""
    x_covered: np.ndarray
    """(n,) whether a sample of x is surely in some ball of y"""
    y_covered: np.ndarray
    """(m,) whether a sample of y is surely in some ball of x"""


def _squared(a, norms_a, b, norms_b) -> Float[Array, "q n"]:
    """|a - b|^2 of all pairs, expanded."""
    return norms_a[:, None] + norms_b[None, :] - 2 * jnp.matmul(a, b.T, precision="highest")


@partial(jax.jit, static_argnames=("k", "size"))
def _radii(a, norms, k: int, size: int) -> Float[Array, " n"]:
    """Squared distance of each sample to its k-th nearest neighbour: by square blocks, each of which serves two sets of
    samples, its rows and its columns."""
    n = a.shape[0]
    first, second = (jnp.asarray(v) for v in np.triu_indices(-(-n // size)))

    def taken(block):
        """Start of the block, and which of its samples are its own: the last one overlaps the one before."""
        start = jnp.minimum(block * size, n - size)
        at = start + jnp.arange(size)
        return start, at, at >= block * size

    def body(i, nearest):
        (r, at_r, own_r), (c, at_c, own_c) = taken(first[i]), taken(second[i])
        rows, columns = ([lax.dynamic_slice_in_dim(v, start, size) for v in (a, norms)] for start in (r, c))
        other = own_r[:, None] & own_c[None, :] & (at_r[:, None] != at_c[None, :])
        d2 = jnp.where(other, _squared(*rows, *columns), jnp.inf)

        def merge(nearest, start, d2):
            old = lax.dynamic_slice_in_dim(nearest, start, size)
            new = jnp.concatenate([old, _smallest(d2, min(k, size))], 1)
            return lax.dynamic_update_slice_in_dim(nearest, -lax.top_k(-new, k)[0], start, 0)

        nearest = merge(nearest, r, d2)
        if size == n:
            return nearest
        return merge(nearest, c, jnp.where(first[i] == second[i], jnp.inf, d2).T)  # on the diagonal once is enough

    return lax.fori_loop(0, first.size, body, jnp.full((n, k), jnp.inf, jnp.float32))[:, -1]


def _smallest(d2, k: int) -> Float[Array, "q k"]:
    """The k smallest of each row, ascending: among the k groups of columns with the smallest minima.

    XLA makes a sort of `top_k` inside a loop on a CPU; of whole rows it would take several times the products' time.
    """
    q, n = d2.shape
    width = max(1, int(math.sqrt(n / k)))
    groups = jnp.pad(d2, ((0, 0), (0, -n % width)), constant_values=jnp.inf).reshape(q, -1, width)
    best = lax.top_k(-groups.min(2), k)[1]
    candidates = jnp.take_along_axis(groups, best[:, :, None], axis=1).reshape(q, -1)
    return -lax.top_k(-candidates, k)[0]


@partial(jax.jit, static_argnames="q")
def _count(x: _Side, x_radii, y: _Side, y_radii, error, q: int):
    """A `_Found`, as a plain tuple, of squared radii of both sets; q rows at once."""
    n, m = x.a.shape[0], y.a.shape[0]
    # A neighbour at distance r has a norm of at most |a| + r, hence the error of a radius.
    x_error, y_error = (error * (3 * s.norms + 2 * jnp.abs(r)) for s, r in ((x, x_radii), (y, y_radii)))

    def body(i, out):
        start = jnp.minimum(i * q, n - q)
        a, norms, radii, radii_error = (lax.dynamic_slice_in_dim(v, start, q) for v in (*x, x_radii, x_error))
        d2 = _squared(a, norms, *y)
        doubt = error * (norms[:, None] + y.norms[None, :])
        x_gap, x_doubt = d2 - radii[:, None], doubt + radii_error[:, None]
        y_gap, y_doubt = d2 - y_radii[None, :], doubt + y_error[None, :]
        x_in, y_in = x_gap < -x_doubt, y_gap < -y_doubt
        x_unsure, y_unsure = jnp.abs(x_gap) <= x_doubt, jnp.abs(y_gap) <= y_doubt

        def put(whole, rows):
            return lax.dynamic_update_slice_in_dim(whole, rows, start, 0)

        return (
            put(out[0], x_in.sum(1, dtype=jnp.int32)), put(out[1], x_unsure.any(1)), out[2] | y_unsure.any(0),
            put(out[3], y_in.any(1)), out[4] | x_in.any(0),
        )  # fmt: skip

    none_n, none_m = jnp.zeros(n, bool), jnp.zeros(m, bool)
    return lax.fori_loop(0, -(-n // q), body, (jnp.zeros(n, jnp.int32), none_n, none_m, none_n, none_m))


def _inside(rows: np.ndarray, own: np.ndarray, other: np.ndarray, centre: np.ndarray, k: int) -> np.ndarray:
    """(b, m) which of `other` lie in the balls around own[rows], in float64 on the host."""
    a = own[rows] - centre
    norms = np.square(a).sum(1)

    def squared(b: np.ndarray) -> np.ndarray:
        out = np.empty((len(a), len(b)))
        for part in blocks(len(b)):
            c = b[part] - centre
            out[:, part] = norms[:, None] + np.square(c).sum(1) - 2 * (a @ c.T)
        return out

    d2 = squared(own)
    d2[np.arange(len(rows)), rows] = np.inf
    radii = np.partition(d2, k - 1, axis=1)[:, k - 1]
    return squared(other) < radii[:, None]
