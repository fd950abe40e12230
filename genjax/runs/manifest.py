"""Where a run ran: versions, commit, devices, settings; and what of it could break bit-exactness on resuming.

Measured: with equal versions and cores a run repeats to the bit; another number of CPU cores or devices, or another
jax, changes the order of sums and so the last bits.
"""

import datetime
import importlib.metadata
import os
import platform
import socket
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

import genjax
from genjax import sources

LIBRARIES = {"orbax": "orbax-checkpoint", **{name: name for name in ("jax", "jaxlib", "flax", "optax", "numpy")}}
"""Distribution of each library named in a manifest."""
SETTINGS = (
    "jax_enable_x64", "jax_default_matmul_precision", "jax_default_prng_impl", "jax_threefry_partitionable",
    "jax_numpy_dtype_promotion",
)  # fmt: skip
EXACT = (
    "genjax", "genjax_sha256", "commit", "dirty", *LIBRARIES, "machine", "cpu", "cpu_count", "device_kind",
    "device_count", "mesh", "process_count", "xla_flags", "settings", "data_fingerprint",
)  # fmt: skip
"""Fields of a manifest whose change may change bits."""


def now() -> str:
    """The time with its zone, in ISO 8601, to the second."""
    return datetime.datetime.now().astimezone().isoformat(timespec="seconds")


def manifest(command: Sequence[str], data: Mapping[str, Any] | None = None, mesh: str = "") -> dict[str, Any]:
    """The environment of this process as JSON can hold it.

    Args:
        command: the words of the command line that reproduces the run.
        data: the data set's facts; of them `fingerprint` is kept.
        mesh: how the devices are used, "" for one of them.

    Returns:
        Versions, a hash of genjax's sources, commit of the checkout (None outside one) and whether it had changes,
        devices, cores usable,
        XLA flags, jax settings, host, data fingerprint, command, start time.
    """
    devices = jax.devices()
    commit, dirty = checkout()
    return {
        "started": now(),
        "command": list(command),
        "genjax": genjax.__version__,
        "genjax_sha256": sources.genjax_sha256(),
        "commit": commit,
        "dirty": dirty,
        "python": platform.python_version(),
        **{name: _version(distribution) for name, distribution in LIBRARIES.items()},
        "platform": platform.platform(),
        "machine": platform.machine(),
        "hostname": socket.gethostname(),
        "cpu": _cpu_model(),
        "cpu_count": len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count(),
        "device_kind": devices[0].device_kind,
        "device_count": len(devices),
        "mesh": mesh,
        "process_count": jax.process_count(),
        "xla_flags": os.environ.get("XLA_FLAGS", ""),
        "settings": {name: _setting(name) for name in SETTINGS},
        "data_fingerprint": (data or {}).get("fingerprint"),
    }


def environment_differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[str]:
    """What differs between two manifests that could make a resumed run differ in its last bits.

    Example:
        >>> environment_differences({"cpu_count": 2, "jax": "0.10.2"}, {"cpu_count": 1, "jax": "0.10.2"})
        ['cpu_count: was 2, is 1']
    """
    known = [n for n in EXACT if n != "genjax_sha256" or n in old]  # an older genjax did not write it
    return [
        f"{n}: was {_format_value(old.get(n))}, is {_format_value(new.get(n))}"
        for n in known
        if old.get(n) != new.get(n)
    ]


def _format_value(value: Any) -> str:
    return "unknown" if value is None else str(value) or "none"


def _version(distribution: str) -> str | None:
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return None


def _setting(name: str) -> Any:
    value = getattr(jax.config, name, None)
    return value if value is None or isinstance(value, bool | int | float | str) else str(value)


def _cpu_model() -> str:
    """The processor's name: vector width decides the order of sums."""
    if sys.platform == "linux":
        try:
            lines = Path("/proc/cpuinfo").read_text().splitlines()
            return next((x.split(":", 1)[1].strip() for x in lines if x.startswith("model name")), platform.processor())
        except OSError:
            pass
    return platform.processor()


def checkout(root: Path = Path(__file__).resolve().parents[2]) -> tuple[str | None, bool | None]:
    """`(commit, whether tracked files were changed)` of the git checkout at `root`, Nones where it is none."""
    if not (root / ".git").exists():
        return None, None

    command = ["git", "-C", str(root), "status", "--porcelain=v2", "--branch", "--untracked-files=no"]
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=True)
    except (OSError, subprocess.SubprocessError):
        return None, None
    lines = done.stdout.splitlines()
    commit = next((x.split()[-1] for x in lines if x.startswith("# branch.oid ")), None)
    return commit, any(not x.startswith("#") for x in lines)
