"""Runs are of 32-bit numbers, also where `JAX_ENABLE_X64` is set for something else."""

import contextlib
from collections.abc import Iterator

import jax


@contextlib.contextmanager
def in_32_bits() -> Iterator[None]:
    """With JAX's 64-bit mode off, as a decorator: states, draws and numbers are then those of every other machine.

    A run is float32 by construction (losses and metrics accumulate in it, Fréchet distances in float64 on the host). In
    64-bit mode the same recipe would draw other numbers and make other checkpoints, which fit no model of 32 bits.
    """
    with jax.enable_x64(False):
        yield
