"""Models: frozen bundles of pure functions built from nets."""

from genjax.models.gan import GAN
from genjax.models.vae import VAE

__all__ = ["GAN", "VAE"]
