"""Writes the API reference from the docstrings, a page for each package of genjax that a script uses.

Command:  make docs, or python .ci/docs.py [FOLDER] where pdoc is installed (pip install -e '.[docs]').

A warning of pdoc ends it with exit code 1: a name that cannot be resolved, an annotation that cannot be read.
"""

import importlib
import re
import sys
import types
import warnings
from pathlib import Path

import genjax

MODULES = ("domains.contract", "errors", "losses.reduce", "memory", "models.contract", "recipes")
"""Modules that scripts import besides the packages of `genjax.PACKAGES`."""
DOT = r"(?:\.|<span class=\"o\">\.</span>)"


def word(pattern: str) -> str:
    """A word of a type, bare or coloured."""
    return rf"(?<![\w.])(?:{pattern}|<span class=\"n\">{pattern}</span>)"


SHORTER = (
    f"(?:{word('jax')}{DOT})?" + f"(?:jaxlib|{word('jaxlib')}){DOT}(?:_jax|{word('_jax')}){DOT}",
    f"{word('(?:jax)?typing')}{DOT}(?=[A-Z<])",
    r"<p>(?:Alias for field number \d+|Create new instance of \w+\([\w, ]*\))</p>",
)
"""What is cut from a page: where a type's parts come from, and Python's own docstrings of NamedTuples."""


def exported(module: types.ModuleType) -> list[str]:
    """The public names of a package: those of `__all__`, or what it imports from its own modules."""
    if hasattr(module, "__all__"):
        return list(module.__all__)
    home = f"{module.__name__}."
    return [
        name
        for name, value in vars(module).items()
        if not name.startswith("_") and str(getattr(value, "__module__", "")).startswith(home)
    ]


def pages() -> list[types.ModuleType]:
    """The modules of the reference, each with `__all__` and all of its names in place.

    genjax imports some names when they are first used; pdoc looks into a module's dictionary.
    """
    made = [importlib.import_module(f"genjax.{name}") for name in (*genjax.PACKAGES, *MODULES)]
    for module in made:
        if hasattr(module, "__path__"):
            module.__all__ = exported(module)
            vars(module).update({name: getattr(module, name) for name in module.__all__})
    genjax.__all__ = [*genjax.FROM_RUNS, *genjax.PACKAGES]
    vars(genjax).update({name: getattr(genjax, name) for name in genjax.FROM_RUNS})
    return [genjax, *made]


def write(folder: Path) -> int:
    """Writes all pages, an index and a search index; the number of pages."""
    from pdoc import doc, render

    render.configure(docformat="google", footer_text=f"genjax {genjax.__version__}")
    modules = {m.__name__: doc.Module(m) for m in sorted(pages(), key=lambda m: m.__name__)}
    texts = {f"{name.replace('.', '/')}.html": render.html_module(m, modules) for name, m in modules.items()}
    for pattern in SHORTER:
        texts = {name: re.sub(pattern, "", text) for name, text in texts.items()}
    texts |= {"index.html": render.html_index(modules), "search.js": render.search_index(modules)}
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return len(modules)


if __name__ == "__main__":
    where = Path(sys.argv[1] if len(sys.argv) > 1 else "build/docs")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        n_pages = write(where)
    if caught:
        raise SystemExit("\n".join(f"{w.category.__name__}: {w.message}" for w in caught))
    print(f"{where / 'index.html'}: {n_pages} pages.")
