"""The gradient penalty of packs: equal to the plain one for single rows, and to a closed form for a linear critic."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import normal

from genjax.losses import gradient_penalty
from genjax.losses.packed import packed_gradient_penalty
from genjax.types import Game


def test_of_single_rows_is_the_plain_penalty():
    real, fake = normal(0, (2, 6, 3))
    a, b = (Game(lambda x: jnp.tanh(x).sum(1) ** 2, real, fake, jax.random.key(1)) for _ in range(2))
    np.testing.assert_allclose(packed_gradient_penalty(10.0, 1)(a), gradient_penalty(10.0)(b), rtol=1e-5)


@pytest.mark.parametrize("pac", [2, 3, 6])
def test_of_a_linear_critic_is_its_slope(pac):
    real, fake = normal(0, (2, 6, 3))
    w = jnp.arange(3.0 * pac) / 7
    game = Game(lambda x: jnp.repeat(x.reshape(-1, 3 * pac) @ w, pac), real, fake, jax.random.key(1))
    expected = 10.0 * (float(jnp.linalg.norm(w)) - 1) ** 2
    np.testing.assert_allclose(packed_gradient_penalty(10.0, pac)(game), np.full(6, expected), rtol=1e-4)
