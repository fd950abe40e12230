"""Transforms from pixels to a model's range, and back."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import data
from genjax.errors import UsageError
from genjax.types import Batch

ALL = jnp.arange(256, dtype=jnp.uint8).reshape(4, 8, 8, 1)
BATCH = Batch(ALL, jnp.arange(4), jnp.ones(4, bool), jnp.ones((4, 8)), jnp.arange(4) + 9)
EXACT = [data.to_unit, data.to_signed, data.to_levels, data.dequantize]
RANGES = dict.fromkeys((data.to_unit, data.dequantize, data.binarize), (0, 1))
RANGES |= {data.to_signed: (-1, 1), data.to_levels: (0, 255)}


@pytest.mark.parametrize("make", EXACT)
def test_the_inverse_gives_back_every_pixel(make):
    t = make()
    back = t.inverse(t(jax.random.key(0), BATCH).x)
    assert back.dtype == jnp.float32
    np.testing.assert_allclose(back, ALL, atol=1e-4)
    np.testing.assert_array_equal(jnp.round(back).astype(jnp.uint8), ALL)


@pytest.mark.parametrize("make", RANGES)
def test_range_and_what_is_left_alone(make):
    low, high = RANGES[make]
    out = make()(jax.random.key(1), BATCH)
    assert low <= out.x.min() <= out.x.max() <= high
    assert out.x.shape == ALL.shape
    for kept, was in zip(out[1:], BATCH[1:], strict=True):
        assert kept is was
    jitted = jax.jit(make().apply)(jax.random.key(1), BATCH)
    np.testing.assert_allclose(out.x, jitted.x, atol=1e-6)  # XLA may turn a division into a product


def test_levels_are_integers_and_the_ends_are_exact():
    x = data.to_signed()(jax.random.key(0), BATCH).x
    assert (float(x.min()), float(x.max())) == (-1.0, 1.0)
    assert data.to_levels()(jax.random.key(0), BATCH).x.dtype == jnp.int32


def test_dequantisation_is_uniform_within_its_level_and_never_leaves_it():
    top = Batch(jnp.full((200, 8, 8, 1), 255, jnp.uint8))
    y = np.asarray(data.dequantize()(jax.random.key(0), top).x, np.float64) * 256 - 255
    assert 0 < y.min() < y.max() < 1
    n = y.size
    assert abs(y.mean() - 0.5) < 4 * np.sqrt(1 / 12 / n)
    assert abs(y.var() - 1 / 12) < 4 * np.sqrt(1 / 180 / n)


def test_binarisation_is_a_draw_of_the_pixels_probability():
    t, n = data.binarize(), 2000
    x = jax.jit(jax.vmap(lambda k: t(k, BATCH).x))(jax.random.split(jax.random.key(0), n))
    assert set(np.unique(x)) == {0.0, 1.0}
    p = np.asarray(ALL) / 255
    error = np.asarray(x.mean(0)) - p
    assert (np.abs(error) <= 5 * np.sqrt(p * (1 - p) / n) + 1e-7).all()
    np.testing.assert_allclose(t.inverse(jnp.asarray(p)), ALL, atol=1e-4)


@pytest.mark.parametrize("make", [data.dequantize, data.binarize])
def test_draws_differ_with_the_key_and_only_with_it(make):
    a, b, c = (make()(jax.random.key(k), BATCH).x for k in (0, 1, 0))
    assert (a != b).any()
    np.testing.assert_array_equal(a, c)


def test_composition_gives_each_a_key_and_inverts_in_reverse():
    def shift(amount):
        return data.Transform(lambda key, b: b._replace(x=b.x + jnp.uint8(amount)), lambda x: x - amount)

    logit = data.Transform(lambda key, b: b._replace(x=jnp.log(b.x) - jnp.log1p(-b.x)), lambda x: jax.nn.sigmoid(x))
    t = data.compose(shift(3), data.dequantize(), logit)
    low = BATCH._replace(x=ALL[:3])
    out = t(jax.random.key(0), low)
    np.testing.assert_allclose(t.inverse(out.x), ALL[:3], atol=1.01)  # the sigmoid of a logit rounds
    two = data.compose(data.dequantize(), data.Transform(lambda key, b: b._replace(y=key), lambda x: x))
    key = jax.random.key(0)
    assert (two(key, BATCH).x == data.dequantize()(key, BATCH).x).mean() < 0.1
    assert data.compose()(key, BATCH) is BATCH


@pytest.mark.parametrize("make", RANGES)
def test_twice_scaled_data_is_refused(make):
    with pytest.raises(TypeError, match=f"{make.__name__} takes raw uint8 pixels, got float32"):
        data.compose(data.to_unit(), make())(jax.random.key(0), BATCH)


def test_other_kinds_of_data_have_transforms_that_change_their_type_alone():
    x = jnp.array([[0, 1, 1]], jnp.uint8)
    for make, dtype, kind, values in (
        (data.as_bits, jnp.float32, "bits", 2), (data.to_integers, jnp.int32, "integers", None),
        (data.as_reals, jnp.float32, "real", 0),
    ):  # fmt: skip
        t = make()
        seen = t(jax.random.key(0), Batch(x, event_mask=x > 0))
        assert (seen.x.dtype, t.range, t.values) == (dtype, kind, values)
        np.testing.assert_array_equal(seen.x, x)
        np.testing.assert_array_equal(t.inverse(seen.x), x)
        np.testing.assert_array_equal(seen.event_mask, x > 0)


def test_a_transform_of_pixels_refuses_a_roll_and_the_other_way_round():
    for t, n_values, says in (
        (data.to_unit(), 2, "to_unit takes elements of 256 values, and those of rolls have 2."),
        (data.compose(data.flip(), data.to_signed()), 0, "takes elements of 256 values, and those of rolls have real"),
        (data.as_bits(), 256, "as_bits takes elements of 2 values, and those of rolls have 256."),
    ):
        with pytest.raises(UsageError, match=says):
            data.check_values(t, n_values, "rolls")
    data.check_values(data.to_integers(), 77, "prose")
    data.check_values(data.binarize(), 256, "images")
