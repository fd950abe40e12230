"""VAE, 8x8 handwritten digits (embedded): the smallest complete run.

Command:  genjax train vae_digits
Expect:   numbers on the test set and the time they took: experiments/results/digits.json.
Model:    one hidden layer of 256 on each side, 16 latents, Bernoulli likelihood of dynamically binarised pixels.
Source:   Kingma & Welling 2014, Auto-Encoding Variational Bayes; Salakhutdinov & Murray 2008 for the binarisation.
Change:   --beta 4, --free-bits 0.1, --z-dim 2 (the report then draws the latent plane), --data fashion_mini.
"""

import sys
from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config:
    """What the run computes; every field is a flag."""

    seed: int = runs.structure(0, ge=0)
    steps: int = runs.run_only(6000, ge=1)  # optimizer updates
    batch_size: int = runs.structure(64, ge=1)
    z_dim: int = runs.structure(16, ge=1)  # latent dimensions
    data: str = runs.structure("digits")  # embedded or TFDS name, folder of images, or .npz
    image_size: int = runs.structure(0, ge=0)  # resize and crop to this many pixels; 0: as they are
    validation: int = runs.structure(0, ge=0)  # training images held out, to choose the best checkpoint by
    conditional: bool = runs.structure(False)  # the label enters encoder and decoder
    hidden: int = runs.structure(256, ge=1)  # units of the hidden layers
    likelihood: str = runs.structure("", distributions.LIKELIHOODS)  # of a pixel; empty: chosen by the data
    lr: float = runs.value(1e-3, gt=0)  # Adam's learning rate
    beta: float = runs.value(1.0, ge=0)  # weight of the rate
    warm_up: int = runs.structure(0, ge=0)  # steps over which beta grows from 0
    free_bits: float = runs.structure(0.0, ge=0)  # nats a latent dimension may cost for nothing
    precision: str = runs.structure("f32", choices=("f32", "bf16"))  # what the networks compute in
    accumulate: int = runs.structure(1, ge=1)  # parts of a batch computed in turn: less memory, the same update

    __post_init__ = runs.check


SMOKE = Config(steps=4, batch_size=8, hidden=16, z_dim=2)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for images of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    h, w, c = spec.shape
    likelihood = distributions.likelihood_of(cfg.likelihood, spec)
    vae = models.VAE(
        encoder=compute(nets.mlp_encoder(spec.shape, 2 * cfg.z_dim, (cfg.hidden,), n_classes)),
        decoder=compute(nets.mlp_decoder(cfg.z_dim, (h, w, likelihood.n_out(c)), (cfg.hidden,), n_classes)),
        z_dim=cfg.z_dim,
        likelihood=likelihood,
        channels=c,
        n_classes=n_classes,
    )
    loss = objectives.beta_vae(vae, cfg.beta, cfg.warm_up, cfg.free_bits)
    step = train.make_step(train.Move("vae", loss, optax.adam(cfg.lr), norms=True), accumulate=cfg.accumulate)
    return runs.Experiment(vae, step, data.for_range(likelihood.support[0]), objectives.score_vae(vae))


def main(cfg: Config, options: runs.Options | None = None) -> int:
    """Train, or continue; the exit code."""
    return runs.run(__file__, build, cfg, options)


if __name__ == "__main__":
    from genjax.cli import main as cli

    raise SystemExit(cli(["train", __file__, *sys.argv[1:]]))
