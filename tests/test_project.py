"""The project's own rules: linters, sizes, imports, and nothing of one machine in a committed file."""

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
TOOLS = Path(sys.executable).parent


def committed():
    """Files under version control, or all but the ignored where there is no git."""
    command = ["git", "ls-files", "-co", "--exclude-standard"]
    git = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    names = git.stdout.splitlines() if git.returncode == 0 else [str(p.relative_to(ROOT)) for p in ROOT.rglob("*.py")]
    return [ROOT / n for n in names if (ROOT / n).is_file() and ".venv" not in Path(n).parts]


FILES = committed()
PYTHON = [f for f in FILES if f.suffix == ".py"]
TEXT = [f for f in FILES if f.suffix in (".py", ".md", ".toml", ".txt", ".json", ".ipynb", ".yml", ".css", ".js", "")]


@pytest.mark.parametrize(
    "command",
    [
        ("ruff", "check", "."),
        ("pyrefly", "check", "--python-interpreter-path", sys.executable),
        ("lint-imports",),
    ],
    ids="-".join,
)
def test_linter(command, child_env):
    tool = TOOLS / command[0]
    found = str(tool) if tool.exists() else shutil.which(command[0])
    assert found, f"{command[0]} is not installed: pip install -e '.[dev]'"
    done = subprocess.run([found, *command[1:]], cwd=ROOT, env=child_env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, (done.stdout + done.stderr)[-6000:]


def test_files_are_short():
    def limit(path):
        return 400 if path.relative_to(ROOT).parts[0] in ("genjax", "experiments") else 600

    def lines(path):
        text = path.read_text(encoding="utf-8").splitlines()
        prose = (
            path.parent == ROOT / "notebooks"
        )  # a notebook's text is comments here, and is to be read as long as it is
        return len([line for line in text if not line.startswith("# ")] if prose else text)

    lengths = {p: lines(p) for p in PYTHON}
    assert {str(p): n for p, n in lengths.items() if n >= limit(p)} == {}


def test_docstrings_begin_with_what_it_is():
    """`Of the gradients.` leaves the reader to look for what is meant."""
    begins = re.compile(r'^\s*"""Of ', re.MULTILINE)
    assert not [str(f.relative_to(ROOT)) for f in PYTHON if begins.search(f.read_text(encoding="utf-8"))]


def test_every_module_says_what_it_is():
    import ast

    modules = [p for p in PYTHON if p.is_relative_to(ROOT / "genjax")]
    assert modules
    assert [str(p) for p in modules if not ast.get_docstring(ast.parse(p.read_text(encoding="utf-8")))] == []


@pytest.mark.parametrize(
    "pattern",
    [r"/(work|root|home|Users)/\w", r"/tmp/\w", r"\.pyenv", r"/opt/\w", r"find-links", r"extra-index-url"],
)
def test_nothing_of_one_machine(pattern):
    this = Path(__file__).resolve()
    hits = [
        f"{f.relative_to(ROOT)}:{i}: {line.strip()[:120]}"
        for f in TEXT
        if f.resolve() != this
        for i, line in enumerate(f.read_text(encoding="utf-8").splitlines(), 1)
        if re.search(pattern, line)
    ]
    assert hits == []


def test_constraints_are_versions_only_and_cover_the_dependencies():
    lines = [x for x in (ROOT / "constraints.txt").read_text().splitlines() if x and not x.startswith("#")]
    exact = re.compile(r'^[a-z0-9-]+==[\w.+!]+(; python_version [<>=]+ "3\.\d+")?$')
    assert [x for x in lines if not exact.match(x)] == []
    assert not any("torch" in x for x in lines)
    pinned = {x.split("==")[0] for x in lines}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    wanted = [*project["dependencies"], *extras["dev"], *extras["logs"]]
    names = {re.sub(r"[-_.]+", "-", re.match(r"[\w.-]+", w)[0]).lower() for w in wanted}
    assert names - pinned == set()


def test_every_requirement_has_a_lower_bound():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert set(project["optional-dependencies"]) >= {"cuda12", "cuda13", "tpu", "tfds", "logs", "dev"}
    everything = [*project["dependencies"], *(r for rs in project["optional-dependencies"].values() for r in rs)]
    assert [r for r in everything if ">=" not in r] == []


def test_installed_versions_satisfy_the_requirements():
    from importlib.metadata import version

    from packaging.requirements import Requirement

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    wanted = [Requirement(r) for r in [*project["dependencies"], *project["optional-dependencies"]["dev"]]]
    assert [str(r) for r in wanted if not r.specifier.contains(version(r.name), prereleases=True)] == []


def test_the_make_file_and_ci_have_the_two_commands():
    text = (ROOT / "Makefile").read_text()
    for target in ("demo:", "test:", "test-all:", "lint:"):
        assert f"\n{target}" in text
    assert "make test" in (ROOT / ".ci" / "run").read_text()


@pytest.mark.skipif(shutil.which("make") is None, reason="no make")
def test_an_old_python_is_refused_in_one_line(tmp_path, child_env):
    old = tmp_path / "oldpython"
    old.write_text("#!/bin/sh\necho 3.9\n")
    old.chmod(0o755)
    command = ["make", "test", f"PYTHON={old}"]
    done = subprocess.run(command, cwd=ROOT, env=child_env, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert "needs Python 3.11, 3.12 or 3.13" in done.stderr
