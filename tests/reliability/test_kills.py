"""`kill -9` of a process that saves: the newest sealed step always loads, and no step is listed that does not."""

import os
import random
import signal
import subprocess
import sys
import time
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from genjax.checkpoint import folders
from genjax.checkpoint.checkpoints import Checkpoints, tree_digest

SAVER = Path(__file__).with_name("saver.py")
POINTS = ("commit", "seal", "sealed", "discard")
pytestmark = pytest.mark.reliability


def saver_state(step: int) -> dict:
    spec = spec_from_file_location("saver", SAVER)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.state(step)


def run_saver(folder: Path, env: dict, *more: str, kill_after: float | None = None) -> tuple[int, int, int]:
    """`(exit code, last step begun, last step known sealed)`; killed some seconds after its first line, if asked."""
    child = subprocess.Popen(
        [sys.executable, SAVER, folder, *(more or ("1000",))], env=env, stdout=subprocess.PIPE, text=True
    )
    first = child.stdout.readline()
    if kill_after is not None:
        time.sleep(kill_after)
        child.kill()
    rest = child.communicate(timeout=60)[0]
    words = [line.split() for line in (first + rest).splitlines() if len(line.split()) == 2]
    begun = [int(n) for word, n in words if word in ("saving", "ready")]
    known = [int(n) for word, n in words if word in ("sealed", "ready") and n != "None"]
    return child.returncode, max(begun, default=0), max(known, default=0)


def check(folder: Path, begun: int, known: int) -> int:
    """Every listed step loads as what it was saved as; at most one interval is lost. The newest step."""
    listed = folders.sealed(folders.resolved(folder))
    with Checkpoints(folder, read_only=True) as checkpoints:
        for step in listed:
            back = checkpoints.restore(saver_state(0), step=step)
            assert tree_digest(back.tree) == tree_digest(saver_state(step))
            assert back.extra == {"square": step * step}
    newest = max(listed, default=0)
    # One save may be in flight, and the one after it begun before the kill but not yet reported.
    assert known <= newest
    assert newest >= begun - 1
    with Checkpoints(folder) as checkpoints:
        assert checkpoints.sealed() == listed
        assert not [p.name for p in folder.iterdir() if p.name not in map(str, listed)]
    return newest


def kills(folder: Path, env: dict, n: int, seed: int) -> list[int]:
    """Kill, check, and let the next process continue, n times."""
    r = random.Random(seed)
    reached = []
    for _ in range(n):
        # The first save of a process imports most of Orbax, the others take a tenth of a second.
        code, begun, known = run_saver(folder, env, kill_after=r.choice([0.5, 3.0]) * r.random())
        assert code == -signal.SIGKILL
        reached.append(check(folder, begun, known))
    return reached


@pytest.mark.slow
def test_a_few_kills_anywhere(tmp_path, child_env):
    reached = kills(tmp_path / "c", child_env, 2, seed=0)
    assert reached == sorted(reached)


@pytest.mark.slow
def test_forty_kills_anywhere(tmp_path, child_env):
    reached = kills(tmp_path / "c", child_env, 40, seed=1)
    assert reached == sorted(reached)
    assert reached[-1] > 20


@pytest.mark.parametrize("point", [pytest.param(p, marks=pytest.mark.slow) if p != "seal" else p for p in POINTS])
def test_a_kill_at_a_point(tmp_path, child_env, point):
    code, _, known = run_saver(tmp_path / "c", child_env, "6", point, "4")
    assert code == -signal.SIGKILL
    # "discard" strikes when step 3 is sealed and step 1 goes.
    expected = {"commit": [2, 3], "seal": [2, 3], "sealed": [2, 3, 4], "discard": [2, 3]}[point]
    assert folders.sealed(folders.resolved(tmp_path / "c")) == expected
    assert check(tmp_path / "c", 0, known) == expected[-1]
    code, begun, known = run_saver(tmp_path / "c", child_env, "2")
    assert code == 0
    assert check(tmp_path / "c", begun, known) == expected[-1] + 2


@pytest.mark.slow
def test_a_file_size_limit(tmp_path, child_env):
    """`ulimit -f`: said in a line, exit code 1, and nothing half-written."""
    child_env["PYTHONWARNINGS"] = "ignore"
    command = f"ulimit -f 64; exec {sys.executable} {SAVER} {tmp_path / 'c'} 3"
    done = subprocess.run(["bash", "-c", command], env=child_env, capture_output=True, text=True, timeout=60)
    assert done.returncode == 1
    assert "checkpoint 1 was not saved: " in done.stderr
    assert "allows no file of that size" in done.stderr
    assert folders.sealed(folders.resolved(tmp_path / "c")) == []
    assert {p.name for p in (tmp_path / "c").iterdir()} <= {"errors.log"}
    assert os.access(tmp_path / "c", os.W_OK)
