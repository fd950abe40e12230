"""GAN, 8x8 handwritten digits (embedded): a stable game in a minute.

Command:  genjax train gan_digits
Expect:   legible digits of all classes, no collapse; numbers and time: experiments/results/digits.json.
Loss:     non-saturating, with R1 at every step on norm-free DCGAN nets; the generator averaged by half-life.
Source:   Mescheder et al. 2018, Which Training Methods for GANs do actually Converge? (R1);
          Radford et al. 2016 (DCGAN).
Change:   --gamma 0.01 (less penalty), --conditional True, --data fashion_mini.
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
    steps: int = runs.run_only(8000, ge=1)  # generator updates
    batch_size: int = runs.structure(64, ge=1)
    z_dim: int = runs.structure(32, ge=1)  # latent dimensions
    data: str = runs.structure("digits")  # embedded or TFDS name, folder of images, or .npz
    image_size: int = runs.structure(0, ge=0)  # resize and crop to this many pixels; 0: as they are
    validation: int = runs.structure(0, ge=0)  # training images held out, to choose the best checkpoint by
    conditional: bool = runs.structure(False)  # the label enters generator and discriminator
    width: int = runs.structure(64, ge=1)  # channels at half the image's size
    loss: str = runs.structure("nonsaturating", losses.LOSSES)  # the adversarial game
    penalty: str = runs.structure("r1", losses.PENALTIES)  # of the discriminator's slope
    lr: float = runs.value(1e-3, gt=0)  # Adam's learning rate, both players
    gamma: float = runs.value(0.3, ge=0)  # weight of R1
    weight: float = runs.value(10.0, ge=0)  # of gradient_penalty and dragan
    ema_half_life: float = runs.structure(50_000.0, gt=0)  # of the generator's average, in examples
    precision: str = runs.structure("f32", choices=("f32", "bf16"))  # what the networks compute in
    accumulate: int = runs.structure(1, ge=1)  # parts of a batch computed in turn: less memory, the same update

    __post_init__ = runs.check


SMOKE = Config(steps=4, batch_size=8, width=8, z_dim=4)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for images of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    gan = models.GAN(
        generator=compute(nets.dcgan_generator(cfg.z_dim, spec.shape, cfg.width, "none", n_classes)),
        discriminator=compute(nets.dcgan_discriminator(spec.shape, cfg.width, "none", n_classes)),
        z_dim=cfg.z_dim,
        n_classes=n_classes,
    )
    obj = objectives.gan(gan, *losses.game(cfg.loss, cfg.penalty, cfg.gamma, cfg.weight))
    adam = optax.adam(cfg.lr, b1=0.0, b2=0.99)
    step = train.make_step(
        train.Move("d", obj.d, adam, norms=True),
        train.Move("g", obj.g, adam, norms=True),
        draw=obj.draw,
        accumulate=cfg.accumulate,
        ema={"g": train.Ema(cfg.ema_half_life)},
    )
    return runs.Experiment(gan, step, data.to_signed(), obj.score)


def main(cfg: Config, options: runs.Options | None = None) -> int:
    """Train, or continue; the exit code."""
    return runs.run(__file__, build, cfg, options)


if __name__ == "__main__":
    from genjax.cli import main as cli

    raise SystemExit(cli(["train", __file__, *sys.argv[1:]]))
