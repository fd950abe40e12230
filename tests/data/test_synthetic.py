"""Points in the plane and stacked digits: the very data of every record, named by mode."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import data
from genjax.data import Examples
from genjax.errors import UsageError
from genjax.types import Batch

FINGERPRINTS = {"ring": "7a2553b41772396b", "grid": "bfd5b06e3d4d41e2"}


@pytest.mark.parametrize("name", FINGERPRINTS)
def test_points_stay_the_same_and_have_their_mixture(name):
    d, mixture = data.load(name), getattr(data, name)()
    assert d.spec.fingerprint.startswith(FINGERPRINTS[name])
    assert d.test.x.shape == (10_000, 1, 1, 2)
    assert d.spec.n_classes == len(mixture.centers)
    x = d.train.x.reshape(-1, 2)
    np.testing.assert_allclose((x - mixture.centers[d.train.y]).std(0), mixture.sd, rtol=0.02)
    share = np.bincount(d.train.y) / len(x)
    np.testing.assert_allclose(share, 1 / len(mixture.centers), rtol=0.1)
    assert (x[: len(d.test.x)] != d.test.x.reshape(-1, 2)).all()
    assert np.abs(x).max() < 1  # within the range of a tanh


def test_published_proportions():
    """Metz et al. 2017: deviation a hundredth of the radius. Lin et al. 2018: spacing 2, deviation 0.05."""
    ring, grid = data.ring(), data.grid()
    np.testing.assert_allclose(np.linalg.norm(ring.centers, axis=1), 100 * ring.sd)
    distances = np.linalg.norm(grid.centers[:, None] - grid.centers, axis=2)
    assert distances[distances > 0].min() == pytest.approx(2 * grid.sd / 0.05)


def test_to_plane_leaves_points_and_scales_pixels():
    t, key = data.to_plane(), jax.random.key(0)
    points = Batch(jnp.asarray(data.grid().draw(5, 0).x))
    assert t(key, points).x is points.x
    pixels = Batch(jnp.arange(256, dtype=jnp.uint8).reshape(4, 8, 8, 1))
    np.testing.assert_array_equal(t(key, pixels).x, data.to_signed()(key, pixels).x)
    np.testing.assert_allclose(t.inverse(t(key, pixels).x), pixels.x, atol=1e-4)
    with pytest.raises(TypeError, match="uint8"):
        t(key, Batch(pixels.x.astype(jnp.int32)))


def test_stacks_are_independent_and_reproducible():
    part = data.load("digits").train
    a, b = data.stacked(part, 2000, seed=0), data.stacked(part, 2000, seed=0)
    np.testing.assert_array_equal(a.x, b.x)
    assert a.x.shape == (2000, 8, 8, 3)
    assert (a.x != data.stacked(part, 2000, seed=1).x).any()
    classes = np.stack([a.y // 100, a.y // 10 % 10, a.y % 10])
    assert np.abs(np.corrcoef(classes) - np.eye(3)).max() < 0.1
    for c in range(3):  # each channel is an image of the class it is named after
        where = (part.x[None, :200, :, :, 0] == a.x[:50, None, :, :, c]).all((2, 3))
        i, j = np.nonzero(where)
        assert len(i) > 0
        assert (part.y[j] == classes[c, i]).all()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: data.stacked(Examples(np.zeros((3, 4, 4, 1), np.uint8))), "no labels"),
        (lambda: data.stacked(Examples(np.zeros((3, 4, 4, 3), np.uint8), np.zeros(3, np.int32))), "3 channels"),
        (lambda: data.stacked(data.load("digits").train, n=0), "at least 1"),
        (lambda: data.stacked(data.load("digits").train, n=1, depth=10), "too many"),
        (lambda: data.load("ring", image_size=8), "ring holds no images"),
        (lambda: data.load("rings"), "ring"),
    ],
)
def test_errors_teach(call, message):
    with pytest.raises(UsageError, match=message):
        call()
