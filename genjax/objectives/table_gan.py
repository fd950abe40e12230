"""The objectives of CTGAN: a Wasserstein game of packed rows, conditions drawn by log-frequency, real rows to match."""

from typing import Any

import jax
import jax.numpy as jnp

from genjax import losses, rng
from genjax.distributions.product import stretches
from genjax.losses.packed import packed_gradient_penalty
from genjax.losses.reduce import mean
from genjax.models.contract import require
from genjax.models.table_gan import TableGAN
from genjax.objectives.gan import GanObjective, gan
from genjax.objectives.trains import trains
from genjax.types import Array, Batch, Context, Key, Params, State


def table_gan(model: Any, n_train: int, weight=10.0, pac: int = 10) -> GanObjective:
    """The critic's and the generator's objective; the generator's has the cross-entropy of what it was asked for too.

    Conditions are drawn so that rare categories come up: a column at random, a category of it by the logarithm of its
    frequency. The real rows that go with them are drawn, by weight, from the batch.

    Args:
        model: a `models.TableGAN`.
        n_train: training rows, of which the frequencies are.
        weight: of the gradient penalty, the paper's lambda; may be traced.
        pac: rows of a pack, as the model's discriminator has.

    Reports:
        condition: the generator's cross-entropy of the category that it was asked for, nats.

    Source:
        Xu et al. 2019, Modeling Tabular Data using Conditional GAN, section 4.3. There real rows are drawn from the
        whole table; here those of the batch, drawn again with weights, have the same expectation.
    """
    require(model, "table_gan", "shares", "conditions_of", "outputs")
    game = gan(model, losses.wasserstein, [packed_gradient_penalty(weight, pac)])

    def draw(key: Key, batch: Batch) -> dict[str, Any]:
        n = jax.tree.leaves(batch.x)[0].shape[0]
        k_noise, k_column, k_row = jax.random.split(key, 3)
        columns = jax.random.randint(k_column, (n,), 0, max(1, len(model.shares)))
        return {"z": model.noise(k_noise, n), "column": columns, "row": jax.random.uniform(k_row, (n,))}

    def asked(batch: Batch, draws: dict[str, Any]) -> Batch:
        """The batch's rows drawn again, each with the condition that it was drawn for."""
        if not model.shares:
            return batch
        own = jnp.stack(model.conditions_of(batch.x))  # (columns, batch)
        chosen = drawn_again(own, jnp.concatenate([_log_frequency(s, n_train) for _, s in model.shares]), draws)
        return batch._replace(x=batch.x[chosen], y=own[draws["column"], chosen])

    def with_draws(batch: Batch, ctx: Context) -> tuple[Batch, Context]:
        draws = draw(rng.named(ctx.key, "draws"), batch) if ctx.draws is None else ctx.draws
        return asked(batch, draws), ctx._replace(draws=draws)

    def d(params: Params, batch: Batch, ctx: Context):
        return game.d(params, *with_draws(batch, ctx))

    def g(params: Params, batch: Batch, ctx: Context):
        batch, ctx = with_draws(batch, ctx)
        loss, aux = game.g(params, batch, ctx)
        if not model.shares:
            return loss, aux
        out, _ = model.outputs(params["g"], ctx.state["g"], ctx.draws["z"], batch.y, train=True)
        entropy = mean(_cross_entropy(model, out, batch.y, ctx.draws["column"]), batch.mask)
        return loss + entropy, aux._replace(metrics={**aux.metrics, "condition": entropy})

    def penalty(params: Params, batch: Batch, ctx: Context):
        return game.penalty(params, *with_draws(batch, ctx))

    def score(params: Params, state: State, batch: Batch, key: Key) -> dict[str, Array]:
        """The logit of each row in a pack whose other rows are generated, the same ones for all."""
        others = model.sample(params, state, jax.random.key(0), max(1, pac - 1))[: pac - 1]

        def one(row):
            rows = jnp.concatenate([row[None], others])
            return model.logits(params["d"], state["d"], rows)[0][0]

        return {"logit": jax.vmap(one)(batch.x)}

    d, g, penalty = (trains(model, side) for side in (d, g, penalty))
    return GanObjective(d, g, draw, score, penalty)


def drawn_again(own: Array, wanted: Array, draws: dict[str, Any]) -> Array:
    """Which of the batch's rows stands in each place: by the weight that its category has, over how often it is there.

    Args:
        own: (columns, batch): the number of each row's category among all conditions.
        wanted: (conditions,): the wanted over the true frequency of each.
        draws: `column` (batch,), of which the place's condition is, and `row` (batch,) in [0, 1), which row it gets.

    Example:
        >>> own, wanted = jnp.array([[0, 0, 1]]), jnp.array([1.0, 2.0])
        >>> draws = {"column": jnp.zeros(4, int), "row": jnp.array([0.1, 0.3, 0.6, 0.9])}
        >>> drawn_again(own, wanted, draws).tolist()
        [0, 1, 2, 2]
    """
    upto = jnp.cumsum(wanted[own], axis=1)  # (columns, batch)
    upto = (upto / upto[:, -1:])[draws["column"]]
    return jnp.minimum((upto <= draws["row"][:, None]).sum(1), upto.shape[1] - 1)


def _log_frequency(share: tuple[float, ...], n: int) -> Array:
    """How much more often than it is there each category of a column shall be asked for."""
    share_ = jnp.array(share, jnp.float32)
    logs = jnp.log1p(share_ * n)
    return jnp.where(share_ > 0, logs / logs.sum() / jnp.where(share_ > 0, share_, 1.0), 0.0)


def _cross_entropy(model: TableGAN, out: Array, y: Any, column: Array) -> Array:
    """-log softmax of the asked category's logit among those of its column, per row."""
    pairs, before, each = stretches(model.parts, out), 0, []
    for i, (place, share) in enumerate(model.shares):
        log_p = jax.nn.log_softmax(pairs[place][1], -1)
        at = jnp.clip(y - before, 0, len(share) - 1)
        each.append(jnp.where(column == i, -jnp.take_along_axis(log_p, at[:, None], 1)[:, 0], 0.0))
        before += len(share)
    return jnp.stack(each).sum(0)
