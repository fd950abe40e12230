"""Distributions as NamedTuples: `sample, log_prob, kl, mean, mode`, in nats, per example; and likelihoods of images."""

from genjax.dist.discrete import Bernoulli, Categorical
from genjax.dist.gaussian import Normal
from genjax.dist.likelihood import (
    LIKELIHOODS,
    Distribution,
    Likelihood,
    bernoulli,
    categorical,
    chosen_for,
    discretized_logistic,
    discretized_logistic_mixture,
    gaussian,
    gaussian_global,
    gaussian_per_pixel,
    likelihood_of,
)
from genjax.dist.logistic import DiscretizedLogistic, DiscretizedLogisticMixture

__all__ = [
    "LIKELIHOODS",
    "Bernoulli",
    "Categorical",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Distribution",
    "Likelihood",
    "Normal",
    "bernoulli",
    "categorical",
    "chosen_for",
    "discretized_logistic",
    "discretized_logistic_mixture",
    "gaussian",
    "gaussian_global",
    "gaussian_per_pixel",
    "likelihood_of",
]
