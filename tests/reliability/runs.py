"""What the tests of real runs share: small recipes, sessions in this process and in others, what must be equal."""

import contextlib
import io
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

from genjax import cli

SMALL = {
    "vae_digits": ["--hidden", "16", "--z-dim", "2", "--batch-size", "8"],
    "gan_digits": ["--width", "8", "--z-dim", "4", "--batch-size", "8"],
}
STEPS = 40
EVERY = ["--log-every", "7", "--save-every", "5", "--sample-every", "10"]


class Facts(NamedTuple):
    """What no interruption may change in a finished run."""

    digest: str
    rows: list[dict[str, Any]]
    grids: dict[str, bytes]


def facts(run: Path) -> Facts:
    """The digest by `genjax digest`, the metrics but for the wall clock, and every sample grid."""
    out = io.StringIO()
    with contextlib.redirect_stdout(out):
        assert cli.main(["digest", str(run)]) == 0
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    rows = [{k: v for k, v in row.items() if k not in ("seconds", "examples_per_s")} for row in rows]
    grids = {p.name: p.read_bytes() for p in sorted((run / "samples").iterdir())}
    return Facts(out.getvalue().splitlines()[-1], rows, grids)


def argv(name: str, run: Path, *more: object) -> list[str]:
    """`train` of a small recipe; later flags win."""
    return ["train", name, *SMALL[name], *EVERY, "--steps", str(STEPS), "--run-dir", str(run), *map(str, more)]


def session(name: str, run: Path, env: dict[str, str], *more: object) -> subprocess.Popen:
    """The command in a process of its own; its standard error is read line by line."""
    command = [sys.executable, "-u", "-m", "genjax", *argv(name, run, *more)]
    return subprocess.Popen(command, env=env, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)


def begun(child: subprocess.Popen) -> str:
    """Waits until the child has said where it runs: imports and data are behind it."""
    return "".join(iter_until(child, "run folder: "))


def iter_until(child: subprocess.Popen, start: str):
    """Lines of standard error up to one that begins with `start`, or the last."""
    for line in child.stderr:
        yield line
        if line.startswith(start):
            return


def ended(child: subprocess.Popen) -> tuple[int, str]:
    """`(exit code, the rest of standard error)`."""
    try:
        rest = child.communicate(timeout=120)[1]
    except subprocess.TimeoutExpired:
        child.kill()
        raise
    return child.returncode, rest


def whole(name: str, run: Path, env: dict[str, str], *more: object) -> str:
    """A session that must come to its end; its standard error."""
    child = session(name, run, env, *more)
    code, err = ended(child)
    assert code == 0, err
    return err


def wait_for(path: Path, seconds: float = 60.0) -> None:
    """Until `path` exists."""
    end = time.monotonic() + seconds
    while not path.exists():
        assert time.monotonic() < end, f"{path} did not come"
        time.sleep(0.005)


def killed_runs(
    name: str, parent: Path, env: dict[str, str], n: int, seed: int, seconds: float
) -> tuple[int, list[Path]]:
    """`kill -9` n sessions at seeded times after they began, each continuing the one before; all runs are finished.

    Args:
        seconds: how long an undisturbed session takes from there.

    Returns:
        Kills that struck a living process (n), and the folders of the finished runs.
    """
    r = random.Random(seed)
    kills, finished, at = 0, [], 0
    while True:
        run = parent / f"{name}-{at}"
        if kills == n:
            if run.exists():
                whole(name, run, env)
                finished.append(run)
            return kills, finished
        # The first session of a run compiles anew, so that kills fall into that too.
        child = session(name, run, env, "--compile-cache", str(run.exists()))
        begun(child)
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(r.random() * seconds)
        child.kill()
        code, err = ended(child)
        kills += code == -signal.SIGKILL
        if code == 0:
            finished.append(run)
            at += 1
        else:
            assert code == -signal.SIGKILL, err


def flip(path: Path, r: random.Random) -> None:
    """One bit of a file, at random."""
    raw = bytearray(path.read_bytes())
    raw[r.randrange(len(raw))] ^= 1 << r.randrange(8)
    path.write_bytes(raw)


def files(folder: Path) -> list[str]:
    """Every file below a folder that has content, relative."""
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.stat().st_size)


def saved_step(err: str) -> int:
    """The step that an interrupted session says it saved."""
    found = re.search(r"saved at step (\d+) of \d+\. To continue[^:]*: genjax train (\S+) .*--run-dir (\S+)", err)
    assert found, err
    assert os.path.isdir(found[3])
    return int(found[1])
