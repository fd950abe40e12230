import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax.dist.numerics import LOG_2PI, at_least_float32, softclamp, sum_event


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
