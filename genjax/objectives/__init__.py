"""Objectives: model + hyper-parameters -> pure functions `(params, batch, ctx) -> (loss, Aux)`."""

from genjax.objectives.augment import ada, brightness, contrast, mirror, quarter_turn, translate
from genjax.objectives.classifier import classifier
from genjax.objectives.factor_vae import FactorVaeObjective, factor_vae
from genjax.objectives.gan import GanObjective, gan
from genjax.objectives.iwae import dreg, iwae
from genjax.objectives.spectral import spectral_vae
from genjax.objectives.table_gan import table_gan
from genjax.objectives.training_views import on_views
from genjax.objectives.vae import beta_vae, score_vae, vae
from genjax.objectives.vq_vae import vq_vae

__all__ = [
    "FactorVaeObjective",
    "GanObjective",
    "ada",
    "beta_vae",
    "brightness",
    "classifier",
    "contrast",
    "dreg",
    "factor_vae",
    "gan",
    "iwae",
    "mirror",
    "on_views",
    "quarter_turn",
    "score_vae",
    "spectral_vae",
    "table_gan",
    "translate",
    "vae",
    "vq_vae",
]
