import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax.distributions.numerics import LOG_2PI, at_least_float32, flat_event, softclamp, softplus, sum_event


@pytest.mark.parametrize("dtype", [jnp.bfloat16, jnp.float16, jnp.float32, jnp.uint8, jnp.int32, jnp.bool_])
def test_everything_up_to_float32_becomes_float32(dtype):
    assert at_least_float32(jnp.ones(3, dtype)).dtype == jnp.float32


def test_float64_stays():
    with jax.enable_x64(True):
        assert at_least_float32(jnp.ones(3, jnp.float64)).dtype == jnp.float64


def test_the_event_is_every_axis_but_the_first():
    x = jnp.arange(24.0).reshape(2, 3, 4)
    np.testing.assert_array_equal(sum_event(x), [66.0, 210.0])
    np.testing.assert_array_equal(sum_event(jnp.arange(3.0)), [0.0, 1.0, 2.0])


def test_log_2pi_is_the_constant():
    assert pytest.approx(1.8378770664093453, abs=1e-15) == LOG_2PI


def test_softclamp_is_the_identity_inside_and_bounded_outside():
    inside = jnp.linspace(-2.0, 2.0, 41)
    # The deviation is at most exp(-distance to the nearer end), 5 nats away here.
    np.testing.assert_allclose(softclamp(inside, -7.0, 7.0), inside, atol=np.exp(-5.0))
    outside = softclamp(jnp.array([-1e4, -20.0, 20.0, 1e4]), -7.0, 7.0)
    np.testing.assert_allclose(outside, [-7.0, -7.0, 7.0, 7.0], atol=1e-5)


def test_softclamp_increases_and_has_a_slope_beyond_its_ends():
    slope = jax.vmap(jax.grad(lambda x: softclamp(x, -7.0, 7.0)))
    assert (slope(jnp.linspace(-15.0, 15.0, 301)) > 1e-4).all()
    np.testing.assert_array_equal(np.isfinite(slope(jnp.array([-1e4, 1e4]))), True)


def test_softplus_has_the_digits_of_float32():
    x = np.concatenate([np.linspace(-80, 80, 100_001), np.linspace(-2, 2, 100_001)]).astype(np.float32)
    exact = np.logaddexp(x.astype(np.float64), 0.0)
    np.testing.assert_allclose(jax.jit(softplus)(x), exact, rtol=4e-7)
    grad = jax.jit(jax.vmap(jax.grad(softplus)))(x)
    np.testing.assert_allclose(grad, 1.0 / (1.0 + np.exp(-x.astype(np.float64))), rtol=1e-6)


def test_softplus_at_the_ends():
    ends = jnp.array([1e4, -1e4, jnp.inf, -jnp.inf, jnp.nan])
    np.testing.assert_array_equal(softplus(ends), [1e4, 0.0, jnp.inf, 0.0, jnp.nan])
    np.testing.assert_array_equal(jax.vmap(jax.grad(softplus))(ends[:4]), [1.0, 0.0, 1.0, 0.0])
    np.testing.assert_array_equal(jax.vmap(jax.grad(jax.grad(softplus)))(ends[:2]), 0.0)


def test_softplus_in_float64_is_float64():
    with jax.enable_x64(True):
        x = np.linspace(-30, 30, 1001)
        np.testing.assert_allclose(softplus(jnp.asarray(x)), np.logaddexp(x, 0.0), rtol=1e-14)


def test_a_flat_event_is_the_event_in_order():
    x = jnp.arange(24).reshape(2, 3, 4)
    np.testing.assert_array_equal(flat_event(x), np.arange(24).reshape(2, 12))
    assert flat_event(jnp.ones(3)).shape == (3, 1)
    assert flat_event(jnp.ones((0, 2, 2))).shape == (0, 4)
