"""The objective of autoencoders of sound: the evidence lower bound, and beside it how far the spectra are apart."""

from dataclasses import dataclass
from typing import Any

from genjax import losses
from genjax.models.contract import Pass, require
from genjax.objectives.trains import trains
from genjax.objectives.vae import beta_vae
from genjax.types import Key, Objective, Params, State


def spectral_vae(model: Any, weight=1.0, beta=1.0, warm_up: int = 0, free_bits: float = 0.0) -> Objective:
    """`beta_vae` plus `weight` times the multi-resolution spectral distance between the mean of p(x | z) and x.

    A likelihood of samples asks for the right phase, which a code cannot hold: its best wave is near silence. The
    spectral distance asks for the right loudness of each frequency instead. Only the elbo is a bound, of a likelihood;
    the sum that is minimised bounds nothing.

    Args:
        model: an autoencoder of waves (batch, samples) in [-1, 1], whose p(x | z) has a mean.
        weight: nats that a spectral distance of 1 costs, >= 0; 0 gives `beta_vae`.
        beta: weight of the rate, >= 0.
        warm_up: steps over which beta's weight grows from 0; 0 for none.
        free_bits: nats of rate a group may cost for nothing.

    Reports:
        as `beta_vae`, and penalty, the weighted distance.

    Source:
        Caillon & Esling 2021, RAVE, section 3.1 (a VAE of waves with a multi-scale spectral distance); the distance is
        that of Yamamoto et al. 2020.
    """
    require(model, "spectral_vae", "forward")
    return trains(model, beta_vae(_Heard(model, weight), beta, warm_up, free_bits), getattr(model, "players", None))


@dataclass(frozen=True)
class _Heard:
    """The model, whose pass has the spectral distance as its penalty."""

    model: Any
    weight: Any

    def forward(self, params: Params, state: State, x, y=None, *, train: bool = False, key: Key, **mask) -> Pass:
        out = self.model.forward(params, state, x, y, train=train, key=key, **mask)
        heard = self.weight * losses.spectral_distance(out.p.mean, x)
        return out._replace(penalty=heard if out.penalty is None else out.penalty + heard)
