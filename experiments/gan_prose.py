"""GAN of prose on relaxed one-hot symbols: WGAN-GP as published for characters, in a smaller width.

Command:  genjax train gan_prose
Expect:   after minutes letters and lengths of lines, no words; see experiments/README.md.
Model:    residual one-dimensional convolutions on both sides; the generator's softmax is what the critic sees.
Loss:     Wasserstein with gradient penalty, five critic steps.
Source:   Gulrajani et al. 2017, Improved Training of Wasserstein GANs, section 5.4 (width 512, ten critic steps,
          length 32); Huang et al. 2024, The GAN is dead; long live the GAN! (relativistic with R1 and R2).
Change:   --width 512 --critic-steps 10 --cut windows --length 32 (as published),
          --loss relativistic --penalty r1_r2 --gamma 1 --critic-steps 1, --tau 0.5 (Gumbel-softmax).
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, losses, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.GanConfig, runs.ProseConfig):
    """Residual convolutions, WGAN-GP."""

    domains = ("prose",)
    data: str = "psalms"
    steps: int = 3000
    z_dim: int = 128
    loss: str = "wasserstein"
    penalty: str = "gradient_penalty"
    lr: float = 2e-4
    critic_steps: int = runs.structural(5, ge=1)  # updates of the critic before each of the generator
    width: int = runs.structural(64, ge=1)  # channels
    n_blocks: int = runs.structural(3, ge=0)  # residual blocks on each side
    tau: float = runs.structural(0.0, ge=0)  # temperature of Gumbel-softmax; 0: the softmax itself


SMOKE = Config(steps=4, batch_size=8, width=8, n_blocks=1, z_dim=4, length=16, critic_steps=2)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for texts of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    t, k, size = spec.shape[0], spec.n_values, (cfg.width, cfg.n_blocks)
    g = compute(nets.symbol_generator(cfg.z_dim, t, k, *size, tau=cfg.tau, n_classes=n_classes))
    gan = models.GAN(g, compute(nets.symbol_discriminator(t, k, *size, n_classes)), cfg.z_dim, n_classes)
    obj = objectives.gan(gan, *losses.game(cfg.loss, cfg.penalty, cfg.gamma, cfg.weight))
    adam = optax.adam(cfg.lr, b1=0.5, b2=0.9)
    step = train.make_step(
        train.Move("d", obj.d, adam, repeat=cfg.critic_steps, norms=True),
        train.Move("g", obj.g, adam, norms=True),
        draw=obj.draw,
        accumulate=cfg.accumulate,
        ema={"g": train.Ema(cfg.ema_half_life)},
    )
    return runs.Experiment(gan, step, data.to_one_hot(k), obj.score)
