"""A flag that changes nothing is named when a run begins."""

import dataclasses

import pytest

from genjax import cli, recipes
from genjax.runs import Config
from genjax.runs.dataset import dataset_of
from genjax.runs.notes import Watched

SET = {"precision": "bf16", "accumulate": 2}


@pytest.mark.parametrize(
    "name", ["vae_digits", "gan_digits", "vae_prior_digits", "gan_table", "vae_music", "vae_prose"]
)
def test_recipes_read_what_they_inherit(name):
    recipe = recipes.load(name)
    build = Watched(recipe.build)
    build(recipe.SMOKE, dataset_of(recipe.SMOKE).spec)
    assert build.note([dataclasses.replace(recipe.Config(), **SET)]) == ""


def test_what_was_set_and_is_not_read_is_named():
    build = Watched(lambda cfg, spec: (cfg.z_dim, cfg.precision))
    members = [Config(z_dim=3, steps=7, seed=1, data="ring", **SET), Config(conditional=True)]
    assert [build(cfg, None) for cfg in members] == [(3, "bf16"), (32, "f32")]
    assert build.note(members) == "--conditional, --accumulate: changes nothing, the recipe's build does not read them."
    assert build.note(members[:1]) == "--accumulate: changes nothing, the recipe's build does not read it."
    assert build.note([Config()]) == ""


def test_of_a_configuration_that_a_function_holds_nothing_is_said():
    """It may be read when the step is traced."""
    build = Watched(lambda cfg, spec: lambda batch: batch * cfg.accumulate)
    transform = build(Config(accumulate=2), None)
    assert build.note([Config(accumulate=2)]) == ""
    assert transform(3) == 6
    del transform
    assert build.note([Config(accumulate=2)]) == ""  # it was read


def test_a_run_says_so(tmp_path, capsys):
    flags = ["--prior", "realnvp", "--n-inputs", "50", "--hidden", "8", "--z-dim", "2"]
    assert cli.main(["train", "vae_prior_digits", *flags, "--steps", "1", "--run-dir", str(tmp_path / "r")]) == 0
    assert "--n-inputs: changes nothing, the recipe's build does not read it." in capsys.readouterr().err
