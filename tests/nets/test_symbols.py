"""Nets of the GAN of symbols: probabilities, noise of training and of draws, labels, and what masks must not change."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import normal, quick_jit

from genjax.errors import UsageError
from genjax.models import GAN
from genjax.nets import symbol_discriminator, symbol_generator

Z, T, K = 4, 6, 3


def test_generator_gives_probabilities():
    net = symbol_generator(Z, T, K, 8, 1)
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = quick_jit(lambda z: net.apply(params, state, z)[0])(jax.random.normal(jax.random.key(1), (5, Z)))
    assert x.shape == (5, T, K)
    np.testing.assert_allclose(x.sum(2), 1.0, rtol=1e-5)
    assert net.range == "unit"


def test_gumbel_noise_is_of_training_and_of_draws_and_sharp():
    net = symbol_generator(Z, T, K, 8, 1, tau=0.1)
    params, state = quick_jit(net.init)(jax.random.key(0))
    z = normal(1, (50, Z))
    noisy = quick_jit(lambda key: net.apply(params, state, z, train=True, key=key)[0])
    a, b = (noisy(jax.random.key(i)) for i in range(2))
    assert not np.allclose(a, b)
    still = quick_jit(lambda: net.apply(params, state, z)[0])()
    assert not np.allclose(a, still)
    np.testing.assert_allclose(still.sum(2), 1.0, rtol=1e-5)
    assert np.median(np.asarray(a).max(2)) > 0.95
    with pytest.raises(ValueError, match="key="):
        net.apply(params, state, z, train=True)
    with pytest.raises(UsageError, match="tau"):
        symbol_generator(Z, T, K, tau=-1.0)


def test_draws_are_of_the_softmax():
    """The largest of logits with Gumbel noise is a draw of their softmax: shares of 4,000 draws are like it."""
    tau, n = 0.1, 4000
    gan = GAN(symbol_generator(Z, T, K, 8, 1, tau=tau), symbol_discriminator(T, K, 8, 1), Z)
    params, state = quick_jit(gan.init)(jax.random.key(0))
    z = normal(1, (1, Z))
    logits = tau * jnp.log(quick_jit(gan.generate)(params, state, z))[0]
    drawn = quick_jit(lambda key: gan.draw(params, state, jnp.tile(z, (n, 1)), key))(jax.random.key(2))
    shares = jax.nn.one_hot(drawn.argmax(2), K).mean(0)
    wanted = jax.nn.softmax(logits)
    np.testing.assert_allclose(shares, wanted, atol=4 * 0.5 / n**0.5)
    assert np.abs(wanted - jax.nn.one_hot(wanted.argmax(1), K)).max() > 0.2  # without noise it would fail


def test_discriminator_has_a_gradient_of_its_gradient_and_leaves_masks_alone():
    net = symbol_discriminator(T, K, 8, 1)
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = jax.nn.one_hot(jax.random.randint(jax.random.key(1), (5, T), 0, K), K)
    score = lambda params, x, **more: net.apply(params, state, x, **more)[0]  # noqa: E731
    whole = quick_jit(lambda mask: (score(params, x), score(params, x, event_mask=mask)))
    np.testing.assert_array_equal(*whole(jnp.zeros((5, T), bool)))
    slope = lambda params: jnp.square(jax.grad(lambda x: score(params, x).sum())(x)).sum()  # noqa: E731
    g = quick_jit(jax.grad(slope))(params)
    assert all(np.isfinite(v).all() for v in jax.tree.leaves(g))
    assert any(np.abs(v).max() > 0 for v in jax.tree.leaves(g))


def test_labels_reach_both():
    y = jnp.array([0, 1])
    g, d = symbol_generator(Z, T, K, 8, 1, n_classes=2), symbol_discriminator(T, K, 8, 1, 2)
    of = quick_jit(lambda net, x: net.apply(*net.init(jax.random.key(0)), x, y=y)[0], static_argnums=0)
    x = of(g, jnp.ones((2, Z)))
    assert not np.allclose(x[0], x[1])
    logits = of(d, jnp.ones((2, T, K)))
    assert not np.isclose(logits[0], logits[1])
