"""genjax: variational autoencoders and generative adversarial networks as pure functions in JAX and Flax.

`from genjax import data, losses, models, nets, objectives, runs, train`. A package is imported when it is first named,
so that `import genjax` by itself stays free of jax. `genjax.load(run)` gives a run's model, state and configuration,
`genjax.read_metrics(run)` its logged rows.
"""

import importlib
import importlib.metadata
from typing import Any

__version__ = "0.1.0"

PACKAGES = (
    "checkpoint",
    "data",
    "distributions",
    "domains",
    "health",
    "losses",
    "measure",
    "metrics",
    "models",
    "nets",
    "objectives",
    "plan",
    "report",
    "rng",
    "runs",
    "train",
    "types",
    "viz",
)
FROM_RUNS = ("load", "read_metrics")
"""Names of `genjax.runs` that a script or a notebook has from the top."""


def _refuse_foreign() -> None:
    """Raise if the unrelated distribution named `genjax` is installed: both write into one import package."""
    try:
        foreign = importlib.metadata.distribution("genjax")
    except importlib.metadata.PackageNotFoundError:
        return
    raise ImportError(
        f"The unrelated distribution 'genjax' {foreign.version} is installed over this package (genjax-vae-gan): "
        "run `pip uninstall genjax`, then install this checkout again with `pip install -e .`."
    )


_refuse_foreign()


def __getattr__(name: str) -> Any:
    """Imports a package when it is first asked for (PEP 562)."""
    if name in FROM_RUNS:
        return getattr(importlib.import_module("genjax.runs"), name)
    if name not in PACKAGES:
        raise AttributeError(f"module 'genjax' has no attribute {name!r}; it has {', '.join(PACKAGES)}.")
    try:
        return importlib.import_module(f"genjax.{name}")
    except ModuleNotFoundError as e:
        if e.name != f"genjax.{name}":
            raise
        raise AttributeError(f"module 'genjax' has no attribute {name!r}.") from None


def __dir__() -> list[str]:
    return sorted([*globals(), *PACKAGES, *FROM_RUNS])
