"""Chords against enumeration: all chords' chances sum to 1, samples have them, no note sees those above it."""

import dataclasses
import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import normal

from genjax.distributions.chords import Chords, chords, masks

KEYS, HIDDEN, UNITS = 4, 6, 2
ALL = np.array(list(itertools.product([0.0, 1.0], repeat=KEYS)), np.float32)


def some(seed=0, batch=1, steps=1):
    """With hidden units of each key, whose two intervals do not reach the third key above."""
    shapes = {"into": (KEYS, HIDDEN), "out": (HIDDEN, KEYS), "direct": (KEYS, KEYS), "below": (2, UNITS)}
    params = {name: normal(seed + i, shape) for i, (name, shape) in enumerate(shapes.items())}
    params["units"] = jnp.array([2.0, -1.0])
    every = [normal(seed + 9 + i, (1, 1, *s)) for i, s in enumerate(((KEYS,), (HIDDEN,), (KEYS, UNITS)))]
    logits, context, near = (jnp.tile(v, (batch, steps) + (1,) * (v.ndim - 2)) for v in every)
    return Chords(logits, context, params, near)


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


def test_intervals_reach_as_far_as_their_weights():
    """Without the layers that see every note, the key three above a note is not moved by it, those below that are."""
    p = some(steps=KEYS)
    none = {name: jnp.zeros_like(p.params[name]) for name in ("out", "direct")}
    p = dataclasses.replace(p, params=p.params | none)
    moved = np.asarray(p.conditional(jnp.eye(KEYS)[None]) - p.conditional(jnp.zeros((1, KEYS, KEYS))))[0]
    apart = np.subtract.outer(np.arange(KEYS), np.arange(KEYS)).T
    assert (moved[(apart < 1) | (apart > 2)] == 0).all()
    assert np.abs(moved[0, 1:3]).min() > 0


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
