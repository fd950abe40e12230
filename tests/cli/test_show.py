"""list, doctor."""

import json

import pytest

from genjax import cli, recipes
from genjax.cli import cache, show


@pytest.fixture
def shelf(tmp_path, monkeypatch):
    """A folder of recipes of its own."""
    (tmp_path / "vae_a.py").write_text(
        '"""A VAE on a.   genjax train vae_a\nMore."""\nraise RuntimeError("never run")\n'
    )
    (tmp_path / "gan_b.py").write_text("'A GAN on b.'\n")
    (tmp_path / "_helper.py").write_text("")
    monkeypatch.setattr(recipes, "folder", lambda: tmp_path)
    return tmp_path


def test_list_reads_docstrings_without_running(shelf, capsys):
    assert cli.main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[:2] == ["gan_b  A GAN on b.", "vae_a  A VAE on a.   genjax train vae_a"]
    assert "_helper" not in "".join(lines)
    assert cli.main(["list", "x"]) == 2


def test_doctor_says_what_is_here_and_what_is_missing(capsys, monkeypatch, tmp_path):
    monkeypatch.setattr(show.importlib.util, "find_spec", lambda name: None)
    assert cli.main(["doctor", "--data-dir", str(tmp_path)]) == 0
    out = capsys.readouterr().out
    for word in ("jax 0.", "cpu", "digits", "fashion_mini", f"no data set is prepared in {tmp_path}", "GB free"):
        assert word in out
    assert "tensorboardX, for --tensorboard; pip install -e '.[logs]'" in out


def test_doctor_lists_prepared_sets(capsys, tmp_path):
    folder = tmp_path / "mnist" / "3.0.1"
    folder.mkdir(parents=True)
    about = {"fileFormat": "array_record", "splits": [{"name": "train", "shardLengths": ["60000"]}]}
    (folder / "dataset_info.json").write_text(json.dumps(about))
    (folder / "features.json").write_text('{"type": "tensorflow_datasets.core.features.image_feature.Image"}')
    assert cli.main(["doctor", "--data-dir", str(tmp_path)]) == 0
    assert "mnist 3.0.1: 60,000 train" in capsys.readouterr().out


def test_cache_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("JAX_COMPILATION_CACHE_DIR", str(tmp_path / "mine"))
    assert cache.cache_folder() == tmp_path / "mine"
    monkeypatch.delenv("JAX_COMPILATION_CACHE_DIR")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    assert cache.cache_folder().parent == tmp_path / "genjax" / "xla"
    assert cache.cache_folder() == cache.cache_folder()
