"""Continuing with recipe and folder alone: options hold, and nothing that was kept is lost."""

import itertools
import json
from pathlib import Path

import pytest
from quick import few
from reliability import runs

from genjax.checkpoint import folders
from genjax.runs import run_folder
from genjax.runs.config import Options
from genjax.runs.options import changed_or_given, in_force

pytestmark = pytest.mark.reliability
NAME = "vae_digits"
CONFIG = [*runs.SMALL[NAME], "--validation", "100"]
FIRST = ["--log-every", "2", "--save-every", "2", "--sample-every", "50", "--keep", "1"]


def flags(run, end, *more):
    """The recipe, its fields, its folder: what a person repeats; and `more`."""
    return ["train", NAME, *CONFIG, "--steps", str(end), "--run-dir", str(run), *map(str, more)]


def kept(run: Path) -> dict[int, tuple[str, float | None]]:
    """Each sealed step with what it is ranked by."""
    found = {}
    for path in (run / "checkpoints").iterdir():
        if path.name.isdigit():
            seal = json.loads((path / "seal.json").read_text())
            found[int(path.name)] = (seal["ranked"] or "", seal["metric"])
    return found


def bests(found: dict[int, tuple[str, float | None]]) -> dict[str, tuple[float, int]]:
    """The best value of each name, and its step."""
    best: dict[str, tuple[float, int]] = {}
    for step, (name, value) in sorted(found.items()):
        if value is None:
            continue
        better = name not in best or (value > best[name][0] if name.startswith("max") else value < best[name][0])
        if better:
            best[name] = value, step
    return best


def lost(before, after, keep) -> set[int]:
    """Checkpoints that went, but for those that only were among the newest, and bests beaten under their own name."""
    was, now = bests(before), bests(after)
    best = {step for _, step in was.values()}
    beaten = {
        was[n][1] for n in was if n in now and now[n] != was[n]
        and (now[n][0] > was[n][0] if n.startswith("max") else now[n][0] < was[n][0])
    }  # fmt: skip
    rolling = set(before) - best
    newest = set(sorted(after)[-keep:])
    assert len(newest) == min(keep, len(after))
    return set(before) - set(after) - rolling - beaten


CHANGES = {
    "nothing": [],
    "keep more": ["--keep", "3"],
    "the other end": ["--keep-best", "min:loss"],
    "another metric": ["--keep-best", "max:rate"],
    "validation": ["--eval-every", "3"],
    "validation of a name": ["--eval-every", "3", "--keep-best", "min:val/rate"],
    "save seldom": ["--save-every", "5"],
    "no best": ["--keep-best", ""],
    "log often": ["--log-every", "1"],
}


@pytest.mark.parametrize("change", few(CHANGES))
@pytest.mark.parametrize(
    "first", [["--keep-best", "max:loss"], pytest.param(["--eval-every", "2"], marks=pytest.mark.slow)], ids="-".join
)
def test_with_recipe_and_folder_alone_what_is_kept_only_grows(first, change, tmp_path, train_here, capsys):
    """First options, then a change of them, then four sessions with recipe and folder alone."""
    run, more = tmp_path / "run", CHANGES[change]
    if "--eval-every" in first and "loss" in " ".join(more):
        more = ["--eval-every", "0", *more]
    if "--eval-every" in first and "max:rate" in more:
        more = ["--eval-every", "0", *more]
    assert train_here(flags(run, 6, *FIRST, *first)) == 0
    seen = [kept(run)]
    assert train_here(flags(run, 10, *more)) == 0
    seen.append(kept(run))
    options = run_folder.read_config(run)["options"]
    for end in (10, 14, 17, 20):
        capsys.readouterr()
        assert train_here(flags(run, end)) == 0
        err = capsys.readouterr().err
        assert run_folder.read_config(run)["options"] == options, "options hold"
        assert f"--keep {options['keep']}" in err  # 1 or 3; the default is 2
        assert "are gone" not in err
        seen.append(kept(run))
    keep = options["keep"]
    for i, (before, after) in enumerate(itertools.pairwise(seen)):
        assert lost(before, after, 1 if i == 0 else keep) == set(), (i, before, after)
        assert set(bests(before)) <= set(bests(after)), "the best of every name that ever was is still there"
    if change == "keep more":
        assert len(seen[-1]) >= 3
    assert {name for _, (name, value) in seen[-1].items() if value is not None} >= set(bests(seen[0]))


@pytest.mark.slow
def test_a_best_by_one_quantity_is_not_compared_with_another(tmp_path, train_here, capsys):
    """The issue's case: `max:loss`, then `--eval-every`: the new best is by validation, and that by loss stays."""
    run = tmp_path / "run"
    assert train_here(flags(run, 6, *FIRST, "--keep-best", "max:loss")) == 0
    (old,) = [s for _, s in bests(kept(run)).values()]
    capsys.readouterr()
    rows = (run / "metrics.jsonl").read_text().splitlines(keepends=True)
    (run / "metrics.jsonl").write_text("".join(rows[:1]))
    assert train_here(flags(run, 12, "--eval-every", 3)) == 0
    err = capsys.readouterr().err
    assert "metrics.jsonl ends at step 2: the rows after it, up to step 6, are gone" in err
    assert "the best is chosen by max:val/elbo from now on; the best by max:loss stays" in err
    found = kept(run)
    by = bests(found)
    assert by["max:loss"][1] == old
    assert found[old][0] == "max:loss"
    at = folders.resolved(run / "checkpoints")
    assert folders.best(at, "max:val/elbo") == by["max:val/elbo"][1] != old
    assert folders.best(at, "max:loss") == old
    assert folders.best(at, "min:rate") is None


def test_what_was_said_is_what_overrides():
    """A flag that repeats a default overrides; `Options()` overrides nothing; a session's own options never hold."""
    stored = {"keep": 5, "keep_best": "min:loss", "save_every": 9, "health": False, "quiet": True, "mesh": "data=2",
              "data_dir": "/nowhere/at/all", "run_dir": "old", "compile_cache": False, "gone": 1}  # fmt: skip
    options, held = in_force(Options(run_dir="new"), stored)
    assert held == {"keep": 5, "keep_best": "min:loss", "save_every": 9, "health": False}
    assert options == Options(run_dir="new", keep=5, keep_best="min:loss", save_every=9, health=False)
    assert in_force(Options(keep=3), stored)[0].keep == 3
    again = Options()
    object.__setattr__(again, "given", frozenset({"keep", "keep_best"}))
    assert changed_or_given(again) == {"keep", "keep_best"}
    assert in_force(again, stored)[0] == Options(save_every=9, health=False)
    assert in_force(Options(), None) == (Options(), {})


def test_flags_that_were_given_are_told_apart(tmp_path, train_here):
    run = tmp_path / "run"
    assert train_here(flags(run, 2, *FIRST, "--no-health")) == 0
    assert train_here(flags(run, 4, "--keep=2", "--health", "True")) == 0  # both are the defaults
    options = run_folder.read_config(run)["options"]
    assert (options["keep"], options["health"], options["save_every"]) == (2, True, 2)
