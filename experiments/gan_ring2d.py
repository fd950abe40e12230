"""GAN on 8 narrow Gaussians on a ring (or 25 on a grid) in the plane: where mode collapse was first counted.

Command:  genjax train gan_ring2d
Expect:   modes 8 +- 0 of 8 and good_share 0.80 +- 0.12 (real points: 0.99), four minutes on two cores; three seeds, the
          95 % interval, in experiments/results/ring.json (grid.json for --data grid).
Model:    multi-layer perceptrons; an average of the generator's weights draws the samples.
Loss:     relativistic pairing, with R1 and R2 at every step.
Source:   Huang et al. 2024, The GAN is dead; long live the GAN! (R3GAN), whose loss keeps the modes;
          Metz et al. 2017, Unrolled Generative Adversarial Networks (the ring), Lin et al. 2018, PacGAN (the grid).
Change:   --data grid, --gamma 0.02 (more penalty: blurred modes) or 0.0001 (less: uneven ones). Images work too.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, losses, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.GanConfig):
    """Three hidden layers on each side; the rate of Adam falls."""

    domains = ("points", "image")
    batch_size: int = 128
    z_dim: int = 2
    data: str = "ring"  # ring, grid; or images: embedded or TFDS name, folder, .npz
    lr: float = 1e-3
    gamma: float = 0.001  # weight of R1 and of R2: the modes are narrow, so slopes are steep
    hidden: int = runs.structural(128, ge=1)  # units of each of three hidden layers
    decay: int = runs.structural(10_000, ge=1)  # steps over which lr falls to a hundredth, by a cosine


SMOKE = Config(steps=4, batch_size=8, hidden=16)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for points or images of `spec`."""
    n_classes, hidden = spec.n_classes if cfg.conditional else 0, (cfg.hidden,) * 3
    compute = partial(nets.compute, precision=cfg.precision)
    gan = models.GAN(
        generator=compute(nets.mlp_generator(cfg.z_dim, spec.shape, hidden, n_classes)),
        discriminator=compute(nets.mlp_discriminator(spec.shape, hidden, n_classes)),
        z_dim=cfg.z_dim,
        n_classes=n_classes,
    )
    obj = objectives.gan(gan, *losses.game(cfg.loss, cfg.penalty, cfg.gamma, cfg.weight))
    adam = optax.adam(optax.cosine_decay_schedule(cfg.lr, cfg.decay, 0.01), b1=0.0, b2=0.99)
    step = train.make_step(
        train.Move("d", obj.d, adam, norms=True),
        train.Move("g", obj.g, adam, norms=True),
        draw=obj.draw,
        accumulate=cfg.accumulate,
        ema={"g": train.Ema(cfg.ema_half_life)},
    )
    return runs.Experiment(gan, step, data.to_plane(), obj.score)
