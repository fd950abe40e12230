"""VAE on 8x8 handwritten digits, which come with genjax: the smallest complete run, a few seconds long.

Command:  genjax train vae_digits
Expect:   elbo -23.06 +- 0.22 nats and fd_digits 5.19 +- 0.88 on the test set, about 10 seconds on two cores;
          three seeds, the 95 % interval, in experiments/results/digits.json.
Model:    one hidden layer of 256 units on each side, 16 latents; pixels are black or white, drawn again at every visit.
Source:   Kingma & Welling 2014, Auto-Encoding Variational Bayes; Salakhutdinov & Murray 2008 for the binarisation.
Change:   --beta 4, --free-bits 0.1, --z-dim 2 (the report then draws the latent plane), --data fashion_mini.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.BetaVaeConfig):
    """One hidden layer on each side."""

    domains = ("image",)
    steps: int = 6000
    z_dim: int = 16
    hidden: int = runs.structural(256, ge=1)  # units of the hidden layers


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
