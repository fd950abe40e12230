"""The code of a run: a recipe's file, the user's own modules that it imports, and genjax itself. Standard library only.

A recipe may import modules that lie beside it, as it may when Python runs it as a script, and others that are not
installed: on PYTHONPATH, in a checkout, on a path that it adds itself. They are found by reading the imports, never by
running them, so that they can be hashed and copied into a run's folder; they are then imported under private names
from the very bytes that were hashed. Two versions of a recipe and its helper can so live in one process, each with its
own. What is installed does not belong to a recipe: a run's manifest has the versions of the libraries that matter.
"""

import ast
import builtins
import functools
import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import sys
import sysconfig
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

from genjax import older_recipes
from genjax.errors import UsageError

SHIPPED = "genjax-experiments/"
"""Under which name in `Sources.files` a recipe keeps the shipped recipes that it loads by name."""
SILENT_PACKAGES = ("cli", "report", "viz", "experiments")
"""Packages of genjax that compute nothing of a run or a measurement: they are left out of its hash."""


class Sources(NamedTuple):
    """The files of a recipe, as bytes."""

    entry: str
    """The recipe's own file name."""
    files: dict[str, bytes]
    """By path relative to the recipe's folder, with `/` between parts; the entry among them."""
    places: dict[str, str] = {}  # noqa: RUF012  (never mutated: NamedTuple default)
    """Where the files that do not lie beside the recipe were read."""

    def hashes(self) -> dict[str, str]:
        """SHA-256 of each file, in hexadecimal, in sorted order."""
        return {name: hashlib.sha256(self.files[name]).hexdigest() for name in sorted(self.files)}

    @property
    def sha256(self) -> str:
        """One hash over all files and their names."""
        return of_hashes(self.entry, self.hashes())


def of_hashes(entry: str, hashes: Mapping[str, str]) -> str:
    """The hash of `Sources` whose files have these hashes.

    Example:
        >>> of_hashes("a.py", Sources("a.py", {"a.py": b""}).hashes()) == Sources("a.py", {"a.py": b""}).sha256
        True
    """
    lines = [entry, *(f"{hashes[name]} {name}" for name in sorted(hashes))]
    return hashlib.sha256("\n".join(lines).encode("utf-8", "surrogateescape")).hexdigest()


def read(path: Path, shipped: Path | None = None) -> Sources:
    """A recipe's file and the modules that it imports and that are not installed, at any depth; nothing is executed.

    An import counts whether it stands at the top or inside a function. A module beside the recipe comes before an
    installed one of its name, as for a script. Shipped recipes that it loads by name (`recipes.load("vae_digits")`)
    belong to it too.

    Args:
        path: the recipe.
        shipped: the folder of the shipped recipes.

    Raises:
        UsageError: a file cannot be read.
    """
    files, places = {path.name: _bytes(path)}, {}
    waiting: list[tuple[str, Path, tuple[str, ...]]] = [(path.name, path.parent, ())]
    while waiting:
        file, root, package = waiting.pop()
        tree = _tree(files[file])
        for parts in _imported(tree, package):
            for at in (path.parent, root, _elsewhere(parts[0])):
                if at is not None and (found := list(_modules(at, parts))):
                    break
            else:
                continue
            for module, inside in found:
                if (name := module.relative_to(at).as_posix()) not in files:
                    files[name] = _bytes(module)
                    waiting.append((name, at, inside))
                    places |= {} if at == path.parent else {name: str(module)}
        for recipe in [shipped / f"{name}.py" for name in _loaded(tree)] if shipped else []:
            if recipe.is_file() and recipe != path:
                files[f"{SHIPPED}{recipe.name}"] = _bytes(recipe)
    return Sources(path.name, files, places)


def read_copy(folder: Path, entry: str, names: Mapping[str, str]) -> Sources:
    """The copy of a recipe that a run holds: the files that `names` lists with their hashes, all as they were.

    Raises:
        UsageError: a file is missing or was changed, or `entry` is not among them.
    """
    if entry not in names:
        raise UsageError(f"{folder}: {entry} is not among the files that were copied there.")
    files = {}
    for name in names:
        path = folder / name
        if not path.resolve().is_relative_to(folder.resolve()):
            raise UsageError(f"{path}: lies outside {folder}.")
        files[name] = _bytes(path)
    copy = Sources(entry, files)
    for name, sha in copy.hashes().items():
        if sha != names[name]:
            raise UsageError(f"{folder / name}: was changed since it was copied there (its SHA-256 differs).")
    return copy


def changes(old: Mapping[str, str], new: Mapping[str, str]) -> list[str]:
    """What differs between two sets of file hashes, a phrase a file.

    Example:
        >>> changes({"vae.py": "1", "net.py": "2"}, {"vae.py": "3", "loss.py": "4"})
        ['loss.py is new', 'net.py is gone', 'vae.py has changed']
    """
    said = {n: "is new" if n not in old else "is gone" if n not in new else "has changed" for n in {*old, *new}}
    return [f"{n} {said[n]}" for n in sorted(said) if old.get(n) != new.get(n)]


@functools.cache
def genjax_sha256() -> str:
    """A hash over the sources of this genjax that compute something, as they were when this process first asked."""
    root = Path(__file__).resolve().parent
    digest = hashlib.sha256()
    for path in sorted(root.rglob("*.py")):
        name = path.relative_to(root)
        if name.parts[0] not in SILENT_PACKAGES:
            digest.update(f"{name.as_posix()} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return digest.hexdigest()


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as e:
        raise UsageError(f"{path}: cannot be read ({e.strerror or e}).") from e


def _tree(source: bytes) -> ast.Module:
    """The syntax tree, empty where there is none: what is wrong is said where the file is executed."""
    try:
        return ast.parse(source)
    except (SyntaxError, ValueError, RecursionError):
        return ast.Module([], [])


def _loaded(tree: ast.Module) -> list[str]:
    """The names in `recipes.load("name")`."""
    calls = [n for n in ast.walk(tree) if isinstance(n, ast.Call) and isinstance(n.func, ast.Attribute) and n.args]
    names = [c.args[0].value for c in calls if c.func.attr == "load" and isinstance(c.args[0], ast.Constant)]  # type: ignore[union-attr]
    return [n for n in names if isinstance(n, str) and n.isidentifier()]


def _modules(root: Path, parts: tuple[str, ...]) -> Iterator[tuple[Path, tuple[str, ...]]]:
    """The files below `root` that importing a dotted name executes, each with the package that it is in."""
    at = root
    for i, part in enumerate(parts):
        init, module = at / part / "__init__.py", at / f"{part}.py"
        if init.is_file():
            yield init, parts[: i + 1]
        elif module.is_file():
            yield module, parts[:i]
            return
        elif not (at / part).is_dir() or (i == 0 and _spec_of(part) is not None):
            return  # a folder without __init__.py does not come before a package that has one
        at = at / part


def _imported(tree: ast.Module, package: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    """The dotted names that a tree imports; of `from a import b` also a.b, which may be a module."""
    for node in ast.walk(tree):
        found: list[tuple[str, ...]] = []
        if isinstance(node, ast.Import):
            found = [tuple(a.name.split(".")) for a in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            base += tuple(node.module.split(".")) if node.module else ()
            found = [base, *((*base, a.name) for a in node.names)]
        elif isinstance(node, ast.Call) and (name := _imported_by_call(node)):
            level = len(name) - len(name.lstrip("."))
            found = [(*(package[: len(package) - level + 1] if level else ()), *filter(None, name.split(".")))]
        yield from (f for f in found if f and f[0] != "genjax" and f[0] not in sys.builtin_module_names)


def _imported_by_call(call: ast.Call) -> str:
    """The name in `importlib.import_module("name")` or `__import__("name")`; empty where it is made while it runs."""
    called = getattr(call.func, "attr", getattr(call.func, "id", ""))
    first = call.args[0] if call.args and called in ("import_module", "__import__") else None
    return first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""


def _spec_of(name: str) -> importlib.machinery.ModuleSpec | None:
    """Where Python would find a module, of which there is a file; None for what is a bare folder, or nowhere."""
    try:
        found = importlib.util.find_spec(name)
    except (ImportError, ValueError, AttributeError):
        return None
    return found if found is not None and found.origin is not None else None


@functools.cache
def _installed() -> tuple[Path, ...]:
    """The folders of Python itself and of its environment."""
    return tuple({Path(p).resolve() for p in (sys.prefix, sys.base_prefix, *sysconfig.get_paths().values())})


def _elsewhere(name: str) -> Path | None:
    """The folder on Python's path from which a module comes that is the user's own; None for one that is installed."""
    spec = _spec_of(name)
    if spec is None or not str(spec.origin).endswith(".py"):
        return None
    file = Path(str(spec.origin)).resolve()
    inside = any(file.is_relative_to(p) for p in _installed()) or {"site-packages", "dist-packages"} & set(file.parts)
    return None if inside else file.parent.parent if file.name == "__init__.py" else file.parent


class _Finder(importlib.abc.MetaPathFinder):
    """Finds the modules of `Sources` under the private name of their recipe."""

    def __init__(self):
        self.recipes: dict[str, tuple[Sources, Path]] = {}
        """Sources and folder by the module name of the recipe."""

    def find_spec(self, fullname: str, path: Any = None, target: Any = None):
        root = next((r for r in self.recipes if fullname.startswith(r + ".")), None)
        if root is None:
            return None
        sources, folder = self.recipes[root]
        inside = fullname[len(root) + 1 :].replace(".", "/")
        for name, package in ((f"{inside}/__init__.py", True), (f"{inside}.py", False)):
            if name in sources.files:
                return _spec(fullname, Loader(root, sources, folder, name), package)
        if any(n.startswith(inside + "/") for n in sources.files):  # a folder without __init__.py
            return importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        return None


def _spec(fullname: str, loader: "Loader", package: bool) -> importlib.machinery.ModuleSpec:
    spec = importlib.machinery.ModuleSpec(fullname, loader, origin=loader.path, is_package=package)
    spec.has_location = True
    return spec


class Loader(importlib.abc.InspectLoader):
    """Executes a file of `Sources` so that its imports find its neighbours first.

    Import statements look `__import__` up in the builtins of the module that they stand in, so each module of a recipe
    gets builtins of its own, and an `importlib` whose `import_module` does the same.
    """

    def __init__(self, root: str, sources: Sources, folder: Path, name: str):
        self.root, self.sources, self.folder, self.name = root, sources, folder, name
        self.path = sources.places.get(name) or str(folder / name)
        own = {n for n in sources.files if not n.startswith(SHIPPED)}
        self.neighbours = {n.split("/")[0].removesuffix(".py") for n in own}

    def get_source(self, fullname: str) -> str:
        return importlib.util.decode_source(self.sources.files[self.name])

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = {**vars(builtins), "__import__": self._import}
        exec(compile(self.sources.files[self.name], self.path, "exec", dont_inherit=True), module.__dict__)

    def _import(self, name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0):
        top = name.partition(".")[0]
        if level or top not in self.neighbours:
            found = builtins.__import__(older_recipes.current(name), globals, locals, fromlist, level)
            return self._importlib() if found is importlib else older_recipes.with_older_names(found)
        if name == self.sources.entry.removesuffix(".py"):
            return sys.modules[self.root]
        found = builtins.__import__(f"{self.root}.{name}", globals, locals, fromlist or ("_",), 0)
        return found if fromlist else sys.modules[f"{self.root}.{top}"]

    def _importlib(self) -> ModuleType:
        own = ModuleType("importlib")
        own.__dict__.update(vars(importlib), import_module=self._import_module)
        return own

    def _import_module(self, name: str, package: str | None = None) -> ModuleType:
        """`importlib.import_module`, which finds the recipe's own modules too.

        Raises:
            UsageError: a module beside the recipe whose name could not be read there, so that no run would hold it.
        """
        if name.startswith(".") or name.partition(".")[0] in ("genjax", *sys.builtin_module_names):
            return importlib.import_module(name, package)
        beside = [file.relative_to(self.folder).as_posix() for file, _ in _modules(self.folder, tuple(name.split(".")))]
        if unread := [file for file in beside if file not in self.sources.files]:
            raise UsageError(
                f"{self.path}: imports {unread[0]} by a name that is made while it runs: a run would not hold it.\n"
                f"Write `import {name}` somewhere in the recipe."
            )
        return self._import(name, fromlist=("_",))


FINDER = _Finder()


def add(module: ModuleType, code: Sources) -> None:
    """Note files that are known to belong to a recipe only since it was executed, and so changed where Python looks."""
    name, known = module.__name__, module.__dict__["SOURCES"]
    module.__dict__["SOURCES"] = code._replace(files={**code.files, **known.files})
    FINDER.recipes[name] = (module.__dict__["SOURCES"], FINDER.recipes[name][1])


def execute(name: str, sources: Sources, folder: Path) -> ModuleType:
    """Import a recipe under a module name, from the bytes of its `sources`; they are kept as `module.SOURCES`.

    Args:
        name: of the module, which then is in `sys.modules`; an earlier one of that name goes, with its neighbours.
        sources: of the recipe.
        folder: where its files lie, for `__file__` and tracebacks.
    """
    if FINDER not in sys.meta_path:
        sys.meta_path.append(FINDER)
    for old in [m for m in sys.modules if m == name or m.startswith(name + ".")]:
        del sys.modules[old]
    FINDER.recipes[name] = (sources, folder)
    module = importlib.util.module_from_spec(_spec(name, Loader(name, sources, folder, sources.entry), True))
    module.__dict__["SOURCES"] = sources
    sys.modules[name] = module
    try:
        assert module.__spec__ is not None
        assert module.__spec__.loader is not None
        module.__spec__.loader.exec_module(module)
    except BaseException:
        for new in [m for m in sys.modules if m == name or m.startswith(name + ".")]:
            del sys.modules[new]
        del FINDER.recipes[name]
        raise
    return module
