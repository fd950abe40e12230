"""What objectives and penalties report is checked where it enters, in the words of whoever writes them."""

import jax
import jax.numpy as jnp
import optax
import pytest
from quick import quick_jit

from genjax import losses, models, nets, objectives, train
from genjax.types import Aux, Batch, Game, Penalty, UsageError

SHAPE = (4, 4, 1)


class Model:
    """One parameter."""

    init = staticmethod(lambda key: ({"p": {"w": jnp.zeros(())}}, {"p": {}}))


def taken(loss, aux=None):
    def objective(params, batch, ctx):
        value = loss(params["p"]["w"] + batch.x)
        return value if aux is None else (value, aux)

    step = train.make_step(train.Move("p", objective, optax.sgd(0.1)))
    return step(step.init(Model, jax.random.key(0)), Batch(jnp.ones((1, 3))), jax.random.key(0))


@pytest.mark.parametrize(("loss", "aux", "says"), [
    (lambda x: x, Aux({}), r"move 'p': its loss has the shape \(3,\).*losses\.reduce\.mean"),
    (jnp.sum, Aux({"mmd": jnp.ones(3)}), r"metric 'mmd' has the shape \(3,\)"),
    (jnp.sum, Aux({"step": jnp.ones(())}), "'step' is what the step itself reports"),
    (jnp.sum, Aux({"loss": jnp.ones(())}), "'loss' is what the step itself reports"),
    (jnp.sum, Aux({}, {}, {"mean": {"a": jnp.ones(())}}), r"names \['mean'\], and the step has no types\.Running"),
])  # fmt: skip
def test_what_an_objective_may_not_report_is_said(loss, aux, says):
    with pytest.raises(UsageError, match=says):
        taken(loss, aux)


@pytest.mark.parametrize(("returned", "says"), [
    (jnp.sum, r"returned a loss alone, and must return \(loss, Aux\): `return loss, types\.Aux"),
    (lambda x: (x.sum(), {"mmd": x.sum()}), "returned tuple"),
    (lambda x: [x.sum(), Aux({})], "returned list"),
    (lambda x: None, "returned NoneType"),
])  # fmt: skip
def test_an_objective_returns_a_loss_and_an_aux(returned, says):
    with pytest.raises(UsageError, match=f"move 'p': its objective {says}"):
        taken(returned)


def game_with(*penalties):
    gan = models.GAN(nets.mlp_generator(2, SHAPE, (4,)), nets.mlp_discriminator(SHAPE, (4,)), 2)
    obj = objectives.gan(gan, penalties=penalties)
    step = train.make_step(train.Move("d", obj.d, optax.sgd(0.1)), draw=obj.draw)
    state = step.init(gan, jax.random.key(0))
    return quick_jit(step)(state, Batch(jnp.zeros((1, 3, *SHAPE))), jax.random.key(0))[1]


@pytest.mark.parametrize("value", [
    lambda game: jnp.sqrt(jnp.square(game.real_logits).mean()),
    lambda game: jnp.square(game.real_logits[:, None] - game.fake_logits[None]),
    lambda game: jnp.ones(4),
])  # fmt: skip
def test_a_penalty_gives_one_value_an_example(value):
    with pytest.raises(UsageError, match="the batch has 3 examples: give one value an example"):
        game_with(value)


def test_a_penalty_of_a_name_is_reported_beside_the_sum():
    def two(game: Game):
        return jnp.full(3, 2.0)

    row = game_with(losses.r1(1.0), Penalty(two, False, name="mine"))
    assert float(row["penalty_mine"]) == 2.0
    assert float(row["penalty"]) >= 2.0
    assert sorted(k for k in row if k.startswith("penalty")) == ["penalty", "penalty_mine"]


def test_numbers_that_nothing_updates_are_refused():
    with pytest.raises(UsageError, match="keeps mine and has no `observe`: nothing would update it"):
        Penalty(lambda game: game.real_logits, players={"mine": losses.running_mean({"a": 0.0}, 0.9)})
