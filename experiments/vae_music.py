"""VAE of music, a latent vector for each step: a deep Markov model of longer memory, on piano rolls.

Command:  genjax train vae_music
          genjax train vae_music --data jsb-chorales-quarter.json.gz   (the published chorales, see below)
Expect:   2.9 nats a step on the tunes after 1,600 short steps, 6.75 on the chorales, 6.17 there with --remembers 4;
          experiments/README.md has the tables.
Model:    gated convolutions over the whole piece give q(z_t | x); causal ones p(z_t | z_<t); a perceptron p(x_t | z_t),
          a chord, each note given the lower ones. All steps are trained at once, samples are made step by step.
Views:    training sees each piece in another key and a part of longer ones; measurements never do.
Source:   Krishnan, Shalit & Sontag 2017, Structured Inference Networks for Nonlinear State Space Models, whose deep
          Markov model has 6.926 nats a step as bound and 6.388 by importance sampling on these chorales;
          Chung et al. 2015, A Recurrent Latent Variable Model for Sequential Data (a prior that remembers).
Change:   --remembers 4 (the decoder sees the 16 chords before, too: p(x_t | z_t, x_<t); then --free-bits 0.5),
          --likelihood bernoulli, --layers 0 (a prior of one step: the deep Markov model proper), --data my_midi_folder.
"""

from dataclasses import dataclass
from functools import partial

import jax
import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.Config):
    """Gated convolutions over time."""

    domains = ("music",)
    reads = ("window", "steps_per_quarter")
    data: str = "tunes"
    steps: int = 3000
    batch_size: int = 32
    z_dim: int = 64  # latent dimensions of a step
    window: int = runs.structural(64, ge=0)  # steps of an example; 0: pieces whole
    steps_per_quarter: int = runs.structural(0, ge=0)  # of the grid of MIDI files; 0: 4
    crop: int = runs.structural(64, ge=1)  # steps that an update sees of an example
    transpose: int = runs.structural(6, ge=0, le=24)  # semitones up or down, at most, that training moves a piece
    likelihood: str = runs.structural("chords", ("chords", "bernoulli"))  # of a step's notes
    width: int = runs.structural(128, ge=1)  # of the hidden layers
    layers: int = runs.structural(4, ge=0, le=8)  # of the causal convolutions: 2^layers steps are remembered
    dropout: float = runs.structural(0.2, ge=0, lt=1)  # share of hidden units left out in training
    remembers: int = runs.structural(0, ge=0, le=8)  # layers: the decoder sees 2^layers chords; 0: none
    lr: float = runs.sweepable(2e-3, gt=0)  # Adam's rate, which falls to a twentieth by a cosine
    beta: float = runs.sweepable(1.0, ge=0)  # weight of the rate
    warm_up: int = runs.structural(300, ge=0)  # steps over which beta grows from 0
    free_bits: float = runs.structural(0.0, ge=0)  # nats a step's latents may cost for nothing
    decay: int = runs.structural(3000, ge=1)  # steps over which lr falls
    ema_half_life: float = runs.structural(5_000.0, gt=0)  # of the average of the weights, in examples


SMOKE = Config(steps=4, batch_size=8, width=8, layers=2, z_dim=2, window=16, crop=8, remembers=1)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for rolls of `spec`."""
    compute = partial(nets.compute, precision=cfg.precision)
    (steps, keys), z = spec.shape, cfg.z_dim
    likelihood = distributions.chords() if cfg.likelihood == "chords" else distributions.bernoulli()
    decoder = nets.each_step(z, likelihood.n_out(keys), (cfg.width, cfg.width), cfg.dropout, bias=-4.0)
    if cfg.remembers:
        if cfg.likelihood != "chords":
            raise ValueError(f"likelihood={cfg.likelihood}: with remembers={cfg.remembers} it must be chords.")
        decoder, chain = nets.remembering(z, keys, steps, cfg.width, cfg.remembers, cfg.dropout, bias=-4.0)
        likelihood = distributions.autoregressive(chain, likelihood)
    vae = models.SequenceVAE(
        encoder=compute(nets.centred_convs(keys, 2 * z, cfg.width, 4, cfg.dropout)),
        transition=compute(nets.causal_convs(z, 2 * z, cfg.width, cfg.layers, cfg.dropout)),
        decoder=compute(decoder),
        code_dim=z,
        steps=steps,
        memory=nets.memory(cfg.layers),
        likelihood=likelihood,
        channels=keys,
    )

    def view(key, batch):
        k_crop, k_key = jax.random.split(key)
        return data.transposed(k_key, data.cropped(k_crop, batch, cfg.crop), cfg.transpose)

    loss = objectives.on_views(objectives.beta_vae(vae, cfg.beta, cfg.warm_up, cfg.free_bits), view)
    adam = optax.adam(optax.cosine_decay_schedule(cfg.lr, cfg.decay, 0.05), b2=0.99)
    move = train.Move("vae", loss, adam, clip=10.0, norms=True)
    step = train.make_step(move, accumulate=cfg.accumulate, ema={"vae": train.Ema(cfg.ema_half_life)})
    return runs.Experiment(vae, step, data.as_bits(), objectives.score_vae(vae))
