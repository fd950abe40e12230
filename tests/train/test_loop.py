"""The loop: no bit depends on how a run is cut into chunks; one compilation; rows, failures, resumption."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import few
from train_toys import ArraySource, Game, Linear, game_loss, squared_error

from genjax.train import loop, watch
from genjax.train.loop import Every, Hooks, fit
from genjax.train.step import Move, make_step
from genjax.train.watch import Watch
from genjax.types import Aux, RunFailure

ROOT = jax.random.key(1)
CLOCK = ("seconds", "examples_per_s")


def vae_like():
    return make_step(Move("p", squared_error, optax.adam(0.01), norms=True)), Linear


def gan_like():
    d, g = game_loss("d", "g", -1.0), game_loss("g", "d", 1.0)
    return make_step(Move("d", d, optax.adam(0.01), repeat=2), Move("g", g, optax.adam(0.01), every=3)), Game


def train(step, model, **kwargs):
    return fit(step, step.init(model, ROOT), ArraySource(), ROOT, **{"steps": 30, "log_every": 7, **kwargs})


def bits(state):
    return [np.asarray(v).tobytes() for v in jax.tree.leaves(state)]


def logged(rows):
    return [{k: v for k, v in row.items() if k not in CLOCK} for row in rows]


@pytest.mark.parametrize("build", few([vae_like, gan_like], gan_like))
def test_resuming_at_every_step_gives_the_same_run(build, monkeypatch):
    """At each k of 1..29: stop, keep (state, resume), go on: state and rows are the uninterrupted run's."""
    step, model = build()
    compiled = loop.make_chunk(step, ArraySource(), loop.CAPACITY)
    monkeypatch.setattr(loop, "make_chunk", lambda *a: compiled)
    whole = train(step, model)
    for k in range(1, 30):
        seen = []

        def keep(p, k=k, seen=seen):
            if p.step == k:
                seen.append((jax.device_get(p.state), p.resume))

        head = fit(step, step.init(model, ROOT), ArraySource(), ROOT, steps=30, log_every=7,
                   every=[Every(k, keep)], hooks=Hooks(stop=lambda seen=seen: bool(seen)))  # fmt: skip
        state, resume = seen[0]
        tail = fit(step, jax.tree.map(jnp.asarray, state), ArraySource(), ROOT, steps=30, log_every=7, resume=resume)
        assert bits(tail.state) == bits(whole.state), k
        assert logged(head.rows + tail.rows) == logged(whole.rows), k
    assert compiled._cache_size() == 1


@pytest.mark.parametrize("capacity", few([1, 4, 1000], 4))
def test_no_bit_depends_on_the_chunks(capacity, monkeypatch):
    step, model = gan_like()
    whole = train(step, model)
    monkeypatch.setattr(loop, "CAPACITY", capacity)
    again = train(step, model)
    assert bits(again.state) == bits(whole.state)
    assert logged(again.rows) == logged(whole.rows)


def test_one_compilation_serves_the_run(monkeypatch):
    """Chunks of many lengths, callbacks, a tail: one program."""
    made = []
    original = loop.make_chunk
    monkeypatch.setattr(loop, "make_chunk", lambda *a: made.append(original(*a)) or made[-1])
    step, model = vae_like()
    train(step, model, every=[Every(4, lambda p: None), Every(9, lambda p: None)], steps=31)
    assert [f._cache_size() for f in made] == [1]


def test_a_second_fit_of_a_step_and_a_source_compiles_nothing(monkeypatch):
    made, whole = [], loop.make_chunk

    def make_chunk(*args):
        made.append(whole(*args))
        return made[-1]

    monkeypatch.setattr(loop, "make_chunk", make_chunk)
    (step, model), source = vae_like(), ArraySource()
    first = fit(step, step.init(model, ROOT), source, ROOT, steps=20)
    again = fit(step, first.state, source, ROOT, steps=30)
    assert [chunk._cache_size() for chunk in made] == [1]
    assert bits(again.state) == bits(train(step, model).state)  # another source, compiled for it
    for _ in range(3):
        fit(step, step.init(model, ROOT), ArraySource(), ROOT, steps=1)
    assert len(made) == 5
    assert len(step.programs) == 2  # older sources are let go


def test_rows_average_their_interval():
    step, model = vae_like()
    per_step = train(step, model, log_every=1).rows
    rows = train(step, model).rows
    assert [r["step"] for r in rows] == [7, 14, 21, 28, 30]
    expect = np.mean([r["loss"] for r in per_step[7:14]])
    assert rows[1]["loss"] == pytest.approx(expect, rel=1e-12)
    assert rows[-1]["loss"] == pytest.approx(np.mean([r["loss"] for r in per_step[28:]]), rel=1e-12)
    assert all(r["examples_per_s"] > 0 for r in rows)
    assert all(a["seconds"] <= b["seconds"] for a, b in itertools.pairwise(rows))


def test_a_rare_move_is_averaged_over_its_own_steps():
    step, model = gan_like()
    rows = train(step, model).rows
    assert all(np.isfinite(r["g/loss"]) for r in rows[:-1])  # NaN rows of the steps between are left out
    assert "g/loss" not in rows[-1]  # steps 28 and 29 (from 0) hold no g move


def test_extending_a_finished_run_gives_the_longer_run():
    step, model = vae_like()
    first = train(step, model, steps=17)
    more = fit(step, first.state, ArraySource(), ROOT, steps=30, log_every=7, resume=first.resume)
    whole = train(step, model)
    assert bits(more.state) == bits(whole.state)
    assert logged(first.rows[:-1] + more.rows) == logged(whole.rows)


def test_callbacks_come_on_their_steps():
    seen = []
    step, model = vae_like()
    train(
        step,
        model,
        every=[Every(10, lambda p: seen.append((10, p.step))), Every(6, lambda p: seen.append((6, p.step)))],
    )
    assert seen == [(6, 6), (10, 10), (6, 12), (6, 18), (10, 20), (6, 24), (10, 30), (6, 30)]


def explode_at(k, where):
    def loss(params, batch, ctx):
        value, aux = squared_error(params, batch, ctx)
        bad = jnp.where(ctx.step == k, jnp.inf, 1.0)
        return value * (bad if where == "loss" else 1.0) + (
            params["p"]["b"] * 0.0 * bad if where == "gradient" else 0.0
        ), aux

    return loss


def test_a_non_finite_loss_ends_the_run_and_says_where():
    step = make_step(Move("p", explode_at(5, "loss"), optax.sgd(0.01)))
    with pytest.raises(RunFailure, match=r"loss is .* at step 6"):
        train(step, Linear)


def test_a_non_finite_state_is_never_handed_out():
    """NaN enters the parameters at the last step before a callback: the loss has not shown it yet."""

    def poison(params, batch, ctx):
        value, _ = squared_error(params, batch, ctx)
        b = params["p"]["b"]
        # at step 5 the root of zero: a finite value with a NaN gradient
        bomb = jnp.sqrt(jnp.where(ctx.step == 5, jnp.square(b - jax.lax.stop_gradient(b)), 1.0))
        return value + bomb, Aux({})

    saved = []
    step = make_step(Move("p", poison, optax.sgd(0.01)))
    with pytest.raises(RunFailure, match="p/params/b is not finite after step 6"):
        train(step, Linear, every=[Every(6, lambda p: saved.append(p.step))])
    assert saved == []


def test_a_guard_gives_up_after_its_patience(monkeypatch):
    monkeypatch.setattr(watch, "PATIENCE", 8)

    def always(params, batch, ctx):
        return jnp.nan * params["p"]["b"], Aux({})

    step = make_step(Move("p", always, optax.sgd(0.01), skip_nonfinite=True))
    with pytest.raises(RunFailure, match="8 updates of 'p' in a row were skipped"):
        train(step, Linear)


def test_a_step_that_skips_some_of_its_repeats_is_not_given_up(monkeypatch):
    monkeypatch.setattr(watch, "PATIENCE", 8)

    def sometimes(params, batch, ctx):
        bad = (batch.x[0, 0] == ArraySource().x[0, 0]) & jnp.isfinite(params["p"]["b"])  # the first of four minibatches
        return jnp.where(bad, jnp.nan, 1.0) * params["p"]["b"] ** 2, Aux({})

    step = make_step(Move("p", sometimes, optax.sgd(0.01), skip_nonfinite=True, repeat=8))
    done = train(step, Linear, steps=20)
    assert [r["skipped"] for r in done.rows] == pytest.approx([1 / 8] * len(done.rows))


def test_a_watched_state_names_the_leaf():
    step, model = vae_like()
    state = step.init(model, ROOT)
    p = state.players["p"]
    bad = state._replace(players={"p": p._replace(params={**p.params, "w": p.params["w"].at[1].set(jnp.nan)})})
    with pytest.raises(RunFailure, match="p/params/w is not finite after step 3"):
        Watch(step).state(bad, 3)
    Watch(step).state(state, 3)


def test_nothing_happens_at_the_goal():
    step, model = vae_like()
    done = train(step, model, steps=5)
    again = fit(step, done.state, ArraySource(), ROOT, steps=5, log_every=7, resume=done.resume)
    assert int(again.state.step) == 5
