"""The kit: what is missing on the machine, how data are packed, and the whole of it."""

import gzip
import struct
import subprocess
import sys
from types import SimpleNamespace

import numpy as np
import pytest

from experiments.accelerator import kit
from genjax import data


def test_what_the_machine_lacks_is_pinned_and_needed():
    names = [x.split("==")[0] for x in kit.missing()]
    there = (kit.HERE / "machine.txt").read_text().splitlines()
    assert {"tyro", "docstring-parser", "typeguard", "grain", "array-record"} <= set(names)
    assert not {"tensorflow-datasets", "torch", "jax", "jaxlib", "numpy"} & set(names)
    assert not set(names) & {kit.plain(x) for x in there}
    pins = (kit.ROOT / "constraints.txt").read_text()
    assert all(f"\n{x}\n" in pins for x in kit.missing())


def test_arrays_of_the_first_form(tmp_path):
    draw = np.random.default_rng(0)
    want = {}
    for part, stem, n in (("train", "train", 12), ("test", "t10k", 4)):
        want[part] = draw.integers(0, 256, (n, 28, 28, 1), np.uint8), (np.arange(n) % 4).astype(np.uint8)
        heads = struct.pack(">4i", 2051, n, 28, 28), struct.pack(">2i", 2049, n)
        for kind, head, values in zip(("images-idx3", "labels-idx1"), heads, want[part], strict=True):
            (tmp_path / f"{stem}-{kind}-ubyte.gz").write_bytes(gzip.compress(head + values.tobytes()))
    np.savez_compressed(tmp_path / "set.npz", **kit.arrays("mnist", tmp_path))
    found = data.load(str(tmp_path / "set.npz"))
    for part, (images, labels) in want.items():
        np.testing.assert_array_equal(getattr(found, part).x, images)
        np.testing.assert_array_equal(getattr(found, part).y, labels)


def test_arrays_without_the_first_form_come_from_the_data_set(tmp_path, monkeypatch):
    images = np.zeros((8, 6, 6, 1), np.uint8), np.arange(8) % 2
    loaded = data.load(images)
    monkeypatch.setattr(kit.data, "load", lambda name: SimpleNamespace(train=loaded.train, test=loaded.train))
    made = kit.arrays("mnist", tmp_path / "nowhere")
    assert {k: v.shape for k, v in made.items()} == {
        "train_image": (8, 6, 6, 1), "train_label": (8,), "test_image": (8, 6, 6, 1), "test_label": (8,),
    }  # fmt: skip


def test_a_kit_that_is_too_large_is_refused(tmp_path, monkeypatch, capsys):
    (tmp_path / "a").write_bytes(b"x" * 100)
    assert kit.listed(tmp_path) is None
    assert "100  a" in capsys.readouterr().out
    monkeypatch.setattr(kit, "LARGEST", 1000)
    assert "accelerator-kit: more than" in kit.listed(tmp_path)


@pytest.mark.slow
def test_the_kit(root, child_env, tmp_path, shared_data):
    """Downloads the wheels: where no registry answers, it is skipped."""
    command = [sys.executable, "-m", "experiments.accelerator.kit", "--out", str(tmp_path / "kit")]
    done = subprocess.run(command, cwd=root, env=child_env, capture_output=True, text=True, check=False)
    if "No matching distribution" in done.stderr:
        pytest.skip("no registry to download wheels from")
    assert done.returncode == 0, done.stderr[-2000:]
    names = {p.relative_to(tmp_path / "kit").as_posix() for p in (tmp_path / "kit").rglob("*") if p.is_file()}
    assert {"start.sh", "about.json", "data/mnist.npz", "data/fashion_mnist.npz"} <= names
    assert {n.partition("-")[0] for n in names if n.startswith("wheels/")} >= {"wheels/tyro", "wheels/grain"}
    assert sum(p.stat().st_size for p in (tmp_path / "kit").rglob("*") if p.is_file()) < 50 * 2**20
    found = data.load(str(tmp_path / "kit" / "data" / "mnist.npz"))
    assert (len(found.train.x), len(found.test.x), found.spec.n_classes) == (60_000, 10_000, 10)
