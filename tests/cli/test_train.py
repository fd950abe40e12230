"""train and demo with recipes made for the test."""

import json
import shutil
import sys
import textwrap

import pytest

from genjax import cli, recipes, runs
from genjax.cli import train as cli_train
from genjax.errors import RunFailure, UsageError

RECIPE = '''
"""A recipe that only says what it was given.

Second paragraph."""

from dataclasses import dataclass

from genjax.runs import check, resumable, structural, sweepable


@dataclass(frozen=True)
class Config:
    seed: int = structural(0, ge=0)
    steps: int = resumable(10, ge=1)  # how far
    z_dim: int = structural(2, ge=1)  # latent dimensions
    beta: float = sweepable(1.0, ge=0)
    data: str = structural("digits")

    __post_init__ = check


SMOKE = Config(steps=2)


def build(cfg, spec):
    return None
'''


@pytest.fixture(autouse=True)
def _no_cache(monkeypatch):
    monkeypatch.setattr(cli_train.cache, "enable", lambda on=True: None)


@pytest.fixture
def seen(monkeypatch):
    """Configurations and options of the runs that were asked for; they say how they ended by their seed."""
    asked = []

    def run(file, build, cfg, options, members=None):
        asked.append((cfg, options))
        if cfg.seed == 13:
            raise RunFailure("out of luck at step 3")
        return 130 if cfg.seed == 14 else 0

    monkeypatch.setattr(runs, "run", run)
    return asked


@pytest.fixture
def recipe(tmp_path):
    path = tmp_path / "toy_recipe.py"
    path.write_text(textwrap.dedent(RECIPE).lstrip())
    yield path
    sys.modules.pop("genjax_experiments.toy_recipe", None)


def test_flags_of_recipe_and_run_are_flat(recipe, seen):
    argv = [
        "train",
        str(recipe),
        "--beta",
        "4",
        "--z_dim",
        "8",
        "--run-dir",
        "D",
        "--steps",
        "100",
        "--save-every",
        "7",
    ]
    assert cli.main(argv) == 0
    cfg, options = seen[-1]
    assert (cfg.beta, cfg.z_dim, cfg.steps, cfg.seed) == (4.0, 8, 100, 0)
    assert (options.run_dir, options.save_every) == ("D", 7)


def test_a_recipe_is_never_main_and_is_imported_once(recipe):
    module = recipes.load(recipe)
    assert module.__name__ == "genjax_experiments.toy_recipe"
    assert module.Config.__module__ == "genjax_experiments.toy_recipe"
    assert recipes.load(str(recipe)) is module


@pytest.mark.parametrize(
    ("argv", "words"),
    [
        (["--z-dim", "0"], ["z_dim=0", "at least 1"]),
        (["--beta", "-1"], ["beta=-1.0", "at least 0"]),
        (["--beta", "much"], ["--beta", "much", "a number"]),
        (["--zdim", "3"], ["--zdim", "--z-dim"]),
        (["--log-every", "0"], ["log_every=0", "at least 1"]),
        (["--beta", "nan"], ["beta=nan"]),
    ],
)
def test_bad_values_exit_2_with_a_line_and_do_not_run(recipe, seen, argv, words, capsys):
    assert cli.main(["train", str(recipe), *argv]) == 2
    err = capsys.readouterr().err
    assert all(w in err for w in words), err
    assert len(err.splitlines()) <= 3
    assert seen == []


def test_exit_codes_of_a_run(recipe, seen, capsys):
    assert cli.main(["train", str(recipe), "--seed", "13"]) == 1
    assert "out of luck" in capsys.readouterr().err
    assert cli.main(["train", str(recipe), "--seed", "14"]) == 130


def test_help_of_a_recipe(recipe, capsys):
    with pytest.raises(SystemExit) as e:
        cli.main(["train", str(recipe), "--help"])
    assert e.value.code == 0
    out = capsys.readouterr().out
    for word in ("only says what it was given", "--z-dim", "latent dimensions", "--run-dir", ">= 1"):
        assert word in out


def test_what_is_no_recipe_is_refused(tmp_path):
    path = tmp_path / "not_one.py"
    path.write_text("Config = 1\n")
    with pytest.raises(UsageError, match="lacks build"):
        recipes.load(path)
    assert "genjax_experiments.not_one" not in sys.modules
    path.write_text("def broken(:\n")
    with pytest.raises(UsageError, match="line 1"):
        recipes.load(path)


def test_unknown_names_offer_the_nearest(tmp_path, monkeypatch, capsys):
    (tmp_path / "vae_digits.py").write_text('"""x"""')
    monkeypatch.setattr(recipes, "folder", lambda: tmp_path)
    assert cli.main(["train", "vae_digit"]) == 2
    assert "Did you mean vae_digits?" in capsys.readouterr().err


@pytest.fixture
def shop(tmp_path, monkeypatch, recipe, seen):
    """The demo on two toys, and a report that only says what it was given."""
    import genjax.report

    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for name in ("vae_toy", "gan_toy"):
        (shelf / f"{name}.py").write_text(recipe.read_text())
    monkeypatch.setattr(recipes, "folder", lambda: shelf)
    monkeypatch.setitem(cli_train.DEMO, "digits", {"vae_toy": {"steps": 3}, "gan_toy": {"steps": 4}})
    written = []
    monkeypatch.setattr(genjax.report, "write", lambda runs, out: written.append((runs, out)), raising=False)
    yield written
    for name in ("vae_toy", "gan_toy"):
        sys.modules.pop(f"genjax_experiments.{name}", None)


def test_demo_trains_both_then_reports(shop, seen, tmp_path, capsys):
    folder = tmp_path / "demo"
    assert cli.main(["demo", "--data", "digits", "--run-dir", str(folder)]) == 0
    (made, page), = shop  # fmt: skip
    assert [str(r) for r in made] == [str(folder / "vae_toy"), str(folder / "gan_toy")]
    assert page == folder / "report.html"
    assert (folder / "report.html").as_uri() in capsys.readouterr().out
    cfg, options = seen[-1]
    assert cfg.steps == 4
    assert options.run_dir == str(folder / "gan_toy")


def test_demo_goes_on_beside_what_it_set_aside(shop, tmp_path, capsys):
    folder = tmp_path / "demo"
    for n in range(2):  # a run of other code, twice
        (folder / "vae_toy").mkdir(parents=True)
        code = {"entry": "vae_toy.py", "recipe": {}, "genjax": ""}
        stored = {"format": 1, "experiment": "vae_toy", "config": {}, "data": {}, "code": code}
        (folder / "vae_toy" / "config.json").write_text(json.dumps(stored))
        assert cli.main(["demo", "--data", "digits", "--run-dir", str(folder)]) == 0
        assert f"set aside as vae_toy-{n + 1}, and trained again" in capsys.readouterr().out
        shutil.rmtree(folder / "vae_toy", ignore_errors=True)
    (folder / "gan_toy-1").mkdir()
    assert cli.main(["demo", "--data", "digits", "--run-dir", str(folder)]) == 2
    assert "gan_toy-1" in capsys.readouterr().err


def test_demo_stops_where_a_run_was_interrupted(shop, tmp_path, monkeypatch):
    monkeypatch.setitem(cli_train.DEMO["digits"], "vae_toy", {"seed": 14})
    assert cli.main(["demo", "--data", "digits", "--run-dir", str(tmp_path / "demo")]) == 130
    assert shop == []
    assert cli.main(["demo", "--data", "cifar"]) == 2
