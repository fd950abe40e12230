"""A checkpoint is of one run and one `config.json`; a run folder is where it was opened. What does not fit is named."""

import copy
import itertools
import json
import shutil
import time

import pytest
from quick import few
from reliability import runs
from reliability.test_foreign import EVERY, USES, do, training
from reliability.trees import snapshot

from genjax import viz
from genjax.checkpoint import folders, seal
from genjax.checkpoint.checkpoints import Checkpoints
from genjax.checkpoint.marks import mark
from genjax.errors import RunFailure, UsageError
from genjax.measure import eval_file
from genjax.runs import run_folder, validation
from genjax.runs.identity import mark_of

pytestmark = pytest.mark.reliability


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    return tmp_path_factory.mktemp("made")


@pytest.fixture
def run(made, train_here, tmp_path):
    if not (made / "run").exists():
        assert train_here(training(made / "run")) == 0
        assert train_here(training(made / "other")) == 0
    return shutil.copytree(made / "run", tmp_path / "run")


def edit(run, change):
    stored = json.loads((run / "config.json").read_text())
    change(stored)
    (run / "config.json").write_text(json.dumps(stored, indent=2) + "\n")


def paths_of(value, prefix=()):
    """Every leaf of nested dicts, as keys."""
    for k, v in value.items():
        yield from paths_of(v, (*prefix, k)) if isinstance(v, dict) and v else [(*prefix, k)]


def refusal(run):
    """What `mark_of` says against a run; empty where it has nothing to say."""
    try:
        mark_of(run)
    except UsageError as e:
        return str(e)
    return ""


def test_every_field_of_config_json_is_held_to_the_seals(run):
    """One field changed, removed or added at a time: named; but for what may change while a run stays the same."""
    stored = run_folder.read_config(run)
    free = {"options", "code", "where", "sealed", "format"}
    tried = 0
    for keys in paths_of(stored):
        for how in ("change", "remove"):
            edited = copy.deepcopy(stored)
            at = edited
            for k in keys[:-1]:
                at = at[k]
            at[keys[-1]] = "changed" if how == "change" else None
            if how == "remove":
                del at[keys[-1]]
            (run / "config.json").write_text(json.dumps(edited))
            if keys[0] in free or keys == ("config", "steps"):
                said = refusal(run)  # another type, or a part of the code missing
                assert not said or "is damaged" in said, keys
                continue
            with pytest.raises(UsageError) as e:
                mark_of(run)
            assert "is of another run" in str(e.value) or keys[-1] in str(e.value) or keys[0] in str(e.value), keys
            assert 1 <= len(str(e.value).splitlines()) <= 3
            tried += 1
    (run / "config.json").write_text(json.dumps(stored | {"config": stored["config"] | {"new": 1}}))
    with pytest.raises(UsageError, match="new"):
        mark_of(run)
    assert tried >= 45


CHANGES = {
    "config.json edited": (lambda run, other: edit(run, lambda c: c["config"].update(lr=0.5)), "lr"),
    "the id edited": (lambda run, other: edit(run, lambda c: c.update(id="0" * 16)), "is of another run"),
    "config.json of another run": (lambda run, other: shutil.copy(other / "config.json", run), "is of another run"),
    "config.json lost": (lambda run, other: (run / "config.json").unlink(), "config.json"),
    "a checkpoint of another run, newer": (
        lambda run, other: shutil.copytree(other / "checkpoints" / "10", run / "checkpoints" / "12"),
        "checkpoint 12",
    ),
    "a checkpoint of another run, older": (
        lambda run, other: shutil.copytree(other / "checkpoints" / "5", run / "checkpoints" / "3"),
        "checkpoint 3 ",
    ),
    "all checkpoints of another run": (
        lambda run, other: [
            shutil.rmtree(run / "checkpoints"), shutil.copytree(other / "checkpoints", run / "checkpoints")
        ],
        "is of another run",
    ),
    "a checkpoint without a mark": (lambda run, other: unmarked(run), "carries no run's mark"),
    "checkpoints removed": (lambda run, other: shutil.rmtree(run / "checkpoints"), "are gone"),
    "a seal edited": (lambda run, other: edit_seal(run), "damaged"),
}  # fmt: skip


def unmarked(run):
    """A step that was saved without a mark, as by an older genjax or by `Checkpoints` alone."""
    at = folders.resolved(run / "checkpoints")
    body = seal.read(at / "10")
    (at / "10").rename(at / "20")
    (at / "20" / seal.SEAL).unlink()
    seal.write(at / "20", {**{k: v for k, v in body.items() if k != "mark"}, "step": 20})


def edit_seal(run):
    path = run / "checkpoints" / "10" / "seal.json"
    path.write_text(path.read_text().replace('"step": 10', '"step": 11'))


@pytest.mark.parametrize("kind", CHANGES)
def test_what_does_not_fit_is_named_before_anything_is_believed(kind, run, made, tmp_path, capsys, train_here):
    """`train`, `sample`, `eval`, `report` and `digest`: exit code 2, the cause in words, nothing written."""
    change, word = CHANGES[kind]
    change(run, made / "other")
    before = snapshot(tmp_path)
    for command in ("sample", "digest", "eval", "report", "train"):
        argv = training(run, "--steps", 14) if command == "train" else USES[command](run, tmp_path / "out")
        if kind == "a seal edited":  # damage: the step before is used, and `train` keeps the damaged one aside
            code, err = do(argv, capsys) if command in ("digest", "train") else (0, word)
            assert code == 0, err
            assert word in err
        elif not (command == "report" and kind == "checkpoints removed"):  # the page is made, and says so
            code, err = do(argv, capsys)
            assert code == 2, (command, err)
            assert word in err, (command, err)
            assert len(err.splitlines()) <= 3, err
            assert snapshot(tmp_path) == before, command


def test_a_run_of_before_marks_goes_on_and_gets_one(run, tmp_path, train_here, capsys):
    """Seals of format 1 and a `config.json` without an id: it opens, continues, and is marked from then on."""
    at = folders.resolved(run / "checkpoints")
    for step in (5, 10):
        body = {k: v for k, v in seal.read(at / str(step)).items() if k not in ("mark", "ranked")}
        (at / str(step) / seal.SEAL).unlink()
        with pytest.MonkeyPatch.context() as m:
            m.setattr(seal, "FORMAT", 1)
            seal.write(at / str(step), body)
    edit(run, lambda c: [c.pop(k) for k in ("id", "run_only", "sealed")])
    assert do(USES["digest"](run, tmp_path), capsys)[0] == 0
    assert train_here(training(run, "--steps", 15)) == 0
    assert folders.sealed(at) == [10, 15]
    stored = run_folder.read_config(run)
    assert set(stored["adopted"]) == {"5", "10"}
    assert seal.read(at / "15")["mark"]["run"] == stored["id"]
    assert do(USES["digest"](run, tmp_path), capsys)[0] == 0
    shutil.rmtree(run / "checkpoints" / "10")
    unmarked_body = {k: v for k, v in seal.read(at / "15").items() if k != "mark"}
    shutil.copytree(run / "checkpoints" / "15", run / "checkpoints" / "10")
    (at / "10" / seal.SEAL).unlink()
    seal.write(at / "10", {**unmarked_body, "step": 10})
    with pytest.raises(UsageError, match="carries no run's mark"):
        mark_of(run)


def test_the_code_is_stored_and_not_compared(tmp_path):
    stored = {"id": "ab", "config": {"lr": 1.0}, "code": {"recipe": "x", "genjax": "y"}}
    one, other = mark(stored), mark(stored | {"code": {"recipe": "z", "genjax": "y"}})
    assert one.stored()["code"] == {"recipe": "x", "genjax": "y"}
    assert other.fault({"mark": one.stored()}, "") == ""


# The folder is moved while its trainer lives.


POINTS = {
    "a row": (run_folder.MetricsLog, "append", 1),
    "the first grid": (viz, "encode", 1),
    "a later grid": (viz, "encode", 2),
    "an evaluation": (validation.Ledger, "look", 2),
    "a save": (Checkpoints, "save", 2),
    "a save in flight": (seal, "write", 2),
    "the manifest": (run_folder, "manifest", 1),
    "config.json": (run_folder.RunFolder, "note_seal", 1),
    "the last save": (Checkpoints, "save", 3),
}


HOWS = ("another run", "an empty folder", "nothing")
FAST = [("config.json", "an empty folder")]


@pytest.mark.parametrize(("point", "how"), few(itertools.product(POINTS, HOWS), *FAST))
def test_a_moved_folder_stops_its_trainer(point, how, made, run, tmp_path, train_here, capsys, monkeypatch):
    """Just before each kind of write the folder is moved, and something else is at its path: that stays as it is."""
    shutil.rmtree(run)
    owner, name, call = POINTS[point]
    whole, calls, before = getattr(owner, name), [], {}

    def strike(*args, **kwargs):
        calls.append(1)
        if len(calls) == call:
            run.rename(tmp_path / "moved")
            if how == "another run":
                shutil.copytree(made / "other", run)
            elif how == "an empty folder":
                run.mkdir()
            before.update(snapshot(run))
        return whole(*args, **kwargs)

    with monkeypatch.context() as m:
        m.setattr(owner, name, strike)
        code = train_here([*training(run, "--steps", 20), "--validation", "100", "--eval-every", "4"])
    err = capsys.readouterr().err
    assert len(calls) >= call
    assert code == 1, err
    assert f"{run} is no longer the folder that this process writes to" in err
    assert "Traceback" not in err
    assert snapshot(run) == before, "nothing was written into what is there now"
    if how == "nothing":
        assert not run.exists()
    # Nothing of it is lost: it goes on where it lies.
    assert train_here([*training(tmp_path / "moved", "--steps", 20), "--validation", "100", "--eval-every", "4"]) == 0


def test_a_configuration_that_was_removed_is_written_again(run, train_here, monkeypatch, tmp_path, capsys):
    """With the next checkpoint: a run whose config.json is gone opens nowhere."""
    stored, save = run_folder.read_config(run), Checkpoints.save

    def strike(*args):
        (run / "config.json").unlink(missing_ok=True)
        return save(*args)

    with monkeypatch.context() as m:
        m.setattr(Checkpoints, "save", strike)
        assert train_here(training(run, "--steps", 15)) == 0
    again = run_folder.read_config(run)
    assert again["id"] == stored["id"]
    assert again["config"] == stored["config"] | {"steps": 15}
    assert do(USES["digest"](run, tmp_path), capsys)[0] == 0


@pytest.mark.slow
def test_a_folder_moved_under_a_living_process(run, made, tmp_path, child_env):
    """A real trainer, and a real second run at its path."""
    shutil.rmtree(run)
    child = runs.session("vae_digits", run, child_env, *EVERY, "--steps", 1_000_000, "--log-every", 50)
    try:
        runs.wait_for(run / "checkpoints" / "5" / "seal.json")
        run.rename(tmp_path / "moved")
        shutil.copytree(made / "other", run)
        before = snapshot(run)
        code, err = runs.ended(child)
    finally:
        child.kill()
    assert code == 1, err
    assert f"{run} is no longer the folder that this process writes to" in err
    assert f"it is now {tmp_path / 'moved'}, the last good checkpoint in it is step " in err
    assert snapshot(run) == before
    last = int(err.split("checkpoint in it is step ")[1].split(".")[0])
    assert last in folders.sealed(folders.resolved(tmp_path / "moved" / "checkpoints"))


def test_checkpoints_alone_notice_that_their_folder_was_moved(tmp_path):
    checkpoints = Checkpoints(tmp_path / "c")
    checkpoints.save(1, {"w": 1})
    checkpoints.wait()
    (tmp_path / "c").rename(tmp_path / "d")
    with pytest.raises(RunFailure, match=r"no longer the folder.*it is now .*the last good checkpoint in it is step 1"):
        checkpoints.save(2, {"w": 2})
    assert [p.name for p in tmp_path.iterdir()] == ["d"]
    shutil.rmtree(tmp_path / "d")
    with pytest.raises(RunFailure, match=r"; it was removed\.\nNothing was written into what is at the path now\.$"):
        checkpoints.save(2, {"w": 2})
    checkpoints.close()


def test_a_lock_that_was_removed_is_taken_again(tmp_path):
    with run_folder.RunFolder(tmp_path / "run") as folder:
        (folder.path / "lock").unlink()
        folder.guard()
        with pytest.raises(UsageError, match="in use by"):
            run_folder.RunFolder(tmp_path / "run").__enter__()
        (folder.path / "lock").unlink()
        with (
            run_folder.RunFolder(tmp_path / "run"),
            pytest.raises(RunFailure, match="no checkpoint was saved in it yet"),
        ):
            folder.guard()


def test_looking_costs_next_to_nothing(tmp_path):
    """Called for every row: below a tenth of a millisecond."""
    with run_folder.RunFolder(tmp_path / "run") as folder:
        start = time.perf_counter()
        for _ in range(200):
            folder.guard()
        assert (time.perf_counter() - start) / 200 < 1e-3
    assert eval_file.best_of(tmp_path) is None
