"""jax's persistent compile cache: on by default, because it saves most of a small run's start-up."""

import hashlib
import os
import platform
from pathlib import Path


def cache_folder() -> Path:
    """Where compiled programs are kept: `$JAX_COMPILATION_CACHE_DIR`, else a user cache folder for this kind of CPU.

    XLA compiles for the very CPU it runs on; homes are shared between machines, so the CPU's flags are in the name.
    """
    if chosen := os.environ.get("JAX_COMPILATION_CACHE_DIR"):
        return Path(chosen)
    base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "genjax" / "xla" / _cpu()


def enable(on: bool = True) -> None:
    """Turn the cache on or off for this process; a folder that cannot be made leaves it off."""
    import jax

    if not on:
        jax.config.update("jax_enable_compilation_cache", False)
        return
    folder = cache_folder()
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return
    jax.config.update("jax_compilation_cache_dir", str(folder))
    jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.05)  # a start compiles a dozen small programs


def _cpu() -> str:
    """A short name of the kind of CPU: its architecture and a hash of its features."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
        features = "".join(sorted({x for x in lines if x.startswith(("model name", "flags", "Features"))}))
    except OSError:
        features = platform.processor()
    return f"{platform.machine()}-{hashlib.sha256(features.encode()).hexdigest()[:8]}"
