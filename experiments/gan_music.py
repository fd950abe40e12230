"""GAN of piano rolls, on folk tunes that come with genjax.

Command:  genjax train gan_music
Expect:   after a minute rates near those of the tunes (96.7 % of the notes in a scale; real 100 %), but not their
          chords: of two in a row the divergence is 0.78 bits (held-out 0.25); experiments/README.md has the table.
Model:    convolutions over time on both sides; notes are 0 or 1 for both players, the gradient passes straight through.
Loss:     relativistic pairing, with R1 and R2 at every step.
Source:   Dong & Yang 2018, Convolutional GANs with Binary Neurons for Polyphonic Music Generation;
          Huang et al. 2024, The GAN is dead; long live the GAN! (R3GAN's loss).
Change:   --gamma 3, --transpose 0, --data my_midi_folder --window 64.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, losses, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.GanConfig):
    """Convolutions over time."""

    domains = ("music",)
    reads = ("window", "steps_per_quarter")
    data: str = "tunes"
    steps: int = 4000
    batch_size: int = 32
    lr: float = 5e-4
    gamma: float = 1.0
    window: int = runs.structural(32, ge=4)  # steps of an example
    steps_per_quarter: int = runs.structural(0, ge=0)  # of the grid of MIDI files; 0: 4
    transpose: int = runs.structural(6, ge=0, le=24)  # semitones up or down, at most, that training moves a piece
    width: int = runs.structural(128, ge=1)  # of the hidden layers


SMOKE = Config(steps=4, batch_size=8, width=8, z_dim=4, window=16)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for rolls of `spec`."""
    compute = partial(nets.compute, precision=cfg.precision)
    gan = models.GAN(
        generator=compute(nets.roll_generator(cfg.z_dim, spec.shape, cfg.width)),
        discriminator=compute(nets.roll_discriminator(spec.shape, cfg.width)),
        z_dim=cfg.z_dim,
    )
    obj = objectives.gan(gan, *losses.game(cfg.loss, cfg.penalty, cfg.gamma, cfg.weight))

    def view(key, batch):
        return data.transposed(key, batch, cfg.transpose)

    adam = optax.adam(cfg.lr, b1=0.0, b2=0.99)
    step = train.make_step(
        train.Move("d", objectives.on_views(obj.d, view), adam, norms=True),
        train.Move("g", objectives.on_views(obj.g, view), adam, norms=True),
        draw=obj.draw,
        accumulate=cfg.accumulate,
        ema={"g": train.Ema(cfg.ema_half_life)},
    )
    return runs.Experiment(gan, step, data.as_bits(), obj.score)
