"""Metrics: samples, features or a model to numbers. Distances and shares compare rows of any feature space."""

from genjax.metrics.features import FeatureNet, feature_net

__all__ = [
    "FeatureNet",
    "feature_net",
]
