"""Kernel distance: the squared maximum mean discrepancy under the polynomial kernel of KID."""

from functools import partial
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float

from genjax import progress, rng
from genjax.errors import UsageError
from genjax.metrics.samples import Samples, blocks, centred, chunk_rows, pair, squared_norms
from genjax.types import Key

PAIRS = 10**8
"""Pairs between two looks at how far it is: seconds on a CPU in thousands of dimensions."""


class _Set(NamedTuple):
    """Samples x = c + a about the common centre c of both sets."""

    a: np.ndarray
    """(n, d) float32"""
    u: np.ndarray
    """(n,) c.a / d, float64"""
    norms: np.ndarray
    """(n,) |a|^2, float64"""

    def rows(self, i: np.ndarray) -> "_Set":
        return _Set(*(v[i] for v in self))


def kernel_distance(real: Samples, fake: Samples) -> float:
    """Unbiased estimate of the squared MMD with the kernel (x.y / d + 1)^3; may be below 0 where the sets agree.

    Every pair of different samples counts: the estimate of least variance, with no subsets to choose. In features of
    Inception-v3 its mean is that of the KID. No (n, n) matrix is kept.

    The kernel k(x, y) is written about the centre c of all samples, x = c + a, and the parts of it that cancel in the
    discrepancy are left out, so that float32 products serve: what is lost is relative to deviations, not to c.

    Args:
        real: (n, d), n >= 2.
        fake: (m, d), m >= 2.

    Raises:
        UsageError: samples that are not (n, d), not finite, or of unlike d.

    Source:
        Bińkowski et al. 2018, Demystifying MMD GANs (KID); Gretton et al. 2012, A Kernel Two-Sample Test (the
        unbiased estimate).

    Example:
        >>> x = np.asarray([[0.0], [1.0]])
        >>> kernel_distance(x, x + 1)  # 1 + 27 - 2 (1 + 1 + 8 + 27) / 4
        9.5
    """
    return _mmd2(*_sets(real, fake))


def kernel_distance_subsets(
    real: Samples, fake: Samples, key: Key, n_subsets: int = 100, subset_size: int = 1000
) -> tuple[float, float]:
    """Mean and standard deviation of the kernel distance over random subsets, as KID is commonly reported.

    The deviation is that of one subset's estimate, not of the mean, and subsets of one sample overlap.

    Args:
        real: (n, d).
        fake: (m, d).
        key: draws the subsets, each without replacement.
        n_subsets: at least 1.
        subset_size: samples of each set in a subset, at most the smaller of n and m.

    Raises:
        UsageError: as `kernel_distance`; a subset larger than a set.
    """
    r, f, c0 = _sets(real, fake)
    n, m = len(r.u), len(f.u)
    if n_subsets < 1 or not 2 <= subset_size <= min(n, m):
        raise UsageError(f"n_subsets={n_subsets}, subset_size={subset_size}: need 1 or more, and 2 to {min(n, m)}.")
    found = []
    for i in range(n_subsets):
        k_r, k_f = jax.random.split(rng.at_step(rng.named(key, "subsets"), i))
        rows = [np.asarray(jax.random.permutation(k, size))[:subset_size] for k, size in ((k_r, n), (k_f, m))]
        found.append(_mmd2(r.rows(rows[0]), f.rows(rows[1]), c0))
    return float(np.mean(found)), float(np.std(found))


def _sets(real: Samples, fake: Samples) -> tuple[_Set, _Set, float]:
    """Both sets about their centre c, and |c|^2 / d + 1."""
    both = centred(*pair(real, fake))
    d = both.centre.size
    r, f = (_Set(a, _dot(a, both.centre) / d, squared_norms(a)) for a in (both.real, both.fake))
    return r, f, float(both.centre @ both.centre) / d + 1.0


def _dot(a: np.ndarray, centre: np.ndarray) -> np.ndarray:
    """a.c of each row in float64."""
    return np.concatenate([a[rows].astype(np.float64) @ centre for rows in blocks(len(a))])


def _mmd2(r: _Set, f: _Set, c0: float) -> float:
    """The unbiased estimate.

    With s = a.a'/d and t = c0 + u + u' the kernel is (t + s)^3. Terms in one sample alone cancel between the three
    means over pairs; of the rest, 3 c0^2 s and all that is in u alone are sums over samples, done in float64.
    """
    d = r.a.shape[1]
    return _within(r, c0, d) + _within(f, c0, d) - 2 * _between(r, f, c0, d)


def _within(x: _Set, c0: float, d: int) -> float:
    n = len(x.u)
    total = x.a.sum(0, dtype=np.float64)
    u1, u2, u3 = (float((x.u**p).sum()) for p in (1, 2, 3))
    pairs = 6 * c0 * (u1 * u1 - u2) + 6 * (u2 * u1 - u3)
    pairs += 3 * c0**2 * (float(total @ total) - float(x.norms.sum())) / d
    pairs += _rest_sum(x, x, c0, same=True)
    return pairs / (n * (n - 1))


def _between(x: _Set, y: _Set, c0: float, d: int) -> float:
    u1, u2, v1, v2 = (float((z.u**p).mean()) for z in (x, y) for p in (1, 2))
    total = 6 * c0 * u1 * v1 + 3 * (u2 * v1 + u1 * v2)
    total += 3 * c0**2 * float(x.a.mean(0, dtype=np.float64) @ y.a.mean(0, dtype=np.float64)) / d
    return total + _rest_sum(x, y, c0, same=False) / (len(x.u) * len(y.u))


def _rest_sum(x: _Set, y: _Set, c0: float, same: bool) -> float:
    """Over all pairs: summed over y in float32, over x in float64."""
    n, m, u, v = len(x.u), len(y.u), x.u.astype(np.float32), y.u.astype(np.float32)
    rows = min(n, max(1, PAIRS // m))
    found = []
    for i in progress.over(range(0, n, rows), "pairs of samples, rows", rows):
        part, q = slice(i, i + rows), chunk_rows(min(rows, n - i), m)
        sums = _rest(x.a[part], u[part], y.a, v, np.float32(c0), np.int32(i if same else -n), q=q)
        found.append(np.asarray(sums, np.float64))
    return float(np.concatenate(found).sum())


@partial(jax.jit, static_argnames="q")
def _rest(a, u, b, v, c0, first, q: int) -> Float[Array, " n"]:
    """Sum over b of s (3 (t^2 - c0^2) + 3 t s + s^2) for each a, q rows at once; a[i] is b[first + i], and left out."""
    (n, d), m = a.shape, b.shape[0]

    def body(i, out):
        start = jnp.minimum(i * q, n - q)  # the last chunk overlaps the one before: its rows are the same again
        s = jnp.matmul(lax.dynamic_slice_in_dim(a, start, q), b.T, precision="highest") / d
        w = lax.dynamic_slice_in_dim(u, start, q)[:, None] + v[None, :]
        rest = s * (3 * w * (w + 2 * c0) + s * (3 * (w + c0) + s))
        rest = jnp.where((first + start + jnp.arange(q))[:, None] == jnp.arange(m)[None, :], 0, rest)
        return lax.dynamic_update_slice_in_dim(out, rest.sum(1), start, 0)

    return lax.fori_loop(0, -(-n // q), body, jnp.zeros(n, jnp.float32))
