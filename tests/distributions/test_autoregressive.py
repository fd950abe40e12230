"""Autoregressive distributions: sums over all strings, step by step against all at once, masks, samples."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import normal, quick_jit

from genjax.distributions.autoregressive import CACHE, Autoregressive
from genjax.errors import UsageError
from genjax.nets.sequence import gru_decoder

K, T, Z = 3, 4, 2


def made(n=1, dropout=0.0, train=False, n_classes=0, y=None, z_dim=Z):
    """p(x | z) of n draws of z, from a decoder whose logits are far from even."""
    decoder = gru_decoder(z_dim, K, T, 5, dropout=dropout, n_classes=n_classes)

    @quick_jit
    def given(y):
        params, state = decoder.net.init(jax.random.key(0))
        params = jax.tree.map(lambda v: 3 * v, params)
        z = normal(1, (n, z_dim))
        return decoder.net.apply(params, state, z, train=train, key=jax.random.key(2), y=y)[0]

    return Autoregressive(given(y), decoder.chain)


log_prob = quick_jit(Autoregressive.log_prob)
log_probs = quick_jit(Autoregressive.log_probs)


def repeated(p, n):
    """The distribution of the first example, n times."""
    each = jax.tree.map(lambda v: jnp.repeat(v[:1], n, 0), p.given.each)
    return Autoregressive(p.given._replace(each=each), p.chain)


STRINGS = jnp.array(list(itertools.product(range(K), repeat=T)))


def test_probabilities_of_all_strings_add_up_to_one():
    p = repeated(made(), len(STRINGS))
    assert float(jnp.exp(log_prob(p, STRINGS)).sum()) == pytest.approx(1.0, abs=1e-5)


def test_probabilities_of_all_strings_that_end_add_up_to_one():
    """A string ends with the symbol 0, which counts, or at the last place."""
    ends = [s for n in range(1, T + 1) for s in itertools.product(range(K), repeat=n)]
    ends = [s for s in ends if 0 not in s[:-1] and (s[-1] == 0 or len(s) == T)]
    x = jnp.array([(*s, *[1] * (T - len(s))) for s in ends])
    mask = jnp.arange(T)[None] < jnp.array([len(s) for s in ends])[:, None]
    p = repeated(made(), len(ends))
    assert float(jnp.exp(log_prob(p, x, mask)).sum()) == pytest.approx(1.0, abs=1e-5)


def test_all_at_once_is_the_sum_of_single_steps():
    p, x = made(5), jax.random.randint(jax.random.key(3), (5, T), 0, K)
    carry, before = p.chain.start(p.given)
    total = 0.0
    for t in range(T):
        carry, out = p.chain.step(p.given, carry, before)
        total = total + p.chain.emission(p.given, out).log_prob(x[:, t])
        before = x[:, t]
    np.testing.assert_allclose(log_prob(p, x), total, atol=1e-5)


def test_what_a_mask_leaves_out_is_not_looked_at():
    p, x = made(2), jnp.array([[1, 0, 2, 2], [2, 2, 0, 1]])
    mask = jnp.array([[True, True, False, False], [True] * 4])
    other = jnp.where(mask, x, 1)
    np.testing.assert_array_equal(log_prob(p, x, mask), log_prob(p, other, mask))
    np.testing.assert_allclose(log_prob(p, x, mask)[1], log_prob(p, x)[1], rtol=1e-6)
    np.testing.assert_allclose(log_prob(p, x, mask)[0], log_probs(p, x)[0, :2].sum(), atol=1e-6)


def test_samples_are_as_frequent_as_they_are_probable():
    n = 20_000
    p = repeated(made(), n)
    drawn = np.asarray(quick_jit(lambda p, key: p.sample(key))(p, jax.random.key(4)))
    counts = np.zeros((K,) * T)
    np.add.at(counts, tuple(drawn.T), 1)
    expected = np.exp(np.asarray(log_prob(repeated(p, len(STRINGS)), STRINGS), np.float64)) * n
    chi2 = ((counts.reshape(-1) - expected) ** 2 / expected).sum()
    degrees = K**T - 1
    assert chi2 < degrees + 4 * np.sqrt(2 * degrees)


def test_a_low_temperature_takes_the_likeliest_step_each_time():
    p = made(3)
    cold = quick_jit(lambda p: p.sample(jax.random.key(5), jnp.array([1e-6, 1e-6, 1e6])))(p)
    mode = quick_jit(lambda p: p.mode)(p)
    np.testing.assert_array_equal(cold[:2], mode[:2])


def test_mode_takes_the_likeliest_step_each_time():
    p = made(3)
    x = np.asarray(quick_jit(lambda p: p.mode)(p))
    h = p.chain.whole(p.given, jnp.asarray(x))
    logits = p.chain.emission(p.given, h.reshape(3 * T, -1)).logits
    np.testing.assert_array_equal(logits.argmax(-1).reshape(3, T), x)


@pytest.mark.slow
def test_word_dropout_hides_symbols_in_training_alone():
    x = jax.random.randint(jax.random.key(3), (50, T), 0, K)
    plain, dropped = made(50), made(50, dropout=0.5, train=True)
    np.testing.assert_allclose(log_prob(made(50, dropout=0.5), x), log_prob(plain, x))
    same = np.isclose(log_probs(plain, x), log_probs(dropped, x))
    assert same[:, 0].all()
    assert 0.3 < same[:, 1].mean() < 0.7
    with pytest.raises(UsageError, match="dropout"):
        gru_decoder(2, 3, 4, dropout=1.0)


def test_labels_and_no_latents():
    y = jnp.array([0, 1])
    x = jnp.zeros((2, T), jnp.int32)
    a, b = log_prob(made(2, n_classes=2, y=y, z_dim=0), x)
    assert not np.isclose(a, b)


@pytest.mark.slow
def test_it_passes_through_jit_and_vmap():
    p, x = made(4), jax.random.randint(jax.random.key(3), (4, T), 0, K)
    each = jax.vmap(lambda each, x: Autoregressive(p.given._replace(each=each), p.chain).log_prob(x[None])[0])
    one = jax.tree.map(lambda v: v[:, None], p.given.each)  # a batch of one for each
    np.testing.assert_allclose(quick_jit(each)(one, x), log_prob(p, x), atol=1e-5)
    g = quick_jit(jax.grad(lambda p: p.log_prob(x).sum()))(p)
    assert isinstance(g, Autoregressive)
    assert all(np.isfinite(v).all() for v in jax.tree.leaves(g))


@pytest.mark.slow
def test_rows_some_after_others_give_the_same():
    p, x = made(4), jax.random.randint(jax.random.key(3), (4, T), 0, K)
    wide = Autoregressive(p.given, dataclasses.replace(p.chain, width=CACHE // 8))  # two rows at once
    of = lambda p: quick_jit(jax.value_and_grad(lambda p: p.log_prob(x).sum()))(p)  # noqa: E731
    for a, b in zip(jax.tree.leaves(of(p)), jax.tree.leaves(of(wide)), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)
