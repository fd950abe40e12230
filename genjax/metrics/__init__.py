"""Metrics: samples, features or a model to numbers."""

from genjax.metrics.conditional import ClassAccuracy, ClassDistances, class_accuracy, frechet_per_class
from genjax.metrics.memorisation import Authenticity, HeldOutGap, authenticity, held_out_gap
from genjax.metrics.modes import ModeCoverage, StackedCoverage, histogram_kl, mode_coverage, stacked_coverage
from genjax.metrics.neighbours import Neighbours, nearest_neighbours
from genjax.metrics.sharpness import (
    Sharpness,
    Spectrum,
    high_frequency_share,
    laplacian_variance,
    radial_spectrum,
    sharpness,
)

__all__ = [
    "Authenticity",
    "ClassAccuracy",
    "ClassDistances",
    "HeldOutGap",
    "ModeCoverage",
    "Neighbours",
    "Sharpness",
    "Spectrum",
    "StackedCoverage",
    "authenticity",
    "class_accuracy",
    "frechet_per_class",
    "held_out_gap",
    "high_frequency_share",
    "histogram_kl",
    "laplacian_variance",
    "mode_coverage",
    "nearest_neighbours",
    "radial_spectrum",
    "sharpness",
    "stacked_coverage",
]
