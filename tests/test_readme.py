"""The README's own words: its Python runs, its commands run, its links lead somewhere, its numbers are the records'."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TEXT = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```(\w*)\n(.*?)```", TEXT, re.DOTALL)
NEEDS_A_MACHINE = ("make ", "pip ")
"""Set-up commands: `make demo` and `make test` are run in fresh clones; installing is what they do."""


def commands() -> list[str]:
    """Every line of the README's shell blocks, without its comment."""
    lines = [line for kind, body in BLOCKS if kind == "sh" for line in body.splitlines()]
    return [line.split("   #")[0].split("  #")[0].strip() for line in lines if line.strip()]


@pytest.fixture(scope="module")
def place(tmp_path_factory) -> Path:
    """One folder in which the README is followed from top to bottom."""
    return tmp_path_factory.mktemp("readme")


def test_python_blocks_run_in_order(place, child_env):
    """All of them, one after the other, as a reader would paste them."""
    script = "\n".join(body for kind, body in BLOCKS if kind == "python")
    assert script.count("make_step") >= 2
    script += "\nassert rows[-1]['rate'] > 0 and np.isfinite(rows[-1]['distortion'])\n"
    (place / "readme.py").write_text(script, encoding="utf-8")
    done = subprocess.run(
        [sys.executable, "-W", "error", "readme.py"],
        cwd=place,
        env=child_env,
        capture_output=True,
        text=True,
        timeout=600,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    assert (place / "digits.png").stat().st_size > 1000
    assert (place / "stripes.npz").exists()


FOLLOW = """
import json, subprocess, sys
from genjax import cli
for line, words in json.loads(sys.argv[1]):
    code = cli.main(words[1:]) if words[0] == "genjax" else subprocess.call(words)
    if code:
        sys.exit(f"{line}: exit code {code}")
"""


def test_commands_run_as_written(place, child_env):
    """Each `genjax` and `cp` line, in order, in the folder where the Python blocks left `stripes.npz`.

    One process runs them all: starting it is most of what a command of a few steps takes.
    """
    assert (place / "stripes.npz").exists(), "the Python blocks come first"
    mine = [c for c in commands() if not c.startswith(NEEDS_A_MACHINE)]
    assert sum(c.startswith("genjax ") for c in mine) >= 13
    words = [shlex.split(line.replace("$EXPERIMENTS", str(ROOT / "experiments"))) for line in mine]
    command = [sys.executable, "-c", FOLLOW, json.dumps(list(zip(mine, words, strict=True)))]
    done = subprocess.run(command, cwd=place, env=child_env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-2000:]
    for name in ("samples.png", "scores.csv", "both.html", "stripes.png"):
        assert (place / name).exists(), name


def test_every_command_named_exists():
    from genjax.cli import COMMANDS

    named = set(re.findall(r"genjax (\w+) ", "\n".join(commands())))
    assert named <= set(COMMANDS)
    for target in re.findall(r"make ([a-z-]+)", "\n".join(commands())):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)


def test_links_lead_somewhere():
    for target in re.findall(r"\]\(([^)#]+)\)", TEXT):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_the_accuracies_of_feature_nets_are_the_records():
    """As shipped; also the first look at Fashion-MNIST's test set."""
    for path in (ROOT / "experiments" / "results" / "features").glob("*.json"):
        r = json.loads(path.read_text())
        assert f"`{path.stem}` ({100 * r['metrics']['shipped_test_accuracy']:.2f} %" in " ".join(TEXT.split())


def test_the_speed_table_is_the_records():
    """`pairs.py --table` prints what stands in the README."""
    command = [sys.executable, str(ROOT / "experiments" / "bench" / "pairs.py"), "--table"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 12
    assert done.stdout.strip() in TEXT
