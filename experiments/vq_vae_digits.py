"""VQ-VAE on 8x8 handwritten digits: each image told by eight codes of a codebook that follows the encoder.

Command:  genjax train vq_vae_digits
Expect:   elbo -32.7 +- 3.5 nats on the test set, close reconstructions (distortion 2.55 +- 0.60), and noisy samples:
          independent codes know nothing of each other, and nobody has learned a prior over them yet;
          three seeds, the 95 % interval, in experiments/results/parts.json.
Model:    the nets of vae_digits around 8 codes out of 64; samples draw each code by how often its place has chosen it.
Source:   van den Oord, Vinyals & Kavukcuoglu 2017, Neural Discrete Representation Learning, with running means.
Change:   --n-codes 256, --n-latents 16, --commitment 1, --data fashion_mini.
"""

from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config(runs.VaeConfig):
    """One hidden layer on each side of a codebook; z_dim is the size of a code."""

    domains = ("image",)
    steps: int = 6000
    z_dim: int = 8
    n_latents: int = runs.structural(8, ge=1)  # codes that tell an image
    n_codes: int = runs.structural(64, ge=2)  # codes to choose from
    commitment: float = runs.sweepable(0.25, ge=0)  # weight of the encoder's distance to its codes
    decay: float = runs.structural(0.99, ge=0, lt=1)  # of the codebook's running means, in one update
    hidden: int = runs.structural(256, ge=1)  # units of the hidden layers


SMOKE = Config(steps=4, batch_size=8, hidden=16, z_dim=2, n_codes=4)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for images of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    (h, w, c), z = spec.shape, cfg.n_latents * cfg.z_dim
    likelihood = distributions.likelihood_of(cfg.likelihood, spec)
    model = models.VQVAE(
        encoder=compute(nets.mlp_encoder(spec.shape, z, (cfg.hidden,), n_classes)),
        decoder=compute(nets.mlp_decoder(z, (h, w, likelihood.n_out(c)), (cfg.hidden,), n_classes)),
        n_latents=cfg.n_latents,
        n_codes=cfg.n_codes,
        code_dim=cfg.z_dim,
        likelihood=likelihood,
        channels=c,
        n_classes=n_classes,
        commitment=cfg.commitment,
        decay=cfg.decay,
    )
    loss = objectives.vq_vae(model)
    step = train.make_step(train.Move("vae", loss, optax.adam(cfg.lr), norms=True), accumulate=cfg.accumulate)
    return runs.Experiment(model, step, data.for_range(likelihood.support[0]), objectives.score_vae(model))
