"""Recipes as genjax 0.1 wrote them, which a run's folder holds a copy of: they train, open and go on."""

import numpy as np

from genjax import cli, runs

RECIPE = '''"""A recipe with the names of genjax 0.1."""

from dataclasses import dataclass

import genjax
import optax
from genjax import data, dist, models, nets, objectives, train
from genjax.dist import likelihood_of
from genjax.train import Experiment, Move


@dataclass(frozen=True)
class Config:
    """What can be set."""

    seed: int = train.structure(0, ge=0)
    steps: int = train.run_only(4, ge=1)
    batch_size: int = train.structure(8, ge=1)
    z_dim: int = train.structure(2, ge=1)
    data: str = train.structure("digits")
    lr: float = train.value(1e-3, gt=0)

    __post_init__ = train.check


def build(cfg: Config, spec: data.Spec) -> train.Experiment:
    likelihood = dist.bernoulli()
    assert likelihood_of("bernoulli", spec).name == genjax.dist.bernoulli().name
    vae = models.VAE(
        encoder=nets.mlp_encoder(spec.shape, 2 * cfg.z_dim, (8,)),
        decoder=nets.mlp_decoder(cfg.z_dim, spec.shape, (8,)),
        z_dim=cfg.z_dim,
        likelihood=likelihood,
    )
    step = train.make_step(Move("vae", objectives.beta_vae(vae, 1.0), optax.adam(cfg.lr)))
    return Experiment(vae, step, data.to_unit(), objectives.score_vae(vae))


def main(cfg: Config, options: train.Options | None = None) -> int:
    """Train, or continue; the exit code."""
    return train.run(__file__, build, cfg, options)
'''


def test_a_recipe_with_older_names_trains_opens_and_goes_on(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "older.py").write_text(RECIPE)
    argv = ["train", "older.py", "--run-dir", "r", "--log-every", "2", "--quiet"]
    assert cli.main(argv) == 0
    (tmp_path / "older.py").unlink()  # the run opens from its own copy
    model, state, config = runs.load("r")
    assert (model.z_dim, int(state.step), config.steps) == (2, 4, 4)
    assert np.isfinite(runs.read_metrics("r")["loss"]).all()
    assert cli.main(["train", "r", "--steps", "6", "--quiet"]) == 0
    assert int(runs.load("r")[1].step) == 6
