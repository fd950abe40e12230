"""Words and marks follow the numbers: what a collapsed model is praised for, and what a page says of each run."""

import dataclasses
from functools import partial

import jax
import numpy as np
import optax
import pytest

from genjax import losses, models, nets, objectives, train
from genjax.health import Finding
from genjax.metrics import Protocol, Record, Subject, direction
from genjax.metrics.image_metrics import IMAGE_METRICS
from genjax.metrics.table import METRICS
from genjax.report import collapse, health, population, versus, words
from genjax.report.facts import _family_of
from genjax.runs.display import favourites
from genjax.types import Batch

REAL = {"precision": 0.92, "recall": 0.93, "density": 0.95, "coverage": 0.94, "class_accuracy_mnist": 0.98,
        "is_mnist": 9.0, "good_share": 0.99, "modes": 8.0, "high_frequency_ratio": 1.0,
          "laplacian_ratio": 1.0}  # fmt: skip
SOUND = {"precision": 0.70, "recall": 0.85, "density": 0.45, "coverage": 0.60, "class_accuracy_mnist": 0.90,
         "is_mnist": 8.0, "good_share": 0.80, "modes": 8.0, "high_frequency_ratio": 0.9,
         "laplacian_ratio": 0.9}  # fmt: skip
FALLEN = {"precision": 0.91, "recall": 0.00, "density": 2.96, "coverage": 0.01, "class_accuracy_mnist": 0.98,
          "is_mnist": 9.0, "good_share": 0.99, "modes": 1.0, "high_frequency_ratio": 1.0,
          "laplacian_ratio": 1.0}  # fmt: skip


def record(metric, value, recipe="a", better="higher", floor=None, member=None):
    protocol = Protocol(metric, 500, "test", "made", "5e", 500)
    subject = Subject(recipe, recipe, 0, 9, "s", False, member=member)
    return Record(protocol, subject, value, (value - 0.001, value + 0.001), floor=floor, better=better)


def records(values, recipe="a"):
    return {k: record(k, v, recipe, floor=REAL[k]) for k, v in values.items()}


def side(values, recipe):
    return versus.Side(recipe, (recipe,), records(values, recipe), {})


@pytest.mark.parametrize("metric", REAL)
def test_a_collapsed_model_is_ahead_in_nothing(metric):
    """Though it has the data's own precision, sharpness and score, and records of old say that higher is better."""
    rows = {r.metric: r for r in versus.rows([side(SOUND, "sound"), side(FALLEN, "fallen")])}
    assert rows[metric].best == (0 if metric in ("recall", "coverage", "density", "modes") else None)
    alone = {r.metric: r for r in versus.rows([side(SOUND, "sound"), side({**SOUND, "density": 2.96}, "dense")])}
    assert alone["density"].best == 0


@pytest.mark.parametrize(
    ("metric", "values", "floor", "best"),
    [
        ("fd_mnist", (1.0, 2.0), 0.5, 0),
        ("coverage", (0.5, 0.6), 0.9, 1),
        ("density", (0.9, 1.5), 1.0, 0),
        ("density", (0.9, 1.5), None, 0),
        ("high_frequency_ratio", (1.6, 0.8), None, 1),
        ("recall", (0.99, 0.90), 0.91, 1),
        ("gap_auc", (0.45, 0.6), None, 0),
        ("precision", (0.5, 0.6), None, None),  # without real data nobody knows what is near
        ("nll_ess", (10.0, 900.0), None, None),  # a code that says nothing has the most
        ("active_units", (3.0, 9.0), None, None),
    ],
)
def test_better_is_what_is_nearer_to_real_data(metric, values, floor, best):
    sides = [
        versus.Side(n, (n,), {metric: record(metric, v, n, "", floor)}, {}) for n, v in zip("ab", values, strict=True)
    ]
    assert versus.rows(sides)[0].best == best


def test_every_metric_of_the_table_has_a_direction_that_is_known():
    assert set(direction.BETTER.values()) <= {"higher", "lower", "nearest", ""}
    assert set(direction.OF_EACH) | set(direction.FEW) | set(direction.IDEAL) <= set(direction.BETTER)
    for name in direction.OF_EACH:
        assert direction.better(f"{name}_made") == "nearest"
    assert direction.arrow("of_mine", "lower") == " ↓"
    assert {m for metric in (METRICS | IMAGE_METRICS).values() for m in metric.better} == set(direction.BETTER)


@pytest.mark.parametrize(
    ("change", "found"),
    [
        ({}, False),
        (FALLEN, True),
        ({"recall": 0.0, "coverage": 0.02}, True),
        ({"recall": 0.0}, False),  # coverage speaks against it
        ({"coverage": 0.02}, False),  # blur alone: recall speaks against it
        ({"modes": 3.0}, True),
        ({"coverage": 0.11, "recall": 0.31}, False),  # the VAE on Fashion-MNIST
    ],
)
def test_what_was_measured_is_a_finding(change, found):
    got = collapse.findings_from(list(records({**SOUND, **change}).values()))
    assert [(f.code, f.severity) for f in got] == [("mode_collapse", "serious")] * found
    page = health.section((), {"health": True}, 2000, {"judged": {"rows": 9, "pictures": 9, "probe": 9}}, got)
    assert ("Mode collapse (measured)" in page) == found
    assert ("1 finding from what was measured. From training: nothing found in 2,000 steps." in page) == found


def test_a_finding_says_what_the_numbers_are_worth():
    (dense,) = collapse.findings_from(list(records(FALLEN).values()))
    assert "recall is 0 (real images: 0.93)" in dense.says
    assert "A density of 2.96 is no merit here" in dense.says
    (far,) = collapse.findings_from(list(records({**FALLEN, "precision": 0.0}).values()))
    assert "not like the data either" in far.says
    each = [dataclasses.replace(r, subject=dataclasses.replace(r.subject, member=i))
            for i, values in enumerate((SOUND, FALLEN)) for r in records(values).values()]  # fmt: skip
    assert [f.members for f in collapse.findings_from(each)] == [(1,)]


@pytest.mark.parametrize(
    ("values", "said"),
    [
        ({}, "was not measured"),
        ({"high_frequency_ratio": 1.0, "laplacian_ratio": 0.98}, "about as sharp as"),
        ({"high_frequency_ratio": 1.03, "laplacian_ratio": 0.70}, "softer than"),
        ({"high_frequency_ratio": 1.2, "laplacian_ratio": 2.9}, "noisier than"),
    ],
)
@pytest.mark.parametrize("fallen", ["", "serious", "warning"])
def test_what_a_page_says_of_a_run_s_sharpness(values, said, fallen):
    found = [Finding("mode_collapse", fallen, "samples", 0.1, "says")] if fallen else []
    got = collapse.look(list(records(values).values()), found)
    assert said in got
    assert ("it has collapsed" in got) == (fallen == "serious")
    assert ("some kinds of images too seldom" in got) == (fallen == "warning")
    assert not any(word in f"{words.BLUR} {words.SHARP}" for word in ("edges are sharp", "it covers the whole"))


def test_metrics_are_known_by_their_last_part():
    rows = {
        k: np.arange(3.0) for k in ("step", "vae/elbo", "vae/rate", "vae/beta", "d/loss", "g/loss", "vae/grad_norm")
    }
    charts = {c.keys: c for c in words.charts(rows)}
    assert charts["vae/elbo",].title == "Evidence lower bound, vae"
    assert charts["vae/rate",].text == next(c for c in words.VAE if c.keys == ("rate",)).text
    assert charts["d/loss",].title == "Discriminator loss"
    assert sorted(k for c in charts for k in c) == sorted(set(rows) - {"step"})
    names = ("step", "critic/loss", "critic/accuracy", "vae/beta", "vae/elbo", "vae/loss")
    moves = {k: np.arange(3.0) for k in names}
    texts = {c.keys[0]: c.text for c in words.charts(moves)}
    assert list(texts) == ["vae/elbo", "vae/loss", "vae/beta", "critic/loss", "critic/accuracy"]
    assert "distortion" in texts["vae/loss"]
    assert "distortion" not in texts["critic/loss"]
    del moves["vae/beta"]  # then the loss is another than D + beta R
    assert "distortion" not in {c.keys[0]: c.text for c in words.charts(moves)}["vae/loss"]
    assert _family_of(rows) == _family_of({"elbo": 1}) == "VAE"
    assert _family_of({"d/loss": 1}) == "GAN"


def logged_by(*moves):
    """Names of the metrics that a game logs whose moves are `moves(objective, optimizer)`."""
    gan = models.GAN(nets.mlp_generator(2, (4, 4, 1), hidden=(4,)), nets.mlp_discriminator((4, 4, 1), hidden=(4,)), 2)
    obj, adam = objectives.gan(gan, penalties=(losses.r1(1.0),), every=16), optax.adam(1e-3)
    step = train.make_step(*(move(obj, adam) for move in moves), draw=obj.draw)
    state, batches = step.shapes(gan), Batch(np.zeros((1, 2, 4, 4, 1), np.float32))
    return sorted(jax.eval_shape(step, state, batches, jax.random.key(0))[1])


def d(obj, tx, name=""):
    return train.Move("d", obj.d, tx, name=name, norms=True)


def g(obj, tx):
    return train.Move("g", obj.g, tx, norms=True)


def lazy(obj, tx, name=""):
    return train.Move("d", obj.penalty, tx, name=name, every=16)


GAMES = {"d.0": (d, lazy, g), "d": (d, partial(lazy, name="penalty"), g), "critic": (partial(d, name="critic"), g)}


@pytest.mark.parametrize("name", GAMES)
def test_a_game_is_known_whatever_its_moves_are_called(name):
    rows = {k: np.arange(3.0)[:, None] for k in (*logged_by(*GAMES[name]), "step")}
    outputs = [f"{name}/real_probability", f"{name}/fake_probability"]
    assert list(favourites(dict.fromkeys(rows, 1.0))) == [f"{name}/loss", "g/loss", *outputs]
    charts = {c.title: c for c in words.charts(rows)}
    assert charts["Discriminator loss"].keys == (f"{name}/loss",)
    assert charts["Gradient norms"].keys == (f"{name}/grad_norm", "g/grad_norm")
    assert words.UNKNOWN not in {c.text for c in charts.values()}
    assert [c.keys for c in charts.values() if c.title == "Penalties"] == [(k,) for k in rows if k.endswith("/penalty")]
    assert _family_of(rows) == "GAN"
    assert [c.keys for c in population.logged(rows)][-4:-2] == [(k,) for k in outputs]
