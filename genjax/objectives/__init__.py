"""Objectives: model + hyper-parameters -> pure functions `(params, batch, ctx) -> (loss, Aux)`."""

from genjax.objectives.classifier import classifier
from genjax.objectives.gan import GanObjective, gan
from genjax.objectives.iwae import dreg, iwae
from genjax.objectives.vae import beta_vae, score_vae, vae

__all__ = ["GanObjective", "beta_vae", "classifier", "dreg", "gan", "iwae", "score_vae", "vae"]
