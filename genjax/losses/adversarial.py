"""Adversarial losses: what the discriminator and the generator minimise, per example, in terms of logits.

Every pair is `(d, g, probability)`: `d(real_logits, fake_logits)` and `g(fake_logits, real_logits)` give values per
example; `probability(logits)` is the chance of being real that the loss's optimal discriminator expresses, or None.
All of them stay in log space: finite in value and gradient at logits of any size.
"""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp

from genjax.distributions.numerics import at_least_float32
from genjax.types import PerExample


class AdversarialPair(NamedTuple):
    """The two sides of an adversarial game.

    Example:
        >>> round(float(nonsaturating.d(jnp.zeros(1), jnp.zeros(1))[0]), 4)  # 2 log 2: the undecided discriminator
        1.3863
    """

    d: Callable[[PerExample, PerExample], PerExample]
    """`d(real_logits, fake_logits)`: the discriminator minimises its mean."""
    g: Callable[..., PerExample]
    """`g(fake_logits, real_logits)`: the generator minimises its mean. Only `relativistic` reads `real_logits`."""
    probability: Callable[[PerExample], PerExample] | None
    """`probability(logits)` in [0, 1], or None where the loss defines none."""


def _cross_entropy_d(real_logits: PerExample, fake_logits: PerExample) -> PerExample:
    """-log D(real) - log(1 - D(fake)) in nats, D = sigmoid(logits); at least 0."""
    real_logits, fake_logits = at_least_float32(real_logits), at_least_float32(fake_logits)
    return jax.nn.softplus(-real_logits) + jax.nn.softplus(fake_logits)


def _nonsaturating_g(fake_logits: PerExample, real_logits: PerExample | None = None) -> PerExample:
    """-log D(fake) in nats; at least 0. Its gradient is large while the discriminator wins."""
    return jax.nn.softplus(-at_least_float32(fake_logits))


def _minimax_g(fake_logits: PerExample, real_logits: PerExample | None = None) -> PerExample:
    """log(1 - D(fake)) in nats; at most 0. Its gradient vanishes while the discriminator wins."""
    return -jax.nn.softplus(at_least_float32(fake_logits))


def _sigmoid(logits: PerExample) -> PerExample:
    """D = sigmoid(logits), at the optimum p_real / (p_real + p_fake)."""
    return jax.nn.sigmoid(at_least_float32(logits))


def _hinge_d(real_logits: PerExample, fake_logits: PerExample) -> PerExample:
    """relu(1 - real) + relu(1 + fake), in logits; at least 0."""
    real_logits, fake_logits = at_least_float32(real_logits), at_least_float32(fake_logits)
    return jax.nn.relu(1.0 - real_logits) + jax.nn.relu(1.0 + fake_logits)


def _critic_g(fake_logits: PerExample, real_logits: PerExample | None = None) -> PerExample:
    """-fake, in logits: of any sign."""
    return -at_least_float32(fake_logits)


def _least_squares_d(real_logits: PerExample, fake_logits: PerExample) -> PerExample:
    """(1 - real)^2 + fake^2; at least 0."""
    real_logits, fake_logits = at_least_float32(real_logits), at_least_float32(fake_logits)
    return jnp.square(1.0 - real_logits) + jnp.square(fake_logits)


def _least_squares_g(fake_logits: PerExample, real_logits: PerExample | None = None) -> PerExample:
    """(1 - fake)^2; at least 0."""
    return jnp.square(1.0 - at_least_float32(fake_logits))


def _clipped(logits: PerExample) -> PerExample:
    """The output itself, at the optimum p_real / (p_real + p_fake), clipped to [0, 1]."""
    return jnp.clip(at_least_float32(logits), 0.0, 1.0)


def _wasserstein_d(real_logits: PerExample, fake_logits: PerExample) -> PerExample:
    """fake - real, in the critic's units; minus its mean estimates the distance for a 1-Lipschitz critic."""
    return at_least_float32(fake_logits) - at_least_float32(real_logits)


def _relativistic_d(real_logits: PerExample, fake_logits: PerExample) -> PerExample:
    """softplus(-(real - fake)) in nats, real i against fake i; at least 0."""
    return jax.nn.softplus(at_least_float32(fake_logits) - at_least_float32(real_logits))


def _relativistic_g(fake_logits: PerExample, real_logits: PerExample) -> PerExample:
    """softplus(-(fake - real)) in nats, fake i against real i; at least 0."""
    return jax.nn.softplus(at_least_float32(real_logits) - at_least_float32(fake_logits))


nonsaturating = AdversarialPair(_cross_entropy_d, _nonsaturating_g, _sigmoid)
"""Cross-entropy with the generator's -log D(fake). Source: Goodfellow et al. 2014, Generative Adversarial Nets."""

minimax = AdversarialPair(_cross_entropy_d, _minimax_g, _sigmoid)
"""The zero-sum game: at the optimal discriminator its value is twice the Jensen-Shannon divergence minus 2 log 2.
Source: Goodfellow et al. 2014, Generative Adversarial Nets."""

hinge = AdversarialPair(_hinge_d, _critic_g, None)
"""Source: Lim & Ye 2017, Geometric GAN. The optimal critic only gives a sign, so there is no probability."""

least_squares = AdversarialPair(_least_squares_d, _least_squares_g, _clipped)
"""Targets 0 and 1, without the paper's factor 1/2.
Source: Mao et al. 2017, Least Squares Generative Adversarial Networks."""

wasserstein = AdversarialPair(_wasserstein_d, _critic_g, None)
"""Needs a Lipschitz critic: `gradient_penalty` or spectral norm. Source: Arjovsky et al. 2017, Wasserstein GAN."""

relativistic = AdversarialPair(_relativistic_d, _relativistic_g, None)
"""Pairs real i with fake i (the generator's step needs the discriminator's real batch). Only differences of logits mean
anything, so there is no probability of a single image. Source: Jolicoeur-Martineau 2019, The relativistic
discriminator (RpGAN); Huang et al. 2024, The GAN is dead; long live the GAN! (R3GAN), with R1 and R2."""
