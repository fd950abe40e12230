"""CTGAN's objective: conditions by log-frequency, rows that have them, packs, the generator's cross-entropy, a step."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import first_state, quick_jit, uniform

from genjax import train
from genjax.data.table_coding import codings, shares_of
from genjax.distributions.product import stretches
from genjax.errors import UsageError
from genjax.models.table_gan import TableGAN
from genjax.nets.table import packed_discriminator, residual_generator
from genjax.objectives.table_gan import drawn_again, table_gan
from genjax.types import Batch, Context

COLUMNS = [
    {"name": "a", "kind": "category", "categories": ["x", "y", "z"], "share": [0.9, 0.09, 0.01], "missing": 0.0},
    {"name": "b", "kind": "number", "modes": [[0.5, 0.0, 0.0], [0.5, 3.0, 1.0]], "missing": 0.0},
    {"name": "c", "kind": "category", "categories": ["u", "v"], "share": [0.5, 0.5], "missing": 0.2},
]
WIDTH = 3 + 3 + 3


def model(pac=2):
    coded = codings(COLUMNS)
    shares = shares_of(COLUMNS)
    n = sum(len(s) for _, s in shares)
    nets = residual_generator(4 + n, WIDTH, (8,)), packed_discriminator(WIDTH + n, (8,), pac)
    return TableGAN(*nets, tuple(c.part for c in coded), shares, 4)


def rows(n, seed=0):
    """Coded rows with the frequencies of the columns."""
    rng = np.random.default_rng(seed)
    one = [np.eye(len(c.share))[rng.choice(len(c.share), n, p=c.share)] for c in codings(COLUMNS)]
    place = rng.normal(size=(n, 1)).clip(-1, 1) * one[1][:, 1:]
    return jnp.asarray(np.concatenate([one[0], place, one[1], one[2]], 1), jnp.float32)


def setup(n=8, pac=2):
    gan = model(pac)
    obj = table_gan(gan, n_train=1000, pac=pac)
    params, state = quick_jit(gan.init)(jax.random.key(0))
    batch = Batch(rows(n))
    draws = quick_jit(obj.draw)(jax.random.key(1), batch)
    return gan, obj, params, state, batch, Context(state, jax.random.key(2), jnp.int32(0), draws)


def test_conditions_come_by_log_frequency():
    """Rows drawn again from a batch of true frequencies have log(1 + count), normalised, as theirs."""
    gan = model()
    own = jnp.stack(gan.conditions_of(rows(20_000)))
    share = np.array([0.9, 0.09, 0.01])
    logs = np.log1p(share * 1000)
    wanted = jnp.concatenate([jnp.array(logs / logs.sum() / share), jnp.ones(3)])
    n = 4000
    draws = {"column": jnp.zeros(n, int), "row": uniform(0, (n,))}
    got = own[0][drawn_again(own, wanted, draws)]
    np.testing.assert_allclose(np.bincount(got, minlength=3) / n, logs / logs.sum(), atol=0.03)


def test_real_rows_have_what_they_are_asked_for():
    gan, _, params, _, batch, ctx = setup(64)
    seen = {}

    def logits(self, params, state, x, y=None, **more):
        seen.setdefault("pairs", []).append((x, y))
        return jnp.zeros(x.shape[0]), state

    class Spy(TableGAN):
        pass

    Spy.logits = logits
    spy = Spy(gan.generator, gan.discriminator, gan.parts, gan.shares, gan.z_dim)
    d = table_gan(spy, 1000, pac=2).d
    x, y = quick_jit(lambda: (d(params, batch, ctx), seen["pairs"][0])[1])()  # the real side
    own = jnp.stack(gan.conditions_of(x))
    assert (own[ctx.draws["column"], jnp.arange(64)] == y).all()
    assert {tuple(r) for r in np.asarray(x).tolist()} <= {tuple(r) for r in np.asarray(batch.x).tolist()}


def test_generator_pays_for_what_it_was_not_asked_for():
    gan, obj, params, state, batch, ctx = setup(16)
    (_, aux), grads = quick_jit(jax.value_and_grad(obj.g, has_aux=True))(params, batch, ctx)
    out, _ = jax.eval_shape(lambda z: gan.outputs(params["g"], state["g"], z, None, train=True), ctx.draws["z"])
    assert out.shape == (16, WIDTH)
    assert 0 < float(aux.metrics["condition"]) < 5
    assert all(np.isfinite(g).all() for g in jax.tree.leaves(grads))
    assert max(float(jnp.abs(g).max()) for g in jax.tree.leaves(grads["g"])) > 0


@pytest.mark.slow
def test_packs_must_fill_the_batch():
    *_, batch, ctx = setup(9, pac=1)
    gan = model(pac=2)
    with pytest.raises(UsageError, match="try --batch-size 8"):
        table_gan(gan, 1000, pac=2).d(gan.init(jax.random.key(0))[0], batch, ctx)


def test_rows_of_a_pack_share_a_logit_and_know_one_another():
    net = packed_discriminator(3, (8,), 2)
    params, state = quick_jit(net.init)(jax.random.key(0))
    x = np.random.default_rng(1).normal(size=(4, 3)).astype(np.float32)
    score = quick_jit(net.apply)
    a, _ = jax.device_get(score(params, state, x))
    assert a[0] == a[1]
    assert a[2] == a[3]
    x[1] = 0.0
    b, _ = jax.device_get(score(params, state, x))
    assert b[0] != a[0]
    assert (b[2:] == a[2:]).all()


@pytest.mark.slow
def test_score_of_a_row_depends_on_no_other():
    _, obj, params, state, batch, _ = setup(8, pac=4)
    key = jax.random.key(0)
    score = quick_jit(obj.score)
    whole = score(params, state, batch, key)["logit"]
    alone = score(params, state, Batch(np.asarray(batch.x)[5:6]), key)["logit"]
    np.testing.assert_allclose(alone[0], whole[5], rtol=1e-5)


def test_samples_have_the_columns_frequencies_where_the_generator_does_as_asked():
    """Asked for a column at random and a category by its frequency: that is what the noise holds."""
    gan = model()
    y = np.asarray(quick_jit(lambda key: gan._draws(gan.noise(key, 20_000))[2])(jax.random.key(0)))
    counts = np.bincount(y, minlength=6) / len(y)
    np.testing.assert_allclose(counts, np.r_[0.9, 0.09, 0.01, 0.4, 0.4, 0.2] / 2, atol=0.01)
    params, state = quick_jit(gan.init)(jax.random.key(1))
    x = np.asarray(quick_jit(gan.sample, static_argnums=3)(params, state, jax.random.key(2), 5))
    assert x.shape == (5, WIDTH)
    for _, choice in stretches(gan.parts, jnp.asarray(x)):
        np.testing.assert_allclose(choice.sum(1), 1, rtol=1e-5)


@pytest.mark.slow
def test_a_step_trains_both():
    gan, obj, *_ = setup()
    moves = [train.Move(n, loss, optax.adam(1e-3, 0.5, 0.9)) for n, loss in (("d", obj.d), ("g", obj.g))]
    step = train.make_step(*moves, draw=obj.draw)
    key = jax.random.key(0)
    state = first_state(step, gan, key)
    before = jax.tree.map(np.asarray, {n: p.params for n, p in state.players.items()})
    batches = Batch(rows(8)[None])
    after, metrics = quick_jit(step)(state, batches, key)
    assert all(np.isfinite(v) for v in metrics.values())
    for name, tree in before.items():
        pairs = zip(jax.tree.leaves(tree), jax.tree.leaves(after.players[name].params), strict=True)
        assert any((np.asarray(a) != np.asarray(b)).any() for a, b in pairs)


@pytest.mark.slow
def test_a_table_without_categories_is_not_asked_for_anything():
    columns = COLUMNS[1:2]
    coded = codings(columns)
    gan = TableGAN(residual_generator(4, 3, (8,)), packed_discriminator(3, (8,), 2), (coded[0].part,), (), 4)
    obj = table_gan(gan, 100, pac=2)
    params, state = quick_jit(gan.init)(jax.random.key(0))
    x = np.asarray(rows(8))[:, 3:6]
    ctx = Context(state, jax.random.key(1), jnp.int32(0), quick_jit(obj.draw)(jax.random.key(2), Batch(x)))
    assert np.isfinite(quick_jit(obj.d)(params, Batch(x), ctx)[0])
    again = ctx._replace(key=jax.random.key(3))
    assert "condition" not in quick_jit(obj.g)(params, Batch(x), again)[1].metrics
    assert jax.eval_shape(obj.score, params, state, Batch(x), jax.random.key(0))["logit"].shape == (8,)
