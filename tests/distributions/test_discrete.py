import warnings

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit, log_softmax

from genjax.distributions import Bernoulli, Categorical

with warnings.catch_warnings():
    warnings.simplefilter("ignore", DeprecationWarning)  # distrax's own, at import
    import distrax

RNG = np.random.default_rng(0)
HUGE = jnp.array([[1e4, -1e4, 1e4, -1e4, 90.0, -90.0, 0.0, 0.0]])


def normals(*shape, scale=2.0):
    return jnp.array(RNG.normal(size=shape) * scale, jnp.float32)


# Bernoulli


def test_bernoulli_log_prob_is_the_log_of_the_probability():
    logits = normals(5, 4, 3)
    x = RNG.integers(0, 2, (5, 4, 3))
    p = expit(np.asarray(logits, np.float64))
    expected = np.where(x == 1, np.log(p), np.log1p(-p)).sum((1, 2))
    for as_dtype in (jnp.float32, jnp.uint8, jnp.bool_):
        np.testing.assert_allclose(Bernoulli(logits).log_prob(jnp.array(x, as_dtype)), expected, rtol=1e-5)


def test_bernoulli_cross_entropy_of_grey_values():
    logits, x = normals(3, 6), RNG.uniform(size=(3, 6))
    p = expit(np.asarray(logits, np.float64))
    expected = (x * np.log(p) + (1 - x) * np.log1p(-p)).sum(1)
    np.testing.assert_allclose(Bernoulli(logits).log_prob(jnp.array(x, jnp.float32)), expected, rtol=1e-5)


@pytest.mark.parametrize("x", [0.0, 1.0, 0.3])
def test_bernoulli_is_finite_at_huge_logits(x):
    x = jnp.full(HUGE.shape, x)
    value, grad = jax.value_and_grad(lambda a: Bernoulli(a).log_prob(x).sum())(HUGE)
    assert np.isfinite(value)
    np.testing.assert_allclose(grad, x - expit(np.asarray(HUGE)), atol=1e-6)
    kl, grad = jax.value_and_grad(lambda a: Bernoulli(a).kl(Bernoulli(-a)).sum())(HUGE)
    assert np.isfinite(kl)
    assert np.isfinite(grad).all()


def test_bernoulli_value_at_huge_logits_is_the_logit():
    # One wrong pixel at |logit| = 1e4 costs 1e4 nats; the peers' log(-expm1(log_sigmoid)) gives NaN from 90 on.
    d = Bernoulli(jnp.array([[1e4], [-1e4], [1e4], [-1e4]]))
    np.testing.assert_allclose(d.log_prob(jnp.array([[1.0], [0.0], [0.0], [1.0]])), [0.0, 0.0, -1e4, -1e4])


def test_bernoulli_kl_equals_distrax():
    q, p = normals(4, 3), normals(4, 3)
    expected = distrax.Bernoulli(q).kl_divergence(distrax.Bernoulli(p)).sum(1)
    np.testing.assert_allclose(Bernoulli(q).kl(Bernoulli(p)), expected, rtol=1e-5, atol=1e-6)


def test_bernoulli_mean_mode_and_samples():
    n = 40_000
    d = Bernoulli(jnp.full((n, 1), -0.8))
    x = d.sample(jax.random.key(0))
    assert set(np.unique(x)) == {0.0, 1.0}
    assert x.dtype == jnp.float32
    p = expit(-0.8)
    assert abs(float(x.mean()) - p) < 5 * np.sqrt(p * (1 - p) / n)
    assert float(d.mean[0, 0]) == pytest.approx(p, rel=1e-6)
    np.testing.assert_array_equal(Bernoulli(jnp.array([[1.0, -1.0]])).mode, [[1.0, 0.0]])


# Categorical


def test_categorical_probabilities_sum_to_one():
    d = Categorical(jnp.broadcast_to(normals(1, 7), (7, 7)))
    assert float(jnp.exp(d.log_prob(jnp.arange(7))).sum()) == pytest.approx(1.0, abs=1e-6)


def test_categorical_log_prob_equals_scipy():
    logits, x = normals(3, 4, 5, 6), RNG.integers(0, 6, (3, 4, 5))
    expected = np.take_along_axis(log_softmax(np.asarray(logits, np.float64), -1), x[..., None], -1)[..., 0].sum((1, 2))
    for as_dtype in (jnp.int32, jnp.uint8, jnp.float32):
        np.testing.assert_allclose(Categorical(logits).log_prob(jnp.array(x, as_dtype)), expected, rtol=1e-5)


def test_categorical_is_finite_at_huge_logits():
    logits = HUGE.reshape(1, 2, 4)
    for x in range(4):
        index = jnp.full((1, 2), x)
        value, grad = jax.value_and_grad(lambda a, index=index: Categorical(a).log_prob(index).sum())(logits)
        assert np.isfinite(value)
        assert np.isfinite(grad).all()
    kl, grad = jax.value_and_grad(lambda a: Categorical(a).kl(Categorical(-a)).sum())(logits)
    assert np.isfinite(kl)
    assert np.isfinite(grad).all()


def test_a_class_out_of_range_is_nan_rather_than_another_class():
    assert np.isnan(Categorical(jnp.zeros((1, 4))).log_prob(jnp.array([4])))


def test_categorical_kl_equals_distrax():
    q, p = normals(4, 2, 5), normals(4, 2, 5)
    expected = distrax.Categorical(q).kl_divergence(distrax.Categorical(p)).sum(1)
    np.testing.assert_allclose(Categorical(q).kl(Categorical(p)), expected, rtol=1e-5, atol=1e-6)


def test_categorical_mean_mode_and_samples():
    n = 40_000
    probs = np.array([0.1, 0.2, 0.4, 0.3])
    d = Categorical(jnp.broadcast_to(jnp.array(np.log(probs), jnp.float32), (n, 4)))
    x = np.asarray(d.sample(jax.random.key(0)))
    frequency = np.bincount(x, minlength=4) / n
    assert (abs(frequency - probs) < 5 * np.sqrt(probs * (1 - probs) / n)).all()
    assert float(d.mean[0]) == pytest.approx(probs @ np.arange(4), rel=1e-6)
    assert int(d.mode[0]) == 2


def test_half_precision_logits_are_computed_in_float32():
    logits = normals(2, 5).astype(jnp.bfloat16)
    for d in (Bernoulli, Categorical):
        x = jnp.ones(logits.shape if d is Bernoulli else (2,))
        exact = d(logits.astype(jnp.float32))
        assert d(logits).log_prob(x).dtype == d(logits).mean.dtype == jnp.float32
        np.testing.assert_array_equal(d(logits).log_prob(x), exact.log_prob(x))
