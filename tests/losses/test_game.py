"""The game that a recipe's --loss and --penalty name."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import losses, recipes
from genjax.runs.notes import penalty_note
from genjax.types import Game, UsageError

REAL, FAKE = (jnp.asarray(np.random.default_rng(i).normal(size=(4, 3)), jnp.float32) for i in (0, 1))
PENALTIES = {
    "none": [],
    "r1": [losses.r1(0.3)],
    "r1_r2": [losses.r1(0.3), losses.r2(0.3)],
    "gradient_penalty": [losses.gradient_penalty(7.0)],
    "dragan": [losses.dragan(7.0)],
}
SENSELESS = [("wasserstein", "none")]


def score(x):
    return jnp.tanh(x).sum(1) ** 2


@pytest.mark.parametrize(("loss", "penalty"), [c for c in itertools.product(losses.LOSSES, losses.PENALTIES)
                                              if c not in SENSELESS])  # fmt: skip
def test_each_name_is_the_function_of_that_name(loss, penalty):
    pair, penalties = losses.game(loss, penalty, 0.3, 7.0)
    assert pair is getattr(losses, loss)
    assert len(penalties) == len(PENALTIES[penalty])
    for got, want in zip(penalties, PENALTIES[penalty], strict=True):
        one, other = (p(Game(score, REAL, FAKE, jax.random.key(0))) for p in (got, want))
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize(("penalty", "gamma", "weight"), [("none", 1.0, 1.0), ("r1", 0.0, 1.0), ("dragan", 1.0, 0)])
def test_a_wasserstein_critic_that_nothing_bounds_is_refused(penalty, gamma, weight):
    with pytest.raises(UsageError, match=r"loss=wasserstein, penalty=.*without end.*\nAdd --penalty gradient_penalty"):
        losses.game("wasserstein", penalty, gamma, weight)


@pytest.mark.parametrize(
    ("fields", "says"),
    [
        ({"penalty": "dragan", "gamma": 3.0}, "--gamma: changes nothing, --penalty dragan reads --weight."),
        ({"penalty": "none", "gamma": 3.0, "weight": 1.0}, "--gamma and --weight: changes nothing, --penalty none"),
        ({"penalty": "r1", "gamma": 3.0}, ""),
        ({"penalty": "dragan"}, ""),
    ],
)
def test_a_weight_that_the_penalty_does_not_read_is_said(fields, says):
    cfg = recipes.load("gan_digits").Config(**fields)
    for configs in ((cfg,), (recipes.load("gan_digits").Config(penalty=cfg.penalty), cfg)):  # a sweep's second member
        assert penalty_note(configs).startswith(says)
        assert bool(says) == bool(penalty_note(configs))


def test_the_weight_may_be_traced():
    @jax.jit
    def value(gamma):
        return losses.game("wasserstein", "r1", gamma)[1][0](Game(score, REAL, FAKE, jax.random.key(0)))

    np.testing.assert_allclose(value(2.0), 2 * value(1.0), rtol=1e-6)
