"""Scripts that measure what `genjax eval` does not: their numbers, and the records that they make."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import quick_jit

from experiments import _ngrams, _records, _seqgan
from genjax.checked import checked
from genjax.cli.results import NUMBER, RUN
from genjax.measure import eval_file
from genjax.metrics import Protocol, Record, Subject
from genjax.metrics.oracle import LENGTH, Oracle
from genjax.report import versus


def measured(seed, value, **more):
    origin = {"command": "genjax train x", "device": "1 core", "versions": {}, "each": {"seed": seed, "seconds": 60.0}}
    of = {"numbers": {"a": value}, "half": {"a": 0.25}, "floor": {"a": 1.0}, "better": {"a": "lower"}}
    return {"name": "x", "origin": origin, "n": 10, **of, **more}


def test_a_record_has_means_and_students_interval_over_seeds():
    """Values 1, 2, 3 of three seeds give 2 +- 2.484, as `interval` computes it, in the form that the tables read."""
    made = checked(
        _records.record([measured(s, v) for s, v in enumerate((1.0, 2.0, 3.0))]), {"runs": [RUN]}, "a record"
    )
    (run,) = made["runs"]
    (number,) = run["records"]
    assert (run["recipe"], [e["seed"] for e in run["each"]]) == ("x", [0, 1, 2])
    assert (number["value"], number["floor"], number["over_samples"]) == (2.0, 1.0, None)
    np.testing.assert_allclose(number["over_seeds"], (2.0 - 2.484, 2.0 + 2.484), atol=1e-3)


def test_one_seed_has_the_interval_over_samples():
    run = _records.record([measured(0, 3.0), measured(0, 5.0, name="y", half={}, floor={})])["runs"]
    assert [r["records"][0]["over_samples"] for r in run] == [[2.75, 3.25], None]
    assert [r["records"][0]["floor"] for r in run] == [1.0, None]


def test_runs_of_a_record_stand_before_those_of_scripts(tmp_path, monkeypatch):
    (tmp_path / "a.json").write_text(json.dumps(_records.record([measured(0, 3.0, name="first")])))
    (tmp_path / "b.json").write_text(json.dumps(measured(0, 3.0)))
    monkeypatch.setattr("sys.argv", ["x", *(str(tmp_path / n) for n in ("out.json", "b.json", "a.json"))])
    _records.main()
    assert [r["recipe"] for r in json.loads((tmp_path / "out.json").read_text())["runs"]] == ["first", "x"]


@pytest.fixture(scope="module")
def oracle():
    rng, shapes = np.random.default_rng(0), {"embedding": (6, 3), "Wo": (3, 6), "bo": (6,)}
    for gate in ("i", "f", "og", "c"):
        shapes |= {f"W{gate}": (3, 3), f"U{gate}": (3, 3), f"b{gate}": (3,)}
    return Oracle({name: jnp.asarray(rng.normal(size=shape), jnp.float32) for name, shape in shapes.items()})


@pytest.mark.slow
def test_the_learner_with_the_oracles_weights_is_the_oracle(oracle):
    model = _seqgan.learner(oracle)
    params, state = quick_jit(model.init)(jax.random.key(0))
    assert jax.tree.map(jnp.shape, params["vae"]["decoder"]) == jax.tree.map(jnp.shape, oracle.params)
    x = _seqgan.sequences(oracle, 5, 0)
    p, _ = model.of({"vae": {"decoder": oracle.params}}, state, 5)
    np.testing.assert_allclose(-p.log_prob(jnp.asarray(x, jnp.int32)) / LENGTH, oracle.nats_per_token(x), rtol=1e-5)


@pytest.mark.slow
def test_maximum_likelihood_comes_nearer_to_the_oracle(oracle, tmp_path, monkeypatch):
    monkeypatch.setattr(_seqgan, "AT_ONCE", 50)
    monkeypatch.setattr(_seqgan, "N_HELD_OUT", 500)
    known = _seqgan.sequences(oracle, 640, 0)
    _seqgan.mle(oracle, known, 16, 8, 0, tmp_path / "mle.json", [0.5])
    made = json.loads((tmp_path / "mle.json").read_text())
    first, last = made["curve"]
    assert last["train"] < first["train"]
    assert made["n"] == 50 * _seqgan.BEST
    least = min(first["nats_per_token"], last["nats_per_token"])
    assert made["numbers"]["nats_per_token"] == pytest.approx(least, abs=0.1)
    assert made["floor"]["nats_per_token"] < made["numbers"]["nats_per_token"]
    assert _records.record([made])["runs"][0]["records"][0]["value"] == made["numbers"]["nats_per_token"]
    colder = json.loads((tmp_path / "mle_0.5.json").read_text())
    assert colder["numbers"]["nats_per_token"] < made["numbers"]["nats_per_token"]
    assert colder["name"].endswith("MLE, temperature 0.5")


def test_copies_of_the_training_sequences_score_the_floor_and_are_called_so(oracle):
    known = _seqgan.sequences(oracle, 300, 0)
    origin = _records.of_script("a script", 0, 1.0)
    found = _seqgan.score(oracle, known, known, origin, "copies")
    assert found["numbers"]["copies"] == found["numbers"]["seen_4grams"] == 1.0
    assert found["numbers"]["nats_per_token"] == pytest.approx(found["floor"]["nats_per_token"], abs=0.1)


@pytest.mark.slow
def test_ngrams_of_the_psalms_beat_equal_chances(monkeypatch):
    monkeypatch.setattr(_ngrams, "ORDERS", (3,))
    found = _ngrams.fit_and_measure("psalms", 50, 0, None)
    assert (found["n"], found["name"]) == (50, "3-grams")
    assert 1.5 < found["numbers"]["bits_per_character"] < 3.0
    assert 0.0 < found["numbers"]["ngram_js_1"] < found["numbers"]["ngram_js_4"] < 1.0
    assert set(NUMBER) <= set(_records.record([found])["runs"][0]["records"][0])


def test_seeds_that_unlike_commits_trained_are_one_column_where_that_is_asked_for(tmp_path):
    """`genjax compare` keeps them apart."""
    for seed, value in enumerate((1.0, 3.0)):
        subject = Subject(
            "vae_a.py", "one", seed, 9, f"state {seed}", False, trained_by=f"code {seed}", measured_by="m"
        )
        made = [Record(Protocol(m, 10, "test", "made", "5e", 5, ""), subject, value) for m in ("rate", "elbo")]
        (tmp_path / str(seed)).mkdir()
        eval_file.add_records(tmp_path / str(seed), made, {})
    runs = [tmp_path / "0", tmp_path / "1"]
    assert len(versus.sides(runs)) == 2
    (run,) = checked(_records.across_commits(runs), {"runs": [RUN]}, "a record")["runs"]
    assert (run["recipe"], [e["seed"] for e in run["each"]]) == ("vae_a", [0, 1])
    assert [(r["metric"], r["value"], dict(r["seeds"])) for r in run["records"]] == [
        (m, 2.0, {"0": 1.0, "1": 3.0}) for m in ("elbo", "rate")
    ]
