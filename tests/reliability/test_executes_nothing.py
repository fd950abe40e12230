"""An audit hook on commands over a run folder full of traps: nothing from it is executed, imported or spawned."""

import hashlib
import json
import shutil
import subprocess
import sys

import pytest

SPY = """
import json, os, sys
root, run, commands = sys.argv[1], os.path.realpath(sys.argv[2]), json.loads(sys.argv[3])
sys.path.insert(0, root)
from genjax import cli
seen, watching = [], [False]
SPAWNS = ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "pty.spawn", "os.fork")
def hook(event, args):
    if not watching[0]:
        return
    if event in SPAWNS:
        own = event == "subprocess.Popen" and (args[0] == "uname" or list(args[1][:3]) == ["git", "-C", root])
        if not own:  # the machine's name, and the commit of genjax's own checkout
            seen.append([event, str(args[:2])])
    elif event == "exec":
        name = getattr(args[0], "co_filename", "")
        if os.path.isfile(name) and os.path.realpath(name).startswith(run):
            seen.append([event, name])
    elif event in ("import", "ctypes.dlopen") and any(run in str(a) for a in args):
        seen.append([event, str(args)])
    elif event == "pickle.find_class":
        seen.append([event, str(args)])
sys.addaudithook(hook)
codes = []
for argv in commands:
    watching[0] = True
    codes.append(cli.main(argv))
    watching[0] = False
with open(sys.argv[4], "w") as f:
    json.dump([codes, seen], f)
"""
TRAP = "import pathlib\npathlib.Path(__file__).with_suffix('.sprung').write_text('')\nraise SystemExit(3)\n"


@pytest.fixture
def trapped(smoke_run, tmp_path):
    """A run whose recipe somebody has replaced, hashes and all unknown to this user, and with modules beside."""
    run = tmp_path / "run"
    shutil.copytree(smoke_run("vae_digits"), run)
    for name in ("jax.py", "genjax.py", "conftest.py", "sitecustomize.py", "recipe/sitecustomize.py", "numpy.py"):
        (run / name).parent.mkdir(exist_ok=True)
        (run / name).write_text(TRAP)
    stored = json.loads((run / "config.json").read_text())
    for recipe in stored["code"]["recipe"]:
        (run / "recipe" / recipe).write_text(TRAP)
        stored["code"]["recipe"][recipe] = hashlib.sha256(TRAP.encode()).hexdigest()
    (run / "config.json").write_text(json.dumps(stored))
    return run


def test_commands_that_read_execute_nothing_and_those_that_open_ask_first(trapped, tmp_path, root, child_env):
    reads = [["digest", str(trapped)], ["list"], ["doctor"]]
    opens = [["sample", str(trapped), "--n", "1", "--out", str(tmp_path / "s.png")],
             ["score", str(trapped), "digits", "--out", str(tmp_path / "s.csv")],
             ["eval", str(trapped), "--metrics", "elbo", "--n", "20"],
             ["report", str(trapped), "--out", str(tmp_path / "page.html")]]  # fmt: skip
    out = tmp_path / "seen.json"
    command = [sys.executable, "-I", "-c", SPY, str(root), str(trapped), json.dumps([*reads, *opens]), str(out)]
    done = subprocess.run(command, env=child_env, cwd=trapped, capture_output=True, text=True, check=False, timeout=300)
    assert done.returncode == 0, done.stderr
    codes, seen = json.loads(out.read_text())
    assert seen == [], seen
    assert list(trapped.rglob("*.sprung")) == []
    assert codes[:3] == [0, 0, 0]
    assert codes[3:6] == [2, 2, 2], done.stderr
    assert codes[6] in (0, 2)
    assert not (tmp_path / "s.png").exists()
