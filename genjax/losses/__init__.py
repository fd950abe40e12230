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
from genjax.losses.game import LOSSES, PENALTIES, READS, game
from genjax.losses.packed import packed_gradient_penalty
from genjax.losses.penalty import check_critic, dragan, gradient_penalty, lecam, r1, r2, running_mean
from genjax.losses.spectral import log_mel, log_spectrum, mel_filters, power_spectrum, spectral_distance

__all__ = [
    "LOSSES",
    "PENALTIES",
    "READS",
    "AdversarialPair",
    "check_critic",
    "cross_entropy",
    "dragan",
    "elbo",
    "free_bits",
    "game",
    "gradient_penalty",
    "hinge",
    "iwae",
    "kl_normal",
    "kl_std_normal",
    "least_squares",
    "lecam",
    "log_mel",
    "log_spectrum",
    "mel_filters",
    "minimax",
    "nonsaturating",
    "packed_gradient_penalty",
    "power_spectrum",
    "r1",
    "r2",
    "reduce",
    "relativistic",
    "running_mean",
    "spectral_distance",
    "wasserstein",
]
