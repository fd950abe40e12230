"""DCGAN on Fashion-MNIST: the classic game, batch norm on both sides and the non-saturating loss.

Command:  genjax train gan_fashion_mnist --validation 5000 --eval-every 1000
Expect:   legible images of all ten classes, fd_fashion_mnist 1.31 +- 0.22 and coverage 0.381 +- 0.032 on the test set,
          29 minutes on one core; three seeds, the 95 % interval, in experiments/results/fashion_mnist.json.
Reading:  the discriminator's mean probability of being real, for real and for generated images; a perfect generator
          gives 0.5 for both.
Source:   Radford et al. 2016, Unsupervised Representation Learning with Deep Convolutional GANs (nets, Adam);
          Goodfellow et al. 2014, Generative Adversarial Nets (loss).
Differs:  half the paper's width, and an average of the generator's weights draws the samples.
Change:   --conditional True (then `genjax sample RUN --label 7`), --data ./my_photos --image-size 32.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, losses, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.GanConfig):
    """DCGAN with batch norm."""

    domains = ("image",)
    steps: int = 15_000
    data: str = "fashion_mnist"
    loss: str = "nonsaturating"
    penalty: str = "none"  # of the discriminator's slope; takes its batch norm out
    lr: float = 2e-4
    width: int = runs.structural(32, ge=1)  # channels at half the image's size
    b1: float = runs.sweepable(0.5, ge=0, lt=1)  # Adam's first decay, both players


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
