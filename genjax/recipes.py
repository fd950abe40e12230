"""Recipes: where `experiments/` is, which files it holds, and how one is loaded. Standard library only.

A recipe is one file with a docstring, a frozen `Config`, `SMOKE` and `build`. It is imported under the module name
`genjax_experiments.<stem>` and never as `__main__`, so that its `Config` is one class however it is reached.
"""

import ast
import difflib
import inspect
import sys
from pathlib import Path
from types import ModuleType

from genjax import sources, trust
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


def domains(path: str | Path) -> tuple[str, ...]:
    """The kinds of data that a recipe says it takes (`domains` of its `Config`), read without running it.

    Empty where it does not say, or says it by other words than names in quotes.
    """
    try:
        tree = ast.parse(Path(path).read_text(encoding="utf-8"))
    except SyntaxError:
        return ()
    configs = [node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == "Config"]
    for node in (inner for config in configs for inner in config.body):
        if isinstance(node, ast.Assign) and any(isinstance(t, ast.Name) and t.id == "domains" for t in node.targets):
            found = getattr(node.value, "elts", ())
            return tuple(e.value for e in found if isinstance(e, ast.Constant) and isinstance(e.value, str))
    return ()


def taking(domain: str) -> list[str]:
    """The names of the shipped recipes that say that they take a kind of data."""
    return [name for name in names() if domain in domains(folder() / f"{name}.py")]


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
    """Import a recipe by name or path; the same file with the same content gives the same module object.

    What it imports from beside it comes along (`genjax.sources`). Where one recipe loads another by name, a run's copy
    of it comes before the shipped one.

    Raises:
        UsageError: it does not exist, cannot be read, or lacks `Config` or `build`.
    """
    text = str(what)
    if _LOADING and (own := _LOADING[-1].files.get(f"{sources.SHIPPED}{text}.py")) is not None:
        if text in names() and own == (folder() / f"{text}.py").read_bytes():
            return load_sources(sources.read(folder() / f"{text}.py", folder()), folder())
        return load_sources(sources.Sources(f"{text}.py", {f"{text}.py": own}), Path(sources.SHIPPED))
    path, before = find(what), list(sys.path)
    module = load_sources(sources.read(path, folder()), path.parent)
    if sys.path != before:  # it looks for modules in other places, too
        sources.add(module, sources.read(path, folder()))
    return module


def load_sources(code: sources.Sources, where: Path) -> ModuleType:
    """Import a recipe from bytes that were read already; `module.SOURCES` has them.

    Args:
        code: the recipe's files.
        where: the folder that they were read from.

    Raises:
        UsageError: it is not Python, or lacks `Config` or `build`.
    """
    path = where / code.entry
    for known in [m for name, m in sys.modules.items() if name.startswith(f"{PREFIX}.") and "SOURCES" in vars(m)]:
        if known.__file__ == str(path) and code == known.SOURCES:
            return known
    name = f"{PREFIX}.{path.stem}"
    if name in sys.modules and sys.modules[name].__file__ != str(path):
        name = f"{name}_{code.sha256[:8]}"
    if PREFIX not in sys.modules:
        sys.modules[PREFIX] = ModuleType(PREFIX)
        sys.modules[PREFIX].__path__ = []
    _LOADING.append(code)
    try:
        module = sources.execute(name, code, where)
    except SyntaxError as e:
        if e.filename is None or Path(e.filename).parent != where:
            raise
        raise UsageError(f"EXPERIMENT={e.filename}: line {e.lineno} is not Python ({e.msg}).") from None
    finally:
        _LOADING.pop()
    lacking = [part for part in ("Config", "build") if not hasattr(module, part)]
    if lacking:
        del sys.modules[name]
        raise UsageError(f"EXPERIMENT={path}: not a recipe, it lacks {', '.join(lacking)}.")
    if bare := sorted(_undeclared(module.Config)):
        del sys.modules[name]
        raise UsageError(
            f"EXPERIMENT={path}: {', '.join(bare)} would be no fields: write @dataclass(frozen=True) above Config."
        )
    return module


def _undeclared(config: type) -> set[str]:
    """What a subclass of a dataclass declares as fields and has not made fields, the decorator being forgotten."""
    fields = getattr(config, "__dataclass_fields__", None)
    if fields is None or "__dataclass_fields__" in vars(config):
        return set()
    return set(inspect.get_annotations(config))


_LOADING: list[sources.Sources] = []
"""The recipes that are being imported, the innermost last."""


def shipped(code: sources.Sources) -> Path | None:
    """The shipped recipe with exactly these files; None where there is none."""
    path = folder() / code.entry
    if code.entry.removesuffix(".py") not in names():
        return None
    there = (folder() / name.removeprefix(sources.SHIPPED) for name in code.files)
    same = all(p.is_file() and p.read_bytes() == code.files[n] for n, p in zip(code.files, there, strict=True))
    return path if same else None


def shipped_hashes(name: str) -> dict[str, str]:
    """The hashes of a shipped recipe's files."""
    return sources.read(folder() / f"{name}.py", folder()).hashes()


def is_trusted(code: sources.Sources) -> bool:
    """Whether opening a run may execute this: it ships with genjax, or this user has trained it here."""
    return shipped(code) is not None or trust.was_trained_here(code.sha256)


def nearest(word: str, known: list[str]) -> str:
    """` Did you mean a, b?`, or nothing where no known word is near."""
    near = difflib.get_close_matches(word, known, n=3, cutoff=0.5)
    return f" Did you mean {', '.join(near)}?" if near else ""
