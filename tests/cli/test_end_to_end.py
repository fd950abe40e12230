"""Every command on real runs of the shipped recipes, a few steps each."""

import csv
import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
from quick import few

from genjax import cli
from genjax.cli import cache

SMALL = {
    "vae_digits": ["--hidden", "16", "--z-dim", "2", "--batch-size", "8"],
    "gan_digits": ["--batch-size", "8", "--z-dim", "4"],
}


@pytest.fixture(autouse=True)
def _tests_own_cache(monkeypatch):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)


def train(name, run, *more):
    every = ["--log-every", "2", "--save-every", "3", "--sample-every", "3", "--quiet"]
    return cli.main(["train", name, *SMALL[name], "--run-dir", str(run), *every, *more])


def digest(run, capsys):
    capsys.readouterr()
    assert cli.main(["digest", str(run)]) == 0
    return capsys.readouterr().out.splitlines()[-1]


@pytest.fixture(scope="module", params=few(SMALL, "vae_digits"))
def run(request, tmp_path_factory):
    """A finished run of six steps."""
    folder = tmp_path_factory.mktemp("runs") / request.param
    assert train(request.param, folder, "--steps", "6") == 0
    return folder


def test_a_run_s_folder(run):
    assert {"config.json", "manifest.json", "metrics.jsonl", "checkpoints", "samples"} <= {
        p.name for p in run.iterdir()
    }
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert [r["step"] for r in rows] == [2, 4, 6]
    assert all(np.isfinite(v) for r in rows for v in r.values())
    assert (run / "samples" / "00000006.png").exists()


def test_continued_is_the_same_run(run, tmp_path, capsys):
    part = tmp_path / "part"
    assert train(run.name, part, "--steps", "4") == 0
    assert digest(part, capsys) != digest(run, capsys)
    assert train(run.name, part, "--steps", "6") == 0
    assert digest(part, capsys) == digest(run, capsys)
    assert (part / "samples" / "00000006.png").read_bytes() == (run / "samples" / "00000006.png").read_bytes()


def test_a_finished_run_says_so_and_another_config_is_refused(run, capsys):
    before = digest(run, capsys)
    assert train(run.name, run, "--steps", "6") == 0
    assert "finished" in capsys.readouterr().err
    assert train(run.name, run, "--steps", "6", "--seed", "1") == 2
    assert "seed" in capsys.readouterr().err
    assert digest(run, capsys) == before


def test_sample_score_report(run, tmp_path, capsys):
    assert cli.main(["sample", str(run), "--n", "3", "--out", str(tmp_path / "s.npz")]) == 0
    with np.load(tmp_path / "s.npz") as arrays:
        assert arrays["image"].shape == (3, 8, 8, 1)
        assert set(arrays) == {"image", "z", "run", "step", "digest", "seed", "temperature"}
    assert cli.main(["score", str(run), str(tmp_path / "s.npz"), "--out", str(tmp_path / "s.csv")]) == 0
    with (tmp_path / "s.csv").open(newline="") as f:
        rows = list(csv.DictReader(f))
    assert len(rows) == 3
    wanted = {"logit", "probability"} if run.name.startswith("gan") else {"elbo", "mu_0", "mu_1", "sigma_0", "sigma_1"}
    assert wanted <= set(rows[0])
    assert all(np.isfinite(float(r[k])) for r in rows for k in wanted)
    assert cli.main(["report", str(run), "--out", str(tmp_path / "r.html")]) == 0
    page = (tmp_path / "r.html").read_text()
    assert page.lstrip().lower().startswith("<!doctype html")
    assert run.name in page


@pytest.mark.parametrize(
    ("argv", "says"),
    [
        (["--batch-size", "2000"], "batch_size=2000"),
        (["--data", "mnits"], "mnits"),
        (["--data", "./nowhere"], "nowhere"),
        (["--lr", "-1"], "lr=-1.0"),
        (["--steps", "0"], "steps=0"),
    ],
)
def test_bad_input_writes_nothing(argv, says, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert cli.main(["train", "vae_digits", "--run-dir", "R", *argv]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert len(err.splitlines()) <= 4
    assert list(tmp_path.iterdir()) == []


def test_run_folder_that_is_none(tmp_path, capsys):
    for command in (["sample", "--out", "x.png"], ["report"], ["digest"]):
        assert cli.main([command[0], str(tmp_path / "nowhere"), *command[1:]]) == 2
        assert "nowhere" in capsys.readouterr().err
    (tmp_path / "file").write_text("")
    assert train("vae_digits", tmp_path / "file", "--steps", "1") == 2
    assert "file" in capsys.readouterr().err


@pytest.mark.slow
def test_from_a_shell_with_a_compile_cache(tmp_path, child_env):
    """The module as a program, the cache where it is told, and a folder named after recipe, seed and time."""
    env = child_env | {"JAX_COMPILATION_CACHE_DIR": str(tmp_path / "cache")}
    command = [
        sys.executable,
        "-W",
        "error",
        "-m",
        "genjax",
        "train",
        "vae_digits",
        *SMALL["vae_digits"],
        "--steps",
        "2",
    ]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (folder,) = (tmp_path / "runs").iterdir()
    assert folder.name.startswith("vae_digits-seed0-")
    assert str(folder) in done.stderr + done.stdout
    assert any((tmp_path / "cache").iterdir())


@pytest.mark.skipif(os.name != "posix", reason="permissions are POSIX's")
def test_an_unwritable_run_folder(tmp_path, capsys):
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    locked = tmp_path / "locked"
    locked.mkdir(mode=0o500)
    try:
        assert train("vae_digits", locked / "R", "--steps", "1") == 2
    finally:
        locked.chmod(0o700)
        shutil.rmtree(locked)
