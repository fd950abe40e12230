"""VAE of speech: waves of 8,192 samples through strided convolutions, with a likelihood and a spectral distance.

Command:  genjax train vae_speech --data spoken_digit
Data:     spoken_digit as TFDS prepares it, a folder of .wav files (class folders give labels), or synthetic_speech,
          which is made here and is not real speech.
Model:    convolutions of 25 taps and stride 4 on both sides, group norm, short spectra in the place of the decoder's
          last stages; a Laplace distribution for each 16-bit sample.
Loss:     D + beta R + `spectral` x (multi-resolution spectral distance between the mean of p(x | z) and x).
Reading:  elbo, rate and distortion are of the likelihood alone, in nats, and bound it; loss and penalty bound nothing.
          With --spectral 0 the model is trained on the bound itself, whose best wave is near silence where the code
          does not hold the phases.
Expect:   the right lengths and loudness of each band, and no words: one code for all of a wave holds little of it;
          experiments/README.md has numbers.
Source:   Kingma & Welling 2014; Caillon & Esling 2021, RAVE (a VAE of waves with a spectral distance);
          Yamamoto et al. 2020, Parallel WaveGAN (the distance).
Change:   --spectral 0, --spectra False, --beta 0.1 (better reconstructions, worse samples), --conditional True.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.Config):
    """Convolutions over waves, and an average of the weights."""

    domains = ("speech",)
    reads = ("samples",)
    data: str = "synthetic_speech"
    steps: int = 4000
    batch_size: int = 32
    z_dim: int = 64
    lr: float = runs.sweepable(1e-3, gt=0)  # Adam's learning rate
    beta: float = runs.sweepable(1.0, ge=0)  # weight of the rate
    warm_up: int = runs.structural(500, ge=0)  # steps over which beta grows from 0
    free_bits: float = runs.structural(0.0, ge=0)  # nats a latent dimension may cost for nothing
    spectral: float = runs.sweepable(10_000.0, ge=0)  # nats that a spectral distance of 1 costs
    samples: int = runs.structural(8192, ge=32)  # of a recording: longer ones are cut, silence follows shorter ones
    width: int = runs.structural(16, ge=1)  # channels of the first stage
    spectra: bool = runs.structural(True)  # the decoder's wave is made of short spectra
    ema_half_life: float = runs.structural(5_000.0, gt=0)  # of the average of the weights, in examples


SMOKE = Config(samples=1024, steps=4, batch_size=8, width=2, z_dim=4)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for recordings of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    (samples,), likelihood = spec.shape, distributions.laplace16()
    vae = models.VAE(
        encoder=compute(nets.wave_encoder(samples, 2 * cfg.z_dim, cfg.width, n_classes)),
        decoder=compute(nets.wave_decoder(cfg.z_dim, samples, likelihood.n_out(1), cfg.width, n_classes, cfg.spectra)),
        z_dim=cfg.z_dim,
        likelihood=likelihood,
        n_classes=n_classes,
    )
    loss = objectives.spectral_vae(vae, cfg.spectral, cfg.beta, cfg.warm_up, cfg.free_bits)
    step = train.make_step(
        train.Move("vae", loss, optax.adam(cfg.lr), norms=True),
        accumulate=cfg.accumulate,
        ema={"vae": train.Ema(cfg.ema_half_life)},
    )
    return runs.Experiment(vae, step, data.to_wave(), objectives.score_vae(vae))
