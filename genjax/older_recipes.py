"""Names that recipes of an older genjax use, so that runs trained by them still open.

Until 0.1 `genjax.train` held what is in `genjax.runs` now, `genjax.distributions` was called `dist`, and `sweepable`,
`structural` and `resumable` were called `value`, `structure` and `run_only`. A run executes
the copy of its recipe that its folder holds; such a copy sees these names as well.
"""

import sys
from types import ModuleType
from typing import Any

FROM_RUNS = {
    **{name: name for name in ("Experiment", "Members", "Options", "check", "load", "run")},
    "value": "sweepable", "structure": "structural", "run_only": "resumable",
}  # fmt: skip
"""Names that were in `genjax.train`, and what they are called in `genjax.runs`."""
RENAMED = {"dist": "distributions"}


def current(name: str) -> str:
    """The name of a module now.

    Example:
        >>> current("genjax.dist.gaussian"), current("genjax.data")
        ('genjax.distributions.gaussian', 'genjax.data')
    """
    top, _, rest = name.partition(".")
    package, dot, inside = rest.partition(".")
    return f"{top}.{RENAMED[package]}{dot}{inside}" if top == "genjax" and package in RENAMED else name


def with_older_names(module: ModuleType) -> ModuleType:
    """What an import of `module` gives to a recipe: `genjax` and `genjax.train` with their older names too."""
    return {"genjax": _Genjax, "genjax.train": _Train}.get(module.__name__, lambda m: m)(module)


class _Genjax(ModuleType):
    def __init__(self, module: ModuleType):
        super().__init__("genjax", module.__doc__)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._module, RENAMED.get(name, name))
        return with_older_names(found) if name == "train" else found


class _Train(ModuleType):
    def __init__(self, module: ModuleType):
        super().__init__("genjax.train", module.__doc__)
        self._module = module

    def __getattr__(self, name: str) -> Any:
        if name in FROM_RUNS:
            return getattr(sys.modules["genjax"].runs, FROM_RUNS[name])
        return getattr(self._module, name)
