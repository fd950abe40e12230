"""A population by commands: train, continue, refuse, look, extract, go on alone."""

import csv
import json
import sys

import numpy as np
import pytest

from genjax import cli, runs
from genjax.cli import cache

SMALL = ["--hidden", "16", "--z-dim", "2", "--batch-size", "8", "--log-every", "2", "--save-every", "3",
         "--sample-every", "3", "--quiet"]  # fmt: skip
MEMBERS = ["--seeds", "2", "--sweep", "beta=0.5,4"]


@pytest.fixture(autouse=True)
def _tests_own_cache(monkeypatch):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)


def run(folder, *more, name="vae_digits"):
    return cli.main(["train", name, *SMALL, "--run-dir", str(folder), *more])


def digest(folder, capsys, *more):
    capsys.readouterr()
    assert cli.main(["digest", str(folder), *more]) == 0
    return capsys.readouterr().out.splitlines()[-1]


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    """Two seeds at two points, six steps."""
    folder = tmp_path_factory.mktemp("runs") / "several"
    assert run(folder, "--steps", "6", *MEMBERS) == 0
    return folder


def test_one_folder_holds_all(several):
    stored = json.loads((several / "config.json").read_text())
    assert stored["population"] == {"seeds": [0, 1], "sweep": {"beta": [0.5, 4.0]}}
    assert stored["config"]["beta"] == 0.5
    rows = runs.read_metrics(several)
    assert rows["step"].tolist() == [2, 4, 6]
    assert rows["elbo"].shape == (3, 4)
    assert rows["beta"][0].tolist() == [0.5, 0.5, 4.0, 4.0]
    assert runs.read_metrics(several, member=2)["elbo"].tolist() == rows["elbo"][:, 2].tolist()
    assert sorted(p.name for p in (several / "samples").iterdir()) == ["000", "001", "002", "003"]
    command = json.loads((several / "manifest.json").read_text())["command"]
    assert command[-4:-2] == ["--seeds=2", "--sweep=beta=0.5,4.0"]
    assert "--beta" not in command


@pytest.mark.slow
def test_continued_it_is_the_same_population(several, tmp_path, capsys):
    part = tmp_path / "part"
    assert run(part, "--steps", "4", *MEMBERS) == 0
    assert digest(part, capsys) != digest(several, capsys)
    assert run(part, "--steps", "6", "--seeds=2", "--sweep=beta=0.5,4") == 0
    assert digest(part, capsys) == digest(several, capsys)
    wall = {"seconds", "examples_per_s"}
    ours, theirs = (
        [{k: v for k, v in json.loads(line).items() if k not in wall} for line in text.splitlines()]
        for text in ((f / "metrics.jsonl").read_text() for f in (part, several))
    )
    assert ours[-1] == theirs[-1]
    for i in range(4):
        name = f"samples/{i:03d}/00000006.png"
        assert (part / name).read_bytes() == (several / name).read_bytes()


def test_another_population_is_refused_and_a_finished_one_says_so(several, capsys):
    assert run(several, "--steps", "6", *MEMBERS) == 0
    assert "finished" in capsys.readouterr().err
    for more, says in (
        (["--seeds", "3", "--sweep", "beta=0.5,4"], "seeds: stored [0, 1], wanted [0, 1, 2]"),
        (["--seeds", "2", "--sweep", "beta=0.5,2"], 'sweep: stored {"beta": [0.5, 4.0]}, wanted {"beta": [0.5, 2.0]}'),
        (["--beta", "0.5"], "seeds: stored [0, 1], wanted nothing"),
    ):
        assert run(several, "--steps", "6", *more) == 2
        assert says in capsys.readouterr().err


def test_several_sweep_flags_are_one_grid_and_bad_ones_write_nothing(tmp_path, capsys):
    for more, says in (
        (["--sweep", "hidden=8,16"], "hidden shapes the program or the data"),
        (["--sweep", "beta=1,2", "--sweep", "lr=0"], "lr=0.0: must be a float greater than 0"),
        (["--seeds", "-1"], "--seeds=-1"),
        (["--seeds", "two"], "--seeds"),
    ):
        assert run(tmp_path / "R", "--steps", "2", *more) == 2
        assert says in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_member_is_sampled_scored_reported(several, tmp_path, capsys):
    out = str(tmp_path / "s.npz")
    assert cli.main(["sample", str(several), "--n", "3", "--out", out]) == 2
    assert "member 3 (beta 4, seed 1)" in capsys.readouterr().err
    assert cli.main(["sample", str(several), "--n", "3", "--out", out, "--member", "3"]) == 0
    assert "member 3 (beta 4, seed 1)" in capsys.readouterr().out
    assert cli.main(["score", str(several), out, "--out", str(tmp_path / "s.csv"), "--member", "3"]) == 0
    with (tmp_path / "s.csv").open(newline="") as f:
        assert len(list(csv.DictReader(f))) == 3
    assert cli.main(["sample", str(several), "--n", "3", "--out", out, "--member", "4"]) == 2
    for more, says in (((), "± "), (("--member", "1"), "member 1")):
        assert cli.main(["report", str(several), "--out", str(tmp_path / "r.html"), *more]) == 0
        page = (tmp_path / "r.html").read_text()
        assert says in page
        assert "could not be drawn" not in page
    assert cli.main(["report", str(several), "--out", str(tmp_path / "r.html"), "--member", "9"]) == 2


@pytest.mark.slow
def test_a_member_becomes_a_run_of_its_own(several, tmp_path, capsys):
    alone, out = tmp_path / "alone", tmp_path / "out"
    assert run(alone, "--steps", "6", "--seed", "1", "--beta", "4") == 0
    assert cli.main(["extract", str(several), "--member", "3", "--out", str(out)]) == 0
    assert "--seed 1" in capsys.readouterr().out
    ours, theirs = (json.loads((f / "config.json").read_text()) for f in (out, alone))
    own = {"options": 0, "id": 0, "sealed": 0}
    assert {**ours, **own} == {**theirs, **own}
    assert digest(out, capsys) == digest(several, capsys, "--member", "3")
    assert [p.name for p in sorted((out / "samples").iterdir())] == ["00000000.png", "00000003.png", "00000006.png"]
    mine, single = runs.read_metrics(out), runs.read_metrics(alone)
    for k in set(mine) - {"seconds", "examples_per_s"}:
        np.testing.assert_allclose(mine[k], single[k], rtol=1e-5)
    assert run(out, "--steps", "8", "--seed", "1", "--beta", "4") == 0  # goes on, as the run of its own it is
    assert "continuing from step 6" in capsys.readouterr().err
    assert run(alone, "--steps", "8", "--seed", "1", "--beta", "4") == 0
    np.testing.assert_allclose(runs.read_metrics(out)["loss"], runs.read_metrics(alone)["loss"], rtol=1e-5)
    assert runs.read_metrics(out)["step"].tolist() == [2, 4, 6, 8]


def test_extract_refuses_what_it_cannot_do(several, tmp_path, capsys):
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").write_text("")
    for argv, says in (
        ([str(several), "--out", str(tmp_path / "o")], "--member"),
        ([str(several), "--member", "0", "--out", str(tmp_path / "full")], "not an empty folder"),
        ([str(tmp_path / "nowhere"), "--member", "0", "--out", str(tmp_path / "o")], "no such folder"),
    ):
        assert cli.main(["extract", *argv]) == 2
        assert says in capsys.readouterr().err
    assert not (tmp_path / "o").exists()


@pytest.mark.slow
def test_one_member_fails_and_says_so(tmp_path, capsys):
    """A learning rate beyond all measure: the other member goes on, the failed one is refused by name."""
    folder = tmp_path / "R"
    assert run(folder, "--steps", "4", "--sweep", "lr=1e-3,1e30") == 0
    assert "1 of 2 members have failed" in capsys.readouterr().err
    assert cli.main(["sample", str(folder), "--n", "2", "--out", str(tmp_path / "s.png"), "--member", "1"]) == 2
    assert "member 1 (lr 1e+30, seed 0)" in capsys.readouterr().err
    assert cli.main(["sample", str(folder), "--n", "2", "--out", str(tmp_path / "s.png"), "--member", "0"]) == 0
    assert cli.main(["report", str(folder), "--out", str(tmp_path / "r.html")]) == 0
    assert "failed" in (tmp_path / "r.html").read_text()
    assert run(folder, "--steps", "6", "--sweep", "lr=1e-3,1e30") == 0  # and stays failed
    assert "1 of 2 members have failed" in capsys.readouterr().err


def test_a_recipe_that_decides_by_a_value_is_refused(tmp_path, capsys):
    from genjax import recipes

    text = recipes.find("vae_digits").read_text()
    path = tmp_path / "deciding.py"
    text = text.replace("    steps: int = 6000\n", "    free_bits: float = runs.sweepable(0.0, ge=0)\n")
    path.write_text(text.replace("loss = objectives", "assert cfg.free_bits >= 0\n    loss = objectives"))
    assert run(tmp_path / "R", "--steps", "2", "--sweep", "free_bits=0,1", name=str(path)) == 2
    assert "decides something by the value of free_bits" in capsys.readouterr().err
    assert not (tmp_path / "R").exists()
    sys.modules.pop("genjax_experiments.deciding", None)
