"""Nothing that is not genjax's is touched: trees of foreign and damaged folders, hashed before and after commands."""

import json
import shutil

import numpy as np
import pytest
from quick import few
from reliability import runs
from reliability.trees import STRANGERS, contents, foreign, snapshot

from genjax import cli
from genjax.checkpoint.checkpoints import Checkpoints
from genjax.errors import UsageError
from genjax.runs import run_folder

pytestmark = pytest.mark.reliability
NAME, STEPS = "vae_digits", 10
EVERY = ["--log-every", "5", "--save-every", "5", "--sample-every", "5"]


def training(run, *more):
    return ["train", NAME, *runs.SMALL[NAME], *EVERY, "--steps", str(STEPS), "--run-dir", str(run), *map(str, more)]


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def whole(made, train_here):
    """A finished run; copy it to spoil it."""
    if not (made / "run").exists():
        assert train_here(training(made / "run", "--steps", 5)) == 0
        assert train_here(training(made / "other", "--steps", 5)) == 0
    return made / "run"


@pytest.fixture
def run(whole, tmp_path):
    """A copy of the run, alone in a folder."""
    shutil.copytree(whole, tmp_path / "work" / "run")
    return tmp_path / "work" / "run"


USES = {
    "sample": lambda run, out: ["sample", run, "--n", "2", "--out", out / "s.png"],
    "score": lambda run, out: ["score", run, out / "image.npz", "--out", out / "s.csv"],
    "eval": lambda run, out: ["eval", run, "--n", "20", "--metrics", "elbo"],
    "compare": lambda run, out: ["compare", run, run],
    "report": lambda run, out: ["report", run],
    "digest": lambda run, out: ["digest", run],
    "extract": lambda run, out: ["extract", run, "--member", "0", "--out", out / "member"],
}
"""Commands that are given a run: `argv(run, folder for what they write)`."""
MAKES = {
    "train": lambda folder, run: training(folder),
    "train another recipe": lambda folder, run: ["train", "gan_digits", "--run-dir", folder],
    "train a sweep": lambda folder, run: training(folder, "--seeds", "2"),
    "extract": lambda folder, run: ["extract", run, "--member", "0", "--out", folder],
    "demo": lambda folder, run: ["demo", "--data", "digits", "--run-dir", folder],
}
"""Commands that are given a folder to write a run into."""


def do(argv, capsys):
    """The exit code of a command that may end in 0, 1 or 2, with few words; and what it said."""
    capsys.readouterr()
    code = cli.main(list(map(str, argv)))
    err = capsys.readouterr().err
    assert code in (0, 1, 2), err
    assert "Traceback" not in err
    assert code == 0 or len(err.splitlines()) <= 8, err
    return code, err


@pytest.mark.parametrize("kind", STRANGERS)
def test_a_folder_of_somebody_else_is_refused_by_every_command(kind, tmp_path, whole, capsys):
    """Twelve commands each: not a byte changes in it, nor beside it."""
    folder = tmp_path / "work" / "proj"
    folder.mkdir(parents=True)
    STRANGERS[kind](folder)
    (tmp_path / "out").mkdir()
    before = snapshot(tmp_path)
    for command, argv in (*MAKES.items(), *USES.items()):
        where = whole if command in MAKES else tmp_path / "out"
        code, err = do(argv(folder, where), capsys)
        assert code == 2 or (command == "digest" and code == 1), (command, err)
        assert command in ("score", "extract") or "proj" in err, (command, err)
        assert snapshot(tmp_path) == before, command


@pytest.mark.parametrize("junk", [".DS_Store", "Thumbs.db", "._x", ".gitkeep", "lost+found"])
def test_a_folder_with_junk_alone_may_become_a_run(junk, tmp_path, train_here):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / junk).write_text("junk")
    before = contents(tmp_path)
    assert train_here(training(tmp_path / "run", "--steps", 1)) == 0
    assert before <= contents(tmp_path)


def test_what_a_killed_first_start_leaves_is_no_stranger(tmp_path, train_here):
    run = tmp_path / "run"
    run.mkdir()
    (run / "lock").write_text(json.dumps({"pid": 1, "host": "h", "since": "s"}))
    (run / ".genjax-tmp-00-1-0").write_text('{"form')
    assert train_here(training(run, "--steps", 1)) == 0


def test_strange_things_inside_a_run_outlive_every_command(run, train_here, tmp_path, capsys):
    """Eleven foreign files in a run's own folders: each keeps its content, wherever a command finds it in the way."""
    work, out = run.parent, tmp_path / "out"
    out.mkdir()
    names = foreign(
        work,
        run__checkpoints__8__weights_dot_bin="another project's step, as if it were step 8",
        run__checkpoints__10__weights_dot_bin="another project's step, which the run comes to",
        run__checkpoints__10_dot_orbax___checkpoint="no step",
        **{"run__checkpoints__9_dot_orbax-checkpoint-tmp__x": "another's save in flight"},
        run__checkpoints__7="a file",
        run__checkpoints__notes_dot_md="mine",
        run__checkpoints___dot_trash__3__weights_dot_bin="thrown away by somebody",
        run__samples__00000010_dot_png="not the run's picture",
        run__samples__mine_dot_png="mine",
        run__report_dot_html="<html>mine</html>",
        compare_dot_html="<html>mine</html>",
    )
    theirs = contents(work, names)
    assert sum(theirs.values()) == 11
    np.savez(out / "image.npz", image=np.zeros((3, 8, 8), np.uint8))
    said = {command: do(argv(run, out), capsys) for command, argv in USES.items()}
    assert {c: code for c, (code, _) in said.items()} == {
        "sample": 0, "score": 0, "eval": 0, "compare": 2, "report": 2, "digest": 0, "extract": 2
    }  # fmt: skip
    assert "report.html is there already and not a page of genjax" in said["report"][1]
    assert "compare.html is there already and not a page of genjax" in said["compare"][1]
    assert theirs <= contents(work)
    assert train_here(training(run)) == 0
    err = capsys.readouterr().err
    for word in ("8 has no seal", "10 has no seal", "9.orbax-checkpoint-tmp has no seal", "7 is not a checkpoint's",
                 "00000010.png was not written by genjax", ".trash/3 "):  # fmt: skip
        assert word in err, (word, err)
    assert theirs <= contents(work)
    theirs += contents(work, foreign(work, run__checkpoints__10__notes_dot_txt="put into a checkpoint"))
    assert train_here(training(run, "--steps", 20, "--keep", 1)) == 0  # from step 5: 10 is no longer what was sealed
    assert theirs <= contents(work)


ODD = {
    "metrics.jsonl is a link": lambda run, there: _link(run / "metrics.jsonl", there / "file"),
    "validation.jsonl is a link": lambda run, there: _link(run / "validation.jsonl", there / "file"),
    "samples is a link": lambda run, there: _link(run / "samples", there),
    "samples is a file": lambda run, there: _file(run / "samples"),
    "tensorboard is a link": lambda run, there: _link(run / "tensorboard", there),
    "tensorboard is a file": lambda run, there: _file(run / "tensorboard"),
    "manifest.json is another's": lambda run, there: (run / "manifest.json").write_text('{"name": "app"}'),
    "lock is another's": lambda run, there: (run / "lock").write_text("31337"),
    "every seal is gone": lambda run, there: (run / "checkpoints" / "5" / "seal.json").unlink(),
    "the checkpoints are gone": lambda run, there: (run / "checkpoints").rename(there / "checkpoints"),
    "config.json is gone": lambda run, there: (run / "config.json").unlink(),
    "a checkpoint of another run": lambda run, there: shutil.copytree(
        there.parent / "made" / "checkpoints" / "5", run / "checkpoints" / "4"
    ),
}
"""What is wrong in a run's folder that `train` refuses, having written nothing."""


def _link(path, to):
    if path.is_dir():
        shutil.rmtree(path)
    path.unlink(missing_ok=True)
    path.symlink_to(to)


def _file(path):
    shutil.rmtree(path, ignore_errors=True)
    path.write_text("theirs")


@pytest.mark.parametrize("kind", few(ODD, *list(ODD)[::2]))
def test_a_run_that_is_not_whole_is_refused_and_stays_as_it_is(kind, run, made, tmp_path, capsys, train_here):
    """`train` twice, with other flags too, and the commands that need its checkpoints."""
    there = tmp_path / "there"
    foreign(there, file='{"step": 1}')
    shutil.copytree(made / "other", tmp_path / "made")
    ODD[kind](run, there)
    before = snapshot(tmp_path)
    for more in ([], [], ["--keep", "1"], ["--steps", "99"]):
        code, err = do(training(run, *more), capsys)
        assert code == 2, err
        assert str(run) in err
        assert snapshot(tmp_path) == before
    if any(word in kind for word in ("gone", "another run")):
        for command in ("sample", "digest", "eval"):
            code, err = do(USES[command](run, tmp_path), capsys)
            assert code == 2, (command, err)
            assert snapshot(tmp_path) == before, command


def test_the_data_and_the_run_stay_apart(tmp_path, capsys, run):
    photos = tmp_path / "photos"
    photos.mkdir()
    STRANGERS["a data folder"](photos)
    before = snapshot(tmp_path)
    for data, folder, word in (
        (photos, photos, "neither empty nor a run"),
        (photos, photos / "run", "lies in the data folder"),
        (tmp_path, tmp_path / "x" / "y", "lies in the data folder"),
    ):
        code, err = do(training(folder, "--data", data, "--image-size", 8), capsys)
        assert code == 2
        assert word in err or "mixed" in err, err
        assert snapshot(tmp_path) == before


@pytest.mark.parametrize(
    "name",
    ["config.json", "manifest.json", "eval.json", "checkpoints/5/seal.json", "samples/00000005.png", "metrics.jsonl",
     "lock", "checkpoints/x.npz", "recipe/vae_digits.csv"],
)  # fmt: skip
def test_no_out_replaces_a_part_of_a_run(name, run, whole, tmp_path, capsys):
    np.savez(tmp_path / "image.npz", image=np.zeros((3, 8, 8), np.uint8))
    before = snapshot(tmp_path)
    for argv in (
        ["sample", whole, "--n", "1", "--out"],
        ["score", whole, tmp_path / "image.npz", "--out"],
        ["report", whole, "--out"],
        ["compare", whole, whole, "--record"],
        ["extract", whole, "--member", "0", "--out"],
    ):
        code, err = do([*argv, run / name], capsys)
        assert code == 2, err
        assert snapshot(tmp_path) == before
    assert "itself" in err, "what extract says"
    with pytest.raises(UsageError, match=r"itself|is a file"):  # nor is it the place for another run
        run_folder.RunFolder(run / name).check()


def test_a_kill_before_the_first_checkpoint_is_a_fresh_start(tmp_path, train_here, monkeypatch):
    """Rows are there, and no checkpoint ever was: the same command starts again."""
    run = tmp_path / "run"

    def struck(self, *args):
        raise KeyboardInterrupt

    with monkeypatch.context() as m:
        m.setattr(Checkpoints, "save", struck)
        assert train_here(training(run, "--log-every", 1)) == 130
    assert run_folder.read_rows(run / "metrics.jsonl")
    assert "sealed" not in run_folder.read_config(run)
    assert train_here(training(run)) == 0
    assert run_folder.read_config(run)["sealed"] == 5
