"""Distributions as NamedTuples: `sample, log_prob, kl, mean, mode`, in nats, per example; and likelihoods of images."""

from genjax.distributions.discrete import Bernoulli, Categorical
from genjax.distributions.gaussian import Normal
from genjax.distributions.likelihood import (
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
from genjax.distributions.logistic import DiscretizedLogistic, DiscretizedLogisticMixture

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
