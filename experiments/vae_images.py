"""Convolutional VAE for any images: one's own photographs, grey or colour, of any size.

Command:  genjax train vae_images --data ./photos --image-size 64
Data:     a folder of images, an .npz, or a prepared set; --image-size makes sizes equal. Nets gain a stage a doubling.
Expect:   the right brightness and shapes after hundreds of steps, colours after them; samples stay soft.
Model:    stride-2 convolutions and residual blocks on both sides, 64 latents, an average of the weights; normal pixels
          of one learned deviation, or a Bernoulli where the images are grey and nearly black and white.
Reading:  bits per dimension (`genjax eval`) compare across sizes and likelihoods of 8-bit values; lower is better.
Source:   Kingma & Welling 2014, Auto-Encoding Variational Bayes; Rybkin et al. 2021, Simple and Effective VAE Training
          with Calibrated Decoders (gaussian_learned); Salimans et al. 2017, PixelCNN++ (logistic_mixture).
Change:   --beta 0.5 (sharper reconstructions), --conditional True with class folders, --likelihood logistic_mixture
          (a step costs three times as much, and in our first 200 of them no latent was used: grey images).
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
    steps: int = runs.run_only(10_000, ge=1)  # optimizer updates
    batch_size: int = runs.structure(32, ge=1)
    z_dim: int = runs.structure(64, ge=1)  # latent dimensions
    data: str = runs.structure("fashion_mini")  # folder of images, .npz, embedded or TFDS name
    image_size: int = runs.structure(0, ge=0)  # resize and crop to this many pixels; 0: as they are
    validation: int = runs.structure(0, ge=0)  # training images held out, to choose the best checkpoint by
    conditional: bool = runs.structure(False)  # the label enters encoder and decoder
    width: int = runs.structure(16, ge=1)  # channels of the first stage
    n_blocks: int = runs.structure(1, ge=0)  # residual blocks a stage
    likelihood: str = runs.structure("", distributions.LIKELIHOODS)  # of a pixel; empty: chosen by the data
    lr: float = runs.value(1e-3, gt=0)  # Adam's learning rate
    beta: float = runs.value(1.0, ge=0)  # weight of the rate
    warm_up: int = runs.structure(100, ge=0)  # steps over which beta grows from 0
    free_bits: float = runs.structure(0.0, ge=0)  # nats a latent dimension may cost for nothing
    ema_half_life: float = runs.structure(5_000.0, gt=0)  # of the average of the weights, in examples
    precision: str = runs.structure("f32", choices=("f32", "bf16"))  # what the networks compute in
    accumulate: int = runs.structure(1, ge=1)  # parts of a batch computed in turn: less memory, the same update
    remat: bool = runs.structure(False)  # recompute residual blocks in the backward pass: less memory

    __post_init__ = runs.check


SMOKE = Config(steps=4, batch_size=8, width=8, z_dim=4, data="digits")


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for images of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision, remat=cfg.remat)
    h, w, c = spec.shape
    likelihood = distributions.likelihood_of(cfg.likelihood, spec)
    vae = models.VAE(
        encoder=compute(nets.conv_encoder(spec.shape, 2 * cfg.z_dim, cfg.width, cfg.n_blocks, n_classes)),
        decoder=compute(nets.conv_decoder(cfg.z_dim, (h, w, likelihood.n_out(c)), cfg.width, cfg.n_blocks, n_classes)),
        z_dim=cfg.z_dim,
        likelihood=likelihood,
        channels=c,
        n_classes=n_classes,
    )
    loss = objectives.beta_vae(vae, cfg.beta, cfg.warm_up, cfg.free_bits)
    step = train.make_step(
        train.Move("vae", loss, optax.adam(cfg.lr), norms=True),
        accumulate=cfg.accumulate,
        ema={"vae": train.Ema(cfg.ema_half_life)},
    )
    return runs.Experiment(vae, step, data.for_range(likelihood.support[0]), objectives.score_vae(vae))


def main(cfg: Config, options: runs.Options | None = None) -> int:
    """Train, or continue; the exit code."""
    return runs.run(__file__, build, cfg, options)


if __name__ == "__main__":
    from genjax.cli import main as cli

    raise SystemExit(cli(["train", __file__, *sys.argv[1:]]))
