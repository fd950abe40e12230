"""The driver: time is shared and held, parts fail alone, and what was measured stays."""

import json
import subprocess
import sys
import time

import pytest
from accelerator_stamp import STAMP

from experiments.accelerator import part, record, sizes
from experiments.accelerator.context import Context
from experiments.accelerator.driver import GRACE, Part, drive


class Clock:
    """Seconds that pass when told to."""

    def __init__(self):
        self.now = 100.0

    def __call__(self):
        return self.now


def kept(folder, seconds=10.0, clock=time.monotonic, **changes):
    return record.Record(folder, "speed", STAMP | changes, seconds, clock)


def test_what_a_part_does_not_use_goes_to_those_after_it():
    clock, told = Clock(), []

    def launch(p, share, most):
        told.append((p.name, share, most))
        clock.now += 2.0 if p.name == "a" else share
        return "done", ""

    ended = drive([Part("a", 1), Part("b", 1), Part("c", 2)], 40.0, launch, clock)
    assert told == [
        ("a", 10.0, 12.0),
        ("b", pytest.approx(38 / 3), pytest.approx(38 / 3 + 2)),
        ("c", pytest.approx(76 / 3), pytest.approx(76 / 3 + 2)),
    ]
    assert clock.now == pytest.approx(140.0)
    assert [e.status for e in ended] == ["done"] * 3


@pytest.mark.parametrize("greedy", ["a", "b", "c"])
def test_the_time_holds_within_ten_percent_whatever_a_part_does(greedy):
    clock = Clock()

    def launch(p, share, most):
        clock.now += most if p.name == greedy else share
        return "out of time", ""

    drive([Part("a", 1), Part("b", 1), Part("c", 1)], 60.0, launch, clock, began=95.0)
    assert clock.now - 95.0 <= 60.0 * (1 + GRACE) + 1e-6 <= 66.0


def test_a_part_that_raises_fails_with_its_reason_and_the_next_one_runs():
    def launch(p, share, most):
        if p.name == "a":
            raise RuntimeError("no card\nand more")
        return "done", ""

    ended = drive([Part("a", 1), Part("b", 1)], 9.0, launch, Clock())
    assert [(e.status, e.reason) for e in ended] == [("failed", "RuntimeError: no card"), ("done", "")]


def test_without_time_a_part_is_not_begun():
    clock = Clock()

    def launch(p, share, most):
        clock.now += 20.0
        return "done", ""

    ended = drive([Part("a", 1), Part("b", 1)], 10.0, launch, clock)
    assert ended[1].status == "out of time"


def test_every_row_is_on_the_disk_at_once(tmp_path):
    r = kept(tmp_path)
    r.measure("one", lambda: {"x": 1})
    there = json.loads(r.path.read_text())
    assert (there["status"], there["rows"]["one"]["x"]) == ("running", 1)
    r.measure("two", lambda: 1 / 0)
    assert json.loads(r.path.read_text())["rows"]["two"] == {"failed": "ZeroDivisionError: division by zero"}
    assert r.finish() == ("failed", "1 of 2 rows: two: ZeroDivisionError: division by zero")
    assert json.loads(r.path.read_text())["stamp"] == STAMP


def test_a_record_goes_on_where_the_same_code_left_it(tmp_path):
    clock = Clock()
    first = kept(tmp_path, 5.0, clock)
    first.add("one", {"x": 1})
    first.add("bad", {"failed": "why"})
    clock.now += 6.0
    assert not first.wants("late")
    assert first.finish() == ("failed", "1 of 2 rows: bad: why; no time for late")
    again = kept(tmp_path, 5.0, clock, when="2026-11-29")
    assert [again.wants(n) for n in ("one", "bad", "late")] == [False, True, True]
    clock.now += 1.0
    again.finish()
    assert record.read(again.path)["seconds"] == 7.0
    assert kept(tmp_path, jax="2").rows == {}


def test_how_a_part_ends(tmp_path):
    assert kept(tmp_path).finish() == ("done", "")
    r = kept(tmp_path, 0.0)
    r.measure("one", dict)
    assert r.finish() == ("out of time", "no time for one")
    r.add("late", {"partial": True})
    assert kept(tmp_path).wants("late")


def test_a_part_that_raises_is_recorded(tmp_path, capsys):
    class Module:
        @staticmethod
        def measure(ctx):
            raise OSError("no such card")

    r = kept(tmp_path)
    assert part.run(Module, Context(r, sizes.TOY)) == ("failed", "OSError: no such card")
    assert record.read(r.path)["reason"] == "OSError: no such card"
    assert "Traceback" in capsys.readouterr().err


@pytest.fixture
def launched(monkeypatch, tmp_path):
    """`launched(body, seconds)`: how a part ends whose process runs this Python."""
    from experiments.accelerator import run

    def start(body, most):
        script = tmp_path / "part.py"
        script.write_text(body)
        real = subprocess.Popen
        monkeypatch.setattr(run.subprocess, "Popen", lambda words, **k: real([sys.executable, str(script)], **k))
        return run.launched("speed", tmp_path, {"stamp": STAMP}, most)

    return start


def test_a_process_that_dies_is_recorded(launched, tmp_path):
    kept(tmp_path, when="before").finish()  # of an earlier session: it says nothing of this one
    assert launched("import os; os._exit(9)", 20.0) == ("failed", "its process ended with 9")
    assert record.read(tmp_path / "speed.json")["status"] == "failed"


def test_a_process_that_is_late_is_ended_with_what_it_started(launched, tmp_path):
    began = time.monotonic()
    body = "import subprocess, sys; subprocess.run([sys.executable, '-c', 'import time; time.sleep(60)'])"
    assert launched(body, 0.5) == ("out of time", "ended after 0 s")
    assert time.monotonic() - began < 10


def test_an_accelerator_that_jax_does_not_use_is_said(monkeypatch, tmp_path):
    from experiments.accelerator import run

    monkeypatch.setattr(run, "DEVICES", tmp_path)
    monkeypatch.delenv("JAX_PLATFORMS", raising=False)
    assert run.idle_accelerator() == ""
    (tmp_path / "nvidia0").touch()
    assert "nvidia0: see `genjax doctor`" in run.idle_accelerator()
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    assert run.idle_accelerator() == ""


@pytest.mark.slow
def test_the_whole_command_holds_its_minutes(root, child_env, tmp_path):
    command = [sys.executable, str(root / "experiments" / "accelerator" / "run.py"), "--minutes", "0.8"]
    began = time.monotonic()
    done = subprocess.run(
        [*command, "--out", str(tmp_path)], env=child_env, capture_output=True, text=True, check=False
    )
    assert time.monotonic() - began < 48 * 1.1 + 2
    assert "rehearsal on cpu" in done.stdout
    names = {p.stem for p in (tmp_path / "cpu").glob("*.json")}
    assert names == {"environment", "mathematics", "resume", "speed", "populations", "plan"}
    environment = record.read(tmp_path / "cpu" / "environment.json")
    assert environment["status"] == "done"
    assert environment["stamp"]["rehearsal"]
