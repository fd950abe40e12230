"""The READMEs: their Python and their commands run, links lead somewhere, numbers are those of the records."""

import contextlib
import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from quick import few

ROOT = Path(__file__).resolve().parent.parent
FOLDERS = ("genjax", "experiments", "notebooks", "tests")
PAGES = [ROOT / "README.md", *sorted(p for folder in FOLDERS for p in (ROOT / folder).rglob("README.md"))]
NAMES = [p.relative_to(ROOT).as_posix() for p in PAGES]
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.DOTALL | re.MULTILINE)
NEEDS_A_MACHINE = ("git clone ", "make ", "pip ", "python ", "sh ")
"""Commands that set up, measure a machine or train for long; `make demo` and `make test` are run in fresh clones."""


def text_of(page: str) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def commands(page: str) -> list[str]:
    """Every line of a README's shell blocks, without its comment."""
    return [line for kind, body in FENCE.findall(text_of(page)) if kind == "sh" for line in lines_of(body)]


def lines_of(block: str) -> list[str]:
    bare = [re.split(r"(?:^|  )# ", line)[0].strip() for line in block.splitlines()]
    return [line for line in bare if line]


def steps_of(page: str, share: float = 1.0) -> list[tuple[str, str, object]]:
    """What a reader does from top to bottom, training for a share of the steps: (what, its name in a message, it)."""
    steps: list[tuple[str, str, object]] = []
    for kind, body in FENCE.findall(text_of(page)):
        body = re.sub(
            r"\bsteps([ =])(\d+)", lambda m: f"steps{m[1]}{max(min(4, int(m[2])), int(share * int(m[2])))}", body
        )
        if kind == "python" and (name := re.match(r"# ([\w.]+\.py)\n", body)):
            steps.append(("file", name[1], body))
        elif kind == "python":
            steps.append(("python", body.strip().splitlines()[0], body))
        elif kind == "sh":
            mine = [line for line in lines_of(body) if not line.startswith(NEEDS_A_MACHINE)]
            words = (shlex.split(line.replace("cp experiments", f"cp {ROOT}/experiments")) for line in mine)
            steps += [("command", line, w) for line, w in zip(mine, words, strict=True)]
    return steps


FOLLOW = """
import json, pathlib, subprocess, sys, warnings
sys.path.insert(0, "")
from genjax import cli
names = {"__name__": "__main__"}
for what, called, it in json.loads(pathlib.Path("steps.json").read_text()):
    if what == "file":
        pathlib.Path(called).write_text(it)
    elif what == "python":
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            exec(compile(it, called, "exec"), names)
    elif code := cli.main(it[1:]) if it[0] == "genjax" else subprocess.call(it):
        sys.exit(f"{called}: exit code {code}")
"""
LEFT = {
    "README.md": ("digits.png", "samples.png", "scores.csv", "both.html"),
    "experiments/README.md": ("samples.png", "drawn.npz", "scores.csv", "compare.html", "both.html", "member.png"),
    "genjax/README.md": ("between.png", "metrics.csv", "stripes.png", "capacity.png"),
}
"""Files that a README makes."""
FEW = 0.05
"""The share of the steps that is enough to see whether everything runs."""


@pytest.mark.parametrize(("page", "share"), few([(p, s) for p in LEFT for s in (1.0, FEW)], ("README.md", FEW)))
def test_a_readme_is_followed_from_top_to_bottom(page, share, tmp_path, child_env):
    """Python and commands in their order, as a reader would paste them; in one process, for starting takes longest."""
    (tmp_path / "steps.json").write_text(json.dumps(steps_of(page, share)))
    command = [sys.executable, "-c", FOLLOW]
    done = subprocess.run(command, cwd=tmp_path, env=child_env, capture_output=True, text=True, timeout=600)
    assert done.returncode == 0, done.stderr[-3000:]
    for name in LEFT[page]:
        assert (tmp_path / name).stat().st_size > 300, name


def test_the_other_readmes_have_nothing_to_run():
    assert [page for page in NAMES if page not in LEFT and steps_of(page)] == []


def test_pandas_takes_a_runs_metrics(tmp_path, monkeypatch):
    """The block that needs pandas, where it is installed."""
    pytest.importorskip("pandas", reason="pandas is not installed, and genjax does without")
    import numpy as np

    block = next(body for kind, body in FENCE.findall(text_of("genjax/README.md")) if "import pandas" in body)
    monkeypatch.chdir(tmp_path)
    exec(block, {"rows": {"step": np.arange(9), "rate": np.ones(9), "distortion": np.ones(9)}})
    assert (tmp_path / "metrics.png").exists()


@pytest.mark.parametrize("page", NAMES)
def test_every_command_named_exists(page):
    from genjax.cli import COMMANDS

    named = set(re.findall(r"genjax (\w+) ", "\n".join(commands(page))))
    assert named <= set(COMMANDS)
    for target in re.findall(r"make ([a-z-]+)", "\n".join(commands(page))):
        assert re.search(rf"^{target}:", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for script in re.findall(r"python ([\w/]+\.py)", text_of(page)):
        assert any((at / script).is_file() for at in (ROOT, (ROOT / page).parent)) or "/" not in script, script


@pytest.mark.parametrize("page", LEFT)
def test_every_flag_named_exists_and_every_block_is_python(page, capsys):
    from genjax import cli, recipes

    for line in (line for line in commands(page) if line.startswith("genjax ")):
        command, *rest = shlex.split(line)[1:]
        about = [command] if command not in ("train", "plan") else [command, rest[0]]
        if about[-1].startswith("runs/"):  # a run: any recipe's flags
            about[-1] = "vae_digits"
        assert len(about) == 1 or about[1] in recipes.names() or about[1].endswith(".py"), line
        if len(about) == 1 or about[1] in recipes.names():
            with contextlib.suppress(SystemExit):  # help
                cli.main(["help", *about])
            said = set(re.findall(r"--[a-z][\w-]*", capsys.readouterr().out))
            assert {w for w in rest if w.startswith("--")} <= said, line
    for kind, body in FENCE.findall(text_of(page)):
        if kind == "python":
            compile(body, page, "exec")


def anchors(path: Path) -> set[str]:
    """The anchors that a code-hosting page makes of a Markdown file's headings."""
    headings = re.findall(r"^#+ (.*)$", FENCE.sub("", path.read_text(encoding="utf-8")), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in headings}


@pytest.mark.parametrize("page", NAMES)
def test_links_lead_somewhere(page):
    """Relative ones, to a file or folder of the checkout; anchors, to a heading of its page."""
    here = (ROOT / page).parent
    for link in re.findall(r"\]\(([^)\s]+)\)", FENCE.sub("", text_of(page))):
        if link.startswith(("https://", "http://")):
            continue
        target, _, anchor = link.partition("#")
        at = (here / target).resolve() if target else ROOT / page
        assert at.exists(), link
        assert at.is_relative_to(ROOT), link
        if anchor:
            assert anchor in anchors(at if at.is_file() else at / "README.md"), link


def test_the_first_page_is_short():
    assert len(text_of("README.md").splitlines()) < 150


def test_the_accuracies_of_feature_nets_are_the_records():
    """As shipped; also the first look at Fashion-MNIST's test set."""
    said = " ".join(text_of("experiments/README.md").split())
    for path in (ROOT / "experiments" / "results" / "features").glob("*.json"):
        r = json.loads(path.read_text())
        assert f"`{path.stem}` ({100 * r['metrics']['shipped_test_accuracy']:.2f} %" in said


def test_the_speed_table_is_the_records():
    """`pairs.py --table` prints what stands in the README of the bench."""
    command = [sys.executable, str(ROOT / "experiments" / "bench" / "pairs.py"), "--table"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.count("\n") == 15
    assert done.stdout.strip() in text_of("experiments/bench/README.md")


def test_the_sentence_on_speed_is_the_records():
    """The README counts the medians above 1 in the bench's table: all on one core, some on two of each machine."""
    said = " ".join(text_of("README.md").split())
    rows = re.findall(r"^\| `\w+` \|(.*) \|$", text_of("experiments/bench/README.md"), re.MULTILINE)
    cells = [[cell.strip() for cell in row.split("|")] for row in rows if re.search(r"\d to \d", row)]
    columns = [[float(c.split()[0]) for c in column if c] for column in zip(*cells, strict=True)]
    assert [len(c) for c in columns] == [10, 10, 13, 13]
    amd_one, amd_two, one, two = ([v > 1.02 for v in c] for c in columns)
    assert all(amd_one + one)
    assert f"{sum(amd_two)} of {len(amd_two)} (AMD), {sum(two)} of {len(two)} (Intel)" in said
