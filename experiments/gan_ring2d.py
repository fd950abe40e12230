"""GAN, 8 narrow Gaussians on a ring (or 25 on a grid) in the plane: where mode collapse was first counted.

Command:  genjax train gan_ring2d
Expect:   modes hit and share of good samples, beside those of vae_ring2d: experiments/results/ring.json, grid.json.
Loss:     relativistic, with R1 and R2 at every step, on multi-layer perceptrons; the generator averaged by half-life.
Source:   Huang et al. 2024, The GAN is dead; long live the GAN! (R3GAN), whose loss keeps the modes;
          Metz et al. 2017, Unrolled Generative Adversarial Networks (the ring), Lin et al. 2018, PacGAN (the grid).
Change:   --data grid, --gamma 0.02 (more penalty: blurred modes) or 0.0001 (less: uneven ones). Images work too.
"""

import sys
from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, losses, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config:
    """What the run computes; every field is a flag."""

    seed: int = runs.structure(0, ge=0)
    steps: int = runs.run_only(10_000, ge=1)  # generator updates
    batch_size: int = runs.structure(128, ge=1)
    z_dim: int = runs.structure(2, ge=1)  # latent dimensions
    data: str = runs.structure("ring")  # ring, grid; or images: embedded or TFDS name, folder, .npz
    image_size: int = runs.structure(0, ge=0)  # of images: resize and crop to this many pixels; 0: as they are
    validation: int = runs.structure(0, ge=0)  # training images held out, to choose the best checkpoint by
    conditional: bool = runs.structure(False)  # the label enters generator and discriminator
    hidden: int = runs.structure(128, ge=1)  # units of each of three hidden layers
    loss: str = runs.structure("relativistic", losses.LOSSES)  # the adversarial game
    penalty: str = runs.structure("r1_r2", losses.PENALTIES)  # of the discriminator's slope
    lr: float = runs.value(1e-3, gt=0)  # Adam's learning rate, both players
    gamma: float = runs.value(0.001, ge=0)  # weight of R1 and of R2: the modes are narrow, so slopes are steep
    weight: float = runs.value(10.0, ge=0)  # of gradient_penalty and dragan
    decay: int = runs.structure(10_000, ge=1)  # steps over which lr falls to a hundredth, by a cosine
    ema_half_life: float = runs.structure(20_000.0, gt=0)  # of the generator's average, in examples
    precision: str = runs.structure("f32", choices=("f32", "bf16"))  # what the networks compute in
    accumulate: int = runs.structure(1, ge=1)  # parts of a batch computed in turn: less memory, the same update

    __post_init__ = runs.check


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


def main(cfg: Config, options: runs.Options | None = None) -> int:
    """Train, or continue; the exit code."""
    return runs.run(__file__, build, cfg, options)


if __name__ == "__main__":
    from genjax.cli import main as cli

    raise SystemExit(cli(["train", __file__, *sys.argv[1:]]))
