"""What a compiled step costs: work that two moves share is done once, and what is off is free."""

from itertools import pairwise

import jax
import jax.numpy as jnp
import optax
import pytest
from quick import few

from genjax import losses, models, nets, objectives, train
from genjax.types import Batch, Context

SHAPE, Z, N = (8, 8, 1), 16, 32
HIDDEN = (64, 96)
KEY = jax.random.key(0)


@pytest.fixture(autouse=True)
def the_same_key_twice():
    """Comparing two computations takes the same randomness in both."""
    with jax.debug_key_reuse(False):
        yield


def flops(function, *args) -> float:
    return jax.jit(function).lower(*args).compile().cost_analysis()["flops"]


def products(*sizes) -> int:
    """Operations of the matrix products of an MLP's forward pass."""
    return sum(2 * N * a * b for a, b in pairwise(sizes))


GENERATOR, CRITIC = products(Z, *HIDDEN, 64), products(64, *HIDDEN, 1)


def gan():
    return models.GAN(nets.mlp_generator(Z, SHAPE, HIDDEN), nets.mlp_discriminator(SHAPE, HIDDEN), Z)


def cost(*moves, draw=None, **settings) -> float:
    step = train.make_step(*moves, draw=draw, **settings)
    state = jax.eval_shape(lambda key: step.init(gan(), key), KEY)
    return flops(step, state, Batch(jnp.ones((step.n_batches, N, *SHAPE))), KEY)


@pytest.mark.parametrize("repeat", few([1, 3]))
def test_both_moves_run_the_generator_forward_once(repeat):
    """With the step's draws, also where the critic moves several times before: the last repeat's fakes are shared."""
    obj, sgd = objectives.gan(gan(), losses.wasserstein), optax.sgd(0.1)
    moves = train.Move("d", obj.d, sgd, repeat=repeat), train.Move("g", obj.g, sgd)
    shared, apart = cost(*moves, draw=obj.draw), cost(*moves)
    assert apart - shared == pytest.approx(GENERATOR, rel=0.25)  # and its activations, and the draw


def test_the_generators_move_takes_no_gradient_of_the_critics_weights():
    """Generator forward and twice that backward, critic forward and once that backward, to the fakes."""
    obj = objectives.gan(gan(), losses.wasserstein)
    found = cost(train.Move("g", obj.g, optax.sgd(0.1)))
    inputs = 2 * N * Z * HIDDEN[0]  # z takes no gradient
    assert found == pytest.approx(3 * GENERATOR - inputs + 2 * CRITIC, rel=0.1)


@pytest.mark.slow
def test_what_is_off_costs_nothing():
    """A plain step against the same written by hand; features that are on cost something."""
    vae = models.VAE(nets.mlp_encoder(SHAPE, 2 * Z, (64,)), nets.mlp_decoder(Z, SHAPE, (64,)), Z)
    loss, adam = objectives.vae(vae), optax.adam(1e-3)

    def step_of(ema=None, **features):
        return train.make_step(train.Move("vae", loss, adam, **features), ema=ema)

    step = step_of()
    state, batch = step.init(vae, KEY), Batch(jnp.ones((N, *SHAPE)))
    stacked = jax.tree.map(lambda v: v[None], batch)

    def by_hand(params, net, opt, batch, key, t):
        ctx = Context(net, step.key_of(key, "vae", t, 0), t)
        (value, aux), grads = jax.value_and_grad(loss, has_aux=True)(params, batch, ctx)
        updates, opt = adam.update(grads, opt, params)
        return optax.apply_updates(params, updates), opt, value, aux

    player = state.players["vae"]
    params, net = {"vae": player.params}, {"vae": player.state}
    hand = flops(by_hand, params, net, state.opt["vae"], batch, KEY, state.step)
    plain = flops(step, state, stacked, KEY)
    chosen = sum(x.size for x in jax.tree.leaves(params))  # a choice for each new weight, see `in_place`
    assert plain == pytest.approx(hand + chosen, rel=1e-3)
    rich = step_of({"vae": train.Ema()}, norms=True, clip=1.0, skip_nonfinite=True)
    assert flops(rich, rich.init(vae, KEY), stacked, KEY) > plain * 1.03
