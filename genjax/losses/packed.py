"""The gradient penalty of a critic that judges several rows at once."""

import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from genjax.distributions.numerics import at_least_float32
from genjax.losses.penalty import EPS
from genjax.types import Game, Penalty, PerExample


def packed_gradient_penalty(weight: ScalarLike, pac: int) -> Penalty:
    """weight * (|grad D(pack)| - 1)^2, the gradient over all rows of a pack; each row of a pack has its value.

    The point between real and generated rows is one for the whole pack. With pac = 1 it is `gradient_penalty`. The
    critic gives each row the logit of its pack, as `nets.packed_discriminator` does.

    Args:
        weight: the paper's lambda, 10 there, >= 0; may be traced.
        pac: rows of a pack.

    Source:
        Xu et al. 2019, Modeling Tabular Data using Conditional GAN; Gulrajani et al. 2017.

    Example:
        >>> x = jnp.zeros((2, 2))
        >>> score = lambda x: jnp.repeat(x.reshape(-1, 4) @ jnp.array([3.0, 0.0, 4.0, 0.0]), 2)
        >>> packed_gradient_penalty(10.0, 2)(Game(score, x, x, jax.random.key(0))).tolist()
        [160.0, 160.0]
    """

    def penalty(game: Game) -> PerExample:
        real, fake = at_least_float32(game.real), at_least_float32(game.fake)
        n = real.shape[0]
        t = jnp.repeat(jax.random.uniform(game.key, (n // pac,)), pac)[:, None]
        between = jax.lax.stop_gradient(real + t * (fake - real))
        # Every row of a pack has the pack's logit, so the sum has each logit pac times.
        slope = jax.grad(lambda x: at_least_float32(game.score(x)).sum() / pac)(between)
        norm = jnp.sqrt(jnp.square(slope).reshape(n // pac, -1).sum(1) + EPS)
        return jnp.repeat(jnp.square(norm - 1.0) * weight, pac)

    # It knows that rows of a pack are judged together, so a critic that couples them is no obstacle.
    return Penalty(penalty, differentiates=False)
