"""GAN for any images: one's own photographs, grey or colour, of any size.

Command:  genjax train gan_images --data ./photos --image-size 64
Data:     a folder of images, an .npz, or a prepared set; --image-size makes sizes equal. Nets gain a stage a doubling.
Expect:   coloured blotches after hundreds of steps, then the kinds of image that the data hold, none of them lost.
Loss:     relativistic pairing with R1 and R2 at every step, on DCGAN nets with batch norm in the generator only; an
          average of the generator's weights. The penalties' weight grows with the number of pixels: 0.15 at 32x32 and
          0.6 at 64x64 are the geometric means of R3GAN's schedules for ImageNet-32 and FFHQ-64.
Source:   Huang et al. 2024, The GAN is dead; long live the GAN! (R3GAN), loss and weights; Radford et al. 2016 (DCGAN).
Change:   --mirror True (photographs; not letters), --gamma 1 (a few hundred images: steadier, softer),
          --conditional True with class folders, --loss hinge --penalty r1.
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
    batch_size: int = runs.structure(64, ge=1)
    z_dim: int = runs.structure(64, ge=1)  # latent dimensions
    data: str = runs.structure("fashion_mini")  # folder of images, .npz, embedded or TFDS name
    image_size: int = runs.structure(0, ge=0)  # resize and crop to this many pixels; 0: as they are
    validation: int = runs.structure(0, ge=0)  # training images held out, to choose the best checkpoint by
    conditional: bool = runs.structure(False)  # the label enters generator and discriminator
    mirror: bool = runs.structure(False)  # each image as it is or mirrored, by turns: as if there were twice as many
    width: int = runs.structure(32, ge=1)  # channels at half the image's size
    loss: str = runs.structure("relativistic", losses.LOSSES)  # the adversarial game
    penalty: str = runs.structure("r1_r2", losses.PENALTIES)  # of the discriminator's slope
    lr: float = runs.value(5e-4, gt=0)  # Adam's learning rate, both players
    gamma: float = runs.value(0.15, ge=0)  # weight of R1 and R2 for 32x32 pixels; proportional to their number
    weight: float = runs.value(10.0, ge=0)  # of gradient_penalty and dragan
    ema_half_life: float = runs.structure(20_000.0, gt=0)  # of the generator's average, in examples
    precision: str = runs.structure("f32", choices=("f32", "bf16"))  # what the networks compute in
    accumulate: int = runs.structure(1, ge=1)  # parts of a batch computed in turn: less memory, batch norm over a part

    __post_init__ = runs.check


SMOKE = Config(steps=4, batch_size=8, width=8, z_dim=4, data="digits")


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for images of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    h, w, _ = spec.shape
    gan = models.GAN(
        generator=compute(nets.dcgan_generator(cfg.z_dim, spec.shape, cfg.width, "batch", n_classes)),
        discriminator=compute(nets.dcgan_discriminator(spec.shape, cfg.width, "none", n_classes)),
        z_dim=cfg.z_dim,
        n_classes=n_classes,
    )
    gamma = cfg.gamma * (h * w / 32**2)
    obj = objectives.gan(gan, *losses.game(cfg.loss, cfg.penalty, gamma, cfg.weight))
    adam = optax.adam(cfg.lr, b1=0.0, b2=0.99)
    step = train.make_step(
        train.Move("d", obj.d, adam, norms=True),
        train.Move("g", obj.g, adam, norms=True),
        draw=obj.draw,
        accumulate=cfg.accumulate,
        ema={"g": train.Ema(cfg.ema_half_life)},
    )
    seen = data.compose(data.flip(), data.to_signed()) if cfg.mirror else data.to_signed()
    return runs.Experiment(gan, step, seen, obj.score)


def main(cfg: Config, options: runs.Options | None = None) -> int:
    """Train, or continue; the exit code."""
    return runs.run(__file__, build, cfg, options)


if __name__ == "__main__":
    from genjax.cli import main as cli

    raise SystemExit(cli(["train", __file__, *sys.argv[1:]]))
