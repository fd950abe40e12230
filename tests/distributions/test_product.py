"""A product over columns: densities against SciPy's, normalisation, sampling frequencies, masks, the relaxed form."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import normal, quick_jit
from scipy import stats

from genjax.distributions.product import Part, Product, joined, product, relaxed, stretches

PARTS = (Part((False, False, False)), Part((False, True, True)), Part((True,)))
WIDTH = sum(p.size for p in PARTS)  # 3 + 4 + 2


def some(seed=0, n=5):
    rng = np.random.default_rng(seed)
    outputs, log_sigma = 2.0 * rng.normal(size=(n, WIDTH)), -1.0 - rng.uniform(size=2)
    return Product(jnp.asarray(outputs, jnp.float32), jnp.asarray(log_sigma, jnp.float32), PARTS)


sample, log_prob = quick_jit(Product.sample), quick_jit(Product.log_prob)


def test_log_prob_is_that_of_independent_columns():
    p = some()
    x = sample(p, jax.random.key(1))
    out, x_, sigma = np.asarray(p.outputs, float), np.asarray(x, float), np.exp(np.asarray(p.log_sigma, float))
    expected = np.zeros(5)
    for i in range(5):
        soft = lambda logits: logits - np.logaddexp.reduce(logits)  # noqa: E731
        expected[i] += soft(out[i, :3])[x_[i, :3].argmax()]
        which = x_[i, 4:7].argmax()
        expected[i] += soft(out[i, 4:7])[which]
        if which > 0:
            expected[i] += stats.norm.logpdf(x_[i, 3], np.tanh(out[i, 3]), sigma[0])
        expected[i] += stats.norm.logpdf(x_[i, 7], np.tanh(out[i, 7]), sigma[1])
    np.testing.assert_allclose(log_prob(p, x), expected, rtol=2e-5)


def test_masked_columns_count_for_nothing():
    p, x = some(), sample(some(), jax.random.key(1))
    alone = [log_prob(p, x, np.broadcast_to(np.arange(3) == i, (5, 3))) for i in range(3)]
    np.testing.assert_allclose(np.sum(alone, 0), log_prob(p, x), rtol=1e-6)


def test_probabilities_of_all_choices_sum_to_one():
    """The probabilities of the second column's choices, with its places integrated out on a fine grid, sum to one."""
    p = some(n=1)
    place = np.linspace(-6, 6, 24_001)
    total = 0.0
    for k in range(3):
        choice = np.zeros((len(place), 3))
        choice[:, k] = 1
        x = np.c_[np.tile([1, 0, 0], (len(place), 1)), place, choice, np.zeros(len(place)), np.ones(len(place))]
        wide = Product(jnp.repeat(p.outputs, len(place), 0), p.log_sigma, PARTS)
        only = np.broadcast_to(np.array([False, True, False]), (len(place), 3))
        density = np.exp(np.asarray(log_prob(wide, jnp.asarray(x, jnp.float32), only), float))
        total += density.mean() if k == 0 else np.trapezoid(density, place)
    assert total == pytest.approx(1, abs=1e-4)


def test_samples_have_the_means():
    p = some(n=1)
    many = Product(jnp.repeat(p.outputs, 40_000, 0), p.log_sigma, PARTS)
    x = np.asarray(sample(many, jax.random.key(2)))
    for _, choice in stretches(PARTS, jnp.asarray(x)):
        assert set(np.unique(choice)) <= {0.0, 1.0}
        assert (choice.sum(1) == 1).all()
    choices = np.r_[0:3, 4:7, 8]
    np.testing.assert_allclose(x[:, choices].mean(0), np.asarray(p.mean)[0, choices], atol=0.01)
    assert (x[x[:, 4] == 1, 3] == 0).all()  # a single value has no place
    assert np.abs(x[:, [3, 7]]).max() <= 1


def test_mode_is_the_likeliest_row():
    p = some()
    best = log_prob(p, p.mode)
    for seed in range(20):
        assert (best >= log_prob(p, sample(p, jax.random.key(seed))) - 1e-5).all()


def test_finite_at_any_output():
    x = sample(some(), jax.random.key(1))

    def total(outputs):
        return Product(outputs, jnp.zeros(2), PARTS).log_prob(x).sum()

    for size in (0.0, 200.0, 1e4):
        outputs = size * np.sign(np.random.default_rng(0).normal(size=(5, WIDTH)).astype(np.float32))
        value, grad = quick_jit(jax.value_and_grad(total))(outputs)
        assert np.isfinite(value)
        assert np.isfinite(grad).all()


def test_learned_deviations_stay_in_their_range():
    likelihood = product(PARTS)
    params = likelihood.init(1)
    assert params["log_sigma"].shape == (2,)
    assert likelihood.n_out(1) == WIDTH
    for raw, low, high in ((-50.0, 0.0099, 0.0101), (50.0, 0.99, 1.0)):
        p = likelihood.apply({"log_sigma": jnp.full(2, raw)}, jnp.zeros((1, WIDTH)))
        assert ((jnp.exp(p.log_sigma) >= low) & (jnp.exp(p.log_sigma) <= high)).all()


def test_relaxed_rows_become_choices_as_the_temperature_falls():
    rng = np.random.default_rng(0)
    out, gumbel = (jnp.asarray(a, jnp.float32) for a in (rng.normal(size=(64, WIDTH)), rng.gumbel(size=(64, WIDTH))))
    hard = quick_jit(lambda *a: relaxed(PARTS, *a, 1e-3))(out, gumbel)
    for (_, logits), (_, noise), (_, choice) in zip(*(stretches(PARTS, a) for a in (out, gumbel, hard)), strict=True):
        np.testing.assert_allclose(
            choice, np.eye(choice.shape[-1])[np.argmax(np.asarray(logits) + noise, -1)], atol=1e-3
        )
    grad = np.asarray(quick_jit(jax.grad(lambda o: relaxed(PARTS, o, gumbel)[:, 0].sum()))(out))
    assert np.abs(grad[:, :3]).max() > 0
    assert (grad[:, 3:] == 0).all()


def test_stretches_and_joined_are_inverse():
    x = normal(0, (2, WIDTH))
    assert (joined(stretches(PARTS, x)) == x).all()


def test_passes_through_jit_as_a_tree():
    p = some()
    assert [leaf.shape for leaf in jax.tree.leaves(p)] == [(5, WIDTH), (2,)]
    x = sample(p, jax.random.key(1))
    np.testing.assert_allclose(jax.jit(lambda p, x: p.log_prob(x))(p, x), p.log_prob(x), rtol=1e-6)
