"""Real data sets through TFDS, without TensorFlow, and what happens where they are not there."""

import json
import os
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from genjax import data
from genjax.data import cache, catalogue, tfds
from genjax.errors import UsageError

TRAIN_COUNTS = {
    "mnist": [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949],
    "fashion_mnist": [6000] * 10,
}
MEAN = {"mnist": 0.1307, "fashion_mnist": 0.2860}
FOLDERS = [("mnist", "tfds_dir"), ("fashion_mnist", "tfds_fashion")]


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(("name", "folder"), FOLDERS)
def test_real_sets_have_their_known_statistics(name, folder, request):
    d = data.load(name, data_dir=request.getfixturevalue(folder))
    assert (d.spec.name, d.spec.shape, d.spec.n_classes, d.spec.n_train) == (name, (28, 28, 1), 10, 60_000)
    assert d.train.x.dtype == np.uint8
    assert d.train.y.dtype == np.int32
    assert d.test.x.shape == (10_000, 28, 28, 1)
    assert np.bincount(d.train.y).tolist() == TRAIN_COUNTS[name]
    assert abs(d.train.x.mean() / 255 - MEAN[name]) < 1e-4


@pytest.mark.slow
@pytest.mark.realdata
def test_a_streamed_set_gives_the_resident_examples(tfds_dir):
    held, lazy = (data.load("mnist", data_dir=tfds_dir, stream=s) for s in (False, True))
    assert isinstance(lazy.train, data.Lazy)
    idx = np.array([5, 59_999, 0, 5])
    for a, b in zip(data.take(lazy.train, idx), data.take(held.train, idx), strict=True):
        np.testing.assert_array_equal(a, b)
    assert lazy.spec.fingerprint.startswith("sampled-")


@pytest.mark.realdata
def test_reading_imports_no_tensorflow_and_the_catalogue_no_jax(tfds_dir, child_env):
    code = (
        "import sys; from genjax import data; p = [q.name for q in data.prepared(sys.argv[1])];"
        "assert sorted(p) == ['adult', 'jsb_chorales', 'mnist', 'tiny_shakespeare'], p;"
        "data.names(); assert not {'jax', 'numpy'} & set(sys.modules);"
        "data.load('mnist', data_dir=sys.argv[1], stream=True); assert 'tensorflow' not in sys.modules"
    )
    out = subprocess.run(
        [sys.executable, "-c", code, tfds_dir], env=child_env, capture_output=True, text=True, check=False
    )
    assert out.returncode == 0, out.stderr


@pytest.mark.realdata
def test_prepared_says_what_is_there(tfds_dir):
    mnist = next(p for p in data.prepared(tfds_dir) if p.name == "mnist")
    assert mnist[1:2] + mnist[3:] == ("3.0.1", "array_record", {"train": 60_000, "test": 10_000}, True)


@pytest.mark.realdata
def test_versions_and_resizing(tfds_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("GENJAX_CACHE", str(tmp_path))
    reader = tfds._Reader("mnist:3.0.1", tfds.find("mnist:3.0.1", tfds_dir), image_size=14)
    part = reader.part("test", stream_above=-1)
    assert part.shape == (14, 14, 1)
    assert data.take(part, np.arange(3)).x.shape == (3, 14, 14, 1)
    assert tfds.find("mnist:9.9.9", tfds_dir) is None


def test_unprepared_set_is_refused_at_once_with_the_command(tmp_path):
    start = time.monotonic()
    with pytest.raises(UsageError) as e:
        data.load("mnist", data_dir=tmp_path)
    message = str(e.value)
    assert time.monotonic() - start < 20
    assert str(tmp_path) in message
    assert "pip install -e '.[tfds]'" in message
    assert "download_and_prepare(file_format='array_record')" in message
    assert not list(tmp_path.iterdir())


def test_unknown_name_offers_the_nearest(tmp_path):
    with pytest.raises(UsageError, match=r"Nearest: fashion_mnist.*Embedded: digits, fashion_mini"):
        data.load("fashon_mnist", data_dir=tmp_path)
    with pytest.raises(UsageError, match=r"Nearest: digits"):
        data.load("digit", data_dir=tmp_path)


def fake_prepared(root, name="mnist", version="3.0.1", file_format="tfrecord", splits=("train",)):
    """The JSON files of a prepared folder, without data."""
    folder = root / name / version
    folder.mkdir(parents=True)
    about = {"fileFormat": file_format, "splits": [{"name": s, "shardLengths": ["3"]} for s in splits]}
    (folder / "dataset_info.json").write_text(json.dumps(about))
    (folder / "features.json").write_text('{"pythonClassName": "tensorflow_datasets...image_feature.Image"}')
    return folder


def test_tfrecord_is_refused_with_what_to_do(tmp_path):
    folder = fake_prepared(tmp_path)
    with pytest.raises(UsageError, match="prepared as tfrecord") as e:
        data.load("mnist", data_dir=tmp_path)
    assert str(folder) in str(e.value)
    assert f"data_dir={str(tmp_path)!r}" in str(e.value)


def test_a_set_without_training_split_is_refused(tmp_path):
    fake_prepared(tmp_path, file_format="array_record", splits=("test",))
    with pytest.raises(UsageError, match="no 'train' split; it has test"):
        data.load("mnist", data_dir=tmp_path)


def test_newest_version_and_single_config_are_found(tmp_path):
    for version in ("1.9.0", "1.10.0"):
        fake_prepared(tmp_path, "a", version)
    fake_prepared(tmp_path, "b/one", "1.0.0")
    assert tfds.find("a", tmp_path).version == "1.10.0"
    assert tfds.find("a:1.9.0", tmp_path).version == "1.9.0"
    assert tfds.find("b", tmp_path).name == "b/one"
    fake_prepared(tmp_path, "b/two", "1.0.0")
    assert tfds.find("b/two", tmp_path).name == "b/two"
    with pytest.raises(UsageError, match="b/one, b/two"):
        tfds.find("b", tmp_path)


def test_damaged_folders_are_left_out(tmp_path):
    fake_prepared(tmp_path)
    (fake_prepared(tmp_path, "broken") / "dataset_info.json").write_text("{")
    assert [p.name for p in catalogue.prepared(tmp_path)] == ["mnist"]
    assert catalogue.prepared(tmp_path / "absent") == []


def test_the_folder_is_taken_from_the_environment(tmp_path, monkeypatch):
    monkeypatch.setenv("TFDS_DATA_DIR", str(tmp_path))
    assert catalogue.data_dir_of() == tmp_path
    monkeypatch.delenv("TFDS_DATA_DIR")
    assert catalogue.data_dir_of().name == "tensorflow_datasets"


@pytest.fixture
def own_cache(tmp_path, monkeypatch):
    monkeypatch.setenv("GENJAX_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "decoded"


def some(seed=0, label=True):
    rng = np.random.default_rng(seed)
    images = rng.integers(0, 256, (50, 8, 8, 1), np.uint8)
    return data.Examples(images, np.arange(50, dtype=np.int32) if label else None)


@pytest.mark.parametrize("label", [True, False])
def test_cache_keeps_what_was_made(own_cache, label):
    made = cache.cached("x", lambda: some(label=label))
    again = cache.cached("x", lambda: pytest.fail("made twice"))
    np.testing.assert_array_equal(made.x, again.x)
    assert (again.y is None) == (not label)
    assert [p.name for p in own_cache.iterdir()] == ["x.npz"]


def test_every_flipped_bit_of_the_cache_is_noticed_or_harmless(own_cache):
    cache.cached("x", some)
    file, want = own_cache / "x.npz", some()
    good = file.read_bytes()
    noticed = 0
    positions = np.random.default_rng(1).integers(0, len(good), 150)
    for position in positions:
        bad = bytearray(good)
        bad[position] ^= 1 << (position % 8)
        file.write_bytes(bytes(bad))
        try:
            found = cache._read(file)
        except UsageError:
            noticed += 1
        else:
            np.testing.assert_array_equal(found.x, want.x)
            np.testing.assert_array_equal(found.y, want.y)
    assert noticed > 100
    file.write_bytes(good[: len(good) // 2])
    np.testing.assert_array_equal(cache.cached("x", some).x, want.x)
    assert file.read_bytes() == good


def test_an_unwritable_cache_is_done_without(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("GENJAX_CACHE", str(tmp_path / "file"))
    assert cache.cached("x", some).x.shape == (50, 8, 8, 1)


def test_a_failed_write_leaves_nothing(own_cache, monkeypatch):
    monkeypatch.setattr(os, "replace", lambda *_: (_ for _ in ()).throw(OSError("no space")))
    assert cache.cached("x", some).y is not None
    assert list(own_cache.iterdir()) == []


def test_many_writers_at_once_leave_one_whole_file(own_cache):
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: cache.cached("x", some), range(32)))
    assert all((f.x == found[0].x).all() for f in found)
    assert [p.name for p in own_cache.iterdir()] == ["x.npz"]
    np.testing.assert_array_equal(cache.cached("x", lambda: pytest.fail("made again")).x, some().x)


def test_identity_follows_the_files(tmp_path):
    (tmp_path / "a").write_text("1")
    first = cache.identity("mnist", "train", None, files=[tmp_path / "a"])
    assert first == cache.identity("mnist", "train", None, files=[tmp_path / "a"])
    assert first != cache.identity("mnist", "test", None, files=[tmp_path / "a"])
    (tmp_path / "a").write_text("12")
    assert first != cache.identity("mnist", "train", None, files=[tmp_path / "a"])
