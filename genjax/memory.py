"""Settings of a process's memory for training on a CPU, made before jax or NumPy is imported."""

import ctypes
import importlib.util
import os
import sys
from importlib import metadata

_TRIM_THRESHOLD, _MMAP_MAX, _ARENA_MAX = -1, -4, -8
"""Names of glibc's mallopt(3)."""


def keep() -> bool:
    """Keeps a compiled program's working memory for its next call, on a CPU; returns whether that was done.

    glibc gives large blocks back to the system as they are freed, and XLA frees its working memory at the end of every
    call: the next call is charged again for every page of it (experiments/bench/README.md has the cost). Here one
    arena that never shrinks keeps it. Memory of the process is then the largest it has ever needed.

    Before jax and NumPy are imported: their threads keep the arenas they began with. Nothing is done where an
    accelerator may be used, where the allocator is not glibc's, or where the environment (MALLOC_..., GLIBC_TUNABLES,
    LD_PRELOAD, empty or not) says how to allocate.
    """
    chosen = any(name.startswith("MALLOC_") or name in ("GLIBC_TUNABLES", "LD_PRELOAD") for name in os.environ)
    if chosen or sys.platform != "linux" or _accelerator():
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    return all(mallopt(*pair) for pair in ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_ARENA_MAX, 1)))


def _accelerator() -> bool:
    """Whether this installation of jax may find one, without importing it."""
    if platforms := os.environ.get("JAX_PLATFORMS"):
        return platforms != "cpu"
    return bool(metadata.entry_points(group="jax_plugins")) or importlib.util.find_spec("libtpu") is not None
