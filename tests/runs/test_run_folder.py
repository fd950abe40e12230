"""A run's folder: one holder, one configuration, files that are whole, rows that are neither lost nor doubled."""

import errno
import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from genjax import jsonfile
from genjax.errors import RunFailure, UsageError
from genjax.runs import run_folder
from genjax.runs.run_folder import MetricsLog, RunFolder, read_json, read_metrics, read_rows, to_json, write_json

WANTED = {
    "experiment": "vae_digits",
    "config": {"beta": 4.0, "hidden": (400, 200), "steps": 100, "lr": math.inf},
    "options": {"save_every": 500},
    "data": {"name": "digits", "shape": (8, 8, 1), "fingerprint": "ab"},
}
HOLDER = """
import sys, time
from genjax.runs.run_folder import RunFolder
with RunFolder(sys.argv[1]):
    print("held", flush=True)
    time.sleep(60)
"""


# JSON.


def test_strict_json():
    value = {"a": (1, math.nan, [math.inf]), "b": -math.inf, 3: np.float32(0.1), "c": jnp.zeros(2), "p": Path("x/y")}
    text = json.dumps(to_json(value), allow_nan=False)
    assert json.loads(text) == {
        "a": [1, "NaN", ["Infinity"]], "b": "-Infinity", "3": float(np.float32(0.1)), "c": [0.0, 0.0], "p": "x/y"
    }  # fmt: skip
    assert to_json({"f": np.bool_(True), "n": None}) == {"f": True, "n": None}
    with pytest.raises(TypeError, match="no place in JSON"):
        to_json({"f": print})


@pytest.mark.parametrize("fault", [OSError(errno.ENOSPC, "No space left on device"), OSError(errno.EIO, "I/O error")])
def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch, fault):
    path = tmp_path / "config.json"
    write_json(path, {"a": 1})

    def fail(fd):
        raise fault

    monkeypatch.setattr(os, "fsync", fail)
    message = r"no space left for .*config.json: needs 0.000 MB, [\d.]+ MB free" if fault.errno == 28 else "I/O error"
    with pytest.raises(RunFailure, match=message):
        write_json(path, {"a": 2})
    monkeypatch.undo()
    assert read_json(path) == {"a": 1}
    assert os.listdir(tmp_path) == ["config.json"]
    with pytest.raises(RunFailure, match="failed"):
        write_json(tmp_path / "absent" / "x.json", {})


def test_a_damaged_file_is_named(tmp_path):
    (tmp_path / "x.json").write_text('{"a": ')
    with pytest.raises(UsageError, match=r"x.json is damaged: it is not JSON"):
        read_json(tmp_path / "x.json")
    assert read_json(tmp_path / "absent.json") is None


# Configuration.


def test_a_folder_belongs_to_one_configuration(tmp_path):
    with RunFolder(tmp_path / "a" / "run") as run:
        assert run.config is None
        assert run.check(WANTED) is None
        assert not (run.path / "config.json").exists()
        assert run.claim(WANTED, resumable={"steps"})
        longer = WANTED | {"config": WANTED["config"] | {"steps": 900}, "options": {"save_every": 1}}
        assert not run.claim(longer, resumable={"steps"})
    stored = RunFolder(tmp_path / "a" / "run").check(WANTED, {"steps"})
    assert stored["format"] == run_folder.FORMAT
    assert stored["config"] == {"beta": 4.0, "hidden": [400, 200], "steps": 900, "lr": "Infinity"}
    assert stored["options"] == {"save_every": 1}


def test_another_configuration_is_refused_naming_the_fields(tmp_path):
    with RunFolder(tmp_path) as run:
        run.claim(WANTED)
        run.note_seal(100)
    before = {p.name: p.read_bytes() for p in tmp_path.iterdir()}
    other = {
        "experiment": "gan_digits",
        "config": {"beta": 1.0, "hidden": (400,), "steps": 100},
        "data": WANTED["data"] | {"fingerprint": "cd"},
    }
    with pytest.raises(UsageError) as e:
        RunFolder(tmp_path).check(other)
    for line in (
        "experiment: stored vae_digits, wanted gan_digits",
        "beta: stored 4.0, wanted 1.0",
        "hidden: stored [400, 200], wanted [400]",
        'lr: stored "Infinity", wanted nothing',
        'data.fingerprint: stored "ab", wanted "cd"',
    ):
        assert f"  {line}\n" in str(e.value)
    assert len(str(e.value).splitlines()) < 10
    assert {p.name: p.read_bytes() for p in tmp_path.iterdir()} == before


def test_before_a_checkpoint_the_configuration_may_differ_but_nothing_else(tmp_path):
    changed = WANTED | {"config": {"beta": 1.0, "width": 3}}
    with RunFolder(tmp_path) as run:
        run.claim(WANTED)
        assert not run.claim(changed)
        assert run.check(changed)["config"] == changed["config"]
        for part in ({"experiment": "gan_digits"}, {"data": WANTED["data"] | {"fingerprint": "cd"}}):
            with pytest.raises(UsageError, match=f"{next(iter(part))}.*: stored .*, wanted"):
                run.check(changed | part)


def test_newer_and_damaged_formats_are_refused(tmp_path):
    for content, message in (
        ({"format": run_folder.FORMAT + 1}, r"has format 2, this genjax reads up to 1"),
        ({"config": {}}, "no format number"),
        ([], "no format number"),
    ):
        (tmp_path / "config.json").write_text(json.dumps(content))
        with pytest.raises(UsageError, match=message):
            RunFolder(tmp_path).check(WANTED)
        assert os.listdir(tmp_path) == ["config.json"]


# Places where no run can be.


def test_files_and_places_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("x")
    for path, message in ((tmp_path / "file", "is a file"), (tmp_path / "file" / "a" / "b", "file is a file")):
        for use in (RunFolder(path).check, RunFolder(path).__enter__):
            with pytest.raises(UsageError, match=message):
                use()
    for place in ("/proc/genjax", "/sys/kernel/genjax"):
        if os.path.isdir(os.path.dirname(place)):
            with pytest.raises(UsageError, match="cannot be written"):
                RunFolder(place).__enter__()
    assert os.listdir(tmp_path) == ["file"]


@pytest.fixture
def read_only_disk(tmp_path):
    path = tmp_path / "disk"
    path.mkdir()
    if os.geteuid() or subprocess.run(["mount", "-t", "tmpfs", "-o", "ro", "none", path], check=False).returncode:
        pytest.skip("needs the right to mount a tmpfs")
    yield path
    subprocess.run(["umount", path], check=True)


def test_a_read_only_disk(read_only_disk):
    for path in (read_only_disk, read_only_disk / "a" / "run"):
        with pytest.raises(UsageError, match="cannot be written"):
            RunFolder(path).check()


# The lock.


@pytest.mark.slow
@pytest.mark.reliability
def test_the_second_process_is_refused_until_the_first_dies(tmp_path, child_env):
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, tmp_path], env=child_env, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout.readline() == "held\n"
        started = time.monotonic()
        with pytest.raises(UsageError, match=rf"in use by process {holder.pid} on {os.uname().nodename} \(since 2"):
            RunFolder(tmp_path).__enter__()
        assert time.monotonic() - started < 2
        assert holder.poll() is None
    finally:
        holder.send_signal(signal.SIGKILL)
        holder.communicate()
    with RunFolder(tmp_path), pytest.raises(UsageError, match=f"process {os.getpid()} "):
        RunFolder(tmp_path).__enter__()
    with RunFolder(tmp_path):
        pass
    assert (tmp_path / "lock").read_text() == ""


def test_a_holder_that_has_not_said_its_name(tmp_path):
    with RunFolder(tmp_path):
        (tmp_path / "lock").write_text("{")
        with pytest.raises(UsageError, match="in use by another process"):
            RunFolder(tmp_path).__enter__()


# Metrics.


def test_rows_come_back(tmp_path):
    with MetricsLog(tmp_path / "metrics.jsonl") as log:
        log.append({"step": 1, "loss": np.float32(0.1), "seconds": 0.5})
        log.append({"step": 2, "loss": math.nan, "g/loss": -math.inf, "note": "warm"})
        log.sync()
    for line in (tmp_path / "metrics.jsonl").read_text().splitlines():
        json.loads(line, parse_constant=pytest.fail)
    rows = read_rows(tmp_path / "metrics.jsonl")
    assert rows[0] == {"step": 1, "loss": float(np.float32(0.1)), "seconds": 0.5}
    assert math.isnan(rows[1]["loss"])
    columns = read_metrics(tmp_path)
    assert {n: v.dtype for n, v in columns.items()} == {
        "step": np.int64, "loss": np.float64, "seconds": np.float64, "g/loss": np.float64
    }  # fmt: skip
    np.testing.assert_array_equal(columns["g/loss"], [math.nan, -math.inf])
    np.testing.assert_array_equal(columns["step"], [1, 2])
    np.testing.assert_array_equal(columns["seconds"], [0.5, math.nan])


def test_a_folder_without_metrics(tmp_path):
    with pytest.raises(UsageError, match="not a run's folder"):
        read_metrics(tmp_path)
    write_json(tmp_path / "config.json", {"format": 1})
    assert read_metrics(tmp_path)["step"].shape == (0,)


@pytest.mark.parametrize("cut", range(1, 20))
def test_a_torn_last_line_is_dropped(tmp_path, cut):
    path = tmp_path / "metrics.jsonl"
    whole = b'{"step": 1, "a": 1}\n{"step": 2, "a": 2}\n'
    path.write_bytes(whole + b'{"step": 3, "a": 3}\n'[:cut])
    assert [r["step"] for r in read_rows(path)] == [1, 2]
    with MetricsLog(path) as log:
        log.append({"step": 3, "a": 4})
    assert path.read_bytes() == whole + b'{"step": 3, "a": 4}\n'


def test_a_copy_by_hard_links_is_written_apart(tmp_path):
    """`cp -al run snapshot`: going on with the run leaves the snapshot as it was."""
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"step": 2')
    os.link(path, tmp_path / "snapshot")
    with MetricsLog(path) as log:
        log.append({"step": 2})
    assert (tmp_path / "snapshot").read_bytes() == b'{"step": 1}\n{"step": 2'
    assert path.read_bytes() == b'{"step": 1}\n{"step": 2}\n'


def test_rows_do_not_go_into_another_file_at_the_path(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        log.append({"step": 1})
        path.rename(tmp_path / "moved")
        path.write_text('{"step": 7}\n')
        none = lambda step: False  # noqa: E731
        for write in (lambda: log.append({"step": 2}), lambda: log.amend({"step": 9}), lambda: log.truncate_to(none)):
            with pytest.raises(RunFailure, match=r"metrics.jsonl is no longer the file"):
                write()
    assert path.read_text() == '{"step": 7}\n'


def test_a_damaged_line_within_is_named(tmp_path):
    path = tmp_path / "metrics.jsonl"
    path.write_bytes(b'{"step": 1}\n{"st\x00p": 2}\n{"step": 3}\n')
    with pytest.raises(RunFailure, match="line 2: damaged"):
        read_rows(path)
    before = path.read_bytes()
    with pytest.raises(RunFailure, match="line 2: damaged"):
        MetricsLog(path)
    assert path.read_bytes() == before


def test_resuming_cuts_back_to_the_restored_step(tmp_path):
    path = tmp_path / "metrics.jsonl"
    with MetricsLog(path) as log:
        for step in range(1, 8):
            log.append({"step": step, "a": 1 / step})
        whole = path.read_bytes()
        log.truncate_to(lambda step: step <= 4)
        assert [r["step"] for r in read_rows(path)] == [1, 2, 3, 4]
        for step in range(5, 8):
            log.append({"step": step, "a": 1 / step})
        log.truncate_to(lambda step: step <= 7)
    assert path.read_bytes() == whole
    assert os.listdir(tmp_path) == ["metrics.jsonl"]


def test_a_full_disk_takes_no_half_rows(tmp_path, monkeypatch):
    path = tmp_path / "metrics.jsonl"
    real = os.write
    with MetricsLog(path) as log:
        log.append({"step": 1})
        monkeypatch.setattr(os, "write", lambda fd, line: real(fd, line[:5]))
        with pytest.raises(RunFailure, match=r"no space left for .*metrics.jsonl"):
            log.append({"step": 2})
        monkeypatch.undo()
        log.append({"step": 3})
    assert path.read_text() == '{"step": 1}\n{"step": 3}\n'


@pytest.mark.reliability
def test_a_kill_while_logging(tmp_path, child_env):
    code = (
        "import sys; from genjax.runs.run_folder import MetricsLog\n"
        "log = MetricsLog(sys.argv[1]); step = 0\n"
        "while True:\n"
        "    step += 1; log.append({'step': step, 'x': [0.1] * 500})\n"
        "    if step % 50 == 0: print(step, flush=True)"
    )
    path = tmp_path / "metrics.jsonl"
    child = subprocess.Popen([sys.executable, "-c", code, path], env=child_env, stdout=subprocess.PIPE, text=True)
    told = int(child.stdout.readline())
    time.sleep(0.05)
    child.kill()
    told = max([told, *map(int, child.communicate()[0].split())])
    with MetricsLog(path):
        found = [r["step"] for r in read_rows(path)]
    assert found == list(range(1, len(found) + 1))
    assert len(found) >= told


# The environment.


def test_manifest(tmp_path, root):
    facts = run_folder.manifest(["genjax", "train", "vae_digits"], {"fingerprint": "ab", "name": "digits"})
    write_json(tmp_path / "manifest.json", facts)
    assert read_json(tmp_path / "manifest.json") == facts
    assert facts["data_fingerprint"] == "ab"
    assert facts["device_count"] == 8
    assert facts["orbax"] and facts["jax"] and facts["cpu_count"] >= 1  # noqa: PT018
    if (root / ".git").exists():
        assert len(facts["commit"]) == 40
    assert (
        run_folder.environment_differences(facts, run_folder.manifest(["other", "command"], {"fingerprint": "ab"}))
        == []
    )
    other = facts | {"cpu_count": 64, "settings": facts["settings"] | {"jax_enable_x64": True}, "hostname": "else"}
    said = run_folder.environment_differences(facts, other)
    assert [s.split(":")[0] for s in said] == ["cpu_count", "settings"]
    assert jsonfile.to_json(facts) == facts
