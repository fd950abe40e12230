"""Distributions as NamedTuples: `sample, log_prob, kl, mean, mode`, in nats, per example; likelihoods, and priors."""

from genjax.distributions.autoregressive import Autoregressive, Chain, autoregressive
from genjax.distributions.chords import Chords, chords
from genjax.distributions.discrete import Bernoulli, Categorical
from genjax.distributions.gaussian import Normal
from genjax.distributions.laplace import DiscretizedLaplace
from genjax.distributions.likelihood import (
    LIKELIHOODS,
    Likelihood,
    bernoulli,
    categorical,
    chosen_for,
    discretized_logistic,
    discretized_logistic_mixture,
    gaussian,
    gaussian_global,
    gaussian_per_pixel,
    laplace16,
    likelihood_of,
    why_chosen,
)
from genjax.distributions.logistic import DiscretizedLogistic, DiscretizedLogisticMixture
from genjax.distributions.numerics import log_prob
from genjax.distributions.prior import Flow, Mixture, Prior, rate, realnvp, scaled, standard_normal, vamp
from genjax.distributions.product import Part, Product, product

__all__ = [
    "LIKELIHOODS",
    "Autoregressive",
    "Bernoulli",
    "Categorical",
    "Chain",
    "Chords",
    "DiscretizedLaplace",
    "DiscretizedLogistic",
    "DiscretizedLogisticMixture",
    "Flow",
    "Likelihood",
    "Mixture",
    "Normal",
    "Part",
    "Prior",
    "Product",
    "autoregressive",
    "bernoulli",
    "categorical",
    "chords",
    "chosen_for",
    "discretized_logistic",
    "discretized_logistic_mixture",
    "gaussian",
    "gaussian_global",
    "gaussian_per_pixel",
    "laplace16",
    "likelihood_of",
    "log_prob",
    "product",
    "rate",
    "realnvp",
    "scaled",
    "standard_normal",
    "vamp",
    "why_chosen",
]
