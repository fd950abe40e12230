"""Do a grid's samples differ as real examples do? Each statistic beside that of real grids of its size and labels.

Real grids are drawn again and again from a pool of real examples, so each number of a grid of samples has a rank among
those of real ones. In rows of numbers that the domain of the data makes of them (of images thumbnails), on the host: no
program is compiled, and nothing is drawn from the model.
"""

from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float, Int, Num

from genjax.domains.contract import Words

POOL = 256
"""Real examples that grids are drawn from."""
DRAWS = 200
"""Real grids: a rank is one of so many, and the least of them stands for a false alarm in 200."""
BEYOND = 2.0
"""How far below the usual, in the distance of the lowest real grid, a grid is out of the ordinary: of small grids and
few examples even real ones vary widely."""
CLOSE = 0.5
"""Two samples count as one from about this distance on, in the median distance of a real one to its nearest other one
in a grid: the scale of the kernel that counts different samples."""
KINDS, CLASSES = 10, 32
"""Kinds that real examples are parted into, by their nearest of so many means; the most classes whose shares a grid of
64 says something of."""
LEFT = 0.01
"""Share of the variance that kinds need not explain."""
ALONE = 2**18
"""Multiplications that OpenBLAS makes on one thread."""
FEWEST, FEWER = 8, 4
"""Least number of training examples, and of samples in a grid, for a judgement."""
KNOWN = 64
"""Least number of training examples for the shares of their kinds to be known."""
ENOUGH = 3
"""Times as many real examples as there are places for them: of fewer a model may show one twice that it has by heart,
and so real grids may."""


class Compared(NamedTuple):
    """A statistic of a grid beside that of real grids. All of them are low where samples are too much alike."""

    value: float
    usual: float
    """Median over real grids."""
    least: float
    """The lowest of `DRAWS` real grids."""

    @property
    def ratio(self) -> float:
        """Over the usual; 1 is as varied as real examples are."""
        return self.value / self.usual

    @property
    def below(self) -> bool:
        """Whether no real grid is nearly as low: twice as far from the usual as the lowest of them."""
        return self.value < self.usual - BEYOND * (self.usual - self.least)


class Reference(NamedTuple):
    """Real examples, and what grids of them look like."""

    pool: Float[np.ndarray, "m d"]
    picks: Int[np.ndarray, " n"]
    """Which places of a grid are looked at: those of which there are real examples."""
    means: Float[np.ndarray, "k d"]
    """The mean of each kind."""
    labels: Int[np.ndarray, " m"] | None
    """Class of each real example, where there are classes, and not too many."""
    same: Bool[np.ndarray, "n n"] | None
    """Which two places have one label; None for a grid without labels, or with one sample of each."""
    scale: float
    """Below this distance two samples are nearly one; 0 where real ones repeat."""
    within: float
    """The same among samples of one label."""
    sheet: float
    """How much nearer to each other samples of few latent dimensions lie, 1 for many: see `sheet_of`."""
    expected: dict[str, Float[np.ndarray, " k"]]
    """Shares of the kinds, and of the classes, in real grids."""
    real: dict[str, Float[np.ndarray, " draws"]]
    """The statistics of real grids."""


def reference(
    rows: Num[np.ndarray, "m d"],
    label: Int[np.ndarray, " m"] | None,
    n: int,
    asked: Int[np.ndarray, " n"] | None = None,
    z_dim: int | None = None,
    seed: int = 0,
    size: int | None = None,
    words: Words = Words(),
) -> Reference | str:
    """What grids are compared with; a reason, as half a sentence, where there is nothing to compare with.

    Args:
        rows: the pool, a row of numbers for each example, on the scale of the samples: a domain's `coarse`.
        label: its classes; None where it has none.
        n: samples of a grid.
        asked: the label of each place of a grid of a conditional model.
        z_dim: latent dimensions of the model; None for as many as one likes.
        seed: of the draws of real grids.
        size: numbers that an example is stored as; by default those of a row.
        words: what examples are called, for the reason.
    """
    rng, pool = np.random.default_rng(seed), np.asarray(rows)
    if len(pool) < FEWEST:
        called = f"{words.many} are" if len(pool) > 1 else f"{words.one} is"
        return f"{len(pool)} training {called} too few to compare with"
    among = distances(pool, pool)
    if not among.max() > 1e-6 * np.abs(pool).max():
        return f"the training {words.many} are all alike"
    if n < FEWER:
        return f"a grid of {n} is too small"
    picks, drawn = _drawn(rng, len(pool), n, label, asked)
    if len(picks) < FEWER:
        return f"there are too few training {words.many} of the grid's classes to compare with"
    same = None
    if asked is not None:
        one = asked[picks]
        same = (one[:, None] == one[None]) & ~np.eye(len(picks), dtype=bool)
        same = same if same.any() else None
    apart = among.astype(np.float32)[drawn[:, :, None], drawn[:, None, :]]
    rows = np.arange(len(picks))
    apart[:, rows, rows] = np.inf
    others = np.where(drawn[:, :, None] == drawn[:, None, :], np.inf, apart)
    sheet = sheet_of(z_dim, n, pool.shape[1] if size is None else size)
    scale = sheet * CLOSE * _median(others.min(2))
    within = 0.0 if same is None else sheet * CLOSE * _median(np.where(same, others, np.inf).min(2))
    means = _means(pool, min(KINDS, len(pool) // FEWEST), rng)
    classes = None if label is None or label.max() >= CLASSES else np.asarray(label)
    cells = {"kinds": distances(pool, means).argmin(1)}
    if classes is not None:
        np.fill_diagonal(among, np.inf)
        cells["classes"] = classes[among.argmin(1)]  # as a sample's is found: that of the nearest real one
    sizes = {"kinds": len(means), "classes": 0 if classes is None else int(classes.max()) + 1}
    expected = {k: np.bincount(c[drawn].ravel(), minlength=sizes[k]) / drawn.size for k, c in cells.items()}
    out = Reference(pool, picks, means, classes, same, scale, within, sheet, expected, {})
    each = _statistics(out, apart, {k: c[drawn] for k, c in cells.items()})
    known = {k: v for k, v in each.items() if len(pool) >= KNOWN or k not in expected}
    return out._replace(real={k: v for k, v in known.items() if np.median(v) > 0})


def measure(samples: Num[np.ndarray, "n d"], of: Reference) -> dict[str, Compared]:
    """A grid of samples, as rows, against real grids; nothing where a sample is not finite.

    Returns:
        spread: mean distance of two samples.
        distinct: how many different samples there are, n^2 / sum of exp(-(d / scale)^2) over pairs: 1 for one sample
            again and again, n where none is near another.
        nearest: median distance of a sample to its nearest other one.
        within: the same as `distinct` within each label, less one of each, over how many more there could be: 0 for a
            sample a class. Of a conditional model alone.
        kinds, classes: what the shares of the kinds of real ones, and of the classes that the nearest real one has,
            have in common with those of real grids: 1 less their total variation distance.

    Example:
        >>> real = np.random.default_rng(0).uniform(0, 255, (256, 16))
        >>> of = reference(real, None, 64)
        >>> {k: round(v.ratio, 2) for k, v in measure(np.repeat(real[:8], 8, axis=0), of).items()}
        {'spread': 0.96, 'distinct': 0.14, 'nearest': 0.0, 'kinds': 0.6}
    """
    x = np.asarray(samples)[of.picks]
    if not np.isfinite(x).all():
        return {}
    apart = distances(x, x)
    np.fill_diagonal(apart, np.inf)
    cells = {"kinds": distances(x, of.means).argmin(1)[None]}
    if of.labels is not None:
        cells["classes"] = of.labels[distances(x, of.pool).argmin(1)][None]
    each = _statistics(of, apart[None], cells)
    nearer = {"nearest": of.sheet}
    return {
        k: Compared(float(each[k][0]), nearer.get(k, 1.0) * float(np.median(v)), nearer.get(k, 1.0) * float(v.min()))
        for k, v in of.real.items()
    }


def sheet_of(z_dim: int | None, n: int, size: int) -> float:
    """How near to each other n samples of few latent dimensions are, over that of real examples, at most 1.

    They lie on a sheet of z_dim dimensions, where the nearest of n is at about n^(-1 / z_dim) of its width; a healthy
    VAE of two dimensions has samples six times as near to each other as real digits are. `size` is an example's: points
    in the plane lie on such a sheet themselves.

    Example:
        >>> [round(sheet_of(z, 64, 784), 2) for z in (2, 4, 8, 16)], sheet_of(2, 64, 2)
        ([0.19, 0.53, 0.89, 1.0], 1.0)
    """
    return 1.0 if z_dim is None or z_dim >= size else min(1.0, 1.5 * n ** (-1.0 / z_dim))


def cannot(of: Reference | str, label: Any, asked: Any, words: Words = Words()) -> dict[str, str]:
    """What of a grid's diversity cannot be judged, and why."""
    if isinstance(of, str):
        return {"how samples differ": of}
    out = {}
    if asked is not None and "within" not in of.real:
        few = f"a grid has too few {words.many} of one class"
        out["variety within classes"] = few if label is not None else "no labels"
    if "distinct" not in of.real:
        out["near doubles"] = f"training {words.many} repeat"
    if "kinds" not in of.real:
        out["shares of kinds"] = f"{len(of.pool)} training {words.many} are too few"
    elif asked is None and of.labels is None:
        out["classes of the samples"] = "no labels" if label is None else f"more than {CLASSES} are too many for a grid"
    return out


def _drawn(rng: np.random.Generator, m: int, n: int, label, asked) -> tuple[np.ndarray, np.ndarray]:
    """Places of a grid, and the real examples in them, [draws, places]."""
    if asked is None or label is None:
        return np.arange(n), _chosen(rng, np.arange(m), n)
    places, drawn = [np.zeros(0, np.int64)], [np.zeros((DRAWS, 0), np.int64)]
    for c in np.unique(asked):
        there = np.flatnonzero(label == c)
        if len(there) > 1:
            places.append(np.flatnonzero(asked == c))
            drawn.append(_chosen(rng, there, len(places[-1])))
    return np.concatenate(places), np.concatenate(drawn, axis=1)


def _chosen(rng: np.random.Generator, of: np.ndarray, n: int) -> np.ndarray:
    """Draws of n: each at most once where there are `ENOUGH`, [draws, n]."""
    if len(of) < ENOUGH * n:
        return of[rng.integers(0, len(of), (DRAWS, n))]
    return of[np.argsort(rng.random((DRAWS, len(of))), axis=1)[:, :n]]


def _median(v: np.ndarray) -> float:
    """The median of the finite values; 0 where there are none."""
    finite = v[np.isfinite(v)]
    return float(np.median(finite)) if finite.size else 0.0


def _statistics(
    of: Reference, apart: Float[np.ndarray, "g n n"], cells: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """The statistics of some grids, [g] each. `apart` is infinite on its diagonals."""
    n = apart.shape[1]
    found = {"spread": np.where(np.isfinite(apart), apart, 0.0).sum((1, 2)) / (n * (n - 1))}
    if of.scale > 0:
        found["distinct"] = n * n / (n + np.exp(-np.square(apart / of.scale)).sum((1, 2)))
        found["nearest"] = np.median(apart.min(2), axis=1)
    if of.same is not None and of.within > 0:
        together = of.same | np.eye(n, dtype=bool)
        close = np.where(of.same, np.exp(-np.square(apart / of.within)), 0.0).sum(2)
        size = together.sum(1)
        each = size**2 / (close @ together + size)  # different samples of the class of each place
        found["within"] = ((each - 1) / size).sum(1) / ((size - 1) / size).sum()
    for k, cell in cells.items():
        shares = np.stack([(cell == i).mean(1) for i in range(len(of.expected[k]))], axis=1)
        found[k] = 1.0 - 0.5 * np.abs(shares - of.expected[k]).sum(1)
    return found


def _means(x: Float[np.ndarray, "m d"], k: int, rng: np.random.Generator) -> Float[np.ndarray, "k d"]:
    """Means of at most k kinds: a few rounds of k-means, begun far from each other (k-means++).

    There are fewer where these leave `LEFT` of the variance: to part narrow modes further says nothing of modes.
    """
    means, most = x[[rng.integers(len(x))]], LEFT * np.square(x - x.mean(0)).sum()
    while len(means) < k and (far := np.square(distances(x, means).min(1))).sum() > most:
        means = np.concatenate([means, x[[rng.choice(len(x), p=far / far.sum())]]])
    for _ in range(5):
        nearest = distances(x, means).argmin(1)
        means = np.stack([x[nearest == i].mean(0) if (nearest == i).any() else means[i] for i in range(len(means))])
    return means


def distances(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    """Euclidean distances of all pairs of rows.

    The product is made in parts so small that a BLAS works on them alone: its threads would wait for the cores that the
    training keeps busy, and take ten times as long.
    """
    a, b = a.astype(np.float64), b.astype(np.float64)  # copies are close: float32 would lose what is between them
    width = max(1, ALONE // (len(a) * len(b)))
    squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None]
    for i in range(0, a.shape[1], width):
        squared -= 2.0 * (a[:, i : i + width] @ b[:, i : i + width].T)
    return np.sqrt(np.maximum(squared, 0.0))
