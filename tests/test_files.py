"""Files are written whole or not at all, and several processes that change one file lose nothing of each other."""

import errno
import json
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from genjax import files
from genjax.cli.sample import sample
from genjax.errors import RunFailure, UsageError
from genjax.jsonfile import read_json


def add(path, name, times, ready):
    """Adds `times` names to a list in a JSON file, each by reading, changing and writing back."""
    ready.wait()
    for i in range(times):
        with files.locked(path):
            held = json.loads(Path(path).read_text()) if Path(path).exists() else []
            files.write_atomically(path, json.dumps([*held, f"{name}-{i}"]).encode())


def test_processes_released_together_lose_nothing(tmp_path):
    """Eight threads of one process, then four processes: the lock is between open files, whoever has them."""
    path = tmp_path / "shared.json"
    barrier = threading.Barrier(8)
    threads = [threading.Thread(target=add, args=(path, f"t{i}", 10, barrier)) for i in range(8)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    code = (
        "import sys, json\nfrom pathlib import Path\nfrom genjax import files\nprint(flush=True)\nsys.stdin.read()\n"
        "for i in range(25):\n"
        "    with files.locked(sys.argv[1]):\n"
        "        held = json.loads(Path(sys.argv[1]).read_text())\n"
        "        files.write_atomically(sys.argv[1], json.dumps([*held, f'{sys.argv[2]}-{i}']).encode())\n"
    )
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    each = [subprocess.Popen([sys.executable, "-c", code, str(path), f"p{i}"], **pipes) for i in range(4)]
    for child in each:
        child.stdout.readline()  # all are ready
    for child in each:
        child.stdin.close()
    for child in each:
        assert child.wait(60) == 0
        child.stdout.close()
    names = json.loads(path.read_text())
    assert len(names) == len(set(names)) == 8 * 10 + 4 * 25
    assert os.listdir(tmp_path) == ["shared.json"]


def test_a_killed_holder_s_lock_is_nobody_s(tmp_path, child_env):
    path = tmp_path / "f"
    die_within = "import os, sys\nfrom genjax import files\nwith files.locked(sys.argv[1]):\n    os._exit(9)\n"
    done = subprocess.run([sys.executable, "-c", die_within, str(path)], env=child_env, check=False)
    assert done.returncode == 9
    assert os.listdir(tmp_path) == [".f.lock"]
    with files.locked(path):
        files.write_atomically(path, b"mine")
    assert os.listdir(tmp_path) == ["f"]


def test_what_dead_processes_left_is_cleared_and_what_living_ones_write_is_not(tmp_path):
    dead = subprocess.Popen([sys.executable, "-c", ""])
    dead.wait()
    for pid in (dead.pid, os.getppid()):
        (tmp_path / f"{files._PREFIX}{files._HOST}-{pid}-0").write_text("half")
    folder = tmp_path / f"{files._PREFIX}{files._HOST}-{dead.pid}-1"
    folder.mkdir()
    (folder / "half").write_text("")
    (tmp_path / f"{files._PREFIX}other-host-1").write_text("another machine's")
    files.replace(tmp_path / "a", b"1")
    left = sorted(os.listdir(tmp_path))
    assert left == sorted(["a", f"{files._PREFIX}{files._HOST}-{os.getppid()}-0", f"{files._PREFIX}other-host-1"])


@pytest.mark.parametrize("name", ["n" * 255, "ü" * 127, "with\nnewline", os.fsdecode(b"\xff\xfe")])
def test_names_of_any_length_and_bytes(tmp_path, name):
    with files.locked(tmp_path / name):
        files.write_out(tmp_path / name, b"1")
    assert os.listdir(tmp_path) == [name]


@pytest.mark.parametrize(
    ("code", "kind"),
    [(errno.ENOSPC, RunFailure), (errno.EDQUOT, RunFailure), (errno.EIO, RunFailure), (errno.EACCES, UsageError),
     (errno.EROFS, UsageError)],
)  # fmt: skip
def test_a_file_asked_for_that_cannot_be_written(tmp_path, monkeypatch, code, kind):
    (tmp_path / "a").write_bytes(b"old")

    def refuse(fd):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(kind, match=str(tmp_path / "a")) as e:
        files.write_out(tmp_path / "a", b"new")
    assert len(str(e.value).splitlines()) == 1
    assert (tmp_path / "a").read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["a"]


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS])
def test_a_file_system_without_locks(tmp_path, monkeypatch, code):
    import fcntl

    def refuse(fd, how):
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)
    with pytest.raises(RunFailure, match=r"has no locks .* local disk"), files.locked(tmp_path / "a"):
        pass


def test_a_lock_that_is_held_too_long_is_told(tmp_path, monkeypatch):
    monkeypatch.setattr(files, "LOCK_SECONDS", 0.1)
    with (
        files.locked(tmp_path / "a"),
        pytest.raises(RunFailure, match="being changed by another process"),
        files.locked(tmp_path / "a"),
    ):
        pass


def test_a_folder_is_there_whole_or_not_at_all(tmp_path):
    (tmp_path / "out").mkdir()  # an empty one may be there
    with files.building(tmp_path / "out") as place:
        (place / "a").write_text("1")
        assert not (tmp_path / "out" / "a").exists()
    assert (tmp_path / "out" / "a").read_text() == "1"
    with pytest.raises(KeyboardInterrupt), files.building(tmp_path / "new") as place:  # noqa: PT012
        (place / "a").write_text("1")
        raise KeyboardInterrupt
    with pytest.raises(OSError, match="not empty"), files.building(tmp_path / "out") as place:
        (place / "b").write_text("2")
    assert sorted(os.listdir(tmp_path)) == ["out"]
    assert os.listdir(tmp_path / "out") == ["a"]


READERS = {
    "read_json": (read_json, "not a regular file"),
    "sample": (lambda path: sample([str(path.parent), "--out", str(path.parent / "a.wrong")]), "--out="),
    "write_out": (lambda path: files.write_out(path.parent / "checkpoints", b""), "Is a directory"),
}


@pytest.mark.timeout(60)
@pytest.mark.parametrize("reader", READERS)
def test_a_pipe_in_the_place_of_a_small_file_is_never_waited_for(reader, tmp_path):
    os.mkfifo(tmp_path / "config.json")
    (tmp_path / "checkpoints").mkdir()
    read, says = READERS[reader]
    with pytest.raises(UsageError, match=says):
        read(tmp_path / "config.json")
