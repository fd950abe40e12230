"""A run that never sealed a checkpoint begins again, with the recipe and the configuration as they are now."""

import json

import pytest

from genjax import cli, runs

RECIPE = '''"""A VAE whose loss can be broken."""

from dataclasses import dataclass

import optax

from genjax import data, distributions, models, nets, objectives, runs, train

BROKEN = %s


@dataclass(frozen=True)
class Config(runs.Config):
    steps: int = 4
    batch_size: int = 8
    z_dim: int = 2
    data: str = "digits"
    lr: float = 1e-3


def build(cfg: Config, spec: data.Spec) -> runs.Experiment:
    vae = models.VAE(nets.mlp_encoder(spec.shape, 2 * cfg.z_dim, (8,)),
                     nets.mlp_decoder(cfg.z_dim, spec.shape, (8,)), cfg.z_dim, distributions.bernoulli())
    loss = objectives.vae(vae)

    def objective(params, batch, ctx):
        value, aux = loss(params, batch, ctx)
        return (value[None] if BROKEN else value), aux

    step = train.make_step(train.Move("vae", objective, optax.adam(cfg.lr)))
    return runs.Experiment(vae, step, data.to_unit(), objectives.score_vae(vae))
'''


@pytest.fixture
def trained(tmp_path, monkeypatch):
    """`trained(broken, *flags)`: the exit code of one and the same command after the recipe was written anew."""
    monkeypatch.chdir(tmp_path)

    def run(broken, *flags):
        (tmp_path / "mine.py").write_text(RECIPE % broken)
        return cli.main(["train", "mine.py", "--run-dir", "r", "--quiet", "--sample-every", "2", *flags])

    return run


def test_the_same_command_trains_once_the_loss_is_mended(trained, tmp_path, capsys):
    assert trained(True) == 2
    old = json.loads((tmp_path / "r" / "config.json").read_text())["id"]
    assert trained(False, "--lr", "0.002") == 0
    assert "beginning again at step 0.\nwith another recipe than before: mine.py has changed, lr: stored 0.001" in (
        capsys.readouterr().err
    )
    stored = json.loads((tmp_path / "r" / "config.json").read_text())
    assert (stored["config"]["lr"], stored["sealed"], stored["id"]) == (0.002, 4, old)
    manifest = json.loads((tmp_path / "r" / "manifest.json").read_text())
    assert "continued" not in manifest, "nothing of the attempt is in the run"
    assert "0.002" in manifest["command"]
    assert int(runs.load("r")[1].step) == 4
    assert cli.main(["train", "r", "--steps", "6", "--quiet"]) == 0


def test_samples_of_the_attempt_are_set_aside(trained, tmp_path):
    """Where there are any but the first ones, which are written again."""
    run = tmp_path / "r"
    assert trained(True) == 2
    (first,) = (run / "samples").iterdir()
    (run / "samples" / "00000900.png").write_bytes(first.read_bytes())  # as an attempt leaves that was killed later
    assert trained(False, "--steps", "1", "--save-every", "5") == 0
    assert sorted(p.name for p in (run / "samples-1").iterdir()) == ["00000000.png", "00000900.png"]
    assert sorted(p.name for p in (run / "samples").iterdir()) == ["00000000.png", "00000001.png"]
    assert not (run / "samples-2").exists()


def test_what_was_begun_stays_what_it_is(trained, capsys):
    assert trained(False) == 0
    assert trained(True) == 2
    assert "was trained by another recipe: mine.py has changed" in capsys.readouterr().err
    assert trained(False, "--lr", "0.002") == 2
    assert "lr: stored 0.001, wanted 0.002" in capsys.readouterr().err


def test_other_data_still_want_another_folder(trained, capsys):
    assert trained(True) == 2
    capsys.readouterr()
    assert trained(False, "--data", "fashion_mini") == 2
    assert "data.name" in capsys.readouterr().err
