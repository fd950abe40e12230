import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax.losses import reduce

VALUES = jnp.array([1.0, 2.0, 4.0, 100.0])


def test_without_a_mask_it_is_the_mean():
    assert float(reduce.mean(VALUES)) == pytest.approx(26.75)


@pytest.mark.parametrize("dtype", [jnp.bool_, jnp.float32])
def test_masked_examples_do_not_count(dtype):
    assert float(reduce.mean(VALUES, jnp.array([1, 1, 1, 0], dtype))) == pytest.approx(7 / 3)


def test_a_fraction_is_a_weight():
    assert float(reduce.mean(VALUES, jnp.array([0.5, 0.0, 1.0, 0.0]))) == pytest.approx(4.5 / 1.5)


def test_an_empty_batch_is_zero_with_zero_gradient():
    mask = jnp.zeros(4)
    value, grad = jax.value_and_grad(lambda v: reduce.mean(v, mask))(VALUES)
    assert float(value) == 0.0
    np.testing.assert_array_equal(grad, 0.0)


def test_padding_may_be_anything():
    bad = jnp.array([1.0, 3.0, jnp.nan, jnp.inf])
    mask = jnp.array([True, True, False, False])
    value, grad = jax.value_and_grad(lambda v: reduce.mean(v, mask))(bad)
    assert float(value) == 2.0
    np.testing.assert_array_equal(grad, [0.5, 0.5, 0.0, 0.0])


def test_a_non_finite_example_that_counts_shows():
    assert np.isnan(reduce.mean(jnp.array([1.0, jnp.nan])))


def test_totals_of_uneven_microbatches_add_up_to_the_full_mean():
    values = jnp.array(np.random.default_rng(0).normal(size=10), jnp.float32)
    mask = jnp.array([1, 1, 0, 1, 1, 1, 1, 0, 0, 0], jnp.float32)
    parts = [reduce.total(values[i:j], mask[i:j]) for i, j in ((0, 3), (3, 7), (7, 10))]
    total, count = (sum(p) for p in zip(*parts, strict=True))
    assert float(total / count) == pytest.approx(float(reduce.mean(values, mask)), rel=1e-6)


def test_half_precision_is_summed_in_float32():
    values = jnp.full(3000, 1.0, jnp.bfloat16)  # summed in bfloat16 this would stop at 256
    assert reduce.mean(values).dtype == jnp.float32
    assert float(reduce.total(values)[0]) == 3000.0
    assert float(reduce.mean(values, jnp.ones(3000, jnp.bool_))) == 1.0


def test_weights_and_means_of_a_tree():
    mask = jnp.array([1.0, 0.0, 3.0])
    np.testing.assert_allclose(reduce.weights(3, mask), [0.25, 0.0, 0.75])
    np.testing.assert_allclose(reduce.weights(2), [0.5, 0.5])
    assert reduce.weights(2, jnp.zeros(2)).tolist() == [0.0, 0.0]
    found = reduce.means({"a": jnp.array([1.0, 9.0, 5.0])}, mask)
    assert float(found["a"]) == 4.0
    assert float(jax.grad(lambda v: reduce.means(v))(jnp.ones(3)).sum()) == 0.0
