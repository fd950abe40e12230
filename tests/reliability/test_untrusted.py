"""Run folders and records from anywhere: whatever is in their files, a command answers in a few lines."""

import copy
import json
import random
import shutil
import time
import tracemalloc
from pathlib import Path

import pytest
from quick import few

from genjax import checked, cli, measure, recipes, runs, sources, viz
from genjax.checkpoint import folders, seal
from genjax.cli import cache
from genjax.cli import results as results_command
from genjax.errors import RunFailure, UsageError
from genjax.report import facts, versus_page
from genjax.runs import run_folder
from genjax.runs.run_folder import FORMAT

MOST_LINES = 12
ODD = [None, True, -1, 0, 2, 10**30, 2**63, 1e308, -0.5, "x", "", "NaN", "-Infinity", "\ud800", "\udcff", "\x1b[2J",
       "é" * 3000, "../../etc/passwd", [], {}, [[]], [1, 2, 3], ["a"], {"a": {"b": []}}, [{}], [None]]  # fmt: skip
FILES = {
    "config.json": ("report", "sample"),
    "eval.json": ("report", "compare"),
    "metrics.jsonl": ("report", "compare"),
    "validation.jsonl": ("report",),
    "manifest.json": ("report", "compare"),
    "seal.json": ("digest", "report"),
}


@pytest.fixture(scope="module")
def measured(tmp_path_factory):
    """A small run with all of the files that a run can have."""
    run = tmp_path_factory.mktemp("untrusted") / "run"
    with pytest.MonkeyPatch.context() as m:
        m.setattr(cache, "enable", lambda on=True: None)
        flags = ["--steps", "4", "--hidden", "8", "--z-dim", "2", "--batch-size", "8", "--log-every", "1",
                 "--save-every", "2", "--sample-every", "2", "--validation", "20", "--eval-every", "2"]  # fmt: skip
        assert cli.main(["train", "vae_digits", *flags, "--run-dir", str(run), "--quiet"]) == 0
        assert cli.main(["eval", str(run), "--metrics", "elbo", "--n", "20", "--checkpoint", "last"]) == 0
    return run


@pytest.fixture
def run(measured, tmp_path, monkeypatch):
    """A copy of it, and commands whose slow ends are cut off: what they read comes before."""
    folder = tmp_path / "run"
    shutil.copytree(measured, folder)
    monkeypatch.setattr(cache, "enable", lambda on=True: None)
    monkeypatch.setattr(versus_page, "write", lambda *a: Path("page"))
    monkeypatch.setattr(facts, "_drawn", lambda run, dataset: None)
    return folder


def path_of(run, file):
    if file != "seal.json":
        return run / file
    return run / "checkpoints" / str(folders.sealed(folders.resolved(run / "checkpoints"))[-1]) / file


def spoiled(content, file, r):
    """The content of a file with something wrong in it: bytes, or a value, or a whole field."""
    if r.random() < 0.3:
        return bytes_wrong(content, r)
    lines = content.splitlines(keepends=True) if file.endswith(".jsonl") else [content]
    at = r.randrange(len(lines))
    value = json.loads(lines[at])
    for _ in range(r.choice([1, 1, 1, 3])):
        value = value_wrong(value, r)
    if file == "seal.json" and isinstance(value, dict):  # by somebody who knows how
        value.pop("sha256", None)
        try:
            value["sha256"] = seal.own_hash(value)
            return seal._dump(value)
        except (ValueError, TypeError):
            pass
    lines[at] = json.dumps(value).encode() + b"\n"
    return b"".join(lines)


def bytes_wrong(content, r):
    at = r.randrange(len(content))
    return r.choice([
        b"", content[:at], content[:at] + b"\0" + content[at:], content[:at] + b"\xff\xfe" + content[at + 2 :],
        b"[" * 50_000, b'{"a":' * 20_000, content[at:] + content[:at], content + content, b"null\n", b"[]\n",
        content[:at] + bytes([content[at] ^ 1 << r.randrange(8)]) + content[at + 1 :],
        content.replace(b"0", b"9" * 400, 1), content.replace(b'"', b"'"),
    ])  # fmt: skip


def value_wrong(value, r):
    """One place of a JSON value changed."""
    value = copy.deepcopy(value)
    inner, key = [None], 0
    node = value
    while isinstance(node, dict | list) and node and (inner == [None] or r.random() < 0.75):
        inner, key = node, r.choice(list(node)) if isinstance(node, dict) else r.randrange(len(node))
        node = inner[key]
    if inner == [None]:
        return r.choice(ODD)
    how = r.random()
    if how < 0.2:
        del inner[key]
    elif how < 0.3 and isinstance(inner, dict):
        inner["unheard_of"] = r.choice(ODD)
    elif how < 0.35 and "format" in value:
        value["format"] = FORMAT + 1
    else:
        inner[key] = r.choice(ODD)
    return value


def answers(argv, capsys, what):
    """The command's exit code, which is one of three, with a few lines and nothing raised."""
    capsys.readouterr()
    try:
        code = cli.main(argv)
    except BaseException as e:
        raise AssertionError(f"{argv} raised {type(e).__name__} after {what!r}") from e
    err = capsys.readouterr().err
    assert code in (0, 1, 2), what
    assert "Traceback" not in err, what
    assert len(err.splitlines()) <= MOST_LINES, (what, err)
    assert code == 0 or err, what
    return code


def argv(command, run, tmp_path):
    return {
        "report": ["report", str(run), "--out", str(tmp_path / "page.html")],
        "compare": ["compare", str(run), "--record", str(tmp_path / "record.json")],
        "digest": ["digest", str(run)],
        "sample": ["sample", str(run), "--n", "1", "--out", str(tmp_path / "s.png")],
    }[command]


def fuzz(file, command, n, run, tmp_path, capsys):
    r = random.Random(f"{file} {command}")
    path = path_of(run, file)
    whole, codes = path.read_bytes(), []
    for _ in range(n):
        content = spoiled(whole, file, r)
        path.write_bytes(content)
        codes.append(answers(argv(command, run, tmp_path), capsys, content[:2000]))
        for step in (run / "checkpoints").glob("*.corrupt*"):
            raise AssertionError(f"{command} renamed {step}")
    path.write_bytes(whole)
    assert answers(argv(command, run, tmp_path), capsys, "the file as it was") == 0
    if file != "seal.json":  # with a damaged one the sealed step before it is used
        assert {1, 2} & set(codes) or (file, command) == ("eval.json", "report")  # the page says what it lacks


EACH = [(file, command) for file, commands in FILES.items() for command in commands]


@pytest.mark.parametrize(("file", "command"), few(EACH, *(e for e in EACH[::3] if e[1] not in ("report", "compare"))))
def test_spoiled_files_of_a_run(file, command, run, tmp_path, capsys):
    fuzz(file, command, 3 if command in ("report", "sample") else 8, run, tmp_path, capsys)


@pytest.mark.slow
@pytest.mark.parametrize(("file", "command"), EACH)
def test_many_spoiled_files_of_a_run(file, command, run, tmp_path, capsys):
    fuzz(file, command, 150, run, tmp_path, capsys)


def test_what_the_long_fuzz_found(run):
    """A place of the data that is a list, a copy without its recipe, a number beyond what can be drawn."""
    config = run / "config.json"
    whole = config.read_bytes()
    config.write_text(json.dumps(json.loads(whole) | {"where": ["a"]}))
    with pytest.raises(UsageError, match="where is "):
        run_folder.read_config(run)
    config.write_bytes(whole)
    with pytest.raises(UsageError, match=r"vae_digits\.py is not among"):
        sources.read_copy(run / "recipe", "vae_digits.py", {})
    assert "<svg" in viz.curves({"step": [0, 1, 2], "elbo": [-1.0, 1e308, -2.0]}, ["elbo"]).text


DOORS = {
    "config.json": lambda run: checked.checked(run_folder.read_config(run), run_folder.WHOLE, "config.json"),
    "eval.json": measure.read_eval,
    "metrics.jsonl": lambda run: (runs.read_metrics(run), facts.read_findings(run / "metrics.jsonl")),
    "validation.jsonl": lambda run: runs.read_metrics(run, name="validation.jsonl"),
    "manifest.json": run_folder.read_manifest,
}


@pytest.mark.parametrize("file", DOORS)
def test_hundreds_of_spoiled_files_at_the_door(file, run):
    """The reader of each file alone, which is fast: it gives what it promises or names the file."""
    r = random.Random(file)
    whole, refused = (run / file).read_bytes(), 0
    for _ in range(300):
        content = spoiled(whole, file, r)
        (run / file).write_bytes(content)
        said = ""
        try:
            DOORS[file](run)
        except (UsageError, RunFailure) as e:
            said = str(e)
            refused += 1
        assert not said or file in said, said
        assert len(said) < 600
    assert 50 < refused < 300


@pytest.mark.parametrize("n", few([60, 200], 60))
def test_spoiled_records(n, tmp_path, monkeypatch, capsys):
    """Committed ones, by `results` and by `compare`."""
    r = random.Random(0)
    monkeypatch.setattr(versus_page, "write", lambda *a: Path("page"))
    monkeypatch.setattr(results_command.recipes, "folder", lambda: tmp_path / "experiments")
    results = tmp_path / "experiments" / "results"
    results.mkdir(parents=True)
    (tmp_path / "README.md").write_text("")
    whole = json.dumps(json.loads((recipes_results() / "ring.json").read_text())).encode()
    codes = []
    for _ in range(n):
        content = spoiled(whole, "ring.json", r)
        (results / "ring.json").write_bytes(content)
        codes.append(answers(["results"], capsys, content[:2000]))
        codes.append(answers(["compare", str(results / "ring.json")], capsys, content[:2000]))
    assert {0, 2} <= set(codes)


def recipes_results():
    return Path(recipes.__file__).resolve().parents[1] / "experiments" / "results"


LARGE = few(("config.json", "eval.json", "metrics.jsonl", "manifest.json", "seal.json"), "metrics.jsonl")


@pytest.mark.parametrize("file", LARGE)
def test_a_hundred_megabytes_in_one_line(file, run, tmp_path, capsys):
    """In seconds, and without ten times the memory."""
    path = path_of(run, file)
    with path.open("wb") as f:
        f.truncate(100 * 2**20)  # zeros, in no room on the disk
    tracemalloc.start()
    start = time.process_time()
    command = "digest" if file == "seal.json" else "compare" if file == "manifest.json" else "report"
    code = answers(argv(command, run, tmp_path), capsys, "100 MB")
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert code == 0 or file != "seal.json"
    assert time.process_time() - start < 20
    assert peak < 500e6
