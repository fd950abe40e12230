"""Losses: arrays to arrays, per example; `reduce` alone makes scalars. No parameters, no networks."""

from genjax.losses import reduce
from genjax.losses.adversarial import (
    AdversarialPair,
    hinge,
    least_squares,
    minimax,
    nonsaturating,
    relativistic,
    wasserstein,
)
from genjax.losses.bound import elbo, free_bits, iwae
from genjax.losses.classification import cross_entropy
from genjax.losses.divergence import kl_normal, kl_std_normal
from genjax.losses.penalty import check_critic, gradient_penalty, r1, r2

__all__ = [
    "AdversarialPair",
    "check_critic",
    "cross_entropy",
    "elbo",
    "free_bits",
    "gradient_penalty",
    "hinge",
    "iwae",
    "kl_normal",
    "kl_std_normal",
    "least_squares",
    "minimax",
    "nonsaturating",
    "r1",
    "r2",
    "reduce",
    "relativistic",
    "wasserstein",
]
