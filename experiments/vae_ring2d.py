"""VAE on 8 narrow Gaussians on a ring (or 25 on a grid) in the plane: it keeps every mode, with bridges between them.

Command:  genjax train vae_ring2d
Expect:   modes 8 +- 0 of 8 and good_share 0.67 +- 0.09 (real points: 0.99), elbo 3.17 +- 0.04 nats, two minutes
          on two cores; three seeds, the 95 % interval, in experiments/results/ring.json (grid.json for --data grid).
Model:    multi-layer perceptrons, 2 latents, normal likelihood of one learned standard deviation.
Source:   Kingma & Welling 2014, Auto-Encoding Variational Bayes; Rybkin et al. 2021 (the learned deviation);
          Metz et al. 2017 (the ring), Lin et al. 2018, PacGAN (the grid).
Change:   --data grid, --beta 0.5, --z-dim 4. Images work too.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.Config):
    """Three hidden layers on each side; the rate of Adam falls."""

    domains = ("points", "image")
    batch_size: int = 128
    z_dim: int = 2
    data: str = "ring"  # ring, grid; or images: embedded or TFDS name, folder, .npz
    hidden: int = runs.structural(128, ge=1)  # units of each of three hidden layers
    lr: float = runs.sweepable(3e-3, gt=0)  # Adam's rate: log sigma, from 0 to -5, moves by at most that a step
    beta: float = runs.sweepable(1.0, ge=0)  # weight of the rate
    warm_up: int = runs.structural(2000, ge=0)  # steps over which beta grows from 0: without, the rate stays at 0
    decay: int = runs.structural(10_000, ge=1)  # steps over which lr falls to a hundredth, by a cosine
    ema_half_life: float = runs.structural(20_000.0, gt=0)  # of the average of the weights, in examples


SMOKE = Config(steps=4, batch_size=8, hidden=16)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for points or images of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    h, w, c = spec.shape
    likelihood, hidden = distributions.gaussian_global(), (cfg.hidden,) * 3
    vae = models.VAE(
        encoder=compute(nets.mlp_encoder(spec.shape, 2 * cfg.z_dim, hidden, n_classes)),
        decoder=compute(nets.mlp_decoder(cfg.z_dim, (h, w, likelihood.n_out(c)), hidden, n_classes)),
        z_dim=cfg.z_dim,
        likelihood=likelihood,
        channels=c,
        n_classes=n_classes,
    )
    adam = optax.adam(optax.cosine_decay_schedule(cfg.lr, cfg.decay, 0.01))
    move = train.Move("vae", objectives.beta_vae(vae, cfg.beta, cfg.warm_up), adam, norms=True)
    step = train.make_step(move, accumulate=cfg.accumulate, ema={"vae": train.Ema(cfg.ema_half_life)})
    return runs.Experiment(vae, step, data.to_plane(), objectives.score_vae(vae))
