"""The parts of a page with what was measured: records, evaluations on held-out images, nearest training images."""

import dataclasses
import json
import shutil
import warnings

import numpy as np
import pytest
from test_report import Reader, read

from genjax import cli, data, domains, report, runs, viz
from genjax.cli import cache
from genjax.data import Dataset, Examples, Spec
from genjax.measure import eval_file
from genjax.metrics import Protocol, Record, Subject
from genjax.metrics.neighbours import nearest_neighbours
from genjax.report import measured, neighbours, population, words
from genjax.report.members import Member

IMAGE = domains.of("image")


@pytest.fixture
def run(smoke_run, tmp_path):
    return shutil.copytree(smoke_run("vae_digits"), tmp_path / "run")


def record(metric, value, half, checkpoint="last", step=4, **more):
    protocol = Protocol(metric, 400, "test", "digits", "5e", 297, "digits", "7f", checkpoint=checkpoint)
    subject = Subject("vae_digits", "c", 0, step, "s", False, member=more.pop("member", None))
    protocol = dataclasses.replace(protocol, **more)
    return Record(protocol, subject, value, (value - half, value + half), floor=2.5, better="lower")


def cells(text):
    """Rows of cells of every table in a page."""
    got = Reader(text)
    return got, " | ".join(t for t in got.text if t.strip())


def test_records_are_a_table_of_checkpoints():
    records = [record("recall", 0.5, 0.034), record("fd_digits", 7.123, 0.56), record("fd_digits", 6.5, 0.2, "best", 3)]
    got, said = cells(measured.numbers(records, 4, ident="r0"))
    assert "last, step 4 | best, step 3 | floor | N | in" in said
    assert (
        "fd_digits ↓ | 7.12 ± 0.56 | 6.50 ± 0.20 | 2.5 | 400 | digits features | recall ≈ | 0.500 ± 0.034 | –" in said
    )
    assert "Reference: digits test, 297 images." in got.said
    assert "measures it again" not in got.said
    assert measured.numbers([], 4) == ""
    other = record("fd_digits", 1.0, 0.1, reference="mnist", temperature=0.7, weights="trained")
    said = cells(measured.numbers([*records, other], 9))[1]
    assert "| reference |" in said
    assert "mnist test, 297 images, digits features, trained weights, temperature 0.7" in said
    assert "Measured at step 4; the last checkpoint is now of step 9." in said
    said = cells(measured.numbers([record("fd", 1.0, 0.1, member=m) for m in (0, 1)], 4, several=True))[1]
    assert "fd ↓ | 0 | 1.00 ± 0.10" in said
    assert "fd ↓ | 1 | 1.00 ± 0.10" in said


def test_a_page_shows_its_run_s_records_and_evaluations(run):
    eval_file.add_records(run, [record("fd_digits", 7.123, 0.56)], {})
    rows = [{"step": s, "val/elbo": -30.0 + s, "val/rate": 1.0, "val/distortion": 29.0} for s in (1, 2, 3, 4)]
    (run / "validation.jsonl").write_text("".join(json.dumps(r) + "\n" for r in rows))
    got = read(report.write([run]))
    for said in ("Measured", "7.12 ± 0.56", "On held-out images", "held-out", "Nearest training images", "genjax eval"):
        assert said in got.said, said
    (run / "eval.json").write_text("{}")
    assert "What was measured cannot be shown" in read(report.write([run])).said


@pytest.mark.slow
def test_eval_makes_an_existing_page_anew_and_only_that(run, monkeypatch, capsys):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)
    measure = ["eval", str(run), "--n", "60", "--features", "pixels", "--metrics", "kd"]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert cli.main(measure) == 0
        assert not (run / "report.html").exists()
        (run / "report.html").write_text("somebody else's")
        assert cli.main(measure) == 0
        assert (run / "report.html").read_text() == "somebody else's"
        (run / "report.html").unlink()
        report.write([run])
        assert cli.main([*measure, "--seed", "3"]) == 0
    assert f"regenerated: {run / 'report.html'}" in capsys.readouterr().out
    assert "kd_pixels" in read(run / "report.html").said


def test_held_out_curves_have_those_of_training_beside_and_the_best_marked():
    rows = {"step": np.array([10, 20, 30]), "val/elbo": np.array([-3.0, -1.0, -2.0]), "val/other": np.ones(3)}
    logged = {"step": np.array([5, 15, 25, 35]), "elbo": np.array([-4.0, np.nan, -2.0, -1.0])}
    got, said = cells(measured.validation(rows, logged, (20, "max:val/elbo")))
    assert len(got.find("svg")) == 2
    assert "Marked is step 20, whose checkpoint is kept as the best: it has the highest val/elbo." in got.said
    assert "Evidence lower bound | −1" in said
    np.testing.assert_allclose(measured._beside(logged, "elbo", rows["step"]), [-3.5, -2.5, -1.5])
    assert measured._beside(logged, "rate", rows["step"]) is None
    assert measured.validation({}, logged, None) == ""
    assert [c.keys[0] for c in words.validation({**rows, "val/kd_mnist": 1})] == [
        "val/elbo", "val/kd_mnist", "val/other",
    ]  # fmt: skip
    assert "lowest val/kd" in words.best_of(3, "min:val/kd")


def test_held_out_curves_of_several_members():
    rows = {"step": np.array([10, 20]), "val/elbo": np.array([[-3.0, -2.0], [-2.0, -1.0]])}
    who = [Member(i, i, {}) for i in range(2)]
    got = Reader(measured.validation(rows, {}, (20, "max:val/elbo"), who))
    assert len(got.find("svg")) == 1
    assert "dasharray" in population.curves(rows, who, words.validation(rows), 20).replace("stroke-", "")


def test_a_mark_is_a_line_at_its_step_and_a_dot_on_the_curve():
    rows = {"step": np.arange(5), "loss": np.arange(5.0)}
    plain, marked = (viz.curves(rows, ["loss"], mark=m).text for m in (None, 3))
    assert marked.count("stroke-dasharray") == plain.count("stroke-dasharray") + 1
    assert marked.count("<use") > plain.count("<use")
    assert viz.curves(rows, ["loss"], mark=2.5).text.count("<use") == plain.count("<use")


def made(n, shape=(8, 8, 1), name="made", seed=0):
    image = np.random.default_rng(seed).integers(0, 256, (n, *shape), np.uint8)
    return Dataset(Examples(image), Examples(image[::2] // 2), Spec(name, shape, 0, n, "x"))


def test_nearest_training_images_are_the_nearest(monkeypatch):
    dataset = made(40)
    copies = dataset.train.x[[7, 3, 30]]
    got = neighbours.figure(Examples(copies), dataset, IMAGE)
    assert [r.label for r in got.rows] == ["generated", "nearest in pixels"]
    np.testing.assert_array_equal(got.rows[1].examples.x, copies)
    assert "0.00 times as far" in got.text
    assert "were searched" not in got.text
    monkeypatch.setattr(neighbours, "N_VALUES", 10 * 64)
    got = neighbours.figure(Examples(copies), dataset, IMAGE)
    assert "Of 40 training images, evenly spaced ones were searched: 10 in pixels." in got.text


@pytest.mark.slow
def test_in_features_they_are_the_nearest_of_the_feature_net():
    digits = data.load("digits")
    samples = digits.test.x[:4]
    got = neighbours.figure(Examples(samples), digits, IMAGE)
    features = IMAGE.space("", digits.spec).features
    index = nearest_neighbours(features(samples), features(digits.train.x)).index[:, 0]
    np.testing.assert_array_equal(got.rows[2].examples.x, digits.train.x[index])
    assert got.rows[2].label == "nearest in features (digits)"


def test_points_have_no_nearest_images():
    points = Examples(np.zeros((9, 1, 1, 2), np.float32))
    some, dataset = Examples(points.x[:2]), Dataset(points, None, Spec("p", (1, 1, 2), 0, 9, "x", domain="points"))
    assert neighbours.figure(some, dataset, domains.of("points")) is None


def test_validation_rows_are_read_like_metrics(run):
    (run / "validation.jsonl").write_text('{"step": 2, "val/elbo": -1.0}\n')
    assert runs.read_metrics(run, name="validation.jsonl")["val/elbo"].tolist() == [-1.0]
