"""GAN of speech: a generator of waves, and a discriminator that sees their spectrograms, or the waves, or both.

Command:  genjax train gan_speech --data spoken_digit
Data:     spoken_digit as TFDS prepares it, a folder of .wav files (class folders give labels), or synthetic_speech,
          which is made here and is not real speech.
Model:    WaveGAN's generator, of a digit where it is conditional, with short spectra in the place of its last stages;
          DCGAN's discriminator of the log spectrogram; with --views both also WaveGAN's of the wave, with phase
          shuffle, whose logit is added. An average of the generator's weights draws.
Loss:     relativistic pairing with R1 and R2. The published WaveGAN is --spectra False --views wave --loss wasserstein
          --penalty gradient_penalty --critic-steps 5 --width 64 --critic 64 --lr 1e-4 --b1 0.5 --b2 0.9.
Expect:   the digits' envelopes after hundreds of steps, their formants after thousands; experiments/README.md has
          1,000 steps of a small one.
Source:   Donahue et al. 2019, Adversarial Audio Synthesis (WaveGAN); Huang et al. 2024, R3GAN (loss); Kaneko et al.
          2022, iSTFTNet (spectra in a generator).
Change:   --conditional False, --views both, --spectra False, --gamma 0.2 (less penalty: clearer, and all alike).
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, losses, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.GanConfig):
    """WaveGAN of a quarter of the published width, with two views."""

    domains = ("speech",)
    reads = ("samples",)
    data: str = "synthetic_speech"
    steps: int = 6000
    batch_size: int = 32
    conditional: bool = True
    lr: float = 4e-4
    gamma: float = runs.sweepable(5.0, ge=0)  # weight of R1 and R2
    b1: float = runs.structural(0.0, ge=0, lt=1)  # Adam's, of the gradient's mean
    b2: float = runs.structural(0.99, ge=0, lt=1)  # Adam's, of its square
    ema_half_life: float = 10_000.0
    samples: int = runs.structural(8192, ge=32)  # of a recording: longer ones are cut, silence follows shorter ones
    width: int = runs.structural(32, ge=1)  # channels of the generator's last hidden stage; 64 are WaveGAN's
    critic: int = runs.structural(16, ge=1)  # channels of a discriminator's first stage; the spectrogram's has twice
    critic_steps: int = runs.structural(1, ge=1)  # updates of the discriminator for each of the generator
    spectra: bool = runs.structural(True)  # the generator's wave is made of short spectra
    shuffle: int = runs.structural(2, ge=0)  # places of phase shuffle
    views: str = runs.structural("spectrogram", ("spectrogram", "wave", "both"))  # what the discriminator sees


SMOKE = Config(samples=1024, steps=4, batch_size=8, width=2, critic=2, z_dim=4)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for recordings of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    (samples,), transform = spec.shape, data.to_wave()
    generator = compute(nets.wavegan_generator(cfg.z_dim, samples, cfg.width, n_classes, cfg.spectra))
    discriminator = compute(nets.wavegan_discriminator(samples, cfg.critic, cfg.shuffle, n_classes))
    if cfg.views != "wave":
        both = models.hearing(samples)
        sees = compute(nets.dcgan_discriminator(both.shapes["spectrogram"], 2 * cfg.critic, "none", n_classes))
        generator, transform = nets.then(generator, both.seen), both.transform
        views = zip(both.shapes.items(), (discriminator if cfg.views == "both" else None, sees), strict=True)
        discriminator = nets.seeing({name: (net, shape) for (name, shape), net in views})
    gan = models.GAN(generator, discriminator, cfg.z_dim, n_classes)
    obj = objectives.gan(gan, *losses.game(cfg.loss, cfg.penalty, cfg.gamma, cfg.weight))
    adam = optax.adam(cfg.lr, b1=cfg.b1, b2=cfg.b2)
    step = train.make_step(
        train.Move("d", obj.d, adam, repeat=cfg.critic_steps, norms=True),
        train.Move("g", obj.g, adam, norms=True),
        draw=obj.draw,
        accumulate=cfg.accumulate,
        ema={"g": train.Ema(cfg.ema_half_life)},
    )
    return runs.Experiment(gan, step, transform, obj.score)
