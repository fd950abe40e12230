"""Comparing runs: only what was measured alike, over seeds where there are several, on a page that loads nothing."""

import dataclasses
import json
import math
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
from test_report import read

from genjax import cli
from genjax.cli import cache, results
from genjax.domains.contract import Spectrum
from genjax.errors import UsageError
from genjax.measure import eval_file
from genjax.metrics import Protocol, Record, Subject
from genjax.report import charts, versus, versus_page


@pytest.fixture(autouse=True)
def _tests_own_cache(monkeypatch):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)


def record(metric, value, half=0.1, recipe="vae_a", seed=0, better="lower", floor=None, **more):
    protocol = dataclasses.replace(Protocol(metric, 100, "test", "made", "5e", 50, "pixels"), **more)
    subject = Subject(recipe, f"config of {recipe}", seed, 9, f"state {seed}", False)
    return Record(protocol, subject, value, (value - half, value + half), floor=floor, better=better)


def folder(where, *records):
    where.mkdir(parents=True)
    eval_file.add_records(where, records, {})
    return str(where)


def test_seeds_of_one_configuration_become_one_side(tmp_path):
    seeds = [record("fd_pixels", v, seed=i, floor=0.5) for i, v in enumerate((2.0, 3.0, 4.0))]
    runs = [folder(tmp_path / f"a{i}", r) for i, r in enumerate(seeds)]
    runs.append(folder(tmp_path / "b", *(record(m, 9.0, recipe="gan_b") for m in ("fd_pixels", "is_pixels"))))
    sides = versus.sides(runs)
    assert [(s.name, len(s.runs)) for s in sides] == [("vae_a", 3), ("gan_b · b", 1)]
    assert sides[0].records["fd_pixels"].value == 3.0
    assert sides[0].records["fd_pixels"].over_seeds[1] == pytest.approx(3 + 4.303 / math.sqrt(3), abs=1e-3)
    rows = {r.metric: r for r in versus.rows(sides)}
    assert rows["is_pixels"].records[0] is None
    assert rows["fd_pixels"].best == 0
    assert rows["fd_pixels"].floor == 0.5
    assert rows["fd_pixels"].difference.value == 6.0
    assert rows["fd_pixels"].difference.half == pytest.approx(math.hypot(4.303 / math.sqrt(3), 0.1), abs=1e-3)


def test_what_was_measured_in_unlike_ways_is_refused_by_name(tmp_path):
    a = folder(tmp_path / "a", record("fd_pixels", 1.0))
    b = folder(tmp_path / "b", record("fd_pixels", 1.0, recipe="gan_b", reference_sha256="6f"))
    with pytest.raises(UsageError, match="reference_sha256: '5e' against '6f'"):
        versus.sides([a, b])
    assert cli.main(["compare", a, b]) == 2
    assert not (tmp_path / "compare.html").exists()
    c = folder(tmp_path / "c", record("elbo", 1.0, recipe="vae_c", reference="photos"))
    with pytest.raises(UsageError, match=r"unlike data.*/a on made, .*/c on photos"):  # though they share no metric
        versus.sides([a, c])


def test_of_several_common_ways_the_one_with_most_images_counts(tmp_path):
    a = folder(tmp_path / "a", *(record("fd", v, n=n) for v, n in ((1.0, 100), (2.0, 200), (3.0, 300))))
    b = folder(tmp_path / "b", *(record("fd", 5.0, recipe="gan_b", n=n) for n in (100, 200)))
    assert [s.records["fd"].value for s in versus.sides([a, b])] == [2.0, 5.0]


@pytest.mark.parametrize(
    ("better", "values", "half", "best"),
    [
        ("lower", (1.0, 2.0), 0.1, 0),
        ("higher", (1.0, 2.0), 0.1, 1),
        ("higher", (1.0, 2.0), 0.9, None),
        ("", (1.0, 2.0), 0.1, None),
        ("higher", (1.0, 2.0), math.nan, None),
    ],
)
def test_ahead_is_who_is_ahead_beyond_the_intervals(better, values, half, best, tmp_path):
    runs = [
        folder(tmp_path / name, record("m", v, half, recipe=name, better=better))
        for name, v in zip("ab", values, strict=True)
    ]
    assert versus.rows(versus.sides(runs))[0].best == best


def test_a_run_that_was_not_measured_says_how(tmp_path, capsys):
    empty = tmp_path / "empty"
    empty.mkdir()
    assert cli.main(["compare", str(empty), str(empty)]) == 2
    assert f"genjax eval {empty}" in capsys.readouterr().err
    a = folder(tmp_path / "a", record("m", 1.0))
    assert cli.main(["compare", a, "--checkpoint", "best"]) == 2
    assert "best checkpoint" in capsys.readouterr().err
    assert cli.main(["compare", a, "--record", "x.txt"]) == 2
    assert cli.main(["compare", a, "--checkpoint", "first"]) == 2
    for argv, says in (([str(tmp_path / "gone")], "no such folder"), ([a, "--out", "x.pdf"], "a page is HTML")):
        assert cli.main(["compare", *argv]) == 2
        assert says in capsys.readouterr().err


@pytest.fixture
def runs(smoke_run, tmp_path):
    """Two runs of a VAE that differ in their seed (the second is made up), and one of a GAN, measured alike."""
    made = [shutil.copytree(smoke_run(n), tmp_path / f"{n}0") for n in ("vae_digits", "gan_digits")]
    for run in made:
        assert cli.main(["eval", str(run), "--n", "60", "--features", "pixels", "--metrics", "kd,prdc"]) == 0
    second = shutil.copytree(made[0], tmp_path / "second")
    of_two = [dataclasses.replace(r, value=r.value + 0.1, subject=dataclasses.replace(r.subject, seed=1))
              for r in eval_file.read_eval(second)]  # fmt: skip
    (second / "eval.json").unlink()
    eval_file.add_records(second, of_two, {})
    return [made[0], second, made[1]]


def test_the_page_and_the_record(runs, tmp_path, capsys):
    paths = [str(run) for run in runs]
    out, kept = tmp_path / "deep" / "page.html", tmp_path / "digits.json"
    assert cli.main(["compare", *paths, "--out", str(out), "--record", str(kept)]) == 0
    told = capsys.readouterr().out
    assert told.splitlines()[0].split()[:2] == ["metric", "vae_digits"]
    assert "gan_digits · gan_digits0" in told
    got = read(out)
    for said in ("vae_digits", "Quality and variety", "Samples", "Real images", "Power spectra", "kd_pixels",
                 "precision", "What was measured", "difference", "quantisation"):  # fmt: skip
        assert said in got.said, said
    assert len(got.find("svg")) == 2
    assert len(got.find("img")) == 3
    stored = json.loads(kept.read_text())
    assert [r["recipe"] for r in stored["runs"]] == ["vae_digits", "gan_digits · gan_digits0"]
    assert [r["seed"] for r in stored["runs"][0]["each"]] == [0, 1]
    assert stored["runs"][0]["command"].startswith("genjax train vae_digits --")
    assert {"--run-dir", "--seed"}.isdisjoint(stored["runs"][0]["command"].split())
    assert str(runs[0].parent) not in kept.read_text()
    (table,) = results.tables(results.runs_of(tmp_path))
    assert table.name == "digits"
    assert table.head == ("digits", "`vae_digits`", "`gan_digits · gan_digits0`", "real data (floor)", "N")
    rows = {row[0]: row[1:] for row in table.rows}
    assert {"kd_pixels ↓", "precision ≈", "coverage ↑", "minutes each", "command"} <= set(rows)
    assert rows["seeds"] == ("2", "1", "", "")
    before = out.read_bytes()
    assert cli.main(["compare", *paths, "--out", str(out)]) == 0
    assert out.read_bytes() == before


def test_a_record_has_the_best_checkpoints_too_where_all_runs_have_them(tmp_path):
    last, best = record("m", 1.0), record("m", 2.0, checkpoint="best")
    both, kept = folder(tmp_path / "both", last, best), tmp_path / "kept.json"
    only_last = folder(tmp_path / "last", record("m", 3.0, recipe="other"))
    versus.write_record([both], kept)
    (run,) = json.loads(kept.read_text())["runs"]
    assert [(r["protocol"]["checkpoint"], r["value"]) for r in run["records"]] == [("last", 1.0), ("best", 2.0)]
    assert (run["each"][0]["seed"], run["each"][0]["state_sha256"]) == (0, "state 0")
    versus.write_record([both, only_last], kept)
    runs = json.loads(kept.read_text())["runs"]
    assert [[r["value"] for r in run["records"]] for run in runs] == [[1.0], [3.0]]


def seeds_of(where, values, recipe="vae_a", **more):
    """A run's folder for each value, of one recipe and seeds 0, 1, ..."""
    made = []
    for i, value in enumerate(values):
        run = folder(where / f"{recipe}{i}", record("m", value, recipe=recipe, seed=i, floor=0.5))
        words = [w for flag, v in more.items() for w in (f"--{flag}", str(v))]
        manifest = {"command": ["genjax", "train", recipe, *words, "--seed", str(i)], "commit": f"c{i}"}
        (where / f"{recipe}{i}" / "manifest.json").write_text(json.dumps(manifest))
        made.append(run)
    return made


def test_a_record_takes_in_a_seed_that_came_later_as_if_all_had_been_there(tmp_path):
    one, two, three = seeds_of(tmp_path, (1.0, 2.0, 6.0), lr=0.1)
    kept, all_at_once, again = (tmp_path / f"{name}.json" for name in ("kept", "all", "again"))
    versus.write_record([one, two], kept)
    shutil.rmtree(one)
    shutil.rmtree(two)
    versus.write_record([kept, three], kept)
    versus.write_record(seeds_of(tmp_path / "more", (1.0, 2.0, 6.0), lr=0.1), all_at_once)
    assert kept.read_bytes() == all_at_once.read_bytes()
    (run,) = json.loads(kept.read_text())["runs"]
    assert [(each["seed"], each["commit"]) for each in run["each"]] == [(0, "c0"), (1, "c1"), (2, "c2")]
    versus.write_record([kept], again)
    assert again.read_bytes() == kept.read_bytes()
    with pytest.raises(UsageError, match="a seed is there twice"):
        versus.sides([kept, three])


def test_a_record_does_not_lose_a_number_to_a_run_that_has_it_not(tmp_path):
    """The folders of the runs that it is of may be gone."""
    three = [record(m, 1.0, checkpoint=c) for m, c in (("fd", "last"), ("nll", "last"), ("fd", "best"))]
    kept = tmp_path / "kept.json"
    versus.write_record([folder(tmp_path / "a", *three)], kept)
    before = kept.read_bytes()
    less = folder(tmp_path / "b", record("fd", 2.0, seed=1))
    with pytest.raises(UsageError, match=r"lose .*: fd of vae_a \(best\), nll of vae_a \(last\)"):
        versus.write_record([kept, less], kept)
    assert kept.read_bytes() == before
    versus.write_record([kept, less], tmp_path / "other.json")
    with pytest.raises(UsageError, match="no number that all"):
        versus.sides([less, folder(tmp_path / "c", record("nll", 2.0, seed=2))])


def test_a_record_says_every_device_once_and_the_last_step(tmp_path):
    runs = seeds_of(tmp_path, (1.0, 2.0, 3.0))
    for run, cpu in zip(runs, "abb", strict=True):
        path = Path(run) / "manifest.json"
        about = {"device_kind": "cpu", "cpu_count": 1 + (cpu == "b"), "cpu": cpu}
        path.write_text(json.dumps({**json.loads(path.read_text()), **about}))
        (last,) = eval_file.read_eval(run)
        best = dataclasses.replace(last, protocol=dataclasses.replace(last.protocol, checkpoint="best"),
                                   subject=dataclasses.replace(last.subject, step=5, state_sha256="b"))  # fmt: skip
        eval_file.add_records(run, [best, last], {})
    kept = tmp_path / "kept.json"
    versus.write_record(runs[:2], kept)
    versus.write_record([kept, runs[2]], kept)
    (side,) = json.loads(kept.read_text())["runs"]
    assert side["device"] == "1 core, a; 2 cores, b"
    assert [(each["step"], each["state_sha256"]) for each in side["each"]] == [(9, f"state {i}") for i in range(3)]


def test_several_sides_of_one_recipe_are_named_by_what_they_differ_in(tmp_path):
    runs = [*seeds_of(tmp_path / "a", (1.0, 2.0), lr=0.1, passes=55), *seeds_of(tmp_path / "b", (3.0, 4.0), lr=0.1)]
    for run in runs[2:]:
        (longer,) = eval_file.read_eval(run)
        subject = dataclasses.replace(longer.subject, config_sha256="another")
        eval_file.add_records(run, [dataclasses.replace(longer, subject=subject)], {})
    assert [s.name for s in versus.sides(runs)] == ["vae_a · passes 55", "vae_a"]


def test_a_record_stands_beside_a_run_with_its_numbers(runs, tmp_path, capsys):
    kept, out = tmp_path / "kept.json", tmp_path / "page.html"
    versus.write_record(runs[:2], kept)
    assert cli.main(["compare", str(kept), str(runs[2]), "--out", str(out)]) == 0
    assert capsys.readouterr().out.splitlines()[0].split()[:2] == ["metric", "vae_digits"]
    assert len(read(out).find("img")) == 2  # of the run, and real ones
    assert cli.main(["compare", str(kept), "--out", str(out)]) == 0
    assert len(read(out).find("img")) == 0
    assert "Samples" not in read(out).said
    (good,) = json.loads(kept.read_text())["runs"]
    bad = [{}, {"runs": []}, {"runs": [{}]}, *({"runs": [{**good, **of}]} for of in (
        {"each": []}, {"each": good["each"][:1]}, {"records": []}, {"command": "genjax 'train"}
    ))]  # fmt: skip
    for content in ("no", "[" * 100_000, *map(json.dumps, bad)):
        (tmp_path / "bad.json").write_text(content)
        assert cli.main(["compare", str(tmp_path / "bad.json")]) == 2, content
        assert "bad.json" in capsys.readouterr().err
    assert cli.main(["compare", str(tmp_path / "none.json")]) == 2
    assert "no such record" in capsys.readouterr().err


def test_without_its_data_there_are_still_numbers(runs, tmp_path, monkeypatch):
    def gone(*args):
        raise UsageError("no data")

    monkeypatch.setattr(versus_page, "dataset_of_run", gone)
    sides = versus.sides([runs[2]])
    got = read(versus_page.write(sides, versus.rows(sides), "last", tmp_path / "p.html"))
    assert "Real images" not in got.said
    assert len(got.find("img")) == 1


def test_bars_are_as_long_as_their_numbers():
    svg = charts.bars({"a": [charts.Bar(2.0, math.nan), charts.Bar(1.0, 0.5), None]}, {"a": 1.5}, ["x", "y", "z"])
    widths = [float(w) for w in re.findall(r'<rect [^>]*width="([\d.]+)"', svg)]
    assert widths[0] == pytest.approx(2 * widths[1], rel=1e-3)
    assert widths[0] == pytest.approx(charts.WIDTH - charts.LEFT - charts.RIGHT)
    tick = float(re.search(r'M([\d.]+) [\d.]+V[\d.]+" stroke="[^"]*" stroke-dasharray', svg)[1])
    assert tick - charts.LEFT == pytest.approx(0.75 * widths[0], abs=0.1)
    assert svg.count("<rect") == 2


def test_numbers_of_bars_stand_where_no_bar_and_no_tick_reaches():
    """The cases: the longest bar, a floor that is longer still, and an interval that ends to the right of both."""
    for values, floor in (((0.5, 0.1), 0.55), ((1.0, 0.2), 1.0), ((0.98, math.nan), 3.0)):
        svg = charts.bars({"precision": [charts.Bar(*values)]}, {"precision": floor}, ["x"])
        number = re.search(r'<text x="(\d+)" y="[\d.]+" text-anchor="end"[^>]*>([\d.]+)</text>', svg)
        left = float(number[1]) - 7.0 * len(number[2])  # a digit of 11 px is 6.1 to 6.6 wide
        drawn = [float(x) for x in re.findall(r"[MH]([\d.]+)", svg)]
        assert max(drawn) < left
        assert float(number[2]) == pytest.approx(values[0])


def test_spectra_are_drawn_on_logarithmic_axes():
    f = np.array([0.01, 0.1, 1.0])
    svg = charts.spectra({"a": Spectrum(f, 1.0 / f), "real": Spectrum(f, np.array([1.0, 0.0, 1.0]))}, "real")
    path = re.findall(r'<path d="M([^"]*)" fill="none"', svg)
    points = np.array([[float(v) for v in p.split()] for p in path[0].split("L")])
    np.testing.assert_allclose(np.diff(points, axis=0)[0], np.diff(points, axis=0)[1], atol=0.2)
    assert len(path[1].split("L")) == 2
    assert "stroke-dasharray" in svg
    assert "0.01 cycles/pixel" in svg
    charts.spectra({"a": Spectrum(f, np.zeros(3)), "of another size": Spectrum(f[1:], np.array([0.0, 1.0]))})


def test_a_run_that_was_trained_further_is_named(tmp_path):
    """Its numbers are of step 100, and the run is at 200."""
    from genjax.report.versus import Side, notes

    for step in (100, 200):
        (tmp_path / "run" / "checkpoints" / str(step)).mkdir(parents=True)
        (tmp_path / "run" / "checkpoints" / str(step) / "seal.json").write_text("{}")
    about = Subject("gan_a", "c", 0, 100, "d", True)
    r = Record(Protocol("fd_mnist", 100, "test", "mnist", "5e", 100), about, 1.0)

    def of(r):
        return notes([Side("a", (str(tmp_path / "run"),), {"fd_mnist": r}, {})])

    (said,) = of(r)
    assert "from the weights that were measured (step 100); it is at step 200 now. genjax eval" in said
    assert of(dataclasses.replace(r, subject=dataclasses.replace(about, step=200))) == []
