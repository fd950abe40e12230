"""A kill and a full disk at every write of eval, compare, report, extract and TensorBoard: the command works again.

An audit hook sees every opening for writing, renaming, making and removing below a folder before it happens. At the
k-th of them the disk is full from then on, or the process is as good as dead: nothing changes on the disk any more.
"""

import errno
import os
import struct
import sys
import threading
from pathlib import Path

import pytest
from reliability.runs import argv, facts

from genjax import cli, files, measure, runs
from genjax.errors import RunFailure
from genjax.measure import eval_file
from genjax.report import facts as report_facts
from genjax.report import versus, write
from genjax.runs import tensorboard

WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


class Killed(BaseException):
    """Stands for SIGKILL: no handler of a failure takes it."""


class Disk:
    """What happens to the folder below which it is told to look."""

    def __init__(self):
        self.below, self.at, self.how, self.count = "", 0, "", 0
        self.busy = threading.local()

    def hook(self, event, args):
        if not self.below or event not in ("open", "os.rename", "os.mkdir", "os.remove", "os.rmdir", "os.link"):
            return
        path = args[0] if isinstance(args[0], str) else os.fsdecode(args[0]) if isinstance(args[0], bytes) else ""
        writes = event != "open" or (isinstance(args[2], int) and args[2] & WRITING)
        if not writes or not path.startswith(self.below):
            return
        self.count += 1
        if self.count < self.at:
            return
        if self.how == "kill":
            raise Killed if threading.current_thread() is threading.main_thread() else OSError(errno.EIO, "dead")
        if event in ("open", "os.mkdir"):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)

    def during(self, below, at, how):
        self.below, self.at, self.how, self.count = str(below), at, how, 0
        return self

    def __enter__(self):
        return self

    def __exit__(self, *e):
        self.below = ""


@pytest.fixture(scope="session")
def disk():
    made = Disk()
    sys.addaudithook(made.hook)
    return made


@pytest.fixture(autouse=True)
def dead_processes(monkeypatch):
    """The killed process was this one; its leavings are those of a dead one all the same."""
    monkeypatch.setattr(files, "_alive", lambda pid: False)


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def at_every_write(disk, below, do, sound, again, step=1):
    """For every k and both ways: `do` fails in its k-th write, what is there is `sound`, and then `again` does it all.

    Returns:
        How many combinations there were.
    """
    n = 0
    for how in ("full", "kill"):
        for k in range(1, 500):
            ended = None
            with disk.during(below, k, how):
                try:
                    do()
                except (RunFailure, Killed) as e:
                    ended = e
                reached = disk.count >= k
            if ended is not None:
                assert isinstance(ended, Killed) == (how == "kill"), (how, k, ended)
                assert how == "kill" or "no space left" in str(ended), (k, ended)
            if not reached:
                break
            if (k - 1) % step:
                continue
            n += 1
            sound(how, k)
            again(how, k)
    return n


@pytest.fixture(scope="module")
def measured(smoke_run, tmp_path_factory):
    """A finished run with an eval.json, and its records."""
    import shutil

    run = tmp_path_factory.mktemp("every") / "run"
    shutil.copytree(smoke_run("vae_digits"), run)
    assert cli.main(["eval", str(run), "--metrics", "elbo", "--n", "20"]) == 0
    return run, measure.read_eval(run)


def leavings(folder):
    return list(folder.rglob(".*"))


@pytest.mark.slow
def test_eval_json(disk, measured):
    run, records = measured
    whole = contents(run)

    def sound(how, k):
        assert len(measure.read_eval(run)) == len(records)
        if how == "full":
            assert leavings(run) == []

    def again(how, k):
        eval_file.add_records(run, records, {})
        assert measure.read_eval(run) == records
        assert leavings(run) == []
        assert set(contents(run)) == set(whole)

    n = at_every_write(disk, run, lambda: eval_file.add_records(run, records, {}), sound, again)
    assert n >= 6


def test_a_committed_record(disk, measured, tmp_path):
    run, _ = measured
    out = tmp_path / "record.json"
    versus.write_record([run], out)
    whole = out.read_bytes()

    def sound(how, k):
        assert out.read_bytes() == whole

    def again(how, k):
        versus.write_record([run], out)
        assert contents(tmp_path) == {"record.json": whole}

    assert at_every_write(disk, tmp_path, lambda: versus.write_record([run], out), sound, again) >= 6


@pytest.mark.slow
def test_the_page(disk, measured, tmp_path, monkeypatch):
    run, _ = measured
    monkeypatch.setattr(report_facts, "_drawn", lambda run, dataset: None)
    monkeypatch.setattr("genjax.report.page.page", lambda runs: "<html>")
    out = tmp_path / "page.html"
    write([run], out)

    def sound(how, k):
        assert out.read_bytes() == b"<html>"

    def again(how, k):
        write([run], out)
        assert contents(tmp_path) == {"page.html": b"<html>"}

    assert at_every_write(disk, tmp_path, lambda: write([run], out), sound, again) >= 3


def extracting(disk, several, tmp_path, step):
    """`extract` leaves no run that is not whole, and comes to the same one afterwards."""
    runs.extract(several, 1, tmp_path / "whole")
    whole = facts(tmp_path / "whole")
    out = tmp_path / "place" / "out"
    out.parent.mkdir()

    def do():
        if out.exists():
            import shutil

            shutil.rmtree(out)
        runs.extract(several, 1, out)

    def sound(how, k):
        assert not out.exists() or (out / "checkpoints").is_dir()
        if out.exists():
            assert facts(out) == whole
        if how == "full":
            assert [p for p in out.parent.iterdir() if p != out] == []

    def again(how, k):
        do()
        assert facts(out) == whole
        assert list(out.parent.iterdir()) == [out]

    return at_every_write(disk, out.parent / ".genjax", do, sound, again, step)


@pytest.fixture(scope="module")
def several(tmp_path_factory):
    run = tmp_path_factory.mktemp("several") / "run"
    with pytest.MonkeyPatch.context() as m:
        m.setattr("genjax.cli.cache.enable", lambda on=True: None)
        assert cli.main([*argv("vae_digits", run, "--steps", 4, "--seeds", 2), "--quiet"]) == 0
    return run


@pytest.mark.slow
def test_extract(disk, several, tmp_path):
    assert extracting(disk, several, tmp_path, 9) >= 4


@pytest.mark.slow
def test_extract_at_every_write(disk, several, tmp_path):
    assert extracting(disk, several, tmp_path, 1) >= 40


def records_of(path):
    """The lengths of an event file's records, all whole."""
    raw, found = path.read_bytes(), []
    while raw:
        (n,) = struct.unpack("<Q", raw[:8])
        assert len(raw) >= 16 + n
        found.append(n)
        raw = raw[16 + n :]
    return found


@pytest.mark.parametrize("k", range(6))
def test_tensorboard_on_a_full_disk_is_said_once(k, tmp_path, monkeypatch):
    """The k-th writing fails half way; what came before is whole, and nothing is raised, then or at the end."""
    pytest.importorskip("tensorboardX")
    write_, left, said = os.write, [k], []

    def on_a_full_disk(fd, content):
        left[0] -= 1
        return write_(fd, content[: len(content) // 2]) if left[0] < 0 else write_(fd, content)

    with monkeypatch.context() as m:
        m.setattr(tensorboard.os, "write", on_a_full_disk)
        board = tensorboard.Board(tmp_path, 0, said.append)
        for step in range(1, 5):
            board.row(step, {"loss": 1.0 / step, "nan": float("nan")})
        board.close()
    assert len(said) == 1
    assert "no space left" in board.failed
    (file,) = tmp_path.iterdir()
    assert len(records_of(file)) == k
    again = tensorboard.Board(tmp_path, k, said.append)
    again.row(9, {"loss": 1.0})
    again.close()
    assert not again.failed
    assert [len(records_of(f)) for f in sorted(tmp_path.iterdir())] == [k, 3]


@pytest.mark.slow
def test_a_run_whose_tensorboard_fails_is_trained_all_the_same(tmp_path, train_here, capsys, monkeypatch):
    assert train_here(argv("vae_digits", tmp_path / "whole")) == 0
    row = tensorboard.Board.row

    def fails(self, step, values):
        row(self, step, values)
        if step == 14 and not self.failed:
            self._give_up(OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)))

    monkeypatch.setattr(tensorboard.Board, "row", fails)
    capsys.readouterr()
    assert train_here(argv("vae_digits", tmp_path / "run", "--tensorboard")) == 1
    err = capsys.readouterr().err
    assert err.count("TensorBoard's files cannot be written") == 1
    assert "TensorBoard's files lack rows that metrics.jsonl has" in err
    assert "Traceback" not in err
    assert facts(tmp_path / "run") == facts(tmp_path / "whole")
    assert Path(tmp_path / "run" / "tensorboard").is_dir()
