"""population() in both forms, and a population that fails, resumes and streams."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from train_toys import ArraySource, Linear, squared_error

from genjax import data, nets
from genjax.metrics import interval
from genjax.metrics.interval import student_t
from genjax.train import Population, Roots, Shares, fit, make_step, member_of, population, shares
from genjax.train.loop import Every
from genjax.train.step import Move
from genjax.types import Aux, RunFailure


def convolving(w, x):
    return jax.grad(lambda w: (nets.conv(x, w) ** 2).mean())(w)


def dense(w, x):
    return jnp.tanh(x @ w)


CONV = (np.linspace(-1, 1, 3 * 36).reshape(3, 3, 3, 2, 2), np.linspace(0, 1, 3 * 256).reshape(3, 2, 8, 8, 2))
DENSE = (np.linspace(-1, 1, 3 * 8).reshape(3, 4, 2), np.linspace(0, 1, 3 * 20).reshape(3, 5, 4))


@pytest.mark.parametrize(("f", "args"), [(convolving, CONV), (dense, DENSE)], ids=["conv", "dense"])
def test_both_forms_agree(f, args):
    args = [jnp.asarray(a, jnp.float32) for a in args]
    mapped = jax.jit(population(f, 3))(*args)
    np.testing.assert_allclose(mapped, jax.vmap(f)(*args), rtol=1e-5, atol=1e-6)
    np.testing.assert_allclose(mapped[1], f(*(a[1] for a in args)), rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(("f", "args", "on_cpu"), [(convolving, CONV, 1), (dense, DENSE, 0)], ids=["conv", "dense"])
def test_the_form_follows_the_platform_it_is_lowered_for(f, args, on_cpu):
    """On CPU convolutions run a member at a time; programs for accelerators hold no loop, made here all the same."""
    args = [jnp.asarray(a, jnp.float32) for a in args]
    for platform, loops in (("cpu", on_cpu), ("cuda", 0), ("tpu", 0)):
        text = jax.export.export(jax.jit(population(f, 3)), platforms=(platform,))(*args).mlir_module()
        assert text.count("stablehlo.while") == loops, platform


def test_what_members_share_is_closed_over():
    shared = jnp.arange(3.0)
    out = jax.jit(lambda x, s: population(lambda v: v * s, 2)(x))(jnp.ones((2, 3)), shared)
    assert out.tolist() == [[0.0, 1.0, 2.0]] * 2


def test_an_argument_of_another_size_is_refused():
    with pytest.raises(ValueError, match=r"\(2,\).* its size, 3"):
        population(dense, 3)(jnp.ones((2, 4, 2)), jnp.ones((3, 5, 4)))


# ---- fit


class Toy:
    """Members of squared_error whose learning rates are swept; one that is too large diverges."""

    def __init__(self, rates, loss=squared_error, **guards):
        def step_of(values):
            return make_step(Move("p", loss, optax.sgd(values["lr"]), **guards))

        self.n = len(rates)
        self.step_of = step_of
        self.step = Population(step_of({"lr": rates[0]}), self.n, step_of)
        self.roots = Roots(jnp.arange(self.n), {"lr": jnp.asarray(rates)})
        self.rates = rates

    def fit(self, steps=20, state=None, source=None, **more):
        state = self.step.init(Linear, self.roots) if state is None else state
        source = Shares((ArraySource(),), self.n) if source is None else source
        return fit(self.step, state, source, self.roots, steps=steps, log_every=7, **more)

    def alone(self, i, steps=20):
        step, key = self.step_of({"lr": self.rates[i]}), jax.random.key(i)
        return fit(step, step.init(Linear, key), ArraySource(), key, steps=steps, log_every=7)


def equal(a, b, tolerance=1e-6):
    for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True):
        np.testing.assert_allclose(x, y, rtol=tolerance, atol=tolerance)


def test_a_member_is_the_run_of_its_seed_and_value():
    toy = Toy([0.01, 0.05, 0.1])
    done = toy.fit()
    assert done.state.step.shape == ()
    for i in range(3):
        alone = toy.alone(i)
        equal(member_of(done.state, i), alone.state)
        for row, single in zip(done.rows, alone.rows, strict=True):
            assert row["loss"][i] == pytest.approx(single["loss"], rel=1e-5)
            assert row["noise"][i] == pytest.approx(single["noise"], rel=1e-5)  # its own draws


def test_continued_is_the_same_population():
    toy, saved = Toy([0.01, 0.05]), []
    whole = toy.fit(every=[Every(9, lambda p: saved.append(jax.tree.map(np.asarray, p)))])
    at = saved[0]
    rest = toy.fit(state=jax.tree.map(jnp.asarray, at.state), resume=at.resume)
    assert all(np.array_equal(a, b) for a, b in zip(*map(jax.tree.leaves, (whole.state, rest.state)), strict=True))
    assert [r["loss"] for r in rest.rows] == [r["loss"] for r in whole.rows[1:]]


def test_a_member_that_fails_is_named_and_the_others_go_on():
    toy = Toy([0.01, 1e30])
    done = toy.fit()
    assert list(done.resume.failed) == [1]
    assert "loss is" in done.resume.failed[1]
    assert "at step" in done.resume.failed[1]
    equal(member_of(done.state, 0), toy.alone(0).state)
    assert done.rows[-1]["failed"] == [0.0, 1.0]
    again = toy.fit(steps=25, state=done.state, resume=done.resume)
    assert again.resume.failed == done.resume.failed


def test_a_population_of_which_all_fail_has_failed():
    with pytest.raises(RunFailure, match=r"all 2 members have failed(.|\n)*member 0: loss(.|\n)*member 1: loss"):
        Toy([1e30, 2e30]).fit()


def test_a_member_whose_guard_gives_up_has_failed():
    def always(params, batch, ctx):
        bad = jnp.where(params["p"]["w"][0] > 0, jnp.nan, 1.0)  # the sign is the seed's
        return bad * (params["p"]["w"] ** 2).sum(), Aux({})

    toy = Toy([0.0] * 4, always, skip_nonfinite=True)
    signs = np.asarray(toy.step.init(Linear, toy.roots).players["p"].params["w"])[:, 0] > 0
    assert 0 < signs.sum() < 4
    done = toy.fit(steps=130)
    assert sorted(done.resume.failed) == np.flatnonzero(signs).tolist()
    assert all("in a row were skipped" in why for why in done.resume.failed.values())


def test_a_state_that_is_not_finite_fails_its_member():
    toy = Toy([0.01, 0.05])
    state = toy.step.init(Linear, toy.roots)
    p = state.players["p"]
    w = p.params["w"].at[1, 0].set(jnp.inf)
    done = toy.fit(steps=0, state=state._replace(players={"p": p._replace(params={**p.params, "w": w})}))
    assert done.resume.failed == {1: "p/params/w is not finite after step 0."}


def test_streamed_data_gives_every_member_its_own_order(tmp_path):
    from PIL import Image

    images = data.load("digits").train.x[:20]
    for i, image in enumerate(images):
        Image.fromarray(image[:, :, 0]).save(tmp_path / f"{i:02d}.png")
    roots = Roots(jnp.arange(2))
    got = []
    for stream in (False, True):
        source = shares(data.load(str(tmp_path), stream=stream).train, 4, data.to_unit(), 2)
        assert source.batch_size == 8
        window = source.window(roots, 3, 1, 1)
        for i in range(2):
            mine = window if source.capacity is None else jax.tree.map(lambda v, i=i: v[i], window)
            got.append(np.asarray(source.sources[0].batches(mine, jax.random.key(i), 3, 0, 1).x))
    assert np.array_equal(got[0], got[2])
    assert np.array_equal(got[1], got[3])
    assert not np.array_equal(got[0], got[1])


# ---- intervals


def test_student_t_and_interval_against_scipy():
    stats = pytest.importorskip("scipy.stats")
    for df in (1, 2, 3, 4, 5, 7, 15, 30, 101):
        assert student_t(df) == pytest.approx(stats.t.ppf(0.975, df), rel=1e-9)
    x = np.random.default_rng(0).normal(size=(3, 6))
    mean, half = interval(x)
    low, high = stats.t.interval(0.95, 5, x.mean(1), stats.sem(x, axis=1))
    np.testing.assert_allclose(mean - half, low)
    np.testing.assert_allclose(mean + half, high)


def test_interval_leaves_out_what_is_not_finite():
    mean, half = interval(np.array([[1.0, math.nan, 3.0], [math.nan, 2.0, math.inf], [math.nan] * 3]))
    assert mean[:2].tolist() == [2.0, 2.0]
    assert math.isnan(mean[2])
    assert half[0] == pytest.approx(interval(np.array([1.0, 3.0])).half)
    assert np.isnan(half[1:]).all()
