"""Are a grid's samples different from each other, do they reach the data, are they near it? In pixels, on the host.

No program is compiled for it and nothing drawn: the run makes its grids of samples anyway.
"""

import numpy as np
from jaxtyping import Float, Num

N_REAL = 64
"""Real images to compare with, as many as a grid has; as many again measure what real images reach."""
NEIGHBOURS = 5
"""An image's neighbourhood reaches to its 5th nearest: Naeem et al. 2020, Reliable Fidelity and Diversity Metrics for
Generative Models, whose coverage this is."""
THUMBNAIL = 32
"""Larger images are compared as thumbnails of 32 to 63 pixels: modes differ in what is seen from afar."""
NEAR = 0.25
"""A double is nearer than this, in the median distance of a real image to its nearest other one."""


def measure(samples: Num[np.ndarray, "n h w c"], real: Num[np.ndarray, "m h w c"]) -> dict[str, float]:
    """Diversity of samples, against real images of the same scale (pixels).

    Args:
        samples: a grid.
        real: of it one half is compared with, the other says what real images reach.

    Returns:
        spread: mean distance of two samples over that of two real images; 1 for samples like the data, 0 for one image.
        twins: share of the samples with another one nearer than `NEAR` times a real image's nearest.
        coverage: share of real images with a sample in their neighbourhood, over that of other real images; 1 is good.
        far: median distance of a sample to the nearest real image, over that of other real images; 1 is good, below 1
            is blur, above is noise or another kind of image. Of images larger than thumbnails, whose means would hide
            noise, the greater of that and of the same of the middle in full detail. NaN for points (one pixel), whose
            modes may be so narrow that every young fit is far in units of them.
        beyond: share of samples farther from every real image than any other real image is from its nearest.
        All NaN where the real images do not differ, or a sample is not finite.

    Example:
        >>> real = np.random.default_rng(0).uniform(0, 255, (128, 4, 4, 1))
        >>> {k: round(v, 3) for k, v in measure(np.repeat(real[:1], 64, axis=0), real).items()}
        {'spread': 0.0, 'twins': 1.0, 'coverage': 0.05, 'far': 0.0, 'beyond': 0.0}
    """
    x, y = (_small(np.asarray(v, np.float64)).reshape(len(v), -1) for v in (samples, real))
    reference, other = y[: len(y) // 2], y[len(y) // 2 :]
    own = _apart(reference)
    among = own[np.isfinite(own)]
    nearest = np.median(own.min(axis=1)) if len(own) > 1 else 0.0
    if len(reference) <= NEIGHBOURS or len(x) < 2 or not np.isfinite(x).all() or nearest <= 0:
        return dict.fromkeys(("spread", "twins", "coverage", "far", "beyond"), float("nan"))
    between = _apart(x)
    radius = np.sort(own, axis=1)[:, NEIGHBOURS - 1]

    def reached(v: np.ndarray) -> float:
        return float((_distances(reference, v).min(axis=1) <= radius).mean())

    whole = _away(x, reference, other)
    large = min(samples.shape[1:3]) >= 2 * THUMBNAIL
    far, beyond = max(whole, _away(*_middles(samples, real))) if large else whole
    if max(samples.shape[1:3]) == 1:
        far = beyond = float("nan")
    return {
        "spread": float(between[np.isfinite(between)].mean() / among.mean()),
        "twins": float((between.min(axis=1) < NEAR * nearest).mean()),
        "coverage": reached(x) / max(reached(other), 1.0 / len(reference)),
        "far": far,
        "beyond": beyond,
    }


def _away(x: Float[np.ndarray, "n d"], reference: Float[np.ndarray, "m d"], other: Float[np.ndarray, "l d"]):
    """`far` and `beyond`; zeros where real images are all near each other."""
    mine, usual = (_distances(v, reference).min(axis=1) for v in (x, other))
    middle = float(np.median(usual))
    return (float(np.median(mine)) / middle if middle > 0 else 0.0), float((mine > usual.max()).mean())


def _middles(samples: Num[np.ndarray, "n h w c"], real: Num[np.ndarray, "m h w c"]) -> list[np.ndarray]:
    """Of samples and of the two halves of the real images what is in the middle, as rows."""
    h, w = (max(0, size - THUMBNAIL) // 2 for size in samples.shape[1:3])
    x, y = (v[:, h : h + THUMBNAIL, w : w + THUMBNAIL].astype(np.float64).reshape(len(v), -1) for v in (samples, real))
    return [x, y[: len(y) // 2], y[len(y) // 2 :]]


def _small(v: Float[np.ndarray, "n h w c"]) -> Float[np.ndarray, "n h2 w2 c"]:
    """Means over squares of pixels."""
    n, h, w, c = v.shape
    by = max(1, min(h, w) // THUMBNAIL)
    v = v[:, : h // by * by, : w // by * by]
    return v.reshape(n, h // by, by, w // by, by, c).mean(axis=(2, 4))


def _distances(a: Float[np.ndarray, "n d"], b: Float[np.ndarray, "m d"]) -> Float[np.ndarray, "n m"]:
    squared = np.square(a).sum(1)[:, None] + np.square(b).sum(1)[None] - 2.0 * a @ b.T
    return np.sqrt(np.maximum(squared, 0.0))


def _apart(v: Float[np.ndarray, "n d"]) -> Float[np.ndarray, "n n"]:
    """Distances between the rows, infinite on the diagonal."""
    d = _distances(v, v)
    np.fill_diagonal(d, np.inf)
    return d
