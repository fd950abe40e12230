"""The step builder: order of moves, keys, sharing, accumulation, guards, averages."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import few, normal
from train_toys import ArraySource, Game, Linear, game_loss, squared_error

from genjax import rng
from genjax.train.state import Ema, evaluation
from genjax.train.step import Move, Step, make_step
from genjax.types import Aux, Batch, UsageError

ROOT = jax.random.key(7)


def batches(n, size=4, seed=0):
    return Batch(normal(seed, (n, size, 3)))


def close(a, b, tol=1e-6):
    for u, v in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(np.asarray(u), np.asarray(v), rtol=tol, atol=tol)


def test_one_move_is_gradient_descent():
    step = make_step(Move("p", squared_error, optax.sgd(0.1)))
    state = step.init(Linear, ROOT)
    b = batches(1)
    new, metrics = jax.jit(step)(state, b, ROOT)
    p = state.players["p"].params

    def loss(p):
        return ((b.x[0] @ p["w"] + p["b"] - b.x[0].sum(-1)) ** 2).mean()

    value, g = jax.value_and_grad(loss)(p)
    close(new.players["p"].params, jax.tree.map(lambda p, g: p - 0.1 * g, p, g))
    assert int(new.step) == 1
    assert float(metrics["loss"]) == pytest.approx(float(value), rel=1e-6)
    assert float(new.players["p"].state["count"]) == 1


def test_init_may_be_traced():
    step = make_step(Move("p", squared_error, optax.adam(0.1)), ema={"p": Ema()})
    plain = step.init(Linear, ROOT)
    close(plain, jax.jit(lambda key: step.init(Linear, key))(ROOT))
    assert jax.eval_shape(lambda key: step.init(Linear, key), ROOT).players["p"].params["w"].shape == (3,)


def test_moves_alternate_and_the_second_sees_the_first():
    """Unrolled by hand: g's gradient is taken at the updated d."""
    step = make_step(
        Move("d", game_loss("d", "g", -1.0), optax.sgd(0.5)), Move("g", game_loss("g", "d", 1.0), optax.sgd(0.5))
    )
    state = step.init(Game, ROOT)
    b = batches(1)
    new, metrics = jax.jit(step)(state, b, ROOT)
    d, g, x = state.players["d"].params["w"], state.players["g"].params["w"], b.x[0].mean(0)
    d1 = d - 0.5 * (-g + 0.2 * d + 0.01 * x)
    g1 = g - 0.5 * (d1 + 0.2 * g + 0.01 * x)
    close((new.players["d"].params["w"], new.players["g"].params["w"]), (d1, g1))
    assert set(metrics) == {"d/loss", "d/z", "d/x", "g/loss", "g/z", "g/x"}


def test_a_move_keeps_only_the_states_it_updates():
    moves = [Move("d", game_loss("d", "g", -1.0), optax.sgd(0.5)), Move("g", game_loss("g", "d", 1.0), optax.sgd(0.5))]
    step = make_step(*moves)
    new, _ = step(step.init(Game, ROOT), batches(1), ROOT)
    assert {n: float(p.state["n"]) for n, p in new.players.items()} == {"d": 1.0, "g": 1.0}
    both = make_step(Move("d", game_loss("d", "g", -1.0), optax.sgd(0.5), updates=("d", "g")))
    new, _ = both(both.init(Game, ROOT), batches(1), ROOT)
    assert {n: float(p.state["n"]) for n, p in new.players.items()} == {"d": 1.0, "g": 100.0}
    assert Move("vae", squared_error, optax.sgd(0.5), updates="vae").updates == ("vae",)


@pytest.mark.parametrize("repeat", few([1, 2, 3, 5], 1, 3))
def test_repeats_see_their_own_batch_and_later_moves_the_last(repeat):
    d = Move("d", game_loss("d", "g", -1.0), optax.sgd(0.1), repeat=repeat)
    g = Move("g", game_loss("g", "d", 1.0), optax.sgd(0.1))
    step = make_step(d, g, draw=lambda key, batch: jax.random.normal(key, (3,)))
    assert step.n_batches == repeat
    b = batches(repeat)
    state = step.init(Game, ROOT)
    new, metrics = jax.jit(step)(state, b, ROOT)
    assert float(metrics["d/x"]) == pytest.approx(float(b.x.mean()), abs=1e-6)
    assert float(metrics["g/x"]) == pytest.approx(float(b.x[-1].mean()), abs=1e-6)
    # by hand
    w_d, w_g = state.players["d"].params["w"], state.players["g"].params["w"]
    for i in range(repeat):
        w_d = w_d - 0.1 * (-w_g + 0.2 * w_d + 0.01 * b.x[i].mean(0))
    w_g = w_g - 0.1 * (w_d + 0.2 * w_g + 0.01 * b.x[-1].mean(0))
    close((new.players["d"].params["w"], new.players["g"].params["w"]), (w_d, w_g), 1e-5)
    assert float(new.players["d"].state["n"]) == repeat


def test_the_last_repeat_and_the_generator_share_their_draws():
    draw = lambda key, batch: jax.random.normal(key, (3,))  # noqa: E731
    for repeat in (1, 2):
        step = make_step(
            Move("d", game_loss("d", "g", -1.0), optax.sgd(0.1), repeat=repeat),
            Move("g", game_loss("g", "d", 1.0), optax.sgd(0.1)), draw=draw)  # fmt: skip
        _, m = step(step.init(Game, ROOT), batches(repeat), ROOT)
        if repeat == 1:
            assert float(m["d/z"]) == float(m["g/z"])
        else:
            assert float(m["d/z"]) != float(m["g/z"])  # the mean of two different draws
    alone = make_step(
        Move("d", game_loss("d", "g", -1.0), optax.sgd(0.1)), Move("g", game_loss("g", "d", 1.0), optax.sgd(0.1))
    )
    _, m = alone(alone.init(Game, ROOT), batches(1), ROOT)
    assert float(m["d/z"]) != float(m["g/z"])


def test_moves_of_unlike_repeats_find_the_same_draws_at_the_same_minibatch():
    """Draws here scale with the minibatch and the first one is 0, so d's three and g's two repeats see equal sums."""
    d = Move("d", game_loss("d", "g", -1.0), optax.sgd(0.1), repeat=3)
    g = Move("g", game_loss("g", "d", 1.0), optax.sgd(0.1), repeat=2)
    step = make_step(d, g, draw=lambda key, batch: jax.random.normal(key, (3,)) * batch.x.mean())
    b = batches(3)
    _, m = step(step.init(Game, ROOT), b._replace(x=b.x.at[0].set(0.0)), ROOT)
    assert abs(float(m["d/z"])) > 1e-3
    assert float(m["d/z"]) * 3 == pytest.approx(float(m["g/z"]) * 2, rel=1e-5)


def test_no_two_uses_share_a_key():
    """All (label, step, repeat) of a rich step, its draws included, have pairwise different keys."""
    step = make_step(
        Move("d", game_loss("d", "g", -1.0), optax.sgd(0.1), repeat=3),
        Move("d", game_loss("d", "g", -1.0), optax.sgd(0.1), every=2),
        Move("g", game_loss("g", "d", 1.0), optax.sgd(0.1)),
        draw=lambda key, batch: jax.random.normal(key, (3,)))  # fmt: skip
    used = []

    class Spy(Step):
        def key_of(self, key, label, step, repeat):
            made = super().key_of(key, label, step, repeat)
            if not isinstance(made, jax.core.Tracer):  # else only shapes are asked for
                used.append((label, int(step), int(repeat)))
            return made

    spy = Spy(step.moves, step.draw, step.accumulate, step.ema)
    state = spy.init(Game, ROOT)
    with jax.disable_jit():
        for _ in range(3):
            state, _ = spy(state, batches(spy.n_batches), ROOT)
    assert len(used) == len(set(used))
    data = {tuple(np.asarray(jax.random.key_data(step.key_of(ROOT, *u))).tolist()) for u in used}
    assert len(data) == len(used) == 3 * (3 + 1 + 3) + 2
    assert {u[0] for u in used} == {"d.0", "d.1", "g", "draws"}


def test_moves_of_one_name_share_optimizer_state():
    a = Move("p", squared_error, optax.adam(0.1))
    step = make_step(a, Move("p", squared_error, optax.adam(0.1), every=2))
    state = step.init(Linear, ROOT)
    assert list(state.opt) == ["p"]
    for _ in range(3):
        state, metrics = jax.jit(step)(state, batches(1), ROOT)
    assert int(state.opt["p"][0].count) == 3 + 2  # the second ran at steps 0 and 2
    assert np.isfinite(float(metrics["p.1/loss"]))
    _, metrics = jax.jit(step)(state, batches(1), ROOT)
    assert np.isnan(float(metrics["p.1/loss"]))
    with pytest.raises(ValueError, match="share one optimizer state"):
        make_step(
            Move("d", squared_error, optax.sgd(1.0), name="x"), Move("g", squared_error, optax.sgd(1.0), name="x")
        )


def test_one_player_may_move_twice_under_two_optimizers():
    step = make_step(
        Move("p", squared_error, optax.adam(0.1), name="a"), Move("p", squared_error, optax.sgd(0.1), name="b")
    )
    state, metrics = step(step.init(Linear, ROOT), batches(1), ROOT)
    assert set(state.opt) == {"a", "b"}
    assert float(metrics["b/loss"]) < float(metrics["a/loss"])


def test_a_move_of_two_players_moves_both():
    step = make_step(Move(("d", "g"), game_loss("d", "g", 1.0), optax.sgd(0.1)))
    state = step.init(Game, ROOT)
    new, _ = step(state, batches(1), ROOT)
    assert all(not np.allclose(new.players[n].params["w"], state.players[n].params["w"]) for n in "dg")
    assert list(new.opt) == ["d+g"]


@pytest.mark.parametrize("masked", [False, True])
def test_accumulation_equals_the_large_batch(masked):
    """Also with unequal mask counts, and with an empty part: (sum, count) pairs are added."""
    x = normal(3, (1, 12, 3))
    mask = jnp.asarray([[1, 1, 0, 1, 1, 0, 1, 0, 0, 0, 0, 0]]) > 0 if masked else None
    whole = make_step(Move("p", squared_error, optax.sgd(0.1), norms=True))
    parts = make_step(Move("p", squared_error, optax.sgd(0.1), norms=True), accumulate=3)
    state = whole.init(Linear, ROOT)
    a, m_a = whole(state, Batch(x, mask=mask), ROOT)
    b, m_b = jax.jit(parts)(state, Batch(x, mask=mask), ROOT)
    with pytest.raises(UsageError, match=r"accumulate=3: must divide batch_size=10.*Try accumulate=1"):
        parts(state, Batch(x[:, :10]), ROOT)
    close(a.players["p"].params, b.players["p"].params, 1e-6)
    close((m_a["loss"], m_a["grad_norm"]), (m_b["loss"], m_b["grad_norm"]), 1e-6)


def test_every_runs_on_its_steps_only():
    step = make_step(
        Move("d", game_loss("d", "g", -1.0), optax.sgd(0.1)),
        Move("g", game_loss("g", "d", 1.0), optax.sgd(0.1), every=3),
    )
    state, seen = step.init(Game, ROOT), []
    run = jax.jit(step)
    for _ in range(7):
        before = state.players["g"].params["w"]
        state, m = run(state, batches(1), ROOT)
        seen.append((not np.array_equal(before, state.players["g"].params["w"]), bool(np.isfinite(m["g/loss"]))))
    assert seen == [(i % 3 == 0,) * 2 for i in range(7)]


def poisoned(params, batch, ctx):
    loss, aux = squared_error(params, batch, ctx)
    bad = jnp.where(ctx.step == 1, jnp.nan, jnp.where(ctx.step == 2, 1e6, 1.0))
    return loss * bad, aux


def test_guards_leave_everything_unchanged():
    step = make_step(Move("p", poisoned, optax.adam(0.1), skip_nonfinite=True, skip_above=1e3))
    run, states, skipped = jax.jit(step), [step.init(Linear, ROOT)], []
    for _ in range(4):
        state, m = run(states[-1], batches(1), ROOT)
        states.append(state)
        skipped.append(float(m["skipped"]))
    assert skipped == [0.0, 1.0, 1.0, 0.0]
    for i in (1, 2):
        for part in ("players", "opt"):
            close(getattr(states[i], part), getattr(states[i + 1], part), 0)
    assert int(states[-1].step) == 4
    assert float(states[-1].players["p"].state["count"]) == 2


def test_clipping_by_global_norm():
    plain = make_step(Move("p", squared_error, optax.sgd(1.0), norms=True))
    clipped = make_step(Move("p", squared_error, optax.sgd(1.0), norms=True, clip=0.01))
    state = plain.init(Linear, ROOT)
    _, m = plain(state, batches(1), ROOT)
    _, c = clipped(state, batches(1), ROOT)
    assert float(c["grad_norm"]) == pytest.approx(float(m["grad_norm"]))  # reported before clipping
    assert float(c["update_norm"]) == pytest.approx(0.01, rel=1e-5)
    assert float(m["update_norm"]) == pytest.approx(float(m["grad_norm"]), rel=1e-5)
    oracle = make_step(Move("p", squared_error, optax.chain(optax.clip_by_global_norm(0.01), optax.sgd(1.0))))
    close(
        clipped(state, batches(1), ROOT)[0].players,
        oracle(state._replace(opt={"p": oracle.moves[0].tx.init({"p": state.players["p"].params})}), batches(1), ROOT)[
            0
        ].players,
    )


def test_features_that_are_off_leave_no_trace():
    """No guard, norm, clip or EMA: none of their operations is in the program; with them on, all are."""

    def quiet(params, batch, ctx):
        return squared_error(params, batch, ctx)[0], Aux({})  # without the noise, whose sampler takes roots too

    def program(ema=None, **features):
        step = make_step(Move("p", quiet, optax.sgd(0.1), **features), ema=ema)
        return jax.jit(step).lower(step.init(Linear, ROOT), batches(1), ROOT).as_text()

    operations = ("is_finite", "sqrt", "power")
    assert not any(o in program() for o in operations)
    on = program({"p": Ema()}, skip_nonfinite=True, norms=True, clip=1.0)
    assert all(o in on for o in operations)


def test_ema_half_life():
    """After a half-life of examples the weight of the old average has halved; the ramp forgets the first weights."""
    ema = Ema(half_life=40.0, ramp_up=None)
    assert float(ema.decay(jnp.int32(10), 4)) ** 10 == pytest.approx(0.5, rel=1e-5)
    ramp = Ema(half_life=1000.0, ramp_up=0.05)
    assert float(ramp.decay(jnp.int32(1), 4)) == pytest.approx(0.5 ** (4 / 0.2), rel=1e-3)
    assert float(ramp.decay(jnp.int32(10**6), 4)) == pytest.approx(0.5 ** (4 / 1000), rel=1e-6)
    step = make_step(Move("p", squared_error, optax.sgd(0.1)), ema={"p": ema})
    state = step.init(Linear, ROOT)
    expect = np.asarray(state.players["p"].params["w"], np.float64)
    for _ in range(5):
        state, _ = jax.jit(step)(state, batches(1), ROOT)
        d = 0.5 ** (4 / 40)
        expect = d * expect + (1 - d) * np.asarray(state.players["p"].params["w"])
    np.testing.assert_allclose(state.players["p"].ema.params["w"], expect, rtol=1e-5)
    assert evaluation(state)[0]["p"] is state.players["p"].ema.params
    assert float(state.players["p"].ema.state["count"]) < 5  # float statistics are averaged too


def test_ema_memory_does_not_depend_on_the_batch_size():
    decays = [float(Ema(100.0, None).decay(jnp.int32(1), size)) ** (64 // size) for size in (1, 8, 64)]
    np.testing.assert_allclose(decays, decays[0], rtol=1e-5)


@pytest.mark.parametrize("kwargs", [{"every": 0}, {"repeat": 0}])
def test_bad_moves_are_refused(kwargs):
    with pytest.raises(ValueError, match="at least 1"):
        Move("p", squared_error, optax.sgd(0.1), **kwargs)


def test_wrong_number_of_batches_and_unknown_players():
    step = make_step(Move("p", squared_error, optax.sgd(0.1), repeat=2))
    with pytest.raises(ValueError, match="consumes 2"):
        step(step.init(Linear, ROOT), batches(1), ROOT)
    with pytest.raises(ValueError, match="neither the model's nor the step's"):
        make_step(Move("q", squared_error, optax.sgd(0.1))).init(Linear, ROOT)
    with pytest.raises(ValueError, match="at least one Move"):
        make_step()


@pytest.mark.slow
def test_step_under_vmap_scan_and_jit():
    """jit = no jit, scan = loop, vmap over seeds = each seed."""
    step = make_step(
        Move("d", game_loss("d", "g", -1.0), optax.adam(0.1)), Move("g", game_loss("g", "d", 1.0), optax.adam(0.1))
    )
    keys = jax.random.split(ROOT, 3)
    states = [step.init(Game, k) for k in keys]
    stacked = jax.tree.map(lambda *v: jnp.stack(v), *states)
    stacked = stacked._replace(step=states[0].step)
    over = jax.tree.map(lambda _: 0, stacked)._replace(step=None)
    together, _ = jax.vmap(step, in_axes=(over, None, 0), out_axes=(over, 0))(stacked, batches(1), keys)
    for i, (s, k) in enumerate(zip(states, keys, strict=True)):
        plain, m = step(s, batches(1), k)
        jitted, mj = jax.jit(step)(s, batches(1), k)
        close((plain, m), (jitted, mj), 1e-5)
        close(plain.players, jax.tree.map(lambda v, i=i: v[i], together.players), 1e-5)
    scanned, _ = jax.lax.scan(lambda s, b: step(s, b, ROOT), states[0], jax.tree.map(lambda v: v[:, None], batches(5)))
    looped = states[0]
    for i in range(5):
        looped, _ = step(looped, jax.tree.map(lambda v, i=i: v[i][None], batches(5)), ROOT)
    close(scanned, looped, 1e-5)


def test_randomness_depends_on_seed_name_and_step_only():
    names = ["init", "data", "move/d", "move/g"]
    keys = [rng.named(jax.random.key(s), n) for s, n in itertools.product(range(3), names)]
    assert len({tuple(np.asarray(jax.random.key_data(k)).tolist()) for k in keys}) == len(keys)
    assert ArraySource().n == 32
    assert Aux({}).state == {}
