"""A streamed ArrayRecord set keeps the step fed, and the measurement that says so notices a reader that does not."""

import io

import numpy as np
import pytest
from PIL import Image
from scripts import load_script

from genjax import data

LIMIT = 0.05
"""Largest share of wall time that the device may wait for data."""


@pytest.fixture(scope="module")
def bench():
    return load_script("experiments/bench/streaming.py")


@pytest.fixture(scope="module")
def folder(bench, tmp_path_factory):
    """A set of 300 images, 64x64x3, as TFDS stores them."""
    folder = tmp_path_factory.mktemp("streaming")
    bench.prepare(folder, 300)
    return folder


def test_what_is_read_is_what_was_written(bench, folder):
    """Every image once, on demand, in any order, with its label; TFDS stores them shuffled."""
    dataset = data.load("colour_fields", data_dir=folder, stream=True)
    assert isinstance(dataset.train, data.Lazy)
    assert dataset.spec.shape == (64, 64, 3)
    assert (dataset.spec.n_train, dataset.spec.n_classes) == (300, 10)
    written = {np.asarray(Image.open(io.BytesIO(bench.png(i)))).tobytes(): i for i in range(300)}
    order = np.random.default_rng(0).permutation(300)
    read = dataset.train.read(order)
    found = [written[image.tobytes()] for image in read.x]
    assert sorted(found) == list(range(300))
    assert read.y.tolist() == [i % 10 for i in found]
    again = dataset.train.read(order[:7])
    assert again.x.tobytes() == read.x[:7].tobytes()


@pytest.mark.slow
def test_the_step_is_kept_fed(bench, folder):
    row = bench.soak(folder, "vae_fashion_mnist", minutes=4 / 60, batch_size=64)
    assert row["chunks"] >= 4
    assert row["wait_share"] < LIMIT, row


@pytest.mark.slow
def test_a_slow_reader_is_noticed(bench, folder):
    """A control: minibatches that come later than the step takes them are seen as waiting, and not a little."""
    row = bench.soak(folder, "vae_fashion_mnist", minutes=4 / 60, batch_size=8, delay=0.5)
    assert row["chunks"] >= 2
    assert row["wait_share"] > 5 * LIMIT, row


@pytest.mark.slow
def test_a_set_of_200_000_images_keeps_the_step_fed(bench, tmp_path):
    bench.prepare(tmp_path, 200_000)
    row = bench.soak(tmp_path, "vae_fashion_mnist", minutes=1.0, batch_size=64)
    assert row["images"] == 200_000
    assert row["wait_share"] < LIMIT, row
