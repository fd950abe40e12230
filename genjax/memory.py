"""Settings of a process's memory for training on a CPU."""

import ctypes
import importlib.util
import os
import sys
import warnings
from importlib import metadata

_TRIM_THRESHOLD, _TOP_PAD, _MMAP_MAX = -1, -2, -4
"""Names of glibc's mallopt(3)."""
PART = 60 * 2**20
"""Bytes of a part of a program's working memory: glibc's threads can keep blocks that fit into a heap of 64 MB."""
NOT_STORED = "Error writing persistent compilation cache entry .*Multiple temp buffer allocations"
"""What jax warns of where a program has several parts: XLA cannot store it, so it is compiled at each start."""
_kept = False


def keep() -> bool:
    """Keeps a compiled program's working memory for its next call, on a CPU; returns whether that was done.

    XLA frees its working memory at the end of every call, and glibc gives it back to the system: the next call is
    charged again for every page of it (experiments/bench/README.md has the cost). Here each thread keeps what it had,
    of programs compiled with `options` all but single arrays of more than `PART`. Memory of the process is then the
    largest it has ever needed. The price: a program that needs more than `PART` is not kept in the compile cache.

    Before jax is imported, for XLA warns of each such array, in vain, and is told not to. Nothing is done where an
    accelerator may be used, where the allocator is not glibc's, or where the environment (MALLOC_..., GLIBC_TUNABLES,
    LD_PRELOAD, empty or not) says how to allocate.
    """
    global _kept
    chosen = any(name.startswith("MALLOC_") or name in ("GLIBC_TUNABLES", "LD_PRELOAD") for name in os.environ)
    if chosen or sys.platform != "linux" or _accelerator():
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is None:
        return False
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")
    warnings.filterwarnings("ignore", NOT_STORED)
    # Not one arena for all threads (M_ARENA_MAX), which would keep blocks of any size: they wait for each other there,
    # and small dense nets take a tenth longer. A pad as large as a heap keeps glibc from giving heaps back.
    settings = ((_MMAP_MAX, 0), (_TRIM_THRESHOLD, 2**31 - 1), (_TOP_PAD, 2**26))
    _kept = all(mallopt(*pair) for pair in settings)
    return _kept


def options() -> dict[str, int] | None:
    """Compiler options for programs whose working memory is to be kept; None where `keep` has done nothing."""
    return {"xla_multiheap_size_constraint_per_heap": PART} if _kept else None


def _accelerator() -> bool:
    """Whether this installation of jax may find one, without importing it."""
    if platforms := os.environ.get("JAX_PLATFORMS"):
        return platforms != "cpu"
    return bool(metadata.entry_points(group="jax_plugins")) or importlib.util.find_spec("libtpu") is not None
