"""DCGAN with batch norm, Fashion-MNIST: the classic game, non-saturating loss.

Command:  genjax train gan_fashion_mnist
Expect:   clearly legible images of all ten classes, no collapse; numbers and time:
          experiments/results/fashion_mnist.json.
Reading:  the discriminator's mean probabilities for real and generated images; a perfect generator gives 0.5 for both.
Source:   Radford et al. 2016, Unsupervised Representation Learning with Deep Convolutional GANs (nets, Adam);
          Goodfellow et al. 2014 (loss). Ours: the generator's average, half the width.
Change:   --conditional True (then `genjax sample RUN --label 7`), --data ./my_photos --image-size 32.
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
    steps: int = runs.run_only(15_000, ge=1)  # generator updates
    batch_size: int = runs.structure(64, ge=1)
    z_dim: int = runs.structure(64, ge=1)  # latent dimensions
    data: str = runs.structure("fashion_mnist")  # embedded or TFDS name, folder of images, or .npz
    image_size: int = runs.structure(0, ge=0)  # resize and crop to this many pixels; 0: as they are
    validation: int = runs.structure(0, ge=0)  # training images held out, to choose the best checkpoint by
    conditional: bool = runs.structure(False)  # the label enters generator and discriminator
    width: int = runs.structure(32, ge=1)  # channels at half the image's size
    loss: str = runs.structure("nonsaturating", losses.LOSSES)  # the adversarial game
    penalty: str = runs.structure("none", losses.PENALTIES)  # of the discriminator's slope; takes its batch norm out
    lr: float = runs.value(2e-4, gt=0)  # Adam's learning rate, both players
    b1: float = runs.value(0.5, ge=0, lt=1)  # Adam's first decay, both players
    gamma: float = runs.value(1.0, ge=0)  # weight of R1 and R2
    weight: float = runs.value(10.0, ge=0)  # of gradient_penalty and dragan
    ema_half_life: float = runs.structure(20_000.0, gt=0)  # of the generator's average, in examples
    precision: str = runs.structure("f32", choices=("f32", "bf16"))  # what the networks compute in
    accumulate: int = runs.structure(1, ge=1)  # parts of a batch computed in turn: less memory, batch norm over a part

    __post_init__ = runs.check


SMOKE = Config(steps=4, batch_size=8, width=8, z_dim=4, data="digits")


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for images of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    norm = "batch" if cfg.penalty == "none" else "none"  # a penalty is of each image by itself
    compute = partial(nets.compute, precision=cfg.precision)
    gan = models.GAN(
        generator=compute(nets.dcgan_generator(cfg.z_dim, spec.shape, cfg.width, "batch", n_classes)),
        discriminator=compute(nets.dcgan_discriminator(spec.shape, cfg.width, norm, n_classes)),
        z_dim=cfg.z_dim,
        n_classes=n_classes,
    )
    obj = objectives.gan(gan, *losses.game(cfg.loss, cfg.penalty, cfg.gamma, cfg.weight))
    adam = optax.adam(cfg.lr, b1=cfg.b1, b2=0.999)
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
