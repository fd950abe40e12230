"""Collapse in runs: the last grid is judged, a resumed run judges as the whole one, a young model is not collapsed."""

import dataclasses
import json

import jax
import numpy as np
import pytest
from quick import few

from genjax import data, recipes, runs, train
from genjax.checkpoint.checkpoints import read_leaves
from genjax.health import Monitor, judge, still_open, verdict
from genjax.health.findings_file import read_findings
from genjax.health.journal import Journal
from genjax.metrics_log import MetricsLog
from genjax.train.population import Population

DIGITS = data.load("digits")
REAL = DIGITS.test.x[:64].astype(np.float32)
ONE = np.repeat(REAL[:1], 64, axis=0)
A_CLASS = REAL[[int(np.flatnonzero(DIGITS.test.y[:64] == i % 10)[0]) for i in range(64)]]


def monitor(conditional=False, members=0, recipe="gan_digits", sample_every=500, stored=None, dataset=DIGITS):
    made = recipes.load(recipe)
    experiment = made.build(dataclasses.replace(made.SMOKE, conditional=conditional, z_dim=16), dataset.spec)
    key = jax.random.key(0)
    if members:
        experiment = dataclasses.replace(experiment, step=Population(experiment.step, members))
        key = train.Roots(np.arange(members))
    return Monitor(experiment, dataset, key, 16, 100, sample_every, stored=stored)


def findings_by_step(grids, sample_every=500, **how):
    """Codes by step of a run's grids; those of a grid apart from the others too."""
    m, out = monitor(sample_every=sample_every, **how), []
    for step, grid in grids:
        apart = m.samples(step, grid)
        out += [(step, f.code, f.severity) for f in (*m.take(), *apart)]
    return out


@pytest.mark.parametrize("recipe", ["gan_digits", "vae_digits"])
@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("grid", [ONE, A_CLASS], ids=["one image", "an image a class"])
@pytest.mark.parametrize(
    ("steps", "first"),
    [
        ((500, 600), 600),  # the last grid agrees with the one before
        ((500, 1000), 1000),
        ((1000,), 1000),  # one grid of a model that is not young is enough
        ((1050,), 1050),  # though it be the only one, and the last
        ((400,), None),  # a single early grid: too short to judge
    ],
)
def test_a_collapse_is_found_as_soon_as_it_is_sure(grid, steps, first, conditional, recipe):
    found = findings_by_step([(step, grid) for step in steps], conditional=conditional, recipe=recipe)
    assert found == ([] if first is None else [(first, "mode_collapse", "serious")])


@pytest.mark.parametrize("conditional", [False, True])
def test_a_collapse_at_the_very_end_is_found_in_the_last_grid(conditional):
    r = np.random.default_rng(0)
    label = DIGITS.train.y
    real = [DIGITS.train.x[[r.choice(np.flatnonzero(label == i % 10)) for i in range(64)]] for _ in range(3)]
    grids = [*((s, g.astype(np.float32)) for s, g in zip((500, 1000, 1500), real, strict=True)), (1600, A_CLASS)]
    assert findings_by_step(grids, conditional=conditional) == [(1600, "mode_collapse", "serious")]


def test_a_model_whose_variety_grows_is_young():
    """Near doubles that move apart, as a VAE's samples do in its first hundreds of steps."""
    r = np.random.default_rng(0)
    move = r.normal(0, 1, ONE.shape).astype(np.float32)
    growing = [(step, ONE + step / 15 * move) for step in (200, 300, 400, 500)]
    assert findings_by_step(growing, sample_every=100) == []
    assert findings_by_step([(step, grid * 0 + growing[1][1]) for step, grid in growing], sample_every=100) == [
        (300, "mode_collapse", "serious")
    ]


def test_of_a_population_the_member_is_named():
    m = monitor(members=3)
    m.samples(1000, np.stack([REAL, ONE, REAL]))
    assert [(f.code, f.members) for f in m.take()] == [("mode_collapse", (1,))]


@pytest.mark.parametrize("cut", few([300, 500, 650, 700, 1000, 1150], 300, 650))
@pytest.mark.parametrize("log_every", [50, 100])
def test_a_resumed_run_judges_as_the_whole_one(cut, log_every, tmp_path):
    """A grid at the step where the run stopped is judged and told; the run that goes on forgets it."""
    grids = {200: REAL, 400: REAL, 600: A_CLASS, 800: A_CLASS, 1000: REAL, 1200: REAL}

    def go(m, log, first, last, row):
        journal = Journal(m, log, lambda line: None, row)
        m.log_every = log_every
        for step in range(first + 1, last + 1):
            if step % log_every == 0 or step == last:
                journal.row({"step": step})
            if step % 200 == 0 or step == last:
                journal.samples(step, grids.get(step, ONE))
        journal.end(last)
        return json.loads(json.dumps(journal.stored()))

    def rows(path):
        return [
            (r["step"], [f["code"] for f in r.get("health", [])])
            for r in map(json.loads, path.read_text().splitlines())
        ]

    whole, parts = tmp_path / "whole.jsonl", tmp_path / "parts.jsonl"
    with MetricsLog(whole) as log:
        stored = go(monitor(sample_every=200), log, 0, 1250, {})
    with MetricsLog(parts) as log:
        head = go(monitor(sample_every=200), log, 0, cut, {})
    stopped = rows(parts)
    assert cut % 200 == 0 or cut < judge.SETTLED + 100 or stopped[-1][0] == cut
    with MetricsLog(parts) as log:
        log.truncate_to(lambda s: s <= cut - cut % log_every)
        last = json.loads(parts.read_text().splitlines()[-1])
        again = go(monitor(sample_every=200, stored=head), log, cut, 1250, last)
    assert rows(parts) == rows(whole)
    assert {k: v for k, v in again.items() if k != "seconds"} == {k: v for k, v in stored.items() if k != "seconds"}


@pytest.mark.parametrize(
    ("looked", "step", "said"),
    [
        ({}, 60, "too short to judge: 60 steps, and only numbers that are not finite are judged before step 300"),
        ({}, 1, "too short to judge: 1 step, and only numbers that are not finite are judged before step 300"),
        ({"judged": {"rows": 9, "pictures": 4, "probe": 2}}, 2000, "nothing found in 2,000 steps"),
        ({"judged": {"rows": 9, "pictures": 1, "probe": 0}, "apart": 600}, 600,
         ("nothing found in the metrics and the samples. Too short to judge: the model from within (2 % of the run's "
          "time allowed no look, two are needed)")),
        ({"judged": {"rows": 3, "pictures": 0, "probe": 2}, "cannot": {"classes of the samples": "no labels"}}, 900,
         ("nothing found in the metrics and the model from within. Too short to judge: the samples (no grid since step "
          "300, 2 needed). Not judged: classes of the samples (no labels)")),
        ({"judged": {}}, 400,
         ("too short to judge: the metrics (no row since step 300, 3 needed); the samples (no grid since step 300, 2 "
          "needed); the model from within (2 % of the run's time allowed no look, two are needed)")),
    ],
)  # fmt: skip
def test_nothing_found_is_said_only_where_every_check_could_look(looked, step, said):
    assert verdict({"judged": {}, **looked}, (), step) == said


def test_what_the_data_do_not_allow_is_said():
    image = DIGITS.train.x[:300]
    bare = dataclasses.replace(DIGITS, train=data.Examples(image), test=None, validation=None)
    m = monitor(dataset=bare)
    m.samples(1000, REAL)
    assert m.looked.cannot == {
        "whether the discriminator overfits": "no held-out images", "classes of the samples": "no labels",
    }  # fmt: skip
    few = monitor(dataset=dataclasses.replace(bare, train=data.Examples(image[:5])))
    few.samples(1000, ONE)
    assert few.looked.cannot["how samples differ"] == "5 training images are too few to compare with"
    assert few.take() == []


@pytest.mark.slow
@pytest.mark.parametrize("conditional", [False, True])
def test_a_run_that_collapses_says_so_in_its_last_line(conditional, tmp_path, capsys):
    """A VAE whose code says nothing draws one image, a conditional one an image a class: seen in the two last grids."""
    recipe, run = recipes.load("vae_digits"), tmp_path / "run"
    cfg = dataclasses.replace(recipe.SMOKE, steps=450, lr=0.02, beta=300.0, z_dim=4, conditional=conditional)
    options = runs.Options(run_dir=str(run), log_every=100, sample_every=400)
    assert runs.run(recipe.__file__, recipe.build, cfg, options) == 0
    (found,) = [s for s in still_open(read_findings(run / "metrics.jsonl")) if s.finding.code == "mode_collapse"]
    assert found.step == 450
    line = next(line for line in capsys.readouterr().err.splitlines() if line.startswith("health: "))
    assert "mode collapse" in line
    assert read_leaves(run / "checkpoints")[2]["health"]["looked"]["apart"] == 450


@pytest.mark.slow
def test_a_run_of_seconds_says_that_it_is_too_short(tmp_path, capsys):
    recipe = recipes.load("vae_digits")
    cfg = dataclasses.replace(recipe.SMOKE, steps=2)
    assert runs.run(recipe.__file__, recipe.build, cfg, runs.Options(run_dir=str(tmp_path / "run"))) == 0
    assert "health: too short to judge: 2 steps, and" in capsys.readouterr().err
