"""An image that is damaged, gone or other while a run streams: no step is lost, and the run goes on once it is back."""

import json
import os
import shutil
from collections import Counter

import jax
import numpy as np
import pytest
from data.pictures import classes, noise, save
from quick import few
from reliability.runs import SMALL, facts

from genjax import cli, data
from genjax.checkpoint import checkpoints
from genjax.data import folder, loading
from genjax.errors import DataFailure
from genjax.formats import picture

STEPS = 60
FLAGS = ["--batch-size", "4", "--steps", str(STEPS), "--log-every", "7", "--save-every", "50", "--sample-every", "50"]


@pytest.fixture(scope="module")
def photos(tmp_path_factory):
    return classes(tmp_path_factory.mktemp("data") / "photos", ("a", "b"), n=6, shape=(8, 8))


@pytest.fixture(autouse=True)
def streams(monkeypatch):
    monkeypatch.setattr(loading, "RESIDENT_BYTES", -1)


@pytest.fixture(scope="module")
def sound(photos, tmp_path_factory):
    """What a run comes to whose data stay as they are."""
    with pytest.MonkeyPatch.context() as m:
        m.setattr(loading, "RESIDENT_BYTES", -1)
        run = tmp_path_factory.mktemp("runs") / "sound"
        assert run_on(photos, run) == 0
        return facts(run)


def run_on(photos, run):
    return cli.main(["train", "vae_digits", *SMALL["vae_digits"], *FLAGS, "--data", str(photos), "--run-dir", str(run)])


def truncated(file):
    file.write_bytes(file.read_bytes()[:60])


def another_size(file):
    save(file, noise(1, 9, 9))


def a_pipe(file):
    file.unlink()
    os.mkfifo(file)


def gone(file):
    file.unlink()


def post_script(file):
    file.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n")


SPOILS = few([truncated, gone, another_size, a_pipe, post_script], truncated)


@pytest.mark.slow
@pytest.mark.parametrize("spoil", SPOILS)
def test_a_spoiled_image_ends_the_run_with_all_steps_saved(spoil, photos, sound, tmp_path, monkeypatch, capsys):
    mine = shutil.copytree(photos, tmp_path / "photos")
    file, seen = mine / "b" / "3.png", []
    real = folder.decode

    def decode(path, *args):
        seen.append(path)
        if len(seen) == 130:
            spoil(file)
        return real(path, *args)

    run = tmp_path / "run"
    with monkeypatch.context() as m:
        m.setattr(folder, "decode", decode)
        assert run_on(mine, run) == 1
    err = capsys.readouterr().err
    last = checkpoints.Checkpoints(run / "checkpoints", read_only=True).sealed()[-1]
    assert "b/3.png" in err
    assert "put it back as it was, and the run continues to the same bits" in err
    assert f"Last good checkpoint: step {last} in" in err
    assert "Traceback" not in err
    assert last > 0
    rows = [json.loads(line)["step"] for line in (run / "metrics.jsonl").read_text().splitlines()]
    assert last - 7 < rows[-1] <= last
    file.unlink(missing_ok=True)
    assert run_on(mine, run) == 2  # the folder is another data set now
    shutil.copyfile(photos / "b" / "3.png", file)
    assert run_on(mine, run) == 0
    assert facts(run).digest == sound.digest
    assert facts(run).rows == sound.rows


def test_a_disk_that_fails_once_is_read_again(photos, monkeypatch):
    real, met = os.open, Counter()

    def fails_sometimes(path, *args, **kwargs):
        met[path] += 1
        if met[path] % 2:
            raise OSError(5, "Input/output error", path)
        return real(path, *args, **kwargs)

    monkeypatch.setattr(picture, "AGAIN_SECONDS", 0.0)
    whole = data.load(photos)  # headers are read once: a failure there is a refusal
    expected = data.take(whole.train, np.array([3, 9])).x
    monkeypatch.setattr(os, "open", fails_sometimes)
    for _ in range(3):
        assert (data.take(whole.train, np.array([3, 9])).x == expected).all()
    assert list(met.values()) == [6, 6]


def test_a_source_by_hand_names_the_file_and_goes_on_once_it_is_back(photos, tmp_path):
    mine = shutil.copytree(photos, tmp_path / "photos")
    source, key = data.make_source(data.load(mine).train, 4), jax.random.key(0)
    expected = [source.batch(key, step).x for step in range(3)]
    file = mine / "a" / "1.png"
    content = file.read_bytes()
    file.unlink()
    with pytest.raises(DataFailure, match=r"a/1\.png: cannot be read .*\n.*put it back"):
        source.window(key, 30, 3, 1)
    file.write_bytes(content)
    for step in range(3):
        np.testing.assert_array_equal(source.batch(key, step).x, expected[step])
