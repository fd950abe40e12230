import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import losses
from genjax.losses.penalty import interpolate
from genjax.types import Game, Net, UsageError

SHAPE = (3, 4, 5, 2)
RNG = np.random.default_rng(0)
REAL, FAKE = (jnp.array(RNG.normal(size=SHAPE), jnp.float32) for _ in range(2))
W = jnp.array(RNG.normal(size=SHAPE[1:]) * 0.3, jnp.float32)
NORM = float(jnp.sqrt(jnp.square(W).sum()))


def linear(x):
    return (x * W[None]).sum((1, 2, 3))


def quadratic(x):
    return 0.5 * jnp.square(x).sum((1, 2, 3))


def constant(x):
    return jnp.zeros(x.shape[0]) + 0.0 * x.sum((1, 2, 3))


def key(seed=0):
    return jax.random.key(seed)


# Closed forms


@pytest.mark.parametrize("target", [0.0, 1.0, 2.5])
def test_linear_critic_has_its_weights_norm_over_all_axes(target):
    got = losses.gradient_penalty(10.0, target)(Game(linear, REAL, FAKE, key()))
    np.testing.assert_allclose(got, 10.0 * (NORM - target) ** 2, rtol=1e-5)


def test_r1_and_r2_of_a_linear_critic():
    for penalty in (losses.r1(3.0), losses.r2(3.0)):
        np.testing.assert_allclose(penalty(Game(linear, REAL, FAKE, key())), 1.5 * NORM**2, rtol=1e-5)


def test_r1_is_at_real_and_r2_at_fake_per_example():
    squares = [np.square(np.asarray(a)).sum((1, 2, 3)) for a in (REAL, FAKE)]
    np.testing.assert_allclose(losses.r1(2.0)(Game(quadratic, REAL, FAKE, key())), squares[0], rtol=1e-5)
    np.testing.assert_allclose(losses.r2(2.0)(Game(quadratic, REAL, FAKE, key())), squares[1], rtol=1e-5)


def test_gradient_penalty_of_a_quadratic_critic_is_the_norm_of_the_interpolate():
    x = np.asarray(interpolate(key(3), REAL, FAKE), np.float64)
    expected = (np.sqrt(np.square(x).sum((1, 2, 3))) - 1) ** 2
    np.testing.assert_allclose(losses.gradient_penalty(1.0)(Game(quadratic, REAL, FAKE, key(3))), expected, rtol=1e-4)


def test_dragan_is_at_real_images_with_normal_noise_of_their_own():
    np.testing.assert_allclose(losses.dragan(10.0)(Game(linear, REAL, FAKE, key())), 10.0 * (NORM - 1) ** 2, rtol=1e-5)
    far = jnp.full((500, *SHAPE[1:]), 3.0)
    got = np.asarray(losses.dragan(1.0, 0.5)(Game(quadratic, far, far * 9, key(4))))
    # |grad| of the quadratic is |x|; E |x|^2 = n (3^2 + 0.5^2)
    n = int(np.prod(SHAPE[1:]))
    np.testing.assert_allclose(np.square(np.sqrt(got) + 1).mean(), n * 9.25, rtol=5 * 3 / np.sqrt(500 * n) / 9.25 * 3)
    assert len(np.unique(got.round(4))) > 400
    np.testing.assert_array_equal(
        got, losses.dragan(1.0, 0.5)(Game(quadratic, far, far, key(4)))
    )  # the fakes are not read


def test_equals_the_gradients_of_single_scores():
    """The gradient of the summed score is that of each score."""
    w = jnp.array(RNG.normal(size=(40, 6)), jnp.float32)

    def score(x):
        return jnp.tanh(x.reshape(x.shape[0], -1) @ w).sum(1)

    single = jax.vmap(jax.grad(lambda x: score(x[None])[0]))(REAL)
    expected = 0.5 * np.square(np.asarray(single)).sum((1, 2, 3))
    np.testing.assert_allclose(losses.r1(1.0)(Game(score, REAL, FAKE, key())), expected, rtol=1e-5)


# Interpolation


def test_interpolates_lie_on_the_segments():
    x = interpolate(key(), REAL, FAKE)
    t = np.asarray((x - REAL) / (FAKE - REAL)).reshape(SHAPE[0], -1)
    np.testing.assert_allclose(t, np.broadcast_to(np.median(t, 1)[:, None], t.shape), atol=1e-3)
    assert ((t > -1e-3) & (t < 1 + 1e-3)).all()
    assert len(np.unique(np.median(t, 1).round(4))) == SHAPE[0]  # one coefficient each, not one for the batch


def test_coefficients_are_uniform():
    n = 20_000
    t = np.asarray(interpolate(key(1), jnp.zeros((n, 1)), jnp.ones((n, 1))))[:, 0]
    assert abs(t.mean() - 0.5) < 5 / np.sqrt(12 * n)
    assert abs(t.var() - 1 / 12) < 5 * np.sqrt(1 / 180 / n)


def test_leaves_of_one_example_share_their_coefficient():
    x = interpolate(
        key(), {"a": jnp.zeros((4, 2)), "b": jnp.zeros((4, 3, 1))}, {"a": jnp.ones((4, 2)), "b": jnp.ones((4, 3, 1))}
    )
    np.testing.assert_array_equal(x["a"][:, 0], x["b"][:, 2, 0])


# Gradients of the penalties


@pytest.mark.parametrize("penalty", [losses.r1(1.0), losses.r2(1.0), losses.gradient_penalty(10.0), losses.dragan(1.0)])
def test_constant_critic_has_a_finite_gradient(penalty):
    def loss(scale):
        return penalty(Game(lambda x: scale * linear(x) + constant(x), REAL, FAKE, key())).mean()

    value, grad = jax.value_and_grad(loss)(0.0)
    assert np.isfinite(value)
    assert float(grad) == 0.0
    assert float(losses.gradient_penalty(10.0)(Game(constant, REAL, FAKE, key()))[0]) == pytest.approx(10.0, rel=1e-5)


def test_gradient_with_respect_to_a_linear_critic_is_the_closed_form():
    """d/dw of (|w| - 1)^2 is 2 (|w| - 1) w / |w|; of gamma/2 |w|^2 it is gamma w: second derivatives of the score."""

    def loss(w, penalty):
        return penalty(Game(lambda x: (x * w[None]).sum((1, 2, 3)), REAL, FAKE, key())).mean()

    np.testing.assert_allclose(
        jax.grad(loss)(W, losses.gradient_penalty(1.0)), 2 * (NORM - 1) * W / NORM, rtol=1e-4, atol=1e-6
    )
    np.testing.assert_allclose(jax.grad(loss)(W, losses.r1(0.7)), 0.7 * W, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "penalty",
    [losses.r1(0.8), losses.r2(0.8), losses.dragan(9.0), losses.gradient_penalty(10.0), losses.gradient_penalty(1, 0)],
)
def test_gradient_with_respect_to_a_network_equals_finite_differences(penalty):
    with jax.enable_x64(True):
        rng = np.random.default_rng(1)
        real, fake = (jnp.array(rng.normal(size=(4, 3, 2))) for _ in range(2))
        params = {
            "w1": jnp.array(rng.normal(size=(6, 7))),
            "b1": jnp.array(rng.normal(size=7)),
            "w2": jnp.array(rng.normal(size=7)),
        }
        direction = jax.tree.map(lambda a: jnp.array(rng.normal(size=a.shape)), params)

        @jax.jit
        def loss(params):
            def score(x):
                h = jnp.tanh(x.reshape(x.shape[0], -1) @ params["w1"] + params["b1"][None])
                return h @ params["w2"]

            return penalty(Game(score, real, fake, key(2))).mean()

        def moved(h):
            return loss(jax.tree.map(lambda a, d: a + h * d, params, direction))

        h = 1e-5
        expected = float(moved(h) - moved(-h)) / (2 * h)
        products = jax.tree.map(lambda g, d: (g * d).sum(), jax.grad(loss)(params), direction)
        assert float(sum(jax.tree.leaves(products))) == pytest.approx(expected, rel=1e-7)


def test_no_gradient_reaches_the_generator():
    for penalty in (losses.r1(1.0), losses.r2(1.0), losses.gradient_penalty(1.0)):
        grad = jax.grad(lambda shift, p=penalty: p(Game(quadratic, REAL, FAKE + shift, key())).sum())(0.0)
        assert float(grad) == 0.0


# Numerics and shapes


def test_weights_and_target_may_be_traced():
    weights = jnp.array([0.0, 1.0, 10.0])
    for make in (losses.r1, losses.r2, losses.gradient_penalty, lambda t: losses.gradient_penalty(1.0, t)):
        swept = jax.jit(jax.vmap(lambda w, make=make: make(w)(Game(linear, REAL, FAKE, key()))))(weights)
        expected = [make(float(w))(Game(linear, REAL, FAKE, key())) for w in weights]
        np.testing.assert_allclose(swept, expected, rtol=1e-5, atol=1e-9)


def test_half_precision_data_and_critics_give_float32():
    low = [a.astype(jnp.bfloat16) for a in (REAL, FAKE)]

    def critic(x):
        return linear(x).astype(jnp.bfloat16)

    for penalty in (losses.r1(1.0), losses.r2(1.0), losses.gradient_penalty(1.0)):
        got = penalty(Game(critic, *low, key()))
        assert got.dtype == jnp.float32
        np.testing.assert_allclose(got, penalty(Game(linear, REAL, FAKE, key())), rtol=1e-5)


def test_a_tree_of_data_sums_over_its_leaves():
    real = {"a": jnp.ones((2, 3)), "b": 2.0 * jnp.ones((2, 1, 2))}

    def score(x):
        return 0.5 * jnp.square(x["a"]).sum(1) + 0.5 * jnp.square(x["b"]).sum((1, 2))

    np.testing.assert_allclose(losses.r1(2.0)(Game(score, real, real, key())), 3 * 1.0 + 2 * 4.0, rtol=1e-6)


def test_the_gradient_penalty_uses_its_key():
    penalty = losses.gradient_penalty(1.0)
    a, b, c = (penalty(Game(quadratic, REAL, FAKE, key(seed))) for seed in (0, 0, 1))
    np.testing.assert_array_equal(a, b)
    assert (a != c).all()


def test_a_critic_that_couples_examples_is_refused_with_the_reason():
    def net(couples):
        return Net(init=lambda key: ({}, {}), apply=lambda *a, **k: (None, {}), couples_examples=couples)

    losses.check_critic(net(False))
    with pytest.raises(UsageError, match=r'batch norm.*gradient of the summed score.*norm="none"'):
        losses.check_critic(net(True))
