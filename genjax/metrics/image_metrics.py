"""Metrics of images alone, as lines of the table of metrics."""

from genjax.data import Examples
from genjax.metrics.sharpness import high_frequency_share, laplacian_variance
from genjax.metrics.spaces import Numbers
from genjax.metrics.table import Metric


def _sharpness(images: Examples) -> tuple[float, float]:
    return float(high_frequency_share(images.x).mean()), float(laplacian_variance(images.x).mean())


def _sharper(real: tuple[float, float], fake: Examples, key) -> Numbers:
    """Over those of real images: 1 is as sharp as they are, below is blur, above is noise; of constant ones NaN."""
    each = [f / r if r > 0 else float("nan") for f, r in zip(_sharpness(fake), real, strict=True)]
    return dict(zip(("high_frequency_ratio", "laplacian_ratio"), each, strict=True))


IMAGE_METRICS: dict[str, Metric] = {
    "sharpness": Metric(
        _sharper, "examples", {"high_frequency_ratio": "nearest", "laplacian_ratio": "nearest"}, prepare=_sharpness,
    ),
}  # fmt: skip
