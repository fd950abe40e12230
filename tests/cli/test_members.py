"""A sweep measured, compared and shown: members by one command, sides by swept value, the page against the field."""

import dataclasses
import json
import shutil
import sys

import jax
import numpy as np
import pytest
from test_report import read

from genjax import cli, runs
from genjax.cli import cache, measure
from genjax.errors import UsageError
from genjax.measure import eval_file
from genjax.report import facts, sources, sweep, versus
from genjax.runs import opening

SMALL = ["--hidden", "16", "--z-dim", "2", "--batch-size", "8", "--log-every", "2", "--quiet"]
FAST = ["--n", "60", "--features", "pixels", "--metrics", "elbo,kd"]


@pytest.fixture(autouse=True)
def _tests_own_cache(monkeypatch):
    monkeypatch.setattr(cache, "enable", lambda on=True: None)


def trained(folder, *members):
    assert cli.main(["train", "vae_digits", *SMALL, "--steps", "4", "--run-dir", str(folder), *members]) == 0
    return folder


@pytest.fixture(scope="module")
def plain(tmp_path_factory):
    """Two seeds at two points, not measured."""
    return trained(tmp_path_factory.mktemp("runs") / "eight", "--seeds", "2", "--sweep", "beta=0.5,4")


@pytest.fixture(scope="module")
def measured(plain, tmp_path_factory):
    """The same, every member measured; and how often anything was compiled until each member was done."""
    run = shutil.copytree(plain, tmp_path_factory.mktemp("measured") / "eight")
    compiled, after = [], []

    def count(event, seconds, **more):
        if event.endswith("backend_compile_duration"):
            compiled.append(event)

    def one(*args):
        taken = original(*args)
        after.append(len(compiled))
        return taken

    original = measure.measure_checkpoints
    jax.monitoring.register_event_duration_secs_listener(count)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(measure, "measure_checkpoints", one)
        patch.setattr(cache, "enable", lambda on=True: None)
        assert cli.main(["eval", str(run), "--member", "all", *FAST]) == 0
    return run, after


@pytest.fixture
def run(measured, tmp_path):
    return shutil.copytree(measured[0], tmp_path / "eight")


@pytest.fixture(scope="module")
def failing(tmp_path_factory):
    """One member with a learning rate beyond all measure."""
    return trained(tmp_path_factory.mktemp("runs") / "failing", "--sweep", "lr=1e-3,1e30")


@pytest.mark.slow
def test_every_member_is_measured_as_it_is_alone(run, plain, tmp_path):
    together = {r.subject.member: [] for r in eval_file.read_eval(run)}
    for r in eval_file.read_eval(run):
        together[r.subject.member].append(r)
    assert sorted(together) == [0, 1, 2, 3]
    assert {r.protocol.metric for r in together[0]} == {"elbo", "rate", "distortion", "kd_pixels"}
    alone = shutil.copytree(plain, tmp_path / "alone")
    assert cli.main(["eval", str(alone), "--member", "2", *FAST]) == 0
    assert eval_file.read_eval(alone) == together[2]


@pytest.mark.slow
def test_what_is_compiled_for_the_first_member_serves_all(measured):
    _, after = measured
    assert len(after) == 4
    assert after[0] > 0
    assert after[1:] == [after[0]] * 3


@pytest.mark.slow
def test_members_share_an_experiment_where_their_models_are_one_program(plain):
    four, failed = runs.open_members(plain)
    assert failed == {}
    assert [r.member for r in four] == [0, 1, 2, 3]
    assert [r.config.beta for r in four] == [0.5, 0.5, 4.0, 4.0]
    assert len({id(r.experiment) for r in four}) == 1
    one = runs.open_run(plain, member=3)
    assert jax.tree.all(jax.tree.map(lambda a, b: bool((np.asarray(a) == b).all()), four[3].state, one.state))
    e = four[0].experiment

    def other(params, state, batch, key):
        return {k: 1.5 * v for k, v in e.score(params, state, batch, key).items()}

    assert opening.program(four[0]) == opening.program(four[3])
    assert opening.program(four[0]) != opening.program(four[0]._replace(experiment=dataclasses.replace(e, score=other)))


@pytest.mark.slow
def test_the_table_has_a_column_for_each_point(run, capsys):
    assert cli.main(["eval", str(run), "--member", "all", *FAST]) == 0
    out, err = capsys.readouterr()
    assert out.splitlines()[0].split("  ")[0] == "metric"
    assert "beta 0.5" in out.splitlines()[0]
    assert "beta 4" in out.splitlines()[0]
    assert "16 records" in out
    for name in ("member 0 (beta 0.5, seed 0):", "member 3 (beta 4, seed 1):"):
        assert name in err


@pytest.mark.slow
def test_an_interrupted_evaluation_keeps_the_members_that_are_done(plain, tmp_path, monkeypatch):
    run = shutil.copytree(plain, tmp_path / "eight")
    real, calls = measure.measure_checkpoints, []

    def stopped(*args):
        calls.append(args[1].member)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(measure, "measure_checkpoints", stopped)
    assert cli.main(["eval", str(run), "--member", "all", *FAST]) == 130
    assert {r.subject.member for r in eval_file.read_eval(run)} == {0, 1}
    with pytest.raises(UsageError, match="member 2 was not measured"):
        sources.sources(f"{run}#2")
    assert [s.member for s in sources.sources(str(run))] == [0, 1]


@pytest.mark.slow
def test_failed_members_are_named_and_left_out(failing, tmp_path, capsys):
    run = shutil.copytree(failing, tmp_path / "failing")
    assert cli.main(["eval", str(run), "--member", "all", *FAST]) == 0
    assert "member 1 (lr 1e+30, seed 0)" in capsys.readouterr().err
    assert {r.subject.member for r in eval_file.read_eval(run)} == {0}
    assert cli.main(["report", str(run), "--out", str(tmp_path / "r.html")]) == 0
    said = read(tmp_path / "r.html").said
    assert "Measured by genjax eval on digits (test). 1 of 2 members have failed and are left out." in said


@pytest.mark.parametrize("member", ["ALL", "-1", "1.5", "every", ""])
def test_a_member_is_a_number_or_all(member, plain, capsys):
    assert cli.main(["eval", str(plain), f"--member={member}"]) == 2
    assert "must be a member's number, or all" in capsys.readouterr().err


@pytest.mark.slow
def test_all_of_a_single_run_is_refused(smoke_run, capsys):
    assert cli.main(["eval", str(smoke_run("vae_digits")), "--member", "all"]) == 2
    assert "is a single run; leave --member out" in capsys.readouterr().err


def test_points_of_a_sweep_are_sides_with_intervals_over_seeds(run):
    sides = versus.sides([str(run)])
    assert [s.name for s in sides] == ["beta 0.5", "beta 4"]
    assert [s.runs for s in sides] == [(f"{run}#0", f"{run}#1"), (f"{run}#2", f"{run}#3")]
    values = {r.subject.member: r.value for r in eval_file.read_eval(run) if r.protocol.metric == "elbo"}
    elbo = sides[1].records["elbo"]
    assert elbo.value == pytest.approx((values[2] + values[3]) / 2)
    assert elbo.seeds == ((0, values[2]), (1, values[3]))
    assert elbo.over_seeds is not None
    assert sides[1].origin["command"].endswith("--beta 4.0")
    assert "sweep" not in sides[1].origin["command"]
    assert [each["seed"] for each in sides[1].origin["each"]] == [0, 1]


@pytest.mark.parametrize(
    ("chosen", "names"),
    [
        ("#3", ["beta 4"]),
        ("#0,3", ["beta 0.5", "beta 4"]),
        ("#beta=4", ["beta 4"]),
        ("#beta=0.5", ["beta 0.5"]),
        ("#all", ["beta 0.5", "beta 4"]),
    ],
)
def test_members_are_chosen_by_number_or_value(chosen, names, run):
    assert [s.name for s in versus.sides([f"{run}{chosen}"])] == names


@pytest.mark.parametrize(
    ("chosen", "says"),
    [
        ("#4", "members 0 to 3"),
        ("#beta=2", "there are 0.5, 4"),
        ("#lr=1", "names no member"),
        ("#x", "names no member"),
        ("#1,", "names no member"),
        ("#-1", "names no member"),
    ],
)
def test_members_that_are_not_there(chosen, says, run, capsys):
    assert cli.main(["compare", f"{run}{chosen}"]) == 2
    err = capsys.readouterr().err
    assert says in err
    assert err.count("\n") == 1


def test_a_folder_with_the_mark_in_its_name_is_that_folder(run, tmp_path):
    shutil.move(run, tmp_path / "e#3")
    assert [s.name for s in versus.sides([str(tmp_path / "e#3")])] == ["beta 0.5", "beta 4"]
    assert [s.runs for s in versus.sides([f"{tmp_path}/e#3#2"])] == [(f"{tmp_path}/e#3#2",)]


def test_a_population_that_was_not_measured_says_how(plain, capsys):
    assert cli.main(["compare", str(plain)]) == 2
    assert f"genjax eval {plain} --member all" in capsys.readouterr().err


def test_the_page_of_a_comparison_draws_every_point(run, tmp_path, capsys):
    out, kept = tmp_path / "c.html", tmp_path / "kept.json"
    assert cli.main(["compare", str(run), "--out", str(out), "--record", str(kept)]) == 0
    assert capsys.readouterr().out.splitlines()[0].split("  ")[0] == "metric"
    page = read(out)
    assert "beta 0.5 against beta 4" in page.said
    assert len(page.find("img")) == 3  # two sides, and real images
    stored = json.loads(kept.read_text())["runs"]
    assert [r["recipe"] for r in stored] == ["beta 0.5", "beta 4"]
    assert [len(r["each"]) for r in stored] == [2, 2]


def test_an_extracted_member_is_the_same_run_as_the_member(run, tmp_path):
    out = tmp_path / "alone"
    assert cli.main(["extract", str(run), "--member", "2", "--out", str(out)]) == 0
    assert cli.main(["eval", str(out), *FAST]) == 0
    with pytest.raises(UsageError, match="a seed is there twice"):
        versus.sides([str(run), str(out)])
    (side,) = versus.sides([f"{run}#3", str(out)])
    assert side.records["elbo"].seeds[1][0] == 0


def test_an_extract_takes_no_place_that_another_has_made(run, tmp_path, monkeypatch, capsys):
    """Two at a time: the second finds what the first has made since it looked. A link to an empty folder is one."""
    out, link = tmp_path / "alone", tmp_path / "link"
    (tmp_path / "empty").mkdir()
    link.symlink_to("empty")
    assert cli.main(["extract", str(run), "--member", "2", "--out", str(link)]) == 0
    module = sys.modules[runs.extract.__module__]
    monkeypatch.setattr(module, "copy_folder", lambda *args: out.exists() or shutil.copytree(link, out))
    capsys.readouterr()
    assert cli.main(["extract", str(run), "--member", "2", "--out", str(out)]) == 2
    assert "made it meanwhile" in capsys.readouterr().err


@pytest.mark.slow
def test_the_page_says_where_its_numbers_are_from(plain, run, tmp_path):
    for folder, says in ((plain, "as last logged while training"), (run, "Measured by genjax eval on digits (test)")):
        out = tmp_path / "r.html"
        assert cli.main(["report", str(folder), "--out", str(out)]) == 0
        page = read(out)
        assert says in page.said
        assert "Rate and distortion" in page.said
        assert "Against beta" in page.said
    found = sweep.numbers(facts.read(str(run), 4))
    assert list(found.values) == ["elbo", "rate", "distortion", "kd_pixels"]
    np.testing.assert_allclose(-found.values["elbo"], found.values["rate"] + found.values["distortion"], rtol=1e-4)
    floors = {r.floor for r in eval_file.read_eval(run) if r.protocol.metric == "kd_pixels"}
    assert floors == {found.floors["kd_pixels"]}


def test_a_sweep_that_is_measured_in_part_says_how_much(run):
    path = run / "eval.json"
    stored = json.loads(path.read_text())
    stored["records"] = [r for r in stored["records"] if r["subject"]["member"] < 3]
    path.write_text(json.dumps(stored))
    found = sweep.numbers(facts.read(str(run), 4))
    assert "3 of 4 members are measured" in found.source
    assert f"genjax eval {run} --member all" in found.source


@pytest.mark.slow
def test_seeds_alone_are_no_sweep(tmp_path):
    run = trained(tmp_path / "seeds", "--seeds", "2")
    assert sweep.section(facts.read(str(run), 4)) == ""
    assert cli.main(["eval", str(run), "--member", "all", *FAST]) == 0
    (side,) = versus.sides([str(run)])
    assert side.name == "2 seeds"
