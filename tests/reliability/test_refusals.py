"""Bad input of `genjax train`: exit code 2, a few lines that name it, no traceback, nothing written."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image
from reliability.disks import read_only
from reliability.runs import SMALL, argv

from genjax.runs import run_folder

pytestmark = pytest.mark.reliability
MOST_LINES = 8


@pytest.fixture
def here(tmp_path, monkeypatch):
    """An empty working folder, so that a run folder in `runs/` would show."""
    folder = tmp_path / "work"
    folder.mkdir()
    monkeypatch.chdir(folder)
    return folder


@pytest.fixture
def pictures(tmp_path):
    """A function that fills a folder with images of given sizes."""

    def make(*sizes):
        folder = tmp_path / "pictures"
        folder.mkdir(exist_ok=True)
        for i, size in enumerate(sizes):
            Image.fromarray(np.full(size, 9 * i, np.uint8)).save(folder / f"{i:03d}.png")
        return folder

    return make


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() if p.is_file() else None for p in sorted(folder.rglob("*"))}


@pytest.fixture
def refused(train_here, here, tmp_path, capsys):
    """`refused(words, *flags)`: `genjax train` must refuse, say these words, and write nothing anywhere."""

    def check(words, *arguments):
        before = contents(tmp_path)
        capsys.readouterr()
        assert train_here(list(map(str, arguments))) == 2
        err = capsys.readouterr().err
        assert all(str(w) in err for w in words), err
        assert 1 <= len(err.splitlines()) <= MOST_LINES, err
        assert "Traceback" not in err
        assert contents(tmp_path) == before
        return err

    return check


VAE = ["train", "vae_digits", *SMALL["vae_digits"]]


@pytest.mark.parametrize(
    ("words", "flags"),
    [
        (["vae_digit", "Did you mean vae_digits"], ["train", "vae_digit"]),
        (["name an experiment"], ["train"]),
        (["no/such.py", "no such file"], ["train", "no/such.py"]),
        (["--batch-sise", "--batch-size"], [*VAE, "--batch-sise", "8"]),
        (["--steps", "many", "a whole number"], [*VAE, "--steps", "many"]),
        (["--steps"], [*VAE, "--steps"]),
        (["--lr", "fast", "a number"], [*VAE, "--lr", "fast"]),
        (["lr=-0.001", "greater than 0"], [*VAE, "--lr", "-0.001"]),
        (["lr=0.0", "greater than 0"], [*VAE, "--lr", "0"]),
        (["lr=nan"], [*VAE, "--lr", "nan"]),
        (["lr=inf", "finite"], [*VAE, "--lr", "inf"]),
        (["seed=4294967297", "at most 2147483647"], [*VAE, "--seed", "4294967297"]),
        (["warm_up=9999999999", "at most 2147483647"], [*VAE, "--warm-up", "9999999999"]),
        (["data=''", "empty"], [*VAE, "--data", ""]),
        (["z_dim=0", "at least 1"], [*VAE, "--z-dim", "0"]),
        (["seed=-1", "at least 0"], [*VAE, "--seed", "-1"]),
        (["steps=0", "at least 1"], [*VAE, "--steps", "0"]),
        (["save_every=0", "at least 1"], [*VAE, "--save-every", "0"]),
        (["keep=0", "at least 1"], [*VAE, "--keep", "0"]),
        (["keep_best='loss'", "min:METRIC"], [*VAE, "--keep-best", "loss"]),
        (["batch_size=1501", "1 ... 1500", "Try"], [*VAE, "--batch-size", "1501"]),
        (["no_such_set", "digits"], [*VAE, "--data", "no_such_set"]),
        (["nowhere", "no such file or folder"], [*VAE, "--data", "./nowhere"]),
        (["image_size", "must lie in"], [*VAE, "--image-size", "1000000"]),
    ],
)
def test_what_cannot_be_run_is_refused_in_words(words, flags, refused):
    refused(words, *flags)
    if flags[:2] == VAE[:2]:
        refused(words, *flags[:2], "--run-dir", "new/run", *flags[2:])


def test_an_empty_folder_of_images(refused, pictures):
    refused(["pictures", "holds no image"], *VAE, "--data", pictures())


def test_a_corrupt_image_is_named(refused, pictures):
    folder = pictures(*[(8, 8)] * 9)
    (folder / "004.png").write_bytes((folder / "004.png").read_bytes()[:40])
    refused(["004.png", "cannot be read as an image"], *VAE, "--data", folder)
    (folder / "004.png").write_bytes(b"no image")
    refused(["004.png", "cannot be read as an image"], *VAE, "--data", folder)


def test_mixed_sizes_need_image_size(refused, pictures):
    refused(["mixed sizes", "--image-size", "003.png"], *VAE, "--data", pictures(*[(8, 8)] * 3, (8, 9), *[(8, 8)] * 5))


def test_fewer_images_than_a_batch(refused, pictures):
    refused(["batch_size=8", "1 ... 3"], *VAE, "--data", pictures(*[(8, 8)] * 3))


def test_a_corrupt_npz_is_named(refused, tmp_path):
    path = tmp_path / "bad.npz"
    np.savez(path, image=np.zeros((9, 8, 8), np.uint8))
    whole = path.read_bytes()
    for raw in (whole[:100], b"no archive", b"", whole.replace(b"\x00" * 60, b"\x01" * 60, 1)):
        path.write_bytes(raw)
        refused(["bad.npz"], *VAE, "--data", path)
    np.savez(path, picture=np.zeros((9, 8, 8), np.uint8))
    refused(["bad.npz", "'image'", "picture"], *VAE, "--data", path)


def test_a_set_that_is_not_prepared(refused, tmp_path):
    err = refused(["mnist", "prepare"], "train", "vae_mnist", "--data-dir", tmp_path / "nothing")
    assert str(tmp_path / "nothing") in err


def test_labels_where_there_are_none(refused, pictures):
    refused(["conditional=True", "no labels"], *VAE, "--conditional", "True", "--data", pictures(*[(8, 8)] * 9))


def test_a_run_folder_that_is_a_file_or_below_one(refused, tmp_path):
    (tmp_path / "file").write_text("mine")
    refused(["file is a file", "--run-dir"], *argv("vae_digits", tmp_path / "file"))
    refused(["file is a file", "--run-dir"], *argv("vae_digits", tmp_path / "file" / "run"))


def test_a_run_folder_on_a_read_only_disk(refused, tmp_path):
    with read_only(tmp_path / "disk"):
        refused(["cannot be written", "disk", "--run-dir"], *argv("vae_digits", tmp_path / "disk" / "run"))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write anywhere")
def test_a_run_folder_without_permission(refused, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    refused(["cannot be written"], *argv("vae_digits", tmp_path / "locked" / "run"))


@pytest.fixture
def stored(train_here, tmp_path):
    """A run that was stopped."""
    run = tmp_path / "stored"
    assert train_here(argv("vae_digits", run), stop_after=3) == 143
    return run


def test_a_folder_of_another_run_names_the_fields(refused, stored, tmp_path):
    refused(
        ["another configuration", "lr: stored 0.001, wanted 0.1", "z_dim: stored 2, wanted 3", "--run-dir"],
        *argv("vae_digits", stored, "--lr", "0.1", "--z-dim", "3"),
    )
    refused(["experiment: stored vae_digits, wanted gan_digits"], *argv("gan_digits", stored))
    np.savez(tmp_path / "other.npz", image=np.zeros((9, 8, 8), np.uint8))
    refused(["data", "other"], *argv("vae_digits", stored, "--data", tmp_path / "other.npz"))


def test_a_damaged_or_newer_folder(refused, stored):
    path = stored / run_folder.CONFIG
    config = json.loads(path.read_text())
    path.write_text(json.dumps({**config, "format": run_folder.FORMAT + 1}))
    refused([run_folder.CONFIG, "format 2", "newer genjax"], *argv("vae_digits", stored))
    path.write_text(path.read_text()[:50])
    refused([run_folder.CONFIG, "damaged"], *argv("vae_digits", stored))


def test_the_command_itself(tmp_path, child_env):
    """In a process of its own: the exit code, standard error alone, no folder."""
    for flags, word in ([["vae_digit"], "vae_digits"], [["vae_digits", "--z-dim", "0"], "z_dim=0"]):
        done = subprocess.run(
            [sys.executable, "-m", "genjax", "train", *flags],
            env=child_env, cwd=tmp_path, capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        assert done.returncode == 2
        assert done.stdout == ""
        assert word in done.stderr
        assert len(done.stderr.splitlines()) <= MOST_LINES
        assert list(tmp_path.iterdir()) == []
