"""Models: frozen bundles of pure functions built from nets."""

from genjax.models.classifier import Classifier
from genjax.models.gan import GAN
from genjax.models.hearing import Hearing, hearing
from genjax.models.language_model import LanguageModel
from genjax.models.sequence_vae import SequenceVAE
from genjax.models.table_gan import TableGAN
from genjax.models.vae import VAE
from genjax.models.vq_vae import VQVAE

__all__ = ["GAN", "VAE", "VQVAE", "Classifier", "Hearing", "LanguageModel", "SequenceVAE", "TableGAN", "hearing"]
