"""genjax: variational autoencoders and generative adversarial networks as pure functions in JAX and Flax.

`from genjax import data, losses, models, nets, objectives, rng, train`. A room is imported when it is first named, so
that `import genjax` by itself stays free of jax.
"""

import importlib
import importlib.metadata
from types import ModuleType

__version__ = "0.1.0"

ROOMS = ("data", "dist", "losses", "metrics", "models", "nets", "objectives", "report", "rng", "train", "types", "viz")


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


def __getattr__(name: str) -> ModuleType:
    """Import a room when it is first asked for (PEP 562)."""
    if name not in ROOMS:
        raise AttributeError(f"module 'genjax' has no attribute {name!r}; its rooms are {', '.join(ROOMS)}.")
    try:
        return importlib.import_module(f"genjax.{name}")
    except ModuleNotFoundError as e:
        if e.name != f"genjax.{name}":
            raise
        raise AttributeError(f"module 'genjax' has no attribute {name!r}.") from None


def __dir__() -> list[str]:
    return sorted([*globals(), *ROOMS])
