"""GAN from few images: adaptive augmentation (ADA) and LeCam hold back a discriminator that would learn them by heart.

Command:  genjax train gan_few_digits
Expect:   fd_digits 4.3 +- 1.3 on the test set (real digits: 2.5), with all of the 1,500 training images: with R1 the
          discriminator is never too sure of so many, and ada_p stays near 0;
          three seeds, the 95 % interval, in experiments/results/parts.json.
Model:    the nets of gan_digits; images reach the discriminator turned, moved, brighter with probability p.
Source:   Karras et al. 2020, Training Generative Adversarial Networks with Limited Data (ADA);
          Tseng et al. 2021, Regularizing Generative Adversarial Networks under Limited Data (LeCam).
Change:   --adaptive False, --lecam 0, --every 16 (the penalty as a lazy move), --data ./my_photos --image-size 32.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, losses, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.GanConfig):
    """DCGAN without normalisation, with R1, ADA and LeCam."""

    domains = ("image",)
    z_dim: int = 32
    loss: str = "nonsaturating"
    penalty: str = "r1"
    lr: float = 1e-3
    gamma: float = 0.3
    every: int = runs.structural(1, ge=1)  # steps between two penalties, each as many times as strong
    adaptive: bool = runs.structural(True)  # augmentation whose probability follows the discriminator
    target: float = runs.structural(0.6, gt=-1, lt=1)  # mean sign of its logits on real images that is aimed at
    lecam: float = runs.sweepable(0.3, ge=0)  # weight of LeCam
    width: int = runs.structural(64, ge=1)  # channels at half the image's size


SMOKE = Config(steps=4, batch_size=8, width=8, z_dim=4, every=2)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for images of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    g = compute(nets.dcgan_generator(cfg.z_dim, spec.shape, cfg.width, "none", n_classes))
    d = compute(nets.dcgan_discriminator(spec.shape, cfg.width, "none", n_classes))
    gan = models.GAN(g, d, cfg.z_dim, n_classes)
    pair, penalties = losses.game(cfg.loss, cfg.penalty, cfg.gamma, cfg.weight)
    changes = (objectives.quarter_turn, objectives.translate, objectives.brightness, objectives.contrast)
    augment = objectives.ada(changes, cfg.target, 50_000) if cfg.adaptive else None
    obj = objectives.gan(gan, pair, (*penalties, losses.lecam(cfg.lecam)), augment=augment, every=cfg.every)
    adam = optax.adam(cfg.lr, b1=0.0, b2=0.99)
    lazy = [train.Move("d", obj.penalty, adam, name="penalty", every=cfg.every)] if cfg.every > 1 else []
    moves = [train.Move("d", obj.d, adam, norms=True), *lazy, train.Move("g", obj.g, adam, norms=True)]
    ema = {"g": train.Ema(cfg.ema_half_life)}
    step = train.make_step(*moves, draw=obj.draw, accumulate=cfg.accumulate, ema=ema)
    return runs.Experiment(gan, step, data.to_signed(), obj.score)
