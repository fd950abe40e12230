"""Optimizers that ask for more than a gradient, or keep keys: equal to optax's own loop written by hand."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import optax.contrib
import pytest
from quick import few
from train_toys import ArraySource, Linear, squared_error

from genjax.train import mesh, optimizer
from genjax.train.leaves import describe, named_leaves
from genjax.train.loop import fit
from genjax.train.state import Ema
from genjax.train.step import Move, make_step
from genjax.types import Aux, Batch, Context, UsageError

ROOT = jax.random.key(7)
ASKING = {
    "plateau": lambda: optax.chain(
        optax.adam(0.1), optax.contrib.reduce_on_plateau(factor=0.5, patience=1, rtol=0.5, accumulation_size=1)
    ),
    "polyak": lambda: optax.polyak_sgd(max_learning_rate=0.5),
    "backtracking": lambda: optax.chain(optax.sgd(1.0), optax.scale_by_backtracking_linesearch(8)),
    "lbfgs": lambda: optax.lbfgs(memory_size=3),
    "momo": lambda: optax.contrib.momo(0.5),
    "momo_adam": lambda: optax.contrib.momo_adam(0.1),
    "sam": lambda: optax.contrib.sam(optax.sgd(0.1), optax.sgd(0.05), opaque_mode=True),
    "sophia": lambda: optax.contrib.sophia(0.1, update_interval=2),
    "schedule_free": lambda: optax.contrib.schedule_free_adamw(0.1),
    "prodigy": lambda: optax.contrib.prodigy(),
    "inject": lambda: optax.inject_hyperparams(optax.polyak_sgd)(max_learning_rate=0.5),
    "noise": lambda: optax.chain(optax.add_noise(0.1, 0.55, 3), optax.sgd(0.1)),
}


@pytest.fixture(autouse=True)
def by_hand_is_the_same_key_again():
    with jax.debug_key_reuse(False):
        yield


def batches(n=1, size=8, seed=0):
    return Batch(jax.random.normal(jax.random.key(seed), (n, size, 3)))


def close(a, b, tol=1e-6):
    for u, v in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(u), np.asarray(v), rtol=tol, atol=tol)


def by_hand(tx, step, params, net, n):
    """n updates as optax's documentation has them."""

    @jax.jit
    def one(params, net, opt, i):
        batch = Batch(batches().x[0])
        ctx = Context(net, step.key_of(ROOT, "p", i, 0), i, None)
        loss_fn = lambda p, obj_fn=None, loss=None, grad_fn=None: squared_error(p, batch, ctx)[0]  # noqa: E731
        (value, aux), grad = jax.value_and_grad(squared_error, has_aux=True)(params, batch, ctx)
        every = {"value": value, "grad": grad, "value_fn": loss_fn, "obj_fn": loss_fn, "loss": value,
                 "grad_fn": lambda p, _: jax.grad(loss_fn)(p)}  # fmt: skip
        tx_more = optax.with_extra_args_support(tx)
        try:
            updates, opt = tx_more.update(grad, opt, params, **every)
        except TypeError:  # one that takes a single thing more
            updates, opt = tx_more.update(grad, opt, params, grad_fn=every["grad_fn"])
        return optax.apply_updates(params, updates), aux.state, opt, value

    opt, values = tx.init(params), []
    for i in range(n):
        params, net, opt, value = one(params, net, opt, jnp.int32(i))
        values.append(float(value))
    return params, values


@pytest.fixture(scope="module")
def steps():
    """A step and what six updates by hand give, for each optimizer; made once."""

    @functools.cache
    def made(name):
        step = make_step(Move("p", squared_error, ASKING[name]()))
        state = step.init(Linear, ROOT)
        params, net = ({"p": getattr(state.players["p"], part)} for part in ("params", "state"))
        with jax.debug_key_reuse(False):
            return step, *by_hand(ASKING[name](), step, params, net, 6)

    return made


class Same(ArraySource):
    """The same minibatch at every step."""

    batch_size = 8

    def __init__(self):
        super().__init__(batch_size=8)

    def batches(self, data, key, step, i, n_batches):
        del data, key, step, i, n_batches
        return batches()


@pytest.mark.parametrize("name", few(ASKING, "lbfgs", "plateau"))
def test_an_optimizer_is_optax_s_own_through_the_loop(name, steps):
    """In `fit`: jitted, in chunks, the state donated; what it keeps can be saved."""
    step, params, values = steps(name)
    fitted = fit(step, step.init(Linear, ROOT), Same(), ROOT, steps=6, log_every=1)
    close(fitted.state.players["p"].params, params["p"])
    close([row["loss"] for row in fitted.rows], values)
    assert values[-1] < values[0]
    for leaf, x in named_leaves(fitted.state).items():
        describe(leaf, x)


@pytest.mark.parametrize(
    ("name", "how"),
    few([*(("plateau", how) for how in ("accumulate", "ema", "guard", "devices", "members")),
         *(("lbfgs", how) for how in ("accumulate", "devices", "members"))],
        *(("plateau", how) for how in ("accumulate", "guard"))),
)  # fmt: skip
def test_and_under_every_feature_of_a_step(name, how, steps):
    _, params, _ = steps(name)
    guard = {"skip_nonfinite": True} if how == "guard" else {}
    step = make_step(
        Move("p", squared_error, ASKING[name](), **guard),
        accumulate=2 if how == "accumulate" else 1, ema={"p": Ema()} if how == "ema" else None,
    )  # fmt: skip
    state, b = step.init(Linear, ROOT), batches()
    if how == "devices":
        layout = mesh.layout("data=8")
        run = jax.jit(layout.spread(step))
        state = layout.init(step, Linear, ROOT)
        b = jax.tree.map(lambda x: jax.device_put(x, layout.examples(1)), b)
        key = layout.place(ROOT, layout.everywhere)
    elif how == "members":
        state = jax.tree.map(lambda v: jnp.stack([v, v]), state)._replace(step=state.step)
        over = jax.tree.map(lambda _: 0, state)._replace(step=None)
        run, key = jax.jit(jax.vmap(step, in_axes=(over, None, None), out_axes=(over, 0))), ROOT
    else:
        run, key = jax.jit(step), ROOT
    for _ in range(6):
        state, _ = run(state, b, key)
    got = state.players["p"].params
    close(jax.tree.map(lambda v: v[1], got) if how == "members" else got, params["p"], 1e-5)


def test_a_skipped_update_leaves_what_the_optimizer_keeps():
    def poisoned(params, batch, ctx):
        loss, aux = squared_error(params, batch, ctx)
        return jnp.where(ctx.step == 1, jnp.nan, loss), aux

    step = make_step(Move("p", poisoned, ASKING["plateau"](), skip_nonfinite=True))
    run, first = jax.jit(step), step.init(Linear, ROOT)
    one, _ = run(first, batches(), ROOT)
    two, row = run(one, batches(), ROOT)
    assert float(row["skipped"]) == 1.0
    close(two.opt, one.opt, 0)
    assert all(np.isfinite(x).all() for x in jax.tree.leaves(run(two, batches(), ROOT)[0]))


def test_other_optimizers_run_the_very_program_that_they_ran(monkeypatch):
    """What nobody asks for is in no program."""

    def program(tx):
        step = make_step(Move("p", squared_error, tx, skip_nonfinite=True, clip=1.0), accumulate=2)
        state = jax.eval_shape(lambda k: step.init(Linear, k), ROOT)
        return str(jax.make_jaxpr(step)(state, batches(), ROOT))

    def plain(tx, name, grads, state, params, value, slope, value_fn):
        return tx.update(grads, state, params)

    each = [optax.adam(1e-3), optax.sgd(0.1, 0.9), optax.adamw(optax.cosine_decay_schedule(1e-3, 10))]
    now = [program(tx) for tx in each]
    monkeypatch.setattr(optimizer, "update", plain)
    assert now == [program(tx) for tx in each]


@pytest.mark.parametrize("impl", ["threefry2x32", "rbg"])
def test_a_key_in_an_optimizer_s_state_is_kept_as_numbers(impl):
    tx = optax.add_noise(0.1, 0.5, jax.random.key(1, impl=impl))
    kept = optimizer.init(tx, {"w": jnp.ones(3)})
    named = named_leaves(kept)
    assert any(v.dtype == jnp.uint32 for v in named.values())
    for name, leaf in named.items():
        describe(name, leaf)


class TwoOfOneName:
    @staticmethod
    def init(key):
        return {"p": {"a/b": jnp.zeros(3), "a": {"b": jnp.zeros(3)}}}, {"p": {}}


class KeyInState:
    @staticmethod
    def init(key):
        return {"p": {"w": jnp.zeros(3)}}, {"p": {"key": jax.random.key(0)}}


def nothing(params, batch, ctx):
    return sum(jnp.sum(v) for v in jax.tree.leaves(params)), Aux({}, ctx.state)


@pytest.mark.parametrize(
    ("model", "tx", "words"),
    [
        (KeyInState, optax.sgd(0.1), "PRNG key"),
        (TwoOfOneName, optax.sgd(0.1), "both named 'players/p/params/a/b'"),
        (Linear, optax.contrib.differentially_private_aggregate(1.0, 0.1, 0), "move 'p': its optimizer"),
        (Linear, optax.GradientTransformationExtraArgs(
            optax.sgd(0.1).init, lambda g, s, p=None, *, labels: (g, s)), "labels"),
    ],
)  # fmt: skip
def test_what_could_not_be_saved_or_moved_is_refused_before_the_first_step(model, tx, words):
    with pytest.raises(UsageError, match=words) as e:
        optimizer.check(make_step(Move("p", nothing, tx)), model)
    assert len(str(e.value).splitlines()) <= 3


def test_what_can_be_is_not_refused():
    for name in ASKING:
        optimizer.check(make_step(Move("p", squared_error, ASKING[name]())), Linear)
