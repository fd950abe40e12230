"""Notebooks: every cell runs, strictly; what is stored is the same cells with the outputs of a run without errors."""

import ast
import importlib.util
import os
import re
import sys
from pathlib import Path

import jupytext
import nbformat
import pytest

NOTEBOOKS = Path(__file__).resolve().parent.parent / "notebooks"
SOURCES = sorted(NOTEBOOKS.glob("[0-9][0-9]_*.py"))
MAX_BYTES = 600_000

spec = importlib.util.spec_from_file_location("notebooks_execute", NOTEBOOKS / "execute.py")
execute = importlib.util.module_from_spec(spec)
spec.loader.exec_module(execute)

pytestmark = pytest.mark.parametrize("source", SOURCES, ids=lambda p: p.stem)


def stored(source: Path) -> nbformat.NotebookNode:
    return nbformat.read(source.with_suffix(".ipynb"), as_version=4)


def test_there_are_notebooks(source):
    assert {"01_vae", "02_gan"} <= {p.stem for p in SOURCES}
    assert source.with_suffix(".ipynb").is_file()


def shown(value) -> None:
    """What a notebook does with the value of a cell's last expression."""
    pictures = [getattr(value, name)() for name in ("_repr_png_", "_repr_svg_") if hasattr(value, name)]
    assert all(pictures)
    assert len(repr(value)) < 2000, "a notebook stores the repr of what it shows"


@pytest.mark.parametrize("share", [0.1, pytest.param(1.0, marks=pytest.mark.slow)])
def test_every_cell_runs(source, share, capsys):
    """In this process: warnings are errors, shapes are checked, no key is used twice, ranks are not promoted.

    Trained for a share of the notebook's steps.
    """
    namespace, shortened = {"__name__": source.stem}, 0
    for cell in jupytext.read(source, fmt="py:percent").cells:
        if cell.cell_type != "code":
            continue
        cell.source, n = re.subn(
            r"^STEPS = (\d+)$", lambda m: f"STEPS = {int(share * int(m[1]))}", cell.source, flags=re.M
        )
        shortened += n
        # `%pip` belongs to the branch without genjax; in the .py it is a comment
        tree = ast.parse(re.sub(r"^( *)%", r"\1# %", cell.source, flags=re.MULTILINE))
        last = tree.body.pop() if tree.body and isinstance(tree.body[-1], ast.Expr) else None
        exec(compile(tree, source.name, "exec"), namespace)
        if last is not None:
            shown(eval(compile(ast.Expression(last.value), source.name, "eval"), namespace))
    assert shortened == 1
    assert capsys.readouterr().err == ""


def test_the_source_is_a_script(source):
    compile(source.read_text(encoding="utf-8"), source.name, "exec")


def test_the_stored_cells_are_those_of_the_source(source):
    want, have = execute.cells_of(source).cells, stored(source).cells
    hint = f"run: python notebooks/execute.py {source.stem}"
    assert [(c.cell_type, c.source) for c in have] == [(c.cell_type, c.source) for c in want], hint


def test_the_stored_outputs_are_those_of_one_run_without_errors(source):
    cells = [c for c in stored(source).cells if c.cell_type == "code"]
    assert [c.execution_count for c in cells] == list(range(1, len(cells) + 1))
    outputs = [o for c in cells for o in c.outputs]
    assert {o.output_type for o in outputs} <= {"stream", "execute_result"}
    assert {o.name for o in outputs if o.output_type == "stream"} == {"stdout"}
    shows = [o.data for o in outputs if o.output_type == "execute_result"]
    assert sum("image/png" in data or "image/svg+xml" in data for data in shows) >= 8


def test_the_stored_notebook_is_small_and_of_no_machine(source):
    text = source.with_suffix(".ipynb").read_text(encoding="utf-8")
    assert len(text.encode()) < MAX_BYTES
    notebook = stored(source)
    nbformat.validate(notebook)
    assert [c.metadata for c in notebook.cells if c.metadata] == []
    assert set(notebook.metadata) == {"kernelspec", "language_info"}
    for path in {str(NOTEBOOKS.parent), str(Path.home()), sys.prefix, os.path.join(os.sep, "tmp", "")}:
        assert path not in text


def test_without_genjax_the_first_cell_says_what_to_do(source, monkeypatch):
    code = next(c for c in jupytext.read(source, fmt="py:percent").cells if c.cell_type == "code").source
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    monkeypatch.delenv("GENJAX_REPOSITORY", raising=False)
    script = re.sub(r"^( *)%(.*)$", r"\1installed = '''%\2'''", code, flags=re.MULTILINE)
    with pytest.raises(ModuleNotFoundError, match="set\nGENJAX_REPOSITORY"):
        exec(script, {})
    monkeypatch.setenv("GENJAX_REPOSITORY", "https://example.org/genjax.git")
    namespace = {}
    exec(script, namespace)
    assert namespace["installed"] == '%pip install -q "git+$repository"'
    assert namespace["repository"] == "https://example.org/genjax.git"
