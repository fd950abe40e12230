"""Writes notebooks anew: the cells of NN_name.py, executed, with their outputs.

Command:  python notebooks/execute.py [NN_name ...]

What differs from run to run without meaning (times, cell ids, the interpreter's version) is left out, so that a
difference in version control is a difference in a cell or in what it shows.
"""

import os
import sys
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient

HERE = Path(__file__).resolve().parent


def cells_of(source: Path) -> nbformat.NotebookNode:
    """The notebook of a py:percent file, without outputs, in the form in which it is stored."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = {
        "kernelspec": notebook.metadata["kernelspec"],
        "language_info": {"name": "python"},
    }
    for i, cell in enumerate(notebook.cells):
        cell["id"], cell["metadata"] = f"cell-{i}", {}
    return notebook


def executed(source: Path) -> nbformat.NotebookNode:
    """The notebook with the outputs of a fresh kernel that finds this checkout's genjax."""
    notebook = cells_of(source)
    paths = [str(HERE.parent), *filter(None, [os.environ.get("PYTHONPATH")])]
    env = os.environ | {"PYTHONPATH": os.pathsep.join(paths), "JAX_PLATFORMS": "cpu"}
    client = NotebookClient(notebook, timeout=1800, kernel_name="python3", record_timing=False)
    client.execute(env=env)
    return notebook


def main(names: list[str]) -> None:
    for source in sorted(HERE.glob("[0-9][0-9]_*.py")):
        if not names or source.stem in names:
            nbformat.write(executed(source), source.with_suffix(".ipynb"))
            print(source.with_suffix(".ipynb").name)


if __name__ == "__main__":
    main(sys.argv[1:])
