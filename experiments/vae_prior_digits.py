"""VAE on 8x8 handwritten digits with a prior that is trained with it: a RealNVP flow, or a VampPrior.

Command:  genjax train vae_prior_digits
Expect:   elbo -22.443 +- 0.075 nats and fd_digits 3.85 +- 0.69 on the test set (vae_digits, N(0, I): -23.06, 5.19);
          with --prior vamp elbo -22.33 +- 0.12 and fd_digits 3.23 +- 0.19, half a minute on two cores;
          three seeds, the 95 % interval, in experiments/results/parts.json.
Model:    the nets of vae_digits, 16 latents; p(z) of six coupling layers, or the mean of 100 pseudo-inputs' posteriors.
Source:   Dinh et al. 2017, Real NVP, as a prior: Huang et al. 2017; Tomczak & Welling 2018, VAE with a VampPrior.
Change:   --prior vamp, --prior standard_normal (vae_digits), --beta 1 --warm-up 1000, --data fashion_mini.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.BetaVaeConfig):
    """One hidden layer on each side, and a prior."""

    domains = ("image",)
    steps: int = 6000
    z_dim: int = 16
    prior: str = runs.structural("realnvp", ("realnvp", "vamp", "standard_normal"))  # what p(z) is
    n_inputs: int = runs.structural(100, ge=1)  # pseudo-inputs of the VampPrior
    hidden: int = runs.structural(256, ge=1)  # units of the hidden layers


SMOKE = Config(steps=4, batch_size=8, hidden=16, z_dim=2, n_inputs=4)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, prior, step and transform for images of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    (h, w, c), z = spec.shape, cfg.z_dim
    likelihood = distributions.likelihood_of(cfg.likelihood, spec)
    transform = data.for_range(likelihood.support[0])
    prior = {
        "realnvp": lambda: distributions.realnvp(z, [compute(nets.mlp_encoder((z,), 2 * z, (cfg.hidden,)))] * 6),
        "vamp": lambda: distributions.vamp(z, spec.shape, cfg.n_inputs),
        "standard_normal": lambda: None,
    }[cfg.prior]()
    vae = models.VAE(
        encoder=compute(nets.mlp_encoder(spec.shape, 2 * z, (cfg.hidden,), n_classes)),
        decoder=compute(nets.mlp_decoder(z, (h, w, likelihood.n_out(c)), (cfg.hidden,), n_classes)),
        z_dim=z,
        likelihood=likelihood,
        channels=c,
        n_classes=n_classes,
        prior=prior,
    )
    loss = objectives.beta_vae(vae, cfg.beta, cfg.warm_up, cfg.free_bits)
    step = train.make_step(train.Move("vae", loss, optax.adam(cfg.lr), norms=True), accumulate=cfg.accumulate)
    return runs.Experiment(vae, step, transform, objectives.score_vae(vae))
