"""FactorVAE on 8x8 handwritten digits: latents made independent of each other by a critic.

Command:  genjax train factor_vae_digits
Expect:   elbo -23.03 +- 0.32 nats on the test set; the critic's total correlation ends near 0.03 nats, its accuracy
          near 0.55, half a minute on two cores;
          three seeds, the 95 % interval, in experiments/results/parts.json.
Model:    the nets of vae_digits, 8 latents; a critic of three layers that tells latents from permuted ones.
Source:   Kim & Mnih 2018, Disentangling by Factorising.
Change:   --gamma 0 (the plain bound; the critic then only measures the total correlation), --gamma 20.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.VaeConfig):
    """An autoencoder and a critic of its latents."""

    domains = ("image",)
    steps: int = 6000
    z_dim: int = 8
    gamma: float = runs.sweepable(5.0, ge=0)  # weight of the total correlation
    critic_lr: float = runs.sweepable(1e-3, gt=0)  # Adam's learning rate of the critic
    hidden: int = runs.structural(256, ge=1)  # units of the hidden layers


SMOKE = Config(steps=4, batch_size=8, hidden=16, z_dim=2)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, critic, step and transform for images of `spec`."""
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
    obj = objectives.factor_vae(vae, compute(nets.mlp_discriminator((cfg.z_dim,), (cfg.hidden,) * 3)), cfg.gamma)
    step = train.make_step(
        train.Move("vae", obj.vae, optax.adam(cfg.lr), norms=True),
        train.Move("critic", obj.critic, optax.adam(cfg.critic_lr, b1=0.5, b2=0.9), norms=True),
        accumulate=cfg.accumulate,
    )
    return runs.Experiment(vae, step, data.for_range(likelihood.support[0]), obj.score)
