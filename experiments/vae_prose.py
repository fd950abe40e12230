"""VAE of prose with an autoregressive decoder, on half-verses of the Psalms, which come with genjax.

Command:  genjax train vae_prose
Expect:   a bound of 2.84 bits a character on the lines of tiny_shakespeare after 2,500 steps (a language model 2.52);
          experiments/README.md has the table.
Model:    a GRU reads the text both ways; another writes it symbol by symbol, with z at every step. Training hides
          symbols from the decoder, so that it needs the latents.
Source:   Bowman et al. 2016, Generating Sentences from a Continuous Space (word dropout); Kingma et al. 2016 (free
          bits); He et al. 2019, Lagging Inference Networks and Posterior Collapse (the encoder's extra updates).
Change:   --encoder-steps 5, --dropout 0, --latents False (a language model, the baseline),
          --data book.txt --cut windows --length 128, --unit byte.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.ProseConfig):
    """GRUs on both sides."""

    domains = ("prose",)
    steps: int = 4000
    hidden: int = runs.structural(128, ge=1)  # units of each GRU
    dropout: float = runs.structural(0.3, ge=0, lt=1)  # chance that training hides a symbol from the decoder
    latents: bool = runs.structural(True)  # False: a language model, the decoder alone
    encoder_steps: int = runs.structural(0, ge=0)  # updates of the encoder alone before each update of both
    lr: float = runs.sweepable(2e-3, gt=0)  # Adam's learning rate
    beta: float = runs.sweepable(1.0, ge=0)  # weight of the rate
    warm_up: int = runs.structural(2000, ge=0)  # steps over which beta grows from 0
    free_bits: float = runs.structural(0.1, ge=0)  # nats a latent dimension may cost for nothing


SMOKE = Config(steps=4, batch_size=8, hidden=8, z_dim=2, length=16, encoder_steps=1)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for texts of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    z_dim, k, size = cfg.z_dim if cfg.latents else 0, spec.n_values, cfg.hidden
    decoder = nets.gru_decoder(z_dim, k, spec.shape[0], size, dropout=cfg.dropout, n_classes=n_classes)
    model = models.LanguageModel(compute(decoder.net), distributions.autoregressive(decoder.chain), n_classes)
    if cfg.latents:
        encoder = compute(nets.gru_encoder(k, 2 * z_dim, size, symbols=True, n_classes=n_classes))
        model = models.VAE(encoder, model.decoder, z_dim, model.likelihood, n_classes=n_classes)
    loss, adam = objectives.beta_vae(model, cfg.beta, cfg.warm_up, cfg.free_bits), optax.adam(cfg.lr)
    moves = [train.Move("vae", loss, adam, clip=5.0, norms=True)]
    if cfg.encoder_steps and cfg.latents:
        alone = train.only(adam, "vae/encoder")
        moves.insert(0, train.Move("vae", loss, alone, name="encoder", repeat=cfg.encoder_steps, clip=5.0))
    step = train.make_step(*moves, accumulate=cfg.accumulate)
    return runs.Experiment(model, step, data.to_integers(), objectives.score_vae(model))
