"""Conditional GAN of the rows of a table (CTGAN), on penguins, which come with genjax; or on any .csv.

Command:  genjax train gan_table
          genjax train gan_table --data adult.csv --batch-size 500 --steps 6000   (the census table, see below)
Expect:   each column by itself after 1,000 updates (quality .847 on Adult by SDMetrics), hardly what ties them;
          experiments/README.md has the table.
Model:    a residual generator with batch norm, a critic that judges ten rows at once; an average of the generator's
          weights draws the samples.
Loss:     Wasserstein with a gradient penalty over packs; the generator's cross-entropy of what it was asked for.
Source:   Xu et al. 2019, Modeling Tabular Data using Conditional GAN (CTGAN), and its sizes; Lin et al. 2018, PacGAN.
Differs:  the rows that go with a condition are drawn from the batch, by weight; a value that one row in twenty shares
          is a mode of its own; Adam's rate falls; the generator's weights are averaged.
Change:   --pac 1, --width 128, --data my.csv (a file my.types.json beside it says what columns are).
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.Config):
    """Two hidden layers on each side."""

    domains = ("table",)
    data: str = "penguins"
    steps: int = 4000  # generator updates
    batch_size: int = 100
    z_dim: int = 128
    width: int = runs.structural(256, ge=1)  # units of each of two hidden layers
    pac: int = runs.structural(10, ge=1)  # rows that the critic judges at once
    dropout: float = runs.structural(0.5, ge=0, lt=1)  # share of the critic's hidden units left out in training
    lr: float = runs.sweepable(2e-4, gt=0)  # Adam's rate of both, which falls to a tenth
    weight: float = runs.sweepable(10.0, ge=0)  # of the gradient penalty
    decay: int = runs.structural(6000, ge=1)  # steps over which lr falls, by a cosine
    weight_decay: float = runs.structural(1e-6, ge=0)  # added to the gradients, times the weights
    ema_half_life: float = runs.structural(20_000.0, gt=0)  # of the generator's average, in examples


SMOKE = Config(steps=4, batch_size=8, width=16, z_dim=4, pac=2)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for rows of `spec`."""
    compute = partial(nets.compute, precision=cfg.precision)
    parts, shares, hidden = data.parts_of(spec.columns), data.shares_of(spec.columns), (cfg.width,) * 2
    n_out, n_asked = sum(p.size for p in parts), sum(len(share) for _, share in shares)
    gan = models.TableGAN(
        generator=compute(nets.residual_generator(cfg.z_dim + n_asked, n_out, hidden)),
        discriminator=compute(nets.packed_discriminator(n_out + n_asked, hidden, cfg.pac, cfg.dropout)),
        parts=parts,
        shares=shares,
        z_dim=cfg.z_dim,
    )
    obj = objectives.table_gan(gan, spec.n_train, cfg.weight, cfg.pac)

    def adam():
        rate = optax.cosine_decay_schedule(cfg.lr, cfg.decay, 0.1)
        return optax.chain(optax.add_decayed_weights(cfg.weight_decay), optax.adam(rate, 0.5, 0.9))

    step = train.make_step(
        train.Move("d", obj.d, adam(), norms=True),
        train.Move("g", obj.g, adam(), norms=True),
        draw=obj.draw,
        accumulate=cfg.accumulate,
        ema={"g": train.Ema(cfg.ema_half_life)},
    )
    return runs.Experiment(gan, step, data.to_parts(spec.columns), obj.score)
