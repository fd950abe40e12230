"""Convolutional VAE on images of your own: grey or colour, of any size.

Command:  genjax train vae_images --data ./photos --image-size 64
Data:     a folder of images, an .npz, or a prepared set; --image-size makes sizes equal. The nets gain a stage with
          every doubling of the size.
Expect:   the right brightness and shapes after hundreds of steps, colours after them; samples stay soft.
Model:    stride-2 convolutions and residual blocks on both sides, 64 latents, an average of the weights; normal pixels
          of one learned deviation, or a Bernoulli where the images are grey and nearly black and white.
Reading:  bits per dimension (`genjax eval`) compare across sizes and likelihoods of 8-bit values; lower is better.
Source:   Kingma & Welling 2014, Auto-Encoding Variational Bayes; Rybkin et al. 2021, Simple and Effective VAE Training
          with Calibrated Decoders (gaussian_learned); Salimans et al. 2017, PixelCNN++ (logistic_mixture).
Change:   --beta 0.5 (sharper reconstructions), --conditional True with class folders, --likelihood logistic_mixture
          (a step costs three times as much, and in our first 200 of them no latent was used: grey images).
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.BetaVaeConfig):
    """Convolutions with residual blocks on each side, and an average of the weights."""

    domains = ("image",)
    batch_size: int = 32
    z_dim: int = 64
    data: str = "fashion_mini"  # folder of images, .npz, embedded or TFDS name
    warm_up: int = 100
    width: int = runs.structural(16, ge=1)  # channels of the first stage
    n_blocks: int = runs.structural(1, ge=0)  # residual blocks a stage
    ema_half_life: float = runs.structural(5_000.0, gt=0)  # of the average of the weights, in examples
    remat: bool = runs.structural(False)  # recompute residual blocks in the backward pass: less memory


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
    move = train.Move("vae", loss, optax.adam(cfg.lr), norms=True)
    step = train.make_step(move, accumulate=cfg.accumulate, ema={"vae": train.Ema(cfg.ema_half_life)})
    return runs.Experiment(vae, step, data.for_range(likelihood.support[0]), objectives.score_vae(vae))
