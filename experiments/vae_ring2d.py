"""VAE, 8 narrow Gaussians on a ring (or 25 on a grid) in the plane: every mode kept, and bridges between them.

Command:  genjax train vae_ring2d
Expect:   modes hit and share of good samples, beside those of gan_ring2d: experiments/results/ring.json, grid.json.
Model:    multi-layer perceptrons, 2 latents, normal likelihood of one learned standard deviation.
Source:   Kingma & Welling 2014, Auto-Encoding Variational Bayes; Rybkin et al. 2021 (the learned deviation);
          Metz et al. 2017 (the ring), Lin et al. 2018, PacGAN (the grid).
Change:   --data grid, --beta 0.5, --z-dim 4. Images work too.
"""

import sys
from dataclasses import dataclass
from functools import partial

import optax

from genjax import data, distributions, models, nets, objectives, runs, train


@dataclass(frozen=True)
class Config:
    """What the run computes; every field is a flag."""

    seed: int = runs.structure(0, ge=0)
    steps: int = runs.run_only(10_000, ge=1)  # optimizer updates
    batch_size: int = runs.structure(128, ge=1)
    z_dim: int = runs.structure(2, ge=1)  # latent dimensions
    data: str = runs.structure("ring")  # ring, grid; or images: embedded or TFDS name, folder, .npz
    image_size: int = runs.structure(0, ge=0)  # of images: resize and crop to this many pixels; 0: as they are
    validation: int = runs.structure(0, ge=0)  # training images held out, to choose the best checkpoint by
    conditional: bool = runs.structure(False)  # the label enters encoder and decoder
    hidden: int = runs.structure(128, ge=1)  # units of each of three hidden layers
    lr: float = runs.value(3e-3, gt=0)  # Adam's learning rate: log sigma, from 0 to -5, moves by at most that a step
    beta: float = runs.value(1.0, ge=0)  # weight of the rate
    warm_up: int = runs.structure(2000, ge=0)  # steps over which beta grows from 0: without, the rate stays at 0
    decay: int = runs.structure(10_000, ge=1)  # steps over which lr falls to a hundredth, by a cosine
    ema_half_life: float = runs.structure(20_000.0, gt=0)  # of the average of the weights, in examples
    precision: str = runs.structure("f32", choices=("f32", "bf16"))  # what the networks compute in
    accumulate: int = runs.structure(1, ge=1)  # parts of a batch computed in turn: less memory, the same update

    __post_init__ = runs.check


SMOKE = Config(steps=4, batch_size=8, hidden=16)


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    """Model, step and transform for points or images of `spec`."""
    n_classes = spec.n_classes if cfg.conditional else 0
    compute = partial(nets.compute, precision=cfg.precision)
    h, w, c = spec.shape
    likelihood, hidden = distributions.gaussian_global(), (cfg.hidden,) * 3
    vae = models.VAE(
        encoder=compute(nets.mlp_encoder(spec.shape, 2 * cfg.z_dim, hidden, n_classes)),
        decoder=compute(nets.mlp_decoder(cfg.z_dim, (h, w, likelihood.n_out(c)), hidden, n_classes)),
        z_dim=cfg.z_dim,
        likelihood=likelihood,
        channels=c,
        n_classes=n_classes,
    )
    lr = optax.cosine_decay_schedule(cfg.lr, cfg.decay, 0.01)
    loss = objectives.beta_vae(vae, cfg.beta, cfg.warm_up)
    step = train.make_step(
        train.Move("vae", loss, optax.adam(lr), norms=True),
        accumulate=cfg.accumulate,
        ema={"vae": train.Ema(cfg.ema_half_life)},
    )
    return runs.Experiment(vae, step, data.to_plane(), objectives.score_vae(vae))


def main(cfg: Config, options: runs.Options | None = None) -> int:
    """Train, or continue; the exit code."""
    return runs.run(__file__, build, cfg, options)


if __name__ == "__main__":
    from genjax.cli import main as cli

    raise SystemExit(cli(["train", __file__, *sys.argv[1:]]))
