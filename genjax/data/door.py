"""The one door to data: `load`."""

import os
from typing import Any

from genjax.data.catalogue import EMBEDDED
from genjax.data.embedded import load_embedded
from genjax.data.images import Dataset
from genjax.errors import UsageError


def load(what: Any, *, data_dir: str | os.PathLike | None = None, image_size: int | None = None) -> Dataset:
    """A data set by name."""
    if isinstance(what, str) and what in EMBEDDED:
        return load_embedded(what)
    raise UsageError(f"unknown data set {what!r}. Embedded: {', '.join(EMBEDDED)}.")
