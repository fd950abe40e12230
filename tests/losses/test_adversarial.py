import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy.special import expit

from genjax import losses

PAIRS = {
    name: getattr(losses, name)
    for name in ("nonsaturating", "minimax", "hinge", "least_squares", "wasserstein", "relativistic")
}
ALL = pytest.mark.parametrize("pair", PAIRS.values(), ids=PAIRS)
RNG = np.random.default_rng(0)
REAL, FAKE = (jnp.array(RNG.normal(size=8) * 2, jnp.float32) for _ in range(2))
R, F = np.asarray(REAL, np.float64), np.asarray(FAKE, np.float64)


# The formulas as the papers write them, from probabilities where they do, in float64.
PAPER = {
    "nonsaturating": (-np.log(expit(R)) - np.log(1 - expit(F)), -np.log(expit(F))),
    "minimax": (-np.log(expit(R)) - np.log(1 - expit(F)), np.log(1 - expit(F))),
    "hinge": (np.maximum(0, 1 - R) + np.maximum(0, 1 + F), -F),
    "least_squares": ((R - 1) ** 2 + F**2, (F - 1) ** 2),
    "wasserstein": (F - R, -F),
    "relativistic": (-np.log(expit(R - F)), -np.log(expit(F - R))),
}


@pytest.mark.parametrize("name", PAIRS)
def test_values_are_the_papers(name):
    d, g = PAPER[name]
    np.testing.assert_allclose(PAIRS[name].d(REAL, FAKE), d, rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(PAIRS[name].g(FAKE, REAL), g, rtol=1e-5, atol=1e-6)


@ALL
@pytest.mark.parametrize("real", [1e4, -1e4, 90.0, -90.0, 0.0])
@pytest.mark.parametrize("fake", [1e4, -1e4, 0.0])
def test_finite_at_huge_logits(pair, real, fake):
    real, fake = jnp.array([real]), jnp.array([fake])
    for value, grads in (
        jax.value_and_grad(lambda r, f: pair.d(r, f).sum(), argnums=(0, 1))(real, fake),
        jax.value_and_grad(lambda f, r: pair.g(f, r).sum(), argnums=(0, 1))(fake, real),
    ):
        assert np.isfinite(value)
        assert np.isfinite(grads).all()


@ALL
def test_the_discriminator_separates_and_the_generator_follows(pair):
    """Descending d raises real logits and lowers fake ones; descending g raises fake ones."""
    half = jnp.full(3, 0.5)  # between the targets of least_squares
    d_real, d_fake = jax.grad(lambda r, f: pair.d(r, f).sum(), argnums=(0, 1))(half, half)
    assert (d_real < 0).all()
    assert (d_fake > 0).all()
    assert (jax.grad(lambda f: pair.g(f, half).sum())(half) < 0).all()


@ALL
def test_values_are_per_example_and_float32(pair):
    low = [a.astype(jnp.bfloat16) for a in (REAL, FAKE)]
    exact = [a.astype(jnp.float32) for a in low]
    for got, expected in ((pair.d(*low), pair.d(*exact)), (pair.g(*low[::-1]), pair.g(*exact[::-1]))):
        assert got.shape == (8,)
        assert got.dtype == jnp.float32
        np.testing.assert_array_equal(got, expected)


def test_minimax_saturates_and_nonsaturating_does_not():
    """Where the discriminator wins (fake logits at -20) the minimax generator's gradient is gone."""
    at = jnp.array([-20.0])
    assert abs(float(jax.grad(lambda f: losses.minimax.g(f, f).sum())(at)[0])) < 1e-8
    assert float(jax.grad(lambda f: losses.nonsaturating.g(f, f).sum())(at)[0]) == pytest.approx(-1.0)


def test_minimax_is_zero_sum_and_nonsaturating_is_not():
    """What the generator of minimax minimises is minus the part of d's loss that depends on it."""
    d_f = jax.grad(lambda f: losses.minimax.d(REAL, f).sum())(FAKE)
    np.testing.assert_allclose(jax.grad(lambda f: losses.minimax.g(f, REAL).sum())(FAKE), -d_f, rtol=1e-6)
    np.testing.assert_allclose(jax.grad(lambda f: losses.nonsaturating.g(f, REAL).sum())(FAKE), -expit(-F), rtol=1e-5)


def test_minimax_at_the_optimum_is_the_jensen_shannon_divergence():
    p, q = np.array([0.5, 0.3, 0.2]), np.array([0.1, 0.3, 0.6])
    m = (p + q) / 2
    js = 0.5 * (p * np.log(p / m)).sum() + 0.5 * (q * np.log(q / m)).sum()
    optimum = jnp.array(np.log(p / q), jnp.float32)
    # d is a sum of a term of the real and a term of the fake logit; weigh each with its distribution.
    zero = jnp.full(3, -1e4)
    real_term = losses.minimax.d(optimum, zero)
    fake_term = losses.minimax.d(-zero, optimum)
    assert float((p * real_term + q * fake_term).sum()) == pytest.approx(2 * np.log(2) - 2 * js, rel=1e-5)


def test_relativistic_pairs_real_i_with_fake_i():
    jacobian = jax.jacobian(losses.relativistic.d, argnums=1)(REAL, FAKE)
    np.testing.assert_allclose(jacobian, np.diag(expit(F - R)), rtol=1e-5, atol=1e-7)
    shuffled = losses.relativistic.d(REAL, FAKE[::-1])
    assert not np.allclose(shuffled, losses.relativistic.d(REAL, FAKE))


def test_relativistic_sees_only_differences():
    for shift in (3.0, -7.0):
        np.testing.assert_allclose(
            losses.relativistic.d(REAL + shift, FAKE + shift), losses.relativistic.d(REAL, FAKE), rtol=1e-5, atol=1e-6
        )
    np.testing.assert_allclose(losses.relativistic.g(FAKE, REAL), losses.relativistic.d(FAKE, REAL))


def test_relativistic_generator_cannot_do_without_the_real_batch():
    with pytest.raises(TypeError):
        losses.relativistic.g(FAKE)


def test_unequal_batches_are_refused():
    with pytest.raises(Exception, match=r"batch|shape"):
        losses.relativistic.d(REAL, FAKE[:3])


@pytest.mark.parametrize(("name", "optimum"), [("nonsaturating", lambda p, q: np.log(p / q)),
                                                ("minimax", lambda p, q: np.log(p / q)),
                                                ("least_squares", lambda p, q: p / (p + q))])  # fmt: skip
def test_probability_at_the_optimum_is_bayes(name, optimum):
    """The logit that minimises p * (real term) + q * (fake term) expresses p / (p + q)."""
    pair = PAIRS[name]
    p, q = 0.3, 0.9
    best = jnp.array([optimum(p, q)], jnp.float32)
    d_real, d_fake = jax.grad(lambda r, f: pair.d(r, f).sum(), argnums=(0, 1))(best, best)
    assert float(p * d_real[0] + q * d_fake[0]) == pytest.approx(0.0, abs=1e-6)
    assert float(pair.probability(best)[0]) == pytest.approx(p / (p + q), rel=1e-5)
    everywhere = pair.probability(jnp.array([-1e4, -1.0, 0.0, 0.5, 1.0, 1e4]))
    assert (np.diff(everywhere) >= 0).all()
    assert everywhere.min() == 0.0
    assert everywhere.max() == 1.0


def test_losses_without_a_probability_say_so():
    assert losses.hinge.probability is losses.wasserstein.probability is losses.relativistic.probability is None
