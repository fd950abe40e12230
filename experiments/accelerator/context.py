"""What a part is given."""

from pathlib import Path
from typing import Any, NamedTuple

from experiments.accelerator.record import Record
from experiments.accelerator.sizes import Sizes

ROOT = Path(__file__).resolve().parents[2]
"""The checkout."""


class Context(NamedTuple):
    """A part's record, its sizes, and what the command line says."""

    record: Record
    sizes: Sizes
    peers: Path | None = None
    """Folder of the other side's workers."""
    data: Path | None = None
    """Folder of `mnist.npz` and others."""
    rows: tuple[str, ...] = ()
    """Long rows to train."""
    pieces: Path | None = None
    """Where a run that is to be continued was brought back to."""

    @property
    def stamp(self) -> dict[str, Any]:
        """Device, versions, commit."""
        return self.record.stamp
