"""GAN on images of your own: grey or colour, of any size.

Command:  genjax train gan_images --data ./photos --image-size 64
Data:     a folder of images, an .npz, or a prepared set; --image-size makes sizes equal. The nets gain a stage with
          every doubling of the size.
Expect:   coloured blotches after hundreds of steps, then the kinds of image that the data hold, none of them lost.
Model:    DCGAN nets, batch norm in the generator only; an average of the generator's weights draws the samples.
Loss:     relativistic pairing, with R1 and R2 at every step. The penalties' weight grows with the number of pixels:
          0.15 at 32x32 and 0.6 at 64x64 are the geometric means of R3GAN's schedules for ImageNet-32 and FFHQ-64.
Source:   Huang et al. 2024, The GAN is dead; long live the GAN! (R3GAN), for loss and weights; Radford et al. 2016,
          Unsupervised Representation Learning with Deep Convolutional GANs, for the nets.
Change:   --mirror True (photographs; not letters), --gamma 1 (a few hundred images: steadier, softer),
          --conditional True with class folders, --loss hinge --penalty r1.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, losses, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.GanConfig):
    """DCGAN, batch norm in the generator; the penalty's weight follows the number of pixels."""

    domains = ("image",)
    data: str = "fashion_mini"  # folder of images, .npz, embedded or TFDS name
    gamma: float = 0.15  # weight of R1 and R2 for 32x32 pixels; proportional to their number
    width: int = runs.structural(32, ge=1)  # channels at half the image's size
    mirror: bool = runs.structural(False)  # each image as it is or mirrored, by turns: as if there were twice as many


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
    obj = objectives.gan(gan, *losses.game(cfg.loss, cfg.penalty, cfg.gamma * (h * w / 32**2), cfg.weight))
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
