"""What is refused before a distance is taken, and what a common centre keeps."""

import jax.numpy as jnp
import numpy as np
import pytest

from genjax import metrics
from genjax.errors import UsageError
from genjax.metrics import samples

RNG = np.random.default_rng(0)


@pytest.mark.parametrize(
    ("bad", "message"),
    [
        (np.zeros((4, 8, 8, 1)), r"real.reshape\(len\(real\), -1\)"),
        (np.zeros((1, 3)), "at least 2"),
        (np.zeros((5, 0)), "one feature"),
        (np.array([[1.0, np.nan], [0, 0], [np.inf, 0]]), "2 of 3 rows"),
        (np.zeros((5, 2), complex), "complex128"),
    ],
)
def test_what_cannot_be_compared_is_refused(bad, message):
    with pytest.raises(UsageError, match=message):
        metrics.kernel_distance(bad, np.zeros((5, 3)))


def test_unlike_dimensions_are_refused():
    with pytest.raises(UsageError, match="one feature net"):
        metrics.prdc(np.zeros((9, 2)), np.zeros((9, 3)))


@pytest.mark.parametrize("dtype", [np.uint8, np.int32, np.float16, np.float32, np.float64, jnp.bfloat16, bool])
def test_any_real_dtype(dtype):
    x = RNG.integers(0, 2, (20, 3)).astype(dtype)
    y = RNG.integers(0, 2, (20, 3)).astype(dtype)
    expected = metrics.kernel_distance(x.astype(np.float64), y.astype(np.float64))
    assert metrics.kernel_distance(x, y) == expected
    assert metrics.kernel_distance(jnp.asarray(x), jnp.asarray(y)) == expected


def test_centred_sets():
    x, y = RNG.standard_normal((2, 100, 3)) * 5 + 1e8
    both = samples.centred(x, y)
    np.testing.assert_allclose(both.real, x - both.centre, rtol=1e-6)
    assert both.real.dtype == both.fake.dtype == np.float32
    assert np.abs(both.real.mean(0) + both.fake.mean(0)).max() < 5
    grid = samples.centred(RNG.integers(0, 256, (50, 3)), RNG.integers(0, 256, (50, 3)))
    assert (grid.centre == np.rint(grid.centre)).all()
    constant = samples.centred(np.full((4, 2), 0.1), np.full((3, 2), 0.1))
    assert np.abs(constant.real).max() < 1e-15
