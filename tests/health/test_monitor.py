"""The monitor beside real training: it changes no bit, finds what is provoked, says it once, stays silent otherwise."""

import dataclasses
import json
import socket
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from quick import few
from train_toys import ArraySource, Linear, squared_error

from genjax import data, health, recipes, runs, train
from genjax.checkpoint.checkpoints import digest, read_leaves
from genjax.errors import RunFailure
from genjax.health import Monitor, budget, first_nonfinite, judge, probes, read_findings, still_open
from genjax.health import monitor as monitor_
from genjax.report.health import section
from genjax.train import mesh
from genjax.train.step import Move, make_step
from genjax.types import Aux

KEY = jax.random.key(1)


@pytest.fixture
def eager(monkeypatch):
    """A monitor that judges from the start and has all the time there is."""
    monkeypatch.setattr(judge, "SETTLED", 1)
    monkeypatch.setattr(budget, "LEAST", 0.0)
    monkeypatch.setattr(budget, "FIRST", 0.0)
    monkeypatch.setattr(monitor_, "Budget", lambda: budget.Budget(limit=1e9))


def watched(name, steps=12):
    """A recipe to train by `fit`, its monitor, and every probe's numbers."""
    recipe, dataset, key = recipes.load(name), data.load("digits"), jax.random.key(0)
    cfg = recipe.SMOKE
    experiment = recipe.build(cfg, dataset.spec)
    source = data.make_source(dataset.train, cfg.batch_size, experiment.transform)

    def fit(monitor):
        state = experiment.step.init(experiment.model, key)
        return train.fit(experiment.step, state, source, key, steps=steps, hooks=train.Hooks(monitor=monitor))

    monitor, seen = Monitor(experiment, dataset, key, cfg.batch_size), []
    fetch = monitor._fetch

    def fetched():
        seen.append(jax.tree.map(np.asarray, monitor._sent[0]))
        fetch()

    monitor._fetch = fetched
    return fit, monitor, seen


def bits(state):
    return [np.asarray(v).tobytes() for v in jax.tree.leaves(state)]


@pytest.mark.parametrize("name", few(["vae_digits", "gan_digits"], "gan_digits"))
def test_no_bit_changes(name, eager):
    fit, monitor, seen = watched(name)
    with_it = fit(monitor)
    assert monitor.budget.probes == len(seen) > 1
    assert bits(with_it.state) == bits(fit(None).state)
    assert all(np.isfinite(v).all() for values in seen for v in values.values())


def looked(name, n_members=0, layout=mesh.ONE_DEVICE):
    """One probe of a fresh state; what it gave, and the layers' names."""
    recipe, dataset = recipes.load(name), data.load("digits")
    experiment = recipe.build(recipe.SMOKE, dataset.spec)
    key = jax.random.key(0)
    if n_members:
        experiment = dataclasses.replace(experiment, step=train.Population(experiment.step, n_members))
        key = train.Roots(jnp.arange(n_members))
    state = experiment.step.init(experiment.model, key)
    if layout.mesh is not None:
        state = jax.device_put(state, layout.leaves(state))
    monitor = Monitor(experiment, dataset, key, 16, layout=layout)
    monitor.state(1, state)
    return jax.tree.map(np.asarray, monitor._sent[0]), monitor._leaves


@pytest.mark.slow
@pytest.mark.parametrize("name", [pytest.param("vae_digits", marks=pytest.mark.slow), "gan_digits"])
def test_on_a_mesh_and_in_a_population_a_probe_sees_the_same(name, eager, monkeypatch):
    monkeypatch.setattr(mesh, "SMALL", 16)
    alone, leaves = looked(name)
    split, same = looked(name, layout=mesh.layout("data=2,fsdp=2"))
    every, names = looked(name, n_members=2)
    assert leaves == same == names
    assert every["dead"].shape == (2, len(leaves))
    for k, v in alone.items():
        np.testing.assert_allclose(split[k], v, rtol=1e-4, atol=1e-5, err_msg=k)
        np.testing.assert_allclose(every[k][0], v, rtol=1e-4, atol=1e-5, err_msg=k)


def lines(run):
    return [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]


def logged_findings(run):
    return [(row["step"], f["code"], f["severity"], f["where"]) for row in lines(run) for f in row.get("health", [])]


def session(name, run, steps, more=(), **options):
    recipe = recipes.load(name)
    cfg = dataclasses.replace(recipe.SMOKE, steps=steps, **dict(more))
    options = {"log_every": 10, "save_every": 20, "sample_every": 1000, **options}
    return runs.run(recipe.__file__, recipe.build, cfg, runs.Options(run_dir=str(run), **options))


COLLAPSE = {"beta": 300.0, "lr": 0.02, "z_dim": 4}


@pytest.mark.slow
def test_posterior_collapse_is_said_in_the_log_in_the_rows_and_on_the_page(tmp_path, monkeypatch, capsys):
    """By the rows alone, as in a run of seconds; and a run that is stopped and goes on says the same, once."""
    monkeypatch.setattr(judge, "SETTLED", 20)
    whole, parts, off = tmp_path / "whole", tmp_path / "parts", tmp_path / "off"
    assert session("vae_digits", whole, 120, COLLAPSE.items()) == 0
    err = capsys.readouterr().err
    found = logged_findings(whole)
    assert [f[1:] for f in found] == [("posterior_collapse", "serious", "rate")]
    assert err.count("health, step") == err.count("Posterior collapse: the code says") == 1
    assert "health: 1 finding still holds: posterior collapse. Too short to judge: the samples (1 grid" in err, err
    for steps in (45, 120):
        assert session("vae_digits", parts, steps, COLLAPSE.items()) == 0
    assert logged_findings(parts) == found
    assert session("vae_digits", off, 120, COLLAPSE.items(), health=False) == 0
    assert logged_findings(off) == []
    states = [digest(read_leaves(run / "checkpoints")[1]) for run in (whole, parts, off)]
    assert len(set(states)) == 1
    assert runs.read_metrics(whole)["rate"].tolist() == runs.read_metrics(off)["rate"].tolist()
    page = section(read_findings(whole / "metrics.jsonl"), {"health": True}, 120)
    assert "Posterior collapse: the code says" in page
    assert "1 finding still holds" in page
    assert "free_bits" in page
    assert "--health False" in section((), {"health": False}, 120)
    assert "Too short to judge: 10 steps" in section((), {"health": True}, 10)


@pytest.mark.slow
def test_a_healthy_short_run_is_silent(tmp_path, eager, monkeypatch, capsys):
    run = tmp_path / "run"
    monkeypatch.setattr(judge, "SETTLED", 300)
    shipped = {"hidden": 256, "z_dim": 16, "batch_size": 64}
    assert session("vae_digits", run, 500, shipped.items(), sample_every=100) == 0
    assert logged_findings(run) == []
    err = capsys.readouterr().err
    assert "health, step" not in err
    assert "health: nothing found in 500 steps." in err


@pytest.mark.slow
def test_collapsed_samples_are_said_with_the_row_of_their_step(tmp_path, monkeypatch):
    """A decoder without a code draws one image: known after one grid, and told with the next row."""
    monkeypatch.setattr(judge, "SETTLED", 10)
    run = tmp_path / "run"
    assert session("vae_digits", run, 60, COLLAPSE.items(), sample_every=10, log_every=20) == 0
    found = [f for f in logged_findings(run) if f[1] == "mode_collapse"]
    assert [f[3] for f in found] == ["samples"]
    assert found[0][0] in (20, 40)
    assert [row["step"] for row in lines(run)] == [20, 40, 60]


@pytest.mark.slow
def test_a_population_s_findings_name_their_members(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(judge, "SETTLED", 20)
    recipe, run = recipes.load("vae_digits"), tmp_path / "run"
    cfg = dataclasses.replace(recipe.SMOKE, steps=120, lr=0.02, z_dim=4)
    options = runs.Options(run_dir=str(run), log_every=10, sample_every=1000, save_every=120)
    members = runs.members_of(cfg, 2, "beta=0.01,300")
    assert runs.run(recipe.__file__, recipe.build, cfg, options, members) == 0
    found = [f for row in lines(run) for f in row.get("health", []) if f["code"] == "posterior_collapse"]
    assert {m for f in found for m in f["members"]} == {2, 3}
    assert "member" in capsys.readouterr().err
    runs.extract(run, 3, tmp_path / "three")
    assert [f[1:] for f in logged_findings(tmp_path / "three")] == [("posterior_collapse", "serious", "rate")]
    every = read_findings(run / "metrics.jsonl")
    assert "posterior_collapse" not in [s.finding.code for s in read_findings(run / "metrics.jsonl", 0)]
    assert "Posterior collapse" in section(every, {"health": True}, 120)
    assert len(still_open(every)) == len(every)


@pytest.mark.slow
def test_a_loss_that_is_not_finite_is_named_and_logged(tmp_path, capsys):
    run = tmp_path / "run"
    with pytest.raises(RunFailure, match=r"is (nan|inf|-inf) at step"):
        session("vae_digits", run, 100, {"lr": 1e18}.items(), log_every=1, save_every=5)
    last = lines(run)[-1]
    named = last["health"][-1]
    assert (named["code"], named["severity"]) == ("non_finite", "serious")
    assert named["where"].split("/")[0] in ("vae", "rate", "distortion", "update_norm")
    assert "The first" in capsys.readouterr().err
    rows = runs.read_metrics(run)
    assert rows["step"][-1] == last["step"]
    assert np.isfinite(rows["seconds"]).all()


def test_a_parameter_that_was_first_is_named_by_going_over_the_steps_again():
    """The gradient of one leaf is NaN at step 6 and every loss term is finite: the leaf, not the loss, is named."""

    def poison(params, batch, ctx):
        value, _ = squared_error(params, batch, ctx)
        b = params["p"]["b"]
        return value + jnp.sqrt(jnp.where(ctx.step == 5, jnp.square(b - jax.lax.stop_gradient(b)), 1.0)), Aux({})

    step, source = make_step(Move("p", poison, optax.sgd(0.01), norms=True)), ArraySource()
    experiment = runs.Experiment(Linear, step, data.to_unit(), lambda *_: {})
    monitor = Monitor(experiment, data.load("digits"), KEY, 4)
    with pytest.raises(RunFailure, match="loss is nan at step 7"):
        train.fit(step, step.init(Linear, KEY), source, KEY, steps=30, hooks=train.Hooks(monitor=monitor))
    replay = first_nonfinite.replayer(step, source, KEY, lambda: step.init(Linear, KEY))
    row = monitor.failure(replay, 0.0, 0)
    assert row["step"] == 6
    assert np.isfinite(row["loss"])
    assert not np.isfinite(row["grad_norm"])
    (finding,) = monitor.take()
    assert (finding.code, finding.where) == ("non_finite", "p/params/b")
    assert "since the update of step 6" in finding.says
    assert "every loss term was still finite" in finding.says


def test_a_guarded_move_s_first_skip_is_named_once():
    def sometimes(params, batch, ctx):
        value, _ = squared_error(params, batch, ctx)
        return value * jnp.where(ctx.step % 3 == 1, jnp.inf, 1.0), Aux({"term": value})

    step = make_step(Move("p", sometimes, optax.sgd(0.01), skip_nonfinite=True))
    monitor = Monitor(runs.Experiment(Linear, step, data.to_unit(), lambda *_: {}), data.load("digits"), KEY, 4)
    train.fit(step, step.init(Linear, KEY), ArraySource(), KEY, steps=30, hooks=train.Hooks(monitor=monitor))
    (finding,) = monitor.take()
    assert (finding.severity, finding.where) == ("warning", "loss")
    assert "in step 2" in finding.says
    assert "The guard skipped that update." in finding.says


def test_a_model_that_is_neither_is_watched_by_its_rows_alone(eager):
    step = make_step(Move("p", squared_error, optax.sgd(0.01), norms=True))
    monitor = Monitor(runs.Experiment(Linear, step, data.to_unit(), lambda *_: {}), data.load("digits"), KEY, 4)
    train.fit(step, step.init(Linear, KEY), ArraySource(), KEY, steps=30, hooks=train.Hooks(monitor=monitor))
    assert monitor.budget.probes > 0
    assert monitor.take() == []


def test_every_code_has_a_title_and_a_stored_finding_survives():
    f = health.Finding("dead_units", "warning", "x", 0.5, "says", "try this", (1, 2))
    assert health.found(json.loads(json.dumps(f.stored()))) == f
    assert probes.probe_of(object()) is None


@pytest.mark.slow
@pytest.mark.parametrize(("name", "steps"), [("vae_digits", 3000), ("gan_digits", 2000)])
def test_a_healthy_recipe_as_shipped_is_silent(name, steps, tmp_path, monkeypatch, capsys):
    """With as many probes as there are chunks."""
    monkeypatch.setattr(monitor_, "Budget", lambda: budget.Budget(limit=1e9))
    recipe, run = recipes.load(name), tmp_path / "run"
    cfg = dataclasses.replace(recipe.Config(), steps=steps)
    assert runs.run(recipe.__file__, recipe.build, cfg, runs.Options(run_dir=str(run))) == 0
    assert logged_findings(run) == []
    assert "health, step" not in capsys.readouterr().err


TOGETHER = """
import sys
from dataclasses import replace
from genjax import recipes, runs
from genjax.train import distributed
from genjax.health import budget, judge, monitor
coordinator, rank, folder, health = sys.argv[1], int(sys.argv[2]), sys.argv[3], sys.argv[4] == "True"
judge.SETTLED, budget.FIRST, budget.LEAST = 1, 0.0, 0.0
made = []
monitor.Budget = lambda: made.append(budget.Budget(limit=1e9)) or made[-1]
recipe = recipes.load("gan_digits")
with distributed.session(coordinator, 2, rank):
    options = runs.Options(run_dir=folder, log_every=2, sample_every=4, save_every=10, mesh="fsdp=2", health=health)
    code = runs.run(recipe.__file__, recipe.build, replace(recipe.SMOKE, width=32, steps=10), options)
print(made[0].probes if made else 0, flush=True)
raise SystemExit(code)
"""


@pytest.mark.slow
def test_several_processes_probe_together_and_one_writes(tmp_path, child_env):
    """Each has half of the parameters; the run's digest is that of the run without a monitor."""
    digests = []
    for on in (True, False):
        run, where = tmp_path / str(on), f"127.0.0.1:{port()}"
        command = [sys.executable, "-c", TOGETHER, where]
        children = [
            subprocess.Popen([*command, str(i), str(run), str(on)], env=child_env, stdout=subprocess.PIPE, text=True)
            for i in range(2)
        ]
        outs = [child.communicate(timeout=400)[0] for child in children]
        assert [child.returncode for child in children] == [0, 0]
        probed = [int(out.split()[-1]) for out in outs]
        assert probed[0] == probed[1]
        assert (probed[0] > 0) == on
        digests.append(digest(read_leaves(run / "checkpoints")[1]))
    assert digests[0] == digests[1]


def port() -> int:
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]
