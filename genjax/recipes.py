"""Recipes: where `experiments/` is, which files it holds, and how one is loaded. Standard library only.

A recipe is one file with a docstring, a frozen `Config`, `SMOKE`, `build` and `main`. It is imported under the module
name `genjax_experiments.<stem>` and never as `__main__`, so that its `Config` is one class however it is reached.
"""

import ast
import difflib
import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from genjax.errors import UsageError

PREFIX = "genjax_experiments"


def folder() -> Path:
    """The folder of the shipped recipes: inside the package in a wheel, beside it in a checkout."""
    package = Path(__file__).resolve().parent
    inside = package / "experiments"
    return inside if inside.is_dir() else package.parent / "experiments"


def names() -> list[str]:
    """Names of the shipped recipes, sorted. Files that begin with an underscore are helpers, not recipes."""
    return sorted(p.stem for p in folder().glob("*.py") if not p.stem.startswith("_"))


def docstring(path: str | Path) -> str:
    """The docstring of a recipe, read without running it; empty where there is none."""
    try:
        return ast.get_docstring(ast.parse(Path(path).read_text(encoding="utf-8"))) or ""
    except SyntaxError as e:
        return f"(syntax error on line {e.lineno})"


def find(what: str | Path) -> Path:
    """The file of a recipe, given by name or by path.

    Raises:
        UsageError: there is no such file or name; the nearest names are offered.
    """
    text = str(what)
    if text.endswith(".py") or "/" in text or "\\" in text:
        path = Path(text)
        if path.is_file():
            return path.resolve()
        raise UsageError(f"EXPERIMENT={text}: there is no such file. Shipped recipes: {', '.join(names())}.")
    path = folder() / f"{text}.py"
    if text in names():
        return path
    near = nearest(text, names())
    raise UsageError(f"EXPERIMENT={text}: no recipe of that name.{near} `genjax list` shows all; a path works too.")


def load(what: str | Path) -> ModuleType:
    """Import a recipe by name or path; the same file gives the same module object.

    Raises:
        UsageError: it does not exist, or lacks `Config`, `build` or `main`.
    """
    path = find(what)
    name = f"{PREFIX}.{path.stem}"
    known = sys.modules.get(name)
    if known is not None and known.__file__ == str(path):
        return known
    if PREFIX not in sys.modules:
        sys.modules[PREFIX] = ModuleType(PREFIX)
        sys.modules[PREFIX].__path__ = []
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise UsageError(f"EXPERIMENT={path}: Python cannot import this file.")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException as e:
        del sys.modules[name]
        if isinstance(e, SyntaxError) and e.filename == str(path):
            raise UsageError(f"EXPERIMENT={path}: line {e.lineno} is not Python ({e.msg}).") from None
        raise
    lacking = [part for part in ("Config", "build", "main") if not hasattr(module, part)]
    if lacking:
        del sys.modules[name]
        raise UsageError(f"EXPERIMENT={path}: not a recipe, it lacks {', '.join(lacking)}.")
    return module


def nearest(word: str, known: list[str]) -> str:
    """` Did you mean a, b?`, or nothing where no known word is near."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f" Did you mean {', '.join(near)}?" if near else ""
