"""Are a grid's samples near the data? In pixels, on the host. How they differ from each other is in `diversity`.

No program is compiled for it and nothing drawn: the run makes its grids of samples anyway.
"""

import numpy as np
from jaxtyping import Float, Int, Num

from genjax import data
from genjax.health.diversity import POOL, distances

N_REAL = 64
"""Real images to compare with, as many as a grid has; as many again say how far real images are from these."""
FEWEST = 8
"""Least number of real images of each kind for distances to be judged."""
THUMBNAIL = 32
"""Larger images are compared as thumbnails of 32 to 63 pixels."""


def pool(train: data.Examples | data.Lazy, asked: Int[np.ndarray, " n"] | None = None) -> data.Examples:
    """Real images to compare grids with, in memory; as evenly of the classes `asked` for as there are.

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


def halves(images: Num[np.ndarray, "m h w c"]) -> Num[np.ndarray, "k h w c"]:
    """At most twice `N_REAL` of the pool, in two halves of all classes."""
    at = np.linspace(0, len(images) - 1, min(len(images), 2 * N_REAL)).astype(np.int64)
    return np.concatenate([images[at[::2]], images[at[1::2]]])


def cannot(images: Num[np.ndarray, "m h w c"]) -> dict[str, str]:
    """What cannot be judged against these real images, and why."""
    if max(images.shape[1:3]) == 1:
        return {"how far samples are from the data": "points may be as narrow as they like"}
    few = len(images) < 2 * FEWEST
    return {"how far samples are from the data": f"{len(images)} training images are too few"} if few else {}


def measure(samples: Num[np.ndarray, "n h w c"], real: Num[np.ndarray, "m h w c"]) -> dict[str, float]:
    """How far samples are from real images of the same scale (pixels).

    Args:
        samples: a grid.
        real: samples are compared with one half, the other says how far real images are from it.

    Returns:
        far: median distance of a sample to the nearest real image, over that of other real images; 1 is good, below 1
            is blur, above is noise or another kind of image. Of images larger than thumbnails, whose means would hide
            noise, the greater of that and of the same of the middle in full detail. NaN for points (one pixel), whose
            modes may be so narrow that every young fit is far in units of them.
        beyond: share of samples farther from every real image than any other real image is from its nearest.
        Both NaN where the real images do not differ or are too few, or a sample is not finite.

    Example:
        >>> real = np.random.default_rng(0).uniform(0, 255, (128, 4, 4, 1))
        >>> {k: round(v, 3) for k, v in measure(np.repeat(real[:1], 64, axis=0), real).items()}
        {'far': 0.0, 'beyond': 0.0}
    """
    x, y = (_small(np.asarray(v, np.float64)).reshape(len(v), -1) for v in (samples, real))
    reference, other = y[: len(y) // 2], y[len(y) // 2 :]
    if len(reference) < FEWEST or not np.isfinite(x).all() or max(samples.shape[1:3]) == 1:
        return dict.fromkeys(("far", "beyond"), float("nan"))
    whole = _away(x, reference, other)
    large = min(samples.shape[1:3]) >= 2 * THUMBNAIL
    far, beyond = max(whole, _away(*_middles(samples, real))) if large else whole
    return {"far": far, "beyond": beyond}


def _away(x: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"], other: Float[np.ndarray, "l d"]):
    """`far` and `beyond`; NaN where real images are all near each other."""
    mine, usual = (distances(v, reference).min(axis=1) for v in (x, other))
    middle = float(np.median(usual))
    return (float(np.median(mine)) / middle if middle > 0 else float("nan")), float((mine > usual.max()).mean())


def _middles(samples: Num[np.ndarray, "n h w c"], real: Num[np.ndarray, "m h w c"]) -> list[np.ndarray]:
    """The middles of the samples and of the two halves of the real images, as rows."""
    h, w = (max(0, size - THUMBNAIL) // 2 for size in samples.shape[1:3])
    x, y = (v[:, h : h + THUMBNAIL, w : w + THUMBNAIL].astype(np.float64).reshape(len(v), -1) for v in (samples, real))
    return [x, y[: len(y) // 2], y[len(y) // 2 :]]


def _small(v: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n h2 w2 c"]:
    """Means over squares of pixels."""
    n, h, w, c = v.shape
    by = max(1, min(h, w) // THUMBNAIL)
    v = v[:, : h // by * by, : w // by * by]
    return v.reshape(n, h // by, by, w // by, by, c).mean(axis=(2, 4))
