"""`runs.run(..., on_row=)`: what a callback sees, and that its failure loses nothing."""

import contextlib
import io
import json
import signal

import pytest
from quick import few

from genjax import cli, recipes, runs
from genjax.errors import RunFailure, UsageError

STEPS = 10


@pytest.fixture(scope="module")
def recipe():
    return recipes.load("vae_digits")


@pytest.fixture(scope="module")
def run_with(recipe):
    """`run_with(folder, on_row)` trains ten steps there, logging every third; each save ends a chunk, however fast."""

    def run(folder, on_row, seeds=1):
        cfg = recipe.Config(steps=STEPS, batch_size=8, hidden=16, z_dim=2)
        options = runs.Options(run_dir=str(folder), quiet=True, log_every=3, save_every=2, sample_every=100)
        members = runs.members_of(cfg, seeds, "")
        return runs.run(recipe.__file__, recipe.build, cfg, options, members, on_row=on_row)

    return run


@pytest.fixture(scope="module")
def whole(run_with, tmp_path_factory):
    """A finished run and the rows that its callback saw."""
    folder, seen = tmp_path_factory.mktemp("runs") / "whole", []
    assert run_with(folder, seen.append) == 0
    return folder, seen


def logged(folder):
    return [json.loads(line) for line in (folder / "metrics.jsonl").read_text().splitlines()]


def without_clock(rows):
    return [{k: v for k, v in row.items() if k not in ("seconds", "examples_per_s")} for row in rows]


def digest(folder):
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main(["digest", str(folder)]) == 0
    return out.getvalue().splitlines()[-1]


def test_it_sees_every_logged_row(whole):
    folder, seen = whole
    assert [row["step"] for row in seen] == [3, 6, 9, 10]
    assert seen == logged(folder)


async def later(row): ...


def generator(row):
    yield row


@pytest.mark.parametrize(("on_row", "word"), [(later, "async"), (generator, "generator")])
def test_what_would_never_run_is_refused(on_row, word, run_with, tmp_path):
    with pytest.raises(UsageError, match=word):
        run_with(tmp_path / "run", on_row)
    assert not (tmp_path / "run").exists()


@pytest.mark.slow
def test_of_a_population_every_number_has_a_name(run_with, tmp_path):
    seen = []
    assert run_with(tmp_path / "run", seen.append, seeds=2) == 0
    assert {"step", "elbo/0", "elbo/1"} <= set(seen[0])
    assert all(isinstance(v, int | float) for row in seen for v in row.values())
    assert seen[-1]["elbo/1"] == logged(tmp_path / "run")[-1]["elbo"][1]


@pytest.mark.slow
@pytest.mark.parametrize("at", [3, 9, STEPS])
def test_what_it_raises_ends_the_run_saved(at, run_with, whole, tmp_path):
    """Named in two lines; the rows are all logged, and the run goes on to what it would have been."""

    def on_row(row):
        if row["step"] == at:
            raise ConnectionError("the tracker is away")

    run = tmp_path / "run"
    with pytest.raises(RunFailure) as e:
        run_with(run, on_row)
    first, second = str(e.value).splitlines()[:2]
    assert first.startswith(f"on_row raised ConnectionError at step {at}: the tracker is away (test_callback.py, line ")
    saved = int(second.split()[3])
    assert saved >= at
    assert second.startswith(f"Saved at step {saved} of {STEPS}. ")
    assert (run / "checkpoints" / str(saved) / "seal.json").exists()
    assert run_with(run, None) == 0
    assert digest(run) == digest(whole[0])
    assert without_clock(logged(run)) == without_clock(logged(whole[0]))


@pytest.mark.parametrize("end", [SystemExit(7), KeyboardInterrupt("stop")], ids=repr)
def test_it_may_end_the_process(end, run_with, tmp_path):
    def on_row(row):
        raise end

    with pytest.raises(type(end)) as e:
        run_with(tmp_path / "run", on_row)
    assert e.value is end
    assert any((tmp_path / "run" / "checkpoints").glob("*/seal.json"))


@pytest.mark.parametrize("name", few(["SIGHUP", "SIGUSR1", "SIGXCPU"], "SIGHUP"))
def test_what_a_terminal_or_a_scheduler_sends_saves_the_run(name, run_with, whole, tmp_path, capsys):
    """As SIGTERM and Ctrl-C do, which `tests/reliability` sends to processes."""
    number = signal.Signals[name]
    run = tmp_path / "run"
    code = run_with(run, lambda row: signal.raise_signal(number) if row["step"] == 3 else None)
    err = capsys.readouterr().err
    assert code == 128 + number
    assert f"{name}: saving, then stopping. Ctrl-C (again) stops at once.\n" in err
    assert "\nsaved at step " in err.partition(f"{name}: ")[2]
    assert f"To continue: genjax train vae_digits --steps {STEPS} " in err
    assert run_with(run, None) == 0
    assert digest(run) == digest(whole[0])
