"""How much is measured: all of it on an accelerator, less where a CPU rehearses, next to nothing in a test."""

from typing import NamedTuple

WORKLOADS = (
    "w3_dcgan", "w1_vae", "w2_conv32", "w5_sngan", "w1_iwae50",
    "w4_conv", "w3_ptgan", "w2_conv64", "w4_ptgan", "w1_iwae1",
)  # fmt: skip
"""Rows of the bench, those first that say most should the time end."""


class Sizes(NamedTuple):
    """What is measured, and for how long."""

    published: bool
    """Recipes and their batches as they are published; else their `SMOKE`."""
    slice_s: float
    """Seconds for which one worker trains in its turn."""
    rounds: int
    workloads: tuple[str, ...]
    doublings: int
    """How often the published batch is doubled, at most."""
    members: tuple[int, ...]
    """Seeds of a population."""
    matrix: int
    """Side of the square products by which a matrix unit is timed."""
    megabytes: int
    """Size of the array by which the memory is timed."""
    steps: int
    """Steps of the runs that are stopped and continued."""


FULL = Sizes(True, 0.4, 3, WORKLOADS, 10, (1, 128, 8, 32), 8192, 512, 4000)
REHEARSAL = Sizes(False, 0.3, 2, WORKLOADS, 1, (1, 8), 512, 64, 100)
TOY = Sizes(False, 0.05, 2, ("w1_vae",), 1, (1, 2), 64, 1, 4)
