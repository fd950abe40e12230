"""Metrics: samples, features or a model to numbers. Distances and shares compare rows of any feature space."""

from genjax.metrics.conditional import ClassAccuracy, ClassDistances, class_accuracy, frechet_per_class
from genjax.metrics.frechet import Moments, frechet_distance, frechet_infinity, moments
from genjax.metrics.kernel import kernel_distance, kernel_distance_subsets
from genjax.metrics.manifold import PRDC, prdc
from genjax.metrics.memorisation import Authenticity, HeldOutGap, authenticity, held_out_gap
from genjax.metrics.modes import ModeCoverage, StackedCoverage, histogram_kl, mode_coverage, stacked_coverage
from genjax.metrics.neighbours import Neighbours, nearest_neighbours
from genjax.metrics.score import inception_score
from genjax.metrics.sharpness import (
    Sharpness,
    Spectrum,
    high_frequency_share,
    laplacian_variance,
    radial_spectrum,
    sharpness,
)
from genjax.metrics.sliced import mind, sliced_wasserstein

__all__ = [
    "PRDC",
    "Authenticity",
    "ClassAccuracy",
    "ClassDistances",
    "HeldOutGap",
    "ModeCoverage",
    "Moments",
    "Neighbours",
    "Sharpness",
    "Spectrum",
    "StackedCoverage",
    "authenticity",
    "class_accuracy",
    "frechet_distance",
    "frechet_infinity",
    "frechet_per_class",
    "held_out_gap",
    "high_frequency_share",
    "histogram_kl",
    "inception_score",
    "kernel_distance",
    "kernel_distance_subsets",
    "laplacian_variance",
    "mind",
    "mode_coverage",
    "moments",
    "nearest_neighbours",
    "prdc",
    "radial_spectrum",
    "sharpness",
    "sliced_wasserstein",
    "stacked_coverage",
]
