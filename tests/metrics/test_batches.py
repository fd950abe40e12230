"""Whole data sets in batches of one shape: every example once, draws that belong to the example."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import data, metrics

IMAGES = data.Examples(np.random.default_rng(0).integers(0, 256, (7, 3, 2, 1), np.uint8), np.arange(7, dtype=np.int32))


@pytest.mark.parametrize("size", [1, 3, 7, 50])
def test_every_example_once_in_order_and_one_compilation(size):
    f = jax.jit(lambda batch: {"sum": batch.x.astype(jnp.float32).sum((1, 2, 3)), "id": batch.id, "y": batch.y})
    out = metrics.over(f, IMAGES, size)
    np.testing.assert_array_equal(out["sum"], IMAGES.x.reshape(7, -1).sum(1))
    np.testing.assert_array_equal(out["id"], np.arange(7))
    np.testing.assert_array_equal(out["y"], np.arange(7))
    assert f._cache_size() == 1


def test_a_mean_over_uneven_batches_is_the_mean_of_the_set():
    out = metrics.over(lambda b: {"v": b.x[:, 0, 0, 0]}, IMAGES, 3)
    assert out["v"].mean() == IMAGES.x[:, 0, 0, 0].mean()


@pytest.mark.parametrize("transform", [data.binarize(), data.dequantize()])
def test_fixed_draws_do_not_depend_on_the_batches(transform):
    def drawn(seed, size):
        fix = metrics.fixed(transform, jax.random.key(seed))
        return metrics.over(lambda batch: {"x": fix(batch).x}, IMAGES, size)["x"]

    with jax.debug_key_reuse(False):  # the same set is drawn twice
        np.testing.assert_array_equal(drawn(3, 2), drawn(3, 7))
        assert (drawn(3, 7) != drawn(4, 7)).any()


def test_fixed_binarisation_has_the_pixels_as_probabilities_and_no_two_examples_alike():
    same = data.Examples(np.full((400, 8, 8, 1), 51, np.uint8))
    x = metrics.over(jax.jit(lambda b: {"x": metrics.fixed(data.binarize(), jax.random.key(0))(b).x}), same, 128)["x"]
    assert set(np.unique(x)) == {0.0, 1.0}
    assert abs(x.mean() - 0.2) < 4 * np.sqrt(0.16 / x.size)
    assert len({v.tobytes() for v in x}) == 400
