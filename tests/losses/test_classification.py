"""Cross-entropy against its definition."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import losses


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_equals_the_definition(smoothing):
    logits = np.random.default_rng(0).normal(size=(6, 5)) * 3
    y = np.arange(6) % 5
    target = np.full((6, 5), smoothing / 5)
    target[np.arange(6), y] += 1 - smoothing
    p = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    expected = -(target * np.log(p)).sum(1)
    got = losses.cross_entropy(jnp.asarray(logits, jnp.float32), jnp.asarray(y), smoothing)
    np.testing.assert_allclose(got, expected, rtol=2e-6)


def test_finite_with_finite_gradients_at_large_logits():
    logits = jnp.array([[1e4, -1e4], [-1e4, 1e4]])
    value, gradient = jax.value_and_grad(lambda v: losses.cross_entropy(v, jnp.array([0, 0]), 0.1).sum())(logits)
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()
