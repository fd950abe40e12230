"""What a recipe's `Config` inherits, and what it may change."""

import dataclasses
import json

import pytest

from genjax import cli, recipes, runs
from genjax.cli.fields import fields_of
from genjax.errors import UsageError
from genjax.runs.config import kinds


@dataclasses.dataclass(frozen=True)
class Toy(runs.BetaVaeConfig):
    steps: int = 12
    lr: float = 1
    loss: str = "own"
    beta: float = runs.structural(2.0, gt=0)  # of my own
    warm_up: int


def field(config, name):
    return next(f for f in dataclasses.fields(config) if f.name == name)


def test_a_plain_default_keeps_the_marks():
    for name in ("steps", "lr", "warm_up"):
        assert field(Toy, name).metadata == field(runs.BetaVaeConfig, name).metadata
    assert Toy() == Toy(steps=12, lr=1.0, warm_up=0)
    assert type(Toy().lr) is float
    assert kinds(Toy)["steps"] == "resumable"
    assert kinds(Toy)["loss"] == "structural"
    with pytest.raises(UsageError, match=r"lr=-1.0: must be a float greater than 0"):
        Toy(lr=-1.0)
    assert runs.Config().steps == 10_000


def test_a_field_of_its_own_brings_its_own_marks():
    assert field(Toy, "beta").metadata["kind"] == "structural"
    assert field(Toy, "beta").metadata["bounds"] == {"gt": 0}


def test_a_field_stays_where_it_is_and_its_help_is_the_nearest():
    flags = fields_of([Toy])
    assert list(flags) == [*fields_of([runs.BetaVaeConfig]), "loss"]
    assert (flags["steps"].comment, flags["beta"].comment) == ("optimizer updates", "of my own")
    assert fields_of([runs.GanConfig])["steps"].comment == "generator updates"


def test_a_default_without_a_type_is_refused():
    with pytest.raises(TypeError, match=r"write `steps: int = 7`"):
        dataclasses.dataclass(frozen=True)(type("Forgotten", (runs.Config,), {"steps": 7}))


def test_a_subclass_may_have_slots():
    made = dataclasses.make_dataclass("Slim", [("lr", float, 0.5)], bases=(runs.VaeConfig,), frozen=True, slots=True)
    assert made().lr == 0.5
    assert kinds(made)["lr"] == "sweepable"


def test_a_forgotten_decorator_is_said(tmp_path):
    path = tmp_path / "bare.py"
    path.write_text(
        "from genjax import runs\nclass Config(runs.Config):\n    width: int = 3\ndef build(cfg, spec): ...\n"
    )
    with pytest.raises(UsageError, match=r"width would be no fields: write @dataclass\(frozen=True\) above Config"):
        recipes.load(path)


@pytest.mark.slow
def test_a_run_knows_which_of_two_recipes_with_one_build_it_is_of(tmp_path):
    """`vae_fashion_mnist` has the build of `vae_mnist`: its run holds both files, and opens from them."""
    recipe, folder = recipes.load("vae_fashion_mnist"), tmp_path / "run"
    assert recipe.build is recipes.load("vae_mnist").build
    small = ["--data", "digits", "--width", "8", "--z-dim", "2", "--batch-size", "8", "--steps", "1", "--quiet"]
    assert cli.main(["train", "vae_fashion_mnist", *small, "--run-dir", str(folder)]) == 0
    stored = json.loads((folder / "config.json").read_text())
    assert stored["experiment"] == "vae_fashion_mnist"
    assert stored["code"]["entry"] == "vae_fashion_mnist.py"
    assert set(stored["code"]["recipe"]) == {"vae_fashion_mnist.py", "genjax-experiments/vae_mnist.py"}
    assert runs.open_run(folder).config == recipe.Config(data="digits", width=8, z_dim=2, batch_size=8, steps=1)
