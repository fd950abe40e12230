"""Flipped bits, full disks and diverging losses in real runs: noticed, named, and nothing good is lost."""

import random
import shutil

import pytest
from quick import few
from reliability import runs
from reliability.disks import fill, small
from reliability.runs import STEPS, argv, facts

from genjax import viz
from genjax.checkpoint import folders
from genjax.checkpoint.checkpoints import Checkpoints
from genjax.errors import RunFailure
from genjax.runs import manifest_file, open_run, run_folder

pytestmark = pytest.mark.reliability


@pytest.fixture(scope="module", params=few(runs.SMALL, "vae_digits"))
def name(request):
    return request.param


@pytest.fixture(scope="module")
def kept_runs(tmp_path_factory):
    return tmp_path_factory.mktemp("runs")


@pytest.fixture
def finished(kept_runs, train_here):
    """A function of a recipe's name: the folder of its finished run."""

    def get(name):
        run = kept_runs / name
        if not run.exists():
            assert train_here(argv(name, run)) == 0
        return run

    return get


@pytest.fixture
def whole(name, finished):
    return finished(name)


def sealed(run):
    return folders.sealed(folders.resolved(run / "checkpoints"))


def flip_and_go_on(name, whole, tmp_path, train, capsys, file, r):
    """A bit flips in the newest checkpoint; the next session says so, and comes to the same end."""
    run = tmp_path / "run"
    shutil.rmtree(run, ignore_errors=True)
    shutil.copytree(whole, run)
    before, last = sealed(run)
    assert last == STEPS
    runs.flip(run / "checkpoints" / str(last) / file, r)
    capsys.readouterr()
    assert train(argv(name, run)) == 0
    err = capsys.readouterr().err
    damaged = run / "checkpoints" / f"{last}.corrupt"
    assert f"checkpoint {last} is damaged: {run / 'checkpoints' / str(last) / file} " in err
    assert f"kept aside as {damaged.name}" in err
    assert f"continuing from step {before}" in err
    assert (damaged / file).exists()
    assert facts(run) == facts(whole)


def flips(name, whole, tmp_path, train, capsys, each, through):
    """`each` flips in every file of a checkpoint, all detected; the run is finished after each `through`-th."""
    r = random.Random(each)
    files = runs.files(whole / "checkpoints" / str(STEPS))
    assert len(files) >= 10
    at = folders.resolved(whole / "checkpoints") / str(STEPS)
    n = 0
    for file in files:
        for _ in range(each):
            n += 1
            if n % through == 0:
                flip_and_go_on(name, whole, tmp_path, train, capsys, file, r)
            else:
                folder = tmp_path / "checkpoints"
                shutil.rmtree(folder, ignore_errors=True)
                shutil.copytree(at, folder / str(STEPS))
                runs.flip(folder / str(STEPS) / file, r)
                told = []
                with (
                    Checkpoints(folder, read_only=True, on_message=told.append) as checkpoints,
                    pytest.raises(RunFailure, match="no intact checkpoint"),
                ):
                    checkpoints.restore({})
                assert file in told[0]
    return n


def test_flipped_bits_of_every_file(name, whole, tmp_path, train_here, capsys):
    flips(name, whole, tmp_path, train_here, capsys, 1, through=9)


@pytest.mark.slow
def test_ten_flipped_bits_of_every_file(name, whole, tmp_path, train_here, capsys):
    assert flips(name, whole, tmp_path, train_here, capsys, 10, through=1) >= 100


def test_every_checkpoint_damaged_is_a_failure_that_says_so(whole, name, tmp_path, train_here, capsys):
    run = tmp_path / "run"
    shutil.copytree(whole, run)
    for step in sealed(run):
        (run / "checkpoints" / str(step) / "state" / "_METADATA").write_bytes(b"")
    capsys.readouterr()
    assert train_here(argv(name, run)) == 1
    err = capsys.readouterr().err
    assert "no intact checkpoint in " in err
    assert "No checkpoint was saved yet" not in err
    assert len(err.splitlines()) <= 8


def out_of_disk(name, disk, train, capsys, *flags):
    """Trains until the disk is full; what was said, and the last good step."""
    capsys.readouterr()
    assert train(argv(name, disk / "run", *flags)) == 1
    err = capsys.readouterr().err
    assert "Traceback" not in err
    assert "no space left for " in err
    assert "MB free" in err
    assert str(disk) in err
    good = sealed(disk / "run")
    if good:
        assert "ast good checkpoint" in err
        assert f"step {good[-1]}" in err
        assert open_run(disk / "run").step == good[-1]
    return err


@pytest.mark.slow
def test_out_of_disk_in_a_checkpoint(tmp_path, train_here, capsys):
    """Bigger than the smallest nets, so that it is the checkpoint that does not fit."""
    name, wide = "vae_digits", ["--hidden", "256", "--keep", "100"]
    assert train_here(argv(name, tmp_path / "whole", *wide)) == 0
    with small(tmp_path / "disk", 3) as disk:
        err = out_of_disk(name, disk, train_here, capsys, *wide)
        # a row may find the disk full before the save that filled it is collected
        assert "was not saved" in err or "metrics.jsonl" in err
        good = sealed(disk / "run")
        assert good
        assert {p.name for p in (disk / "run" / "checkpoints").iterdir()} - {"errors.log"} == set(map(str, good))
        for step in good[:-1]:
            shutil.rmtree(disk / "run" / "checkpoints" / str(step))
        assert train_here(argv(name, disk / "run", *wide, "--keep", "1")) == 0
        assert facts(disk / "run") == facts(tmp_path / "whole")


WHERE = [
    ("lock", 1), ("config.json", 1), ("manifest.json", 1), ("metrics.jsonl", 1), ("samples", 1), ("samples", 2),
    ("checkpoints", 1), ("checkpoints", 2),
]  # fmt: skip


@pytest.mark.parametrize(("where", "call"), few(WHERE, ("config.json", 1), ("checkpoints", 2)))
def test_out_of_disk_at_every_kind_of_file(where, call, tmp_path, finished, train_here, capsys, monkeypatch):
    """The disk is full just before that file is written; with room made the same command comes to the same end."""
    name, real = "vae_digits", {
        "lock": (run_folder.RunFolder, "__enter__"),
        "config.json": (run_folder.RunFolder, "claim"),
        "manifest.json": (manifest_file, "note_session"),
        "metrics.jsonl": (run_folder.MetricsLog, "append"),
        "samples": (viz, "encode"),
        "checkpoints": (Checkpoints, "save"),
    }[where]  # fmt: skip
    wanted = facts(finished(name))
    with small(tmp_path / "disk", 4) as disk:
        calls, whole = [], getattr(*real)

        def on_a_full_disk(*args, **kwargs):
            calls.append(1)
            if len(calls) == call:
                fill(disk)
            return whole(*args, **kwargs)

        with monkeypatch.context() as m:
            m.setattr(*real, on_a_full_disk)
            err = out_of_disk(name, disk, train_here, capsys)
        # The lock holds without its text; a failed save is told at the next save, or the next row's failure before it.
        assert {"lock": "config.json", "checkpoints": ""}.get(where, where) in err
        (disk / "ballast").unlink()
        assert not list((disk / "run").rglob("*tmp*"))
        assert train_here(argv(name, disk / "run")) == 0
        assert facts(disk / "run") == wanted


@pytest.mark.parametrize(
    ("name", "flags", "words"),
    [
        ("vae_digits", ["--lr", "1e30"], ["loss is ", "at step "]),
        pytest.param(
            "vae_digits", ["--lr", "1e30", "--save-every", "1"], ["loss is nan at step 2"], marks=pytest.mark.slow
        ),
        pytest.param("gan_digits", ["--lr", "1e30"], ["g/loss is ", " at step 1."], marks=pytest.mark.slow),
    ],
)
def test_a_diverging_run_stops_and_names_what_and_where(name, flags, words, tmp_path, train_here, capsys):
    run = tmp_path / "run"
    assert train_here(argv(name, run, *flags)) == 1
    err = capsys.readouterr().err
    assert all(w in err for w in words), err
    # A step whose parameters are huge but finite may be sealed; what is not finite never is.
    good = sealed(run)
    assert len(good) <= 1
    assert (f"Last good checkpoint: step {good[0]} in " if good else "No checkpoint was saved yet.") in err
    assert "Traceback" not in err
    if good:
        assert open_run(run).step == good[0]


@pytest.mark.slow
def test_the_last_good_checkpoint_of_a_diverging_run_is_named_and_loads(tmp_path, train_here, capsys):
    """A loss that becomes NaN at step 18 of a run saved every 5."""
    run = tmp_path / "run"
    write_recipe(tmp_path / "diverging.py")
    assert train_here(["train", str(tmp_path / "diverging.py"), "--run-dir", str(run), *runs.EVERY]) == 1
    err = capsys.readouterr().err
    assert "loss is nan at step 18" in err
    assert "skip_nonfinite" in err
    assert f"Last good checkpoint: step 15 in {run / 'checkpoints'}" in err
    assert open_run(run).step == 15
    # Again, from 15: the same step fails, and no bad state was ever sealed.
    assert train_here(["train", str(tmp_path / "diverging.py"), "--run-dir", str(run), *runs.EVERY]) == 1
    assert "loss is nan at step 18" in capsys.readouterr().err
    assert sealed(run) == [10, 15]


def write_recipe(path):
    """`vae_digits` with an objective that is NaN from its 18th step on."""
    path.write_text('''"""A VAE that diverges."""
import dataclasses

import jax.numpy as jnp

from genjax import recipes, runs, train

vae = recipes.load("vae_digits")


@dataclasses.dataclass(frozen=True)
class Config(vae.Config):
    steps: int = 40
    batch_size: int = 8
    z_dim: int = 2
    hidden: int = 16


def build(cfg, spec):
    experiment = vae.build(cfg, spec)
    (move,) = experiment.step.moves

    def loss(params, batch, ctx):
        value, aux = move.loss(params, batch, ctx)
        return jnp.where(ctx.step >= 17, jnp.nan, value), aux

    return dataclasses.replace(experiment, step=train.make_step(dataclasses.replace(move, loss=loss)))
''')
