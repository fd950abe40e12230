"""Runs are of 32-bit numbers, also where `JAX_ENABLE_X64` is set for something else."""

import functools
from collections.abc import Callable
from typing import Any, TypeVar

import jax

F = TypeVar("F", bound=Callable[..., Any])


def in_32_bits(f: F) -> F:
    """`f` with JAX's 64-bit mode off: states, draws and numbers are then those of every other machine.

    A run is float32 by construction (losses and metrics accumulate in it, Fréchet distances in float64 on the host). In
    64-bit mode the same recipe would draw other numbers and make other checkpoints, which fit no model of 32 bits.
    """

    @functools.wraps(f)
    def narrow(*args: Any, **kwargs: Any) -> Any:
        with jax.enable_x64(False):
            return f(*args, **kwargs)

    return narrow  # type: ignore[return-value]
