"""A run that was interrupted, however often and however rudely, is the run that was not.

Equal are the digest of the last state, every row of `metrics.jsonl` but its wall-clock fields, and the bytes of every
sample grid.
"""

import importlib
import json
import signal
import time

import pytest
from quick import few
from reliability import runs
from reliability.runs import STEPS, argv, facts

from genjax.checkpoint.checkpoints import Checkpoints

pytestmark = pytest.mark.reliability
FAMILIES = list(runs.SMALL)


@pytest.fixture(scope="module")
def whole_here(tmp_path_factory):
    """Facts of runs that nothing interrupted, in this process."""
    made = {}

    def get(name, train):
        if name not in made:
            run = tmp_path_factory.mktemp("here") / name
            assert train(argv(name, run)) == 0
            made[name] = facts(run)
        return made[name]

    return get


@pytest.fixture(scope="module")
def whole_there(tmp_path_factory):
    """Facts of runs that nothing interrupted, in a process of their own; and its seconds after data and imports."""
    made = {}

    def get(name, env):
        if name not in made:
            run = tmp_path_factory.mktemp("there") / name
            child = runs.session(name, run, env)
            runs.begun(child)
            start = time.monotonic()
            code, err = runs.ended(child)
            assert code == 0, err
            made[name] = facts(run), time.monotonic() - start
        return made[name]

    return get


def stopped_after_every_step(name, tmp_path, train, steps, *more):
    """One session per step: every chunk boundary is a resume point."""
    run, flags = tmp_path / "run", ["--steps", steps, *more]
    assert train(argv(name, tmp_path / "whole", *flags)) == 0
    for _ in range(steps - 1):
        assert train(argv(name, run, *flags), stop_after=1) == 143
    assert train(argv(name, run, *flags)) == 0
    assert facts(run) == facts(tmp_path / "whole")


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_stopped_after_each_of_a_few_steps(name, tmp_path, train_here):
    stopped_after_every_step(name, tmp_path, train_here, 6, "--log-every", 4, "--save-every", 3, "--sample-every", 5)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_stopped_after_every_step(name, tmp_path, train_here):
    stopped_after_every_step(name, tmp_path, train_here, STEPS)


@pytest.mark.slow
@pytest.mark.parametrize("step", [10, STEPS])
def test_ended_as_soon_as_a_step_is_sealed(step, tmp_path, train_here, whole_here, monkeypatch):
    """Rows and grid of a step are on the disk before its seal: the next session does not come back to them."""
    name, run, save = "gan_digits", tmp_path / "run", Checkpoints.save

    def save_and_end(self, at, *args):
        save(self, at, *args)
        self.wait()
        if at == step:
            raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(Checkpoints, "save", save_and_end)
        assert train_here(argv(name, run)) == 130
    assert train_here(argv(name, run)) == 0
    assert facts(run) == whole_here(name, train_here)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_killed_anywhere(name, tmp_path, child_env, whole_there):
    killed(name, tmp_path, child_env, whole_there, 1)


@pytest.mark.slow
@pytest.mark.parametrize("name", FAMILIES)
def test_killed_anywhere_twenty_times(name, tmp_path, child_env, whole_there):
    killed(name, tmp_path, child_env, whole_there, 20)


def killed(name, tmp_path, env, whole_there, n):
    wanted, seconds = whole_there(name, env)
    kills, finished = runs.killed_runs(name, tmp_path, env, n, seed=n, seconds=seconds)
    assert kills == n
    assert finished
    for run in finished:
        assert facts(run) == wanted


@pytest.mark.parametrize(
    ("name", "number", "code", "at"),
    [
        # At the first grid the training program is about to be compiled.
        pytest.param("vae_digits", signal.SIGTERM, 143, "samples/00000000.png", id="SIGTERM-compiling",
                     marks=pytest.mark.slow),
        pytest.param("gan_digits", signal.SIGINT, 130, "checkpoints/5/seal.json", id="Ctrl-C-training",
                     marks=pytest.mark.slow),
        pytest.param("gan_digits", signal.SIGTERM, 143, "checkpoints/10/seal.json", id="SIGTERM-training",
                     marks=pytest.mark.slow),
        pytest.param("vae_digits", signal.SIGINT, 130, "lock", id="Ctrl-C-beginning", marks=pytest.mark.slow),
    ],
)  # fmt: skip
def test_a_signal_saves_and_says_how_to_go_on(name, number, code, at, tmp_path, child_env, whole_there):
    run = tmp_path / "run"
    child = runs.session(name, run, child_env, "--compile-cache", at != "samples/00000000.png")
    runs.wait_for(run / at)
    child.send_signal(number)
    got, err = runs.ended(child)
    assert got == code, err
    assert f"{number.name}: saving, then stopping" in err
    step = runs.saved_step(err)
    assert step < STEPS
    assert (run / "checkpoints" / str(step) / "seal.json").exists()
    assert f"continuing from step {step}" in runs.whole(name, run, child_env) or step == 0
    assert facts(run) == whole_there(name, child_env)[0]


@pytest.mark.slow
def test_a_second_ctrl_c_stops_at_once_and_loses_nothing_sealed(tmp_path, child_env, whole_there):
    name, run = "vae_digits", tmp_path / "run"
    child = runs.session(name, run, child_env)
    runs.wait_for(run / "samples" / "00000000.png")
    child.send_signal(signal.SIGINT)
    list(runs.iter_until(child, "SIGINT"))
    child.send_signal(signal.SIGINT)
    start = time.monotonic()
    code, err = runs.ended(child)
    assert code == 130, err
    assert "Traceback" not in err
    assert "interrupted" in err
    assert "saved at" not in err
    assert time.monotonic() - start < 10  # a save that was begun is let go through
    runs.whole(name, run, child_env)
    assert facts(run) == whole_there(name, child_env)[0]


def test_a_second_process_on_a_folder_is_refused_and_harms_nothing(tmp_path, child_env, train_here, capsys):
    name, run = "vae_digits", tmp_path / "run"
    child = runs.session(name, run, child_env, "--steps", 100_000)
    try:
        runs.wait_for(run / "manifest.json")
        assert train_here(argv(name, run, "--steps", 100_000)) == 2
        err = capsys.readouterr().err
        assert f"in use by process {child.pid} on " in err
        assert len(err.splitlines()) <= 3
        assert child.poll() is None
    finally:
        child.kill()
        runs.ended(child)
    # The lock is gone with its holder.
    assert train_here(argv(name, run, "--steps", 100_000), stop_after=1) == 143


@pytest.mark.parametrize("name", few(FAMILIES, "vae_digits"))
def test_extended_is_the_longer_run(name, tmp_path, train_here, whole_here):
    """Also where the shorter run ended between two rows; run-only fields may differ."""
    run = tmp_path / "run"
    assert train_here(argv(name, run, "--steps", 17, "--save-every", 6)) == 0
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"] == 17
    assert train_here(argv(name, run, "--keep", 3)) == 0
    got, wanted = facts(run), whole_here(name, train_here)
    assert got[:2] == wanted[:2]
    assert {n: got.grids[n] for n in wanted.grids} == wanted.grids
    assert set(got.grids) - set(wanted.grids) == {"00000017.png"}


def test_a_finished_run_says_so_and_changes_nothing(tmp_path, train_here, capsys):
    run = tmp_path / "run"
    assert train_here(argv("vae_digits", run, "--steps", 8)) == 0
    before = {p: p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file() and p.name != "config.json"}
    capsys.readouterr()
    assert train_here(argv("vae_digits", run, "--steps", 8)) == 0
    assert "finished: the run is at step 8 of 8" in capsys.readouterr().err
    assert {p: p.read_bytes() for p in sorted(run.rglob("*")) if p.is_file() and p.name != "config.json"} == before
    assert train_here(argv("vae_digits", run, "--steps", 6)) == 0
    assert "finished: the run is at step 8 of 6" in capsys.readouterr().err


@pytest.mark.slow
def test_the_best_stays_whatever_comes_after(tmp_path, train_here):
    """The checkpoint with the lowest loss is kept, and with it what its metric is, in one session or in many."""
    found = []
    for name, stops in (("whole", []), ("parts", [4, 9, 3, 8])):
        run = tmp_path / name
        flags = argv("vae_digits", run, "--keep", 1, "--keep-best", "max:loss")
        for stop in stops:
            assert train_here(flags, stop_after=stop) == 143
        assert train_here(flags) == 0
        kept = sorted(int(p.name) for p in (run / "checkpoints").iterdir() if p.name.isdigit())
        metric = {s: json.loads((run / f"checkpoints/{s}/seal.json").read_text())["metric"] for s in kept}
        assert kept[-1] == STEPS
        assert len(kept) == 2
        found.append(metric)
    whole, parts = found
    assert max(parts.values()) == max(whole.values())
    assert whole[STEPS] == parts[STEPS] == facts(tmp_path / "whole").rows[-1]["loss"]


def test_a_best_of_an_unknown_metric_is_noted(tmp_path, train_here, capsys):
    assert train_here(argv("vae_digits", tmp_path / "run", "--keep-best", "max:elob", "--steps", 8)) == 0
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "keep_best" in line]
    assert "'elob' at step 7" in line
    assert "elbo" in line


def test_a_nan_metric_never_removes_the_best(tmp_path, train_here, monkeypatch):
    """From step 10 on the metric is NaN: the best of before stays, through a restart too."""
    run, rows = tmp_path / "run", importlib.import_module("genjax.train.loop")._Log.emit

    def emit(self, step):
        if step > 10:
            for row in self.pending:
                row["rate"] = float("nan")
        rows(self, step)

    monkeypatch.setattr(importlib.import_module("genjax.train.loop")._Log, "emit", emit)
    flags = argv("vae_digits", run, "--keep", 1, "--keep-best", "min:rate", "--log-every", 1)
    assert train_here(flags, stop_after=22) == 143
    best = {int(p.name) for p in (run / "checkpoints").iterdir() if p.name.isdigit()}
    assert best in ({5, 22}, {10, 22})
    assert train_here(flags) == 0
    assert {int(p.name) for p in (run / "checkpoints").iterdir() if p.name.isdigit()} == best - {22} | {STEPS}
    assert json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["rate"] == "NaN"
