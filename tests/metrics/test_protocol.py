"""Records: they come back from JSON as they went, unlike ones are refused by name, intervals cover what they say."""

import dataclasses
import json
import math

import jax
import numpy as np
import pytest
from scipy import stats

from genjax.errors import UsageError
from genjax.jsonfile import to_json
from genjax.metrics import Protocol, Record, Subject, check_alike, compare, from_json, half_samples, over_seeds, unlike
from genjax.metrics.protocol import alike
from genjax.metrics.resampling import of_mean

P = Protocol("fd_mnist", 1000, "test", "mnist", "5e", 10_000, "mnist", "f0", settings=(("k", 5),))
S = Subject("gan_mnist", "c0", 0, 100, "d0", True)


def made(value=1.0, half=0.1, seed=0, **changes):
    subject = dataclasses.replace(S, seed=seed)
    return Record(dataclasses.replace(P, **changes), subject, value, (value - half, value + half), floor=0.5)


@pytest.mark.parametrize("value", [1.5, math.nan, math.inf])
def test_a_record_comes_back_from_strict_json(value):
    record = over_seeds([made(1.0), made(2.0, seed=1)]) if value == 1.5 else made(value)
    text = json.dumps(to_json(record.to_json()), allow_nan=False)
    back = from_json(json.loads(text))
    assert repr(back) == repr(record)
    assert list(json.loads(text))[:2] == ["metric", "value"]


def test_what_is_no_record_is_refused():
    good = made().to_json()
    for bad in ({}, {**good, "protocol": {**good["protocol"], "moon": 1}}, {**good, "value": "much"}):
        with pytest.raises(UsageError, match="not a record"):
            from_json(bad)


def test_every_field_of_the_protocol_keeps_numbers_apart():
    """Whatever is changed in how it was measured, comparing names that field and both values."""
    for f in dataclasses.fields(Protocol):
        old = getattr(P, f.name)
        new = (("k", 3),) if f.name == "settings" else f"other {old}" if isinstance(old, str) else old + 1
        other = made(**{f.name: new})
        with pytest.raises(UsageError) as e:
            compare(made(), other)
        values = ("settings.k: 5", "3") if f.name == "settings" else (f"{f.name}: {old!r}", repr(new))
        assert all(v in str(e.value) for v in values), str(e.value)
        assert len(unlike(P, other.protocol)) == 1


def test_the_subject_is_what_a_comparison_is_between():
    for f in dataclasses.fields(Subject):
        other, old = made(3.0, 0.2), getattr(S, f.name)
        new = f"other {old}" if isinstance(old, str) else not old if isinstance(old, bool) else (old or 0) + 1
        changed = dataclasses.replace(other, subject=dataclasses.replace(other.subject, **{f.name: new}))
        assert compare(made(1.0, 0.1), changed) == pytest.approx((2.0, math.hypot(0.1, 0.2)))


def test_over_seeds_is_student_s_interval():
    values = [1.0, 2.0, 4.0]
    got = over_seeds([made(v, seed=i) for i, v in enumerate(values)])
    low, high = stats.t.interval(0.95, 2, np.mean(values), stats.sem(values))
    assert got.value == pytest.approx(7 / 3)
    assert got.bounds == got.over_seeds == pytest.approx((low, high))
    assert got.seeds == ((0, 1.0), (1, 2.0), (2, 4.0))
    assert got.floor == 0.5
    assert over_seeds([made()]) == made()


def test_over_seeds_refuses_what_are_not_seeds_of_one_thing():
    with pytest.raises(UsageError, match="n: 1000 against 500"):
        over_seeds([made(), made(seed=1, n=500)])
    with pytest.raises(UsageError, match="twice"):
        over_seeds([made(), made()])
    other = made(seed=1)
    other = dataclasses.replace(other, subject=dataclasses.replace(other.subject, config_sha256="c1"))
    with pytest.raises(UsageError, match="config_sha256 is c0, c1"):
        over_seeds([made(), other])


def test_half_samples_of_a_mean_is_its_standard_error():
    x = np.random.default_rng(1).gamma(1.0, size=1001)
    got = half_samples(lambda i: {"a": float(x[i].mean()), "b": float(2 * x[i].mean())}, 1001, jax.random.key(0), 400)
    assert got["a"] == pytest.approx(of_mean(x), rel=0.1)
    assert got["b"] == pytest.approx(2 * got["a"])


def test_half_samples_see_each_sample_once():
    seen = []
    half_samples(lambda i: seen.append(i) or {"a": 0.0}, 11, jax.random.key(0), 50)
    assert all(len(i) == len(set(i.tolist())) == 5 for i in seen)
    counts = np.bincount(np.concatenate(seen), minlength=11)
    assert counts.min() > 10
    assert len({i.tobytes() for i in seen}) > 40


def squared_distance(x):
    """A smooth statistic that is biased like a Fréchet distance: |mean - m|^2 + (sd - 1)^2."""
    return float(((x.mean(0) - 0.3) ** 2).sum() + ((x.std(0, ddof=1) - 1.0) ** 2).sum())


def test_half_samples_cover_as_often_as_they_say():
    """About 95 of 100 intervals of a smooth statistic hold its expectation; of the plain bootstrap's too few would."""
    r, n, d = np.random.default_rng(2), 200, 4
    truth = np.mean([squared_distance(r.normal(size=(n, d))) for _ in range(2000)])
    inside = 0
    for i in range(100):
        x = r.normal(size=(n, d))
        half = half_samples(lambda j, x=x: {"d": squared_distance(x[j])}, n, jax.random.key(i), 20)["d"]
        inside += abs(squared_distance(x) - truth) <= half
    assert stats.binomtest(inside, 100, 0.95).pvalue > 0.01, inside


def test_unlike_rules_of_labels_do_not_compare():
    """A model without labels stands beside any known rule; in turn and by shares do not, nor what nobody wrote down."""
    of = {rule: dataclasses.replace(P, labels=rule) for rule in ("", "none", "in turn", "by shares")}
    for a in of:
        for b in of:
            assert alike(of[a], of[b]) == (a == b or "none" in (a, b)), (a, b)
    records = [dataclasses.replace(made(), protocol=of[rule]) for rule in ("none", "in turn", "by shares")]
    check_alike(records[:2])
    with pytest.raises(UsageError, match="labels: 'in turn' against 'by shares'"):
        check_alike(records)


def test_a_record_of_before_labels_were_written_is_as_comparable_as_ever():
    stored = json.loads(json.dumps(to_json(made().to_json())))
    assert stored["protocol"].pop("labels") == ""
    assert from_json(stored) == made()
    assert alike(from_json(stored).protocol, dataclasses.replace(P, labels="none"))
