"""Chords against enumeration: all chords' chances sum to 1, samples have them, no note sees those above it."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import normal

from genjax.distributions.chords import Chords, chords, masks

KEYS, HIDDEN = 4, 6
ALL = np.array(list(itertools.product([0.0, 1.0], repeat=KEYS)), np.float32)


def some(seed=0, batch=1, steps=1):
    k = jax.random.split(jax.random.key(seed), 5)
    params = {
        "into": jax.random.normal(k[0], (KEYS, HIDDEN)),
        "out": jax.random.normal(k[1], (HIDDEN, KEYS)),
        "direct": jax.random.normal(k[2], (KEYS, KEYS)),
    }
    logits, context = jax.random.normal(k[3], (1, 1, KEYS)), jax.random.normal(k[4], (1, 1, HIDDEN))
    return Chords(jnp.tile(logits, (batch, steps, 1)), jnp.tile(context, (batch, steps, 1)), params)


def chances():
    return np.exp(np.asarray(some(batch=len(ALL)).log_prob(jnp.asarray(ALL)[:, None]), float))


def test_chances_of_all_chords_sum_to_one():
    assert chances().sum() == pytest.approx(1, abs=1e-5)
    assert chances().std() > 0.01


def test_samples_have_those_chances():
    n = 40_000
    x = np.asarray(some(batch=n).sample(jax.random.key(1)))[:, 0]
    found = np.bincount((x @ 2 ** np.arange(KEYS)[::-1]).astype(int), minlength=len(ALL)) / n
    np.testing.assert_allclose(found, chances(), atol=4 * np.sqrt(0.25 / n))


@pytest.mark.parametrize(("keys", "hidden"), [(4, 6), (5, 3), (88, 64)])
def test_no_note_sees_itself_or_those_above(keys, hidden):
    m = masks(keys, hidden)
    seen = m.into @ m.out + m.direct
    assert (np.tril(seen) == 0).all()
    assert (m.direct[np.triu_indices(keys, 1)] == 1).all()
    p = some()
    jacobian = jax.jacobian(lambda x: p.conditional(x[None, None])[0, 0])(jnp.full(KEYS, 0.5))
    assert (np.triu(jacobian) == 0).all()
    assert np.abs(np.tril(jacobian, -1)).max() > 0.1


def test_mode_is_what_is_likelier_note_by_note():
    p, x = some(), np.zeros((1, 1, KEYS), np.float32)
    for k in range(KEYS):
        x[0, 0, k] = float(p.conditional(jnp.asarray(x))[0, 0, k] > 0)
    assert (np.asarray(p.mode) == x).all()


def test_steps_that_do_not_count_add_nothing():
    p = some(batch=2, steps=3)
    x = p.sample(jax.random.key(0))
    mask = jnp.array([[True, True, False], [True, False, False]])
    each = [float(some(batch=1, steps=1).log_prob(x[i, t][None, None])[0]) for i, t in ((0, 0), (0, 1), (1, 0))]
    np.testing.assert_allclose(p.log_prob(x, mask), [each[0] + each[1], each[2]], rtol=1e-5)


def test_likelihood_begins_as_independent_notes_and_learns():
    likelihood = chords(HIDDEN)
    params = likelihood.init(KEYS)
    out = normal(0, (1, 1, likelihood.n_out(KEYS)))
    p = likelihood.apply(params, out)
    np.testing.assert_allclose(p.conditional(jnp.ones((1, 1, KEYS))), out[..., :KEYS], rtol=1e-6)
    grads = jax.grad(lambda params: likelihood.apply(params, out).log_prob(jnp.ones((1, 1, KEYS)))[0])(params)
    assert float(jnp.abs(grads["out"]).max()) > 0
    assert float(jnp.abs(grads["direct"]).max()) > 0
