"""Are a grid's samples near the data? In rows of numbers that the domain of the data makes of them, on the host.

No program is compiled for it and nothing drawn: the run makes its grids of samples anyway. How samples differ from each
other is in `diversity`.
"""

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float, Int, Num

from genjax import data
from genjax.domains.contract import Words
from genjax.health.diversity import POOL, distances

N_REAL = 64
"""Real examples to compare with, as many as a grid has; as many again say how far real ones are from these."""
FEWEST = 8
"""Least number of real examples of each kind for distances to be judged."""
JUDGED = "how far samples are from the data"


def pool(train: data.Examples | data.Lazy, asked: Int[np.ndarray, " n"] | None = None) -> data.Examples:
    """Real examples to compare grids with, in memory; as evenly of the classes `asked` for as there are.

    Of every stretch of the set one is taken at random: so no order of it, sorted or in turn, leaves classes out.
    """
    rng, n = np.random.default_rng(0), data.size(train)
    if asked is not None and train.y is not None:
        wanted = np.unique(asked)
        each = -(-POOL // len(wanted))
        of = [np.flatnonzero(train.y == c) for c in wanted]
        return data.take(train, np.sort(np.concatenate([rng.permutation(i)[:each] for i in of])))
    edges = np.linspace(0, n, min(n, POOL) + 1).astype(np.int64)
    return data.take(train, rng.integers(edges[:-1], edges[1:]))


def halves(examples: data.Examples) -> data.Examples:
    """At most twice `N_REAL` of the pool, in two halves of all classes."""
    n = len(examples.x)
    at = np.linspace(0, n - 1, min(n, 2 * N_REAL)).astype(np.int64)
    return data.take(examples, np.concatenate([at[::2], at[1::2]]))


def cannot(n: int, views: Sequence[Num[np.ndarray, "m d"]], words: Words = Words()) -> dict[str, str]:
    """What cannot be judged against n real examples, of which there are these views, and why."""
    if not views:
        return {JUDGED: f"{words.many} may be as narrow as they like"}
    return {JUDGED: f"{n} training {words.many} are too few"} if n < 2 * FEWEST else {}


def measure(samples: Sequence[Num[np.ndarray, "n d"]], real: Sequence[Num[np.ndarray, "m d"]]) -> dict[str, float]:
    """How far samples are from real examples.

    Args:
        samples: views of a grid, rows of numbers each: a domain's `near`.
        real: the same views of real examples. Samples are compared with one half, the other says how far real ones are
            from it.

    Returns:
        far: median distance of a sample to the nearest real example, over that of other real ones; 1 is good, below 1
            is blur, above is noise or another kind of example. Of several views the greatest.
        beyond: share of samples farther from every real example than any other real one is from its nearest.
        Both NaN where there are no views, the real ones do not differ or are too few, or a sample is not finite.

    Example:
        >>> real = np.random.default_rng(0).uniform(0, 255, (128, 16))
        >>> {k: round(v, 3) for k, v in measure([np.repeat(real[:1], 64, axis=0)], [real]).items()}
        {'far': 0.0, 'beyond': 0.0}
    """
    pairs = [(np.asarray(x, np.float64), np.asarray(y, np.float64)) for x, y in zip(samples, real, strict=True)]
    if not pairs or len(pairs[0][1]) // 2 < FEWEST or not all(np.isfinite(x).all() for x, _ in pairs):
        return dict.fromkeys(("far", "beyond"), float("nan"))
    far, beyond = max(_away(x, y[: len(y) // 2], y[len(y) // 2 :]) for x, y in pairs)
    return {"far": far, "beyond": beyond}


def _away(x: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"], other: Float[np.ndarray, "l d"]):
    """`far` and `beyond`; NaN where real examples are all near each other."""
    mine, usual = (distances(v, reference).min(axis=1) for v in (x, other))
    middle = float(np.median(usual))
    return (float(np.median(mine)) / middle if middle > 0 else float("nan")), float((mine > usual.max()).mean())
