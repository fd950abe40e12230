"""Metrics: samples, features or a model to numbers. Distances and shares compare rows of any feature space."""

from genjax.metrics.frechet import Moments, frechet_distance, frechet_infinity, moments
from genjax.metrics.kernel import kernel_distance, kernel_distance_subsets
from genjax.metrics.manifold import PRDC, prdc
from genjax.metrics.score import inception_score
from genjax.metrics.sliced import mind, sliced_wasserstein

__all__ = [
    "PRDC",
    "Moments",
    "frechet_distance",
    "frechet_infinity",
    "inception_score",
    "kernel_distance",
    "kernel_distance_subsets",
    "mind",
    "moments",
    "prdc",
    "sliced_wasserstein",
]
