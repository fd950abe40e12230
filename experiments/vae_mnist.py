"""Convolutional VAE on MNIST, whose pixels are black or white and drawn again at every visit.

Command:  genjax train vae_mnist --validation 5000 --eval-every 1000
Expect:   elbo -97.47 +- 0.60 nats, nll 90.99 +- 0.12 (500 images), fd_mnist 1.86 +- 0.17 on the test set, 18 minutes
          on one core; three seeds, the 95 % interval, in experiments/results/mnist.json.
Model:    stride-2 convolutions and residual blocks on both sides, 32 latents, Bernoulli pixels; beta grows from 0.
Source:   Kingma & Welling 2014, Auto-Encoding Variational Bayes; binarised at every visit as in Burda et al. 2016.
Change:   --conditional True (then `genjax sample RUN --label 7`), --beta 4, --data ./my_images.npz.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.BetaVaeConfig):
    """Convolutions with residual blocks on each side."""

    domains = ("image",)
    steps: int = 4000
    batch_size: int = 128
    data: str = "mnist"
    warm_up: int = 1000
    width: int = runs.structural(16, ge=1)  # channels of the first stage
    n_blocks: int = runs.structural(1, ge=0)  # residual blocks a stage
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
    step = train.make_step(train.Move("vae", loss, optax.adam(cfg.lr), norms=True), accumulate=cfg.accumulate)
    return runs.Experiment(vae, step, data.for_range(likelihood.support[0]), objectives.score_vae(vae))
