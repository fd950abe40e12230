"""Notebooks: every cell runs, twice in a row and going back, strictly; exercises are solved by their solutions; what is
stored is the same cells with the outputs of a run without errors; set-up and badge know one address.
"""

import ast
import contextlib
import importlib.util
import io
import json
import os
import re
import shutil
import sys
from pathlib import Path

import jax
import jupytext
import nbformat
import pytest
from quick import few

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))
MAX_BYTES = 600_000
FEW = 0.01
"""The share of a notebook's steps that is enough to see whether its cells run."""
COMPILED_AGAIN = {"init", "batches", "<lambda>", "scan", "negative_elbo", "library_loss"}
"""What a second run may compile, small programs: an optimizer's first state, a batch to look at, checks by hand."""
SOLUTION = re.compile(r"<details><summary>Solution</summary>\n+```python\n(.*?)```\n.*?</details>", re.DOTALL)


def script(name: str):
    """A file of notebooks/, imported."""
    spec = importlib.util.spec_from_file_location(f"notebooks_{name}", NOTEBOOKS / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


address, execute = script("address"), script("execute")

each = pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)


def stored(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def cells(source: Path) -> list[nbformat.NotebookNode]:
    return jupytext.read(source, fmt="py:percent").cells


def code_cells(source: Path) -> list[str]:
    """What the code cells hold; `%pip`, of the branch without genjax, as a comment."""
    return [re.sub(r"^( *)%", r"\1# %", c.source, flags=re.M) for c in cells(source) if c.cell_type == "code"]


def solutions(source: Path) -> list[str]:
    return [m[1] for c in cells(source) if c.cell_type == "markdown" for m in SOLUTION.finditer(c.source)]


def shown(value) -> list:
    """What a notebook shows of the value of a cell's last expression."""
    ways = ("_repr_png_", "_repr_svg_", "_repr_html_")
    pictures = [getattr(value, name)() for name in ways if hasattr(value, name)]
    assert all(pictures)
    assert len(repr(value)) < 2000, "a notebook stores the repr of what it shows"
    return [*pictures, repr(value)]


def run(code: str, namespace: dict) -> tuple:
    """Runs a cell; what it prints and what it shows."""
    tree = ast.parse(code)
    last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
    printed, value = io.StringIO(), []
    with contextlib.redirect_stdout(printed):
        exec(compile(tree, "cell", "exec"), namespace)
        if last is not None:
            value = shown(eval(compile(ast.Expression(last.value), "cell", "eval"), namespace))
    return printed.getvalue(), value


@contextlib.contextmanager
def compiled():
    """The names of the programs that are compiled meanwhile, found on the disk or not."""
    names: list[str] = []

    def note(event, seconds, **more):
        if event.endswith("backend_compile_duration"):
            names.append(re.sub(r"^jit[(_](.*?)\)?$", r"\1", more["fun_name"]))

    jax.monitoring.register_event_duration_secs_listener(note)
    try:
        yield names
    finally:
        jax.monitoring.unregister_event_duration_listener(note)


def shortened(source: Path, share: float) -> list[str]:
    """The code cells, to be trained for a share of the notebook's steps."""
    codes, n = [], 0
    for code in code_cells(source):
        code, found = re.subn(r"^STEPS = (\d+)$", lambda m: f"STEPS = {int(share * int(m[1]))}", code, flags=re.M)
        codes, n = [*codes, code], n + found
    assert n == 1
    return codes


@each
def test_there_are_notebooks(source):
    assert [p.stem for p in SOURCES] == ["01_vae", "02_gan", "03_any_data", "04_music_you_can_hear"]
    assert source.with_suffix(".ipynb").is_file()


@pytest.mark.parametrize(
    ("source", "twice"),
    few([(source, twice) for source in SOURCES for twice in (False, True)], (SOURCES[0], False)),
    ids=lambda v: v.stem if isinstance(v, Path) else ("once", "twice")[v],
)
def test_every_cell_runs_and_shows_the_same_a_second_time(source, twice, capsys):
    """In this process: warnings are errors, shapes are checked, ranks are not promoted. Then the solutions run.

    Nothing that trains or scores is compiled a second time: what compiled programs hang on is made in a cell above.
    """
    namespace, at_first = {"__name__": source.stem}, set()
    for code in shortened(source, FEW):
        with compiled() as names:
            first = run(code, namespace)
        at_first |= set(names)
        with compiled() as names:
            assert not twice or run(code, namespace) == first, code
        assert set(names) <= COMPILED_AGAIN, code
    assert "chunk" in at_first, "the training loop's program has another name now"
    assert capsys.readouterr().err == ""
    for solution in solutions(source):
        printed, _ = run(solution, namespace)
        assert printed.startswith("right\n"), printed


@pytest.mark.slow
@each
def test_every_cell_runs_for_all_its_steps(source, capsys):
    namespace = {"__name__": source.stem}
    for code in shortened(source, 1.0):
        run(code, namespace)
    assert capsys.readouterr().err == ""
    assert [run(solution, namespace)[0].splitlines()[0] for solution in solutions(source)] == ["right"] * 3


@pytest.mark.slow
@each
def test_one_may_go_back_to_any_cell(source):
    """Backwards through the notebook, each cell after all that follow it: it shows what it showed at first."""
    namespace, codes = {"__name__": source.stem}, shortened(source, FEW)
    first = [run(code, namespace) for code in codes]
    for code, before in reversed(list(zip(codes, first, strict=True))):
        assert run(code, namespace) == before, code


@each
def test_a_name_is_made_in_one_cell(source):
    """So a cell sees the same values whichever cells have run since."""
    made: dict[str, int] = {}
    for i, code in enumerate(code_cells(source)):
        for name in names_made(ast.parse(code)):
            assert made.setdefault(name, i) == i or name == "_", f"{name} is made in two cells"


def names_made(tree: ast.Module) -> set[str]:
    """Names that a cell binds for others: not those inside functions and comprehensions."""
    inner = (ast.FunctionDef, ast.Lambda, ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)
    todo, names = list(ast.iter_child_nodes(tree)), set()
    while todo:
        node = todo.pop()
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            names.add(node.id)
        elif isinstance(node, ast.alias):
            names.add(node.asname or node.name)
        if not isinstance(node, inner):
            todo.extend(ast.iter_child_nodes(node))
    return names


@each
def test_there_are_three_exercises_each_with_a_solution_folded_below(source):
    found = cells(source)
    at = [i for i, c in enumerate(found) if "### Exercise " in c.source]
    assert len(at) == len(solutions(source)) == 3
    for i, number in zip(at, "123", strict=True):
        assert f"### Exercise {number}: " in found[i].source
        after = next(c for c in found[i + 1 :] if c.cell_type == "markdown")
        assert SOLUTION.fullmatch(after.source), "the next text below an exercise is its solution"
    printed = [o.text for c in stored(source).cells if c.cell_type == "code" for o in c.outputs if "text" in o]
    assert printed.count("no answer yet\n") == 3


@each
def test_every_picture_says_what_its_rows_and_axes_are(source):
    calls = [n for code in code_cells(source) for n in ast.walk(ast.parse(code)) if isinstance(n, ast.Call)]
    pictures = [n for n in calls if ast.unparse(n.func).startswith("viz.") and n.func.attr != "to_uint8"]
    sounds = [n for n in pictures if n.func.attr == "players"]
    assert len(pictures) - len(sounds) >= 8
    for n in pictures:
        if n.func.attr == "wave_cells":  # what `rows` then names
            continue
        assert n.func.attr in ("rows", "curves", "histogram", "players")
        assert n.func.attr in ("rows", "players") or "names" in {k.arg for k in n.keywords}


@each
def test_the_source_is_a_script(source):
    compile(source.read_text(encoding="utf-8"), source.name, "exec")


@each
def test_the_stored_cells_are_those_of_the_source(source):
    want, have = execute.cells_of(source).cells, stored(source).cells
    hint = f"run: python notebooks/execute.py {source.stem}"
    assert [(c.cell_type, c.source) for c in have] == [(c.cell_type, c.source) for c in want], hint


@each
def test_the_stored_outputs_are_those_of_one_run_without_errors(source):
    cells = [c for c in stored(source).cells if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for c in cells for o in c.outputs]
    assert {o.output_type for o in outputs} <= {"stream", "execute_result"}
    assert {o.name for o in outputs if o.output_type == "stream"} == {"stdout"}
    shows = [o.data for o in outputs if o.output_type == "execute_result"]
    assert sum("image/png" in data or "image/svg+xml" in data for data in shows) >= 8


@each
def test_the_stored_notebook_is_small_and_of_no_machine(source):
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert len(text.encode()) < MAX_BYTES
    notebook = stored(source)
    nbformat.validate(notebook)
    assert [c.metadata for c in notebook.cells if c.metadata] == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for path in {str(NOTEBOOKS.parent), str(Path.home()), sys.prefix, os.path.join(os.sep, "tmp", "")}:
        assert path not in text


OPENED = "fileId=https%3A%2F%2Fgithub.com%2Fada%2Ffork.of_it%2Fblob%2Ftry%2Fthis%2Fnotebooks%2F01_vae.ipynb"


@each
@pytest.mark.parametrize(
    ("sessions", "repository", "wanted"),
    [
        ([{"name": "01_vae.ipynb", "path": OPENED}], None, "https://github.com/ada/fork.of_it@try/this"),
        ([{"path": "fileId=0B1aX"}], "https://github.com/ada/genjax", "https://github.com/ada/genjax"),
        (None, "https://github.com/ada/genjax", "https://github.com/ada/genjax"),
        ([], None, "Write into REPOSITORY"),
    ],
)
def test_on_colab_set_up_installs_from_where_the_notebook_was_opened(source, monkeypatch, sessions, repository, wanted):
    asked = []

    def urlopen(url, timeout):
        asked.append(url)
        if sessions is None:
            raise OSError("nobody answers")
        return io.BytesIO(json.dumps(sessions).encode())

    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.setattr("urllib.request.urlopen", urlopen)
    for name, value in {"RELEASE_TAG": "release", "JUPYTER_IP": "10.0.0.1"}.items():
        monkeypatch.setenv(f"COLAB_{name}", value)
    monkeypatch.setenv("KMP_TARGET_PORT", "9000")
    code = set_up(source)
    if repository:
        code = re.sub(r'^REPOSITORY = ".*?"', f'REPOSITORY = "{repository}"', code, flags=re.M)
    namespace: dict = {}
    if wanted.startswith("https"):
        exec(code, namespace)
        assert (namespace["installed"], namespace["address"]) == ('%pip install -q "git+$address"', wanted)
    else:
        with pytest.raises(ModuleNotFoundError, match=wanted):
            exec(code, namespace)
    assert asked == ["http://10.0.0.1:9000/api/sessions"]


@each
def test_elsewhere_set_up_says_what_to_do_or_does_nothing(source, monkeypatch):
    monkeypatch.delenv("COLAB_RELEASE_TAG", raising=False)
    namespace: dict = {}
    exec(set_up(source), namespace)
    assert not {"installed", "address"} & set(namespace)
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install -e \."):
        exec(set_up(source), {})


def set_up(source: Path) -> str:
    """The first code cell, with what it would have pip do as a string in the place of doing it."""
    code = next(c for c in cells(source) if c.cell_type == "code").source
    code, n = re.subn(r"^( *)%(.*)$", r"\1installed = '''%\2'''", code, flags=re.M)
    assert n == 1
    return code


def mentions(root: Path) -> dict[str, set[str]]:
    """The repository as each file names it."""
    name = address.slug(root).partition("/")[2]
    return {str(f.relative_to(root)): set(address.mentions(f.read_text("utf-8"), name)) for f in address.files(root)}


def test_the_repository_has_one_address():
    """It is written once into pyproject.toml, and from there, by address.py, wherever else it stands."""
    home, named = address.slug(), mentions(ROOT)
    assert {slug for slugs in named.values() for slug in slugs} == {home}
    for source in SOURCES:
        badge = f"(https://colab.research.google.com/github/{home}/blob/main/notebooks/{source.stem}.ipynb)"
        assert badge in cells(source)[0].source
        assert f'REPOSITORY = "https://github.com/{home}"' in set_up(source)
        assert named[f"notebooks/{source.stem}.ipynb"] == {home}


def test_another_address_is_written_everywhere(tmp_path):
    for file in address.files(ROOT):
        (copy := tmp_path / file.relative_to(ROOT)).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, copy)
    address.move("https://github.com/ada/fork.git", tmp_path)
    assert address.slug(tmp_path) == "ada/fork"
    assert {f for f, slugs in mentions(tmp_path).items() if slugs} == {
        f for f, slugs in mentions(ROOT).items() if slugs
    }
    address.move(f"https://github.com/{address.slug()}", tmp_path)
    for file in address.files(ROOT):
        assert (tmp_path / file.relative_to(ROOT)).read_bytes() == file.read_bytes()
    with pytest.raises(SystemExit, match="no address of a repository"):
        address.move("https://example.org/genjax", tmp_path)
