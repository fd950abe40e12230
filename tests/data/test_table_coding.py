"""Rows as vectors and back: exact for choices and single values, to float32 for places; modes drawn by their chance."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

from genjax.data.columns import stored, typed
from genjax.data.table_coding import MISSING, codings, to_parts, width
from genjax.distributions.product import stretches
from genjax.types import Batch


def table(n=400, seed=0):
    random = np.random.RandomState(seed)
    texts = {
        "colour": [("red", "green", "", "blue")[i] for i in random.randint(0, 4, n)],
        "gain": [("0", "NA", f"{3000 + 100 * random.randn():.1f}")[i] for i in random.randint(0, 3, n)],
        "height": [f"{170 + 10 * random.randn():.2f}" for _ in range(n)],
        "none": [""] * n,
        "one": ["5"] * n,
    }
    columns = [typed(k, v) for k, v in texts.items()]
    values = [stored(c, texts[c["name"]]) for c in columns]
    return columns, np.stack([v.x for v in values], 1), np.stack([v.there for v in values], 1)


def test_back_to_the_rows():
    columns, x, there = table()
    transform = to_parts(columns)
    coded = jax.jit(transform.apply)(jax.random.key(0), Batch(jnp.asarray(x), event_mask=jnp.asarray(there)))
    assert coded.event_mask is None
    assert coded.x.shape == (400, width(columns))
    rows = np.asarray(transform.inverse(coded.x))
    assert ((rows > MISSING / 2) == there).all()
    np.testing.assert_allclose(rows[there], x[there], rtol=2e-6)
    exact = np.isin(columns[1]["modes"], [0.0]).any() and there[:, 1] & (x[:, 1] == 0)
    assert (rows[exact, 1] == 0).all()


def test_choices_are_one_hot_and_places_within_their_modes():
    columns, x, there = table()
    coded = to_parts(columns).apply(jax.random.key(0), Batch(jnp.asarray(x), event_mask=jnp.asarray(there))).x
    for c, (place, choice) in zip(codings(columns), stretches([c.part for c in codings(columns)], coded), strict=True):
        assert (np.asarray(choice).sum(1) == 1).all()
        if place is not None:
            wide = np.asarray(choice)[:, np.array(c.part.wide)].sum(1) > 0
            assert (np.asarray(place)[~wide] == 0).all()
            assert np.abs(place).max() <= 1


def test_modes_are_drawn_by_their_chance_of_having_made_the_value():
    column = {"name": "a", "kind": "number", "missing": 0.0, "modes": [[0.7, 0.0, 1.0], [0.3, 2.0, 0.5]]}
    x = jnp.full((40_000, 1), 1.2)
    coded = to_parts([column]).apply(jax.random.key(0), Batch(x)).x
    chance = np.array([0.7 * stats.norm.pdf(1.2, 0, 1), 0.3 * stats.norm.pdf(1.2, 2, 0.5)])
    assert float(coded[:, 1].mean()) == pytest.approx(chance[0] / chance.sum(), abs=0.01)


def test_what_is_not_finite_is_not_a_value():
    columns, *_ = table()
    bad = jnp.full((1, width(columns)), jnp.nan)
    rows = to_parts(columns).inverse(bad)
    assert np.isnan(rows[0, [0, 1, 2, 4]]).all()


def test_shares_of_choices_sum_to_one():
    for c in codings(table()[0]):
        assert sum(c.share) == pytest.approx(1, abs=1e-6)
        assert len(c.share) == len(c.part.wide)


def test_lowers_for_every_platform():
    columns, x, there = table(8)
    transform = to_parts(columns)
    batch = Batch(jnp.asarray(x), event_mask=jnp.asarray(there))
    jax.export.export(jax.jit(transform.apply), platforms=("cpu", "cuda", "tpu"))(jax.random.key(0), batch)
    jax.export.export(jax.jit(transform.inverse), platforms=("cpu", "cuda", "tpu"))(
        jax.ShapeDtypeStruct((8, width(columns)), jnp.float32)
    )
