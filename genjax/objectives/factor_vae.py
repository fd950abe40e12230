"""FactorVAE: an autoencoder whose latents are made independent of each other, by a critic that tells them apart."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from genjax import distributions, losses
from genjax.losses.reduce import mean
from genjax.models.contract import require
from genjax.objectives.trains import trains
from genjax.objectives.vae import observed, score_vae
from genjax.types import Aux, Batch, Context, Key, Net, Objective, Params, State, masked


class FactorVaeObjective(NamedTuple):
    """The autoencoder's objective and the critic's, for a move each; the critic is the player `"critic"`."""

    vae: Objective
    critic: Objective
    score: Callable[[Params, State, Batch, Key], dict[str, Array]]


def factor_vae(model: Any, critic: Net, gamma=35.0) -> FactorVaeObjective:
    """-ELBO + gamma TC, nats per example: TC = KL(q(z) || prod_j q(z_j)), the total correlation, by a critic's logit.

    The critic learns to tell latents of a batch from the same latents with each dimension permuted over the batch; its
    logit is then the log of the density ratio. Its own move leaves the autoencoder alone.

    Args:
        model: an autoencoder whose latents are (batch, z).
        critic: (batch, z) -> (batch,) logits, say `nets.mlp_discriminator((z_dim,), (1000,) * 5)`.
        gamma: weight of the total correlation, >= 0; may be traced. The paper: 35 on dSprites, 6.4 on 3D Chairs.

    Reports:
        vae: elbo, rate, distortion as `beta_vae`, penalty where the model has one, and total_correlation, the critic's
            estimate in nats.
        critic: accuracy, 0.5 where it cannot tell: then the dimensions are independent, or the critic is too weak.

    Source:
        Kim & Mnih 2018, Disentangling by Factorising, algorithm 2 (which permutes a second batch; here it is the same).
    """
    require(model, "factor_vae", "forward")

    def vae(params: Params, batch: Batch, ctx: Context):
        mask = masked(batch.event_mask)
        out = model.forward(params, ctx.state, batch.x, batch.y, train=True, key=ctx.key, **mask)
        D, R = -distributions.log_prob(out.p, batch.x, batch.event_mask), out.rate.sum(1)
        TC, _ = critic.apply(params["critic"], ctx.state["critic"], out.latents, train=False)
        terms = {"elbo": losses.elbo(D, R), "rate": R, "distortion": D, "total_correlation": TC}
        terms |= {} if out.penalty is None else {"penalty": out.penalty}
        total = D + R + gamma * TC + terms.get("penalty", 0.0)
        means = {k: mean(v, batch.mask) for k, v in terms.items()}
        return mean(total, batch.mask), Aux(means, out.state, observed(out, batch))

    def of_critic(params: Params, batch: Batch, ctx: Context):
        k_pass, k_order = jax.random.split(ctx.key)
        mask = masked(batch.event_mask)
        z = model.forward(params, ctx.state, batch.x, batch.y, train=True, key=k_pass, **mask).latents
        z = jax.lax.stop_gradient(z)
        joint, s = critic.apply(params["critic"], ctx.state["critic"], z, train=True)
        product, s = critic.apply(params["critic"], s, permuted(k_order, z), train=True)
        right = 0.5 * ((joint > 0).astype(jnp.float32) + (product < 0))
        loss = 0.5 * mean(losses.nonsaturating.d(joint, product), batch.mask)
        return loss, Aux({"accuracy": mean(right, batch.mask)}, {"critic": s})

    players = {**getattr(model, "players", {}), "critic": critic}
    return FactorVaeObjective(trains(model, vae, players), trains(model, of_critic, players), score_vae(model))


def permuted(key: Key, z: Float[Array, "batch z"]) -> Float[Array, "batch z"]:
    """z with every dimension permuted over the batch by itself: draws from the product of its marginals."""
    order = jnp.argsort(jax.random.uniform(key, z.shape), axis=0)
    return jnp.take_along_axis(z, order, axis=0)
