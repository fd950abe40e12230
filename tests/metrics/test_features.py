"""The feature nets that ship: what they give, how well they classify, and that a damaged one is found."""

import hashlib
import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import quick_jit

from genjax import data, nets, recipes
from genjax.errors import UsageError
from genjax.metrics import feature_net, features, weights

NAMES = list(features.SHIPPED)
LEAST = {"digits": 0.95, "mnist": 0.993, "fashion_mnist": 0.925, "spoken_digit": 0.97}
"""Share of the test set, promised."""


@pytest.mark.parametrize("name", NAMES)
def test_files_are_small_and_those_that_are_listed(name):
    content = features.shipped_file(name).read_bytes()
    assert len(content) < 1_000_000
    assert hashlib.sha256(content).hexdigest() == features.SHIPPED[name].sha256
    about = weights.read(features.shipped_file(name)).about
    record = json.loads((recipes.folder() / "results" / "features" / f"{name}.json").read_text())
    assert about == record["config"]
    assert record["sha256"] == features.SHIPPED[name].sha256
    assert record["metrics"]["shipped_test_accuracy"] >= LEAST[name]
    assert max(record["per_seed"], key=lambda r: r["validation_accuracy"])["seed"] == record["shipped_seed"]


def test_digits_classifies_its_test_set_as_its_record_says():
    net, test = feature_net("digits"), data.load("digits").test
    record = json.loads((recipes.folder() / "results" / "features" / "digits.json").read_text())
    right = net.logits(test.x).argmax(1) == test.y
    assert right.mean() == pytest.approx(record["metrics"]["shipped_test_accuracy"], abs=1.5 / len(right))


def test_fashion_mnist_serves_fashion_mini():
    net, test = feature_net("fashion_mini"), data.load("fashion_mini").test
    assert net is feature_net("fashion_mnist")
    assert net.name == "fashion_mnist"
    assert (net.logits(test.x[:500]).argmax(1) == test.y[:500]).mean() > 0.89


@pytest.mark.slow
@pytest.mark.realdata
@pytest.mark.parametrize(("name", "folder"), [("mnist", "tfds_dir"), ("fashion_mnist", "tfds_fashion")])
def test_accuracy_of_the_record(name, folder, request):
    test = data.load(name, data_dir=request.getfixturevalue(folder)).test
    right = feature_net(name).logits(test.x).argmax(1) == test.y
    record = json.loads((recipes.folder() / "results" / "features" / f"{name}.json").read_text())
    assert right.mean() == pytest.approx(record["metrics"]["shipped_test_accuracy"], abs=2e-4)
    assert right.mean() >= LEAST[name]


@pytest.mark.parametrize("name", NAMES)
def test_outputs_do_not_depend_on_how_many_images_there_are(name):
    net = feature_net(name)
    n = features.BATCH + 3
    kind = np.iinfo(net.dtype)
    images = np.random.default_rng(0).integers(kind.min, kind.max, (n, *net.shape), net.dtype, endpoint=True)
    f, logits = net.outputs(images)
    assert f.shape == (n, net.n_features)
    assert logits.shape == (n, net.n_classes)
    assert f.dtype == logits.dtype == np.float32
    assert (f >= 0).all()
    np.testing.assert_array_equal(net.features(images[:1]), f[:1])
    np.testing.assert_array_equal(net.logits(images[-4:])[0], logits[-4])
    assert 64 <= net.n_features <= 128
    assert len(net.sha256) == 64


def test_outputs_are_those_of_the_net():
    known = features.SHIPPED["digits"]
    w = weights.read(features.shipped_file("digits"))
    images = data.load("digits").test.x[:5]
    net = nets.classifier(known.shape, known.n_classes, known.width)
    (f, logits), _ = quick_jit(net.apply)(w.params, w.state, jnp.asarray(images, jnp.float32) / 127.5 - 1)
    np.testing.assert_allclose(feature_net("digits").features(images), f, atol=1e-5)
    np.testing.assert_allclose(feature_net("digits").logits(images), logits, atol=1e-4)


@pytest.mark.parametrize(
    "images",
    [
        np.zeros((2, 8, 8, 1), np.float32),
        np.zeros((2, 8, 8), np.uint8),
        np.zeros((2, 9, 8, 1), np.uint8),
        np.zeros((0, 8, 8, 1), np.uint8),
    ],
    ids=str,
)
def test_other_images_are_refused(images):
    with pytest.raises(UsageError, match="feature net digits: takes images"):
        feature_net("digits").features(images)


def test_an_unknown_net_is_refused_with_those_there_are():
    with pytest.raises(UsageError, match="'cifar10': there is none of this name, only digits, mnist,"):
        feature_net("cifar10")


def test_a_changed_file_is_found(tmp_path):
    content = bytearray(features.shipped_file("digits").read_bytes())
    content[-1] ^= 1
    (tmp_path / "x.safetensors").write_bytes(content)
    with pytest.raises(UsageError, match="is damaged or another file; its SHA-256"):
        features.from_file("digits", tmp_path / "x.safetensors", features.SHIPPED["digits"].sha256)


TREES = {"a": {"0": {"kernel": np.linspace(-1, 1, 12).reshape(3, 4)}, "bias": np.arange(4.0)}}, {"mean": np.ones(3)}


def test_weights_are_read_as_they_were_written(tmp_path):
    file = tmp_path / "made" / "w.safetensors"
    about = {"b": 1, "a": [0.5, None], "c": "x"}
    first = weights.write(file, *TREES, about)
    w = weights.read(file, first)
    assert (w.about, w.sha256) == (about, first)
    assert jax.tree.structure((w.params, w.state)) == jax.tree.structure(TREES)
    for a, b in zip(jax.tree.leaves((w.params, w.state)), jax.tree.leaves(TREES), strict=True):
        np.testing.assert_array_equal(a, b.astype(np.float32))
    for _ in range(5):  # byte for byte
        assert weights.write(file, *TREES, dict(reversed(about.items()))) == first
    half = weights.write(file, *TREES, about, half=True)
    assert half != first
    w = weights.read(file)
    assert w.params["a"]["0"]["kernel"].dtype == np.float32
    np.testing.assert_array_equal(w.params["a"]["0"]["kernel"], TREES[0]["a"]["0"]["kernel"].astype(np.float16))
    np.testing.assert_array_equal(w.params["a"]["bias"], np.arange(4.0))
    assert [p.name for p in file.parent.iterdir()] == ["w.safetensors"]


def test_what_is_no_file_of_weights_is_refused(tmp_path):
    from safetensors.numpy import save

    file = tmp_path / "w.safetensors"
    weights.write(file, *TREES, {})
    whole = file.read_bytes()
    for content in (b"", b"x" * 40, whole[:-1], whole[:60]):
        file.write_bytes(content)
        with pytest.raises(UsageError, match="is not a safetensors file"):
            weights.read(file)
    file.write_bytes(save({"other": np.zeros(2)}))
    with pytest.raises(UsageError, match="holds other, which is no array of a feature net"):
        weights.read(file)


def test_the_data_folder_follows_the_environment(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert weights.data_folder() == tmp_path / "genjax"
    monkeypatch.delenv("XDG_DATA_HOME")
    assert weights.data_folder().parts[-3:] == (".local", "share", "genjax")
