"""What is measured on: the stamp of every record, and what `genjax doctor` says."""

import contextlib
import io
import json
import os
import shutil
import subprocess
from pathlib import Path
from typing import Any

from experiments.accelerator.context import Context


def stamp() -> dict[str, Any]:
    """Device, versions, commit and sources of this process; initialises jax."""
    import jax

    from genjax.runs import manifest

    here, device = manifest.manifest([]), jax.devices()[0]
    names = ("python", *manifest.LIBRARIES, "cpu", "cpu_count", "device_kind", "device_count", "genjax_sha256")
    commit, dirty = here["commit"], here["dirty"]
    if commit is None:
        commit, dirty = _of_kit(here["genjax_sha256"])
    return {
        "when": here["started"],
        "platform": device.platform if device.platform != "gpu" else "cuda",
        "rehearsal": device.platform == "cpu",
        **{name: here[name] for name in names},
        "torch": _torch(),
        "memory_bytes": (device.memory_stats() or {}).get("bytes_limit"),
        "commit": commit,
        "dirty": dirty,
    }


def _of_kit(sha256: str) -> tuple[str | None, bool | None]:
    """The commit that a kit was made of, where these are its sources."""
    try:
        about = json.loads((Path(os.environ["GENJAX_KIT"]) / "about.json").read_text(encoding="utf-8"))
    except (KeyError, OSError, ValueError):
        return None, None
    return (about["commit"], about["dirty"]) if about["genjax_sha256"] == sha256 else (None, None)


def _torch() -> str | None:
    import importlib.metadata

    try:
        return importlib.metadata.version("torch")
    except importlib.metadata.PackageNotFoundError:
        return None


def doctor() -> dict[str, Any]:
    """The lines of `genjax doctor`."""
    from genjax import cli

    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = cli.main(["doctor"])
    # Paths of one machine are nobody else's.
    lines = [line.rstrip() for line in said.getvalue().splitlines() if " in /" not in line]
    return {"exit_code": code, "lines": lines}


def card() -> dict[str, Any]:
    """What an NVIDIA card's driver says: clocks and power decide rates."""
    names = ["name", "driver_version", "memory.total", "clocks.max.sm", "clocks.max.memory", "power.limit"]
    words = ["nvidia-smi", f"--query-gpu={','.join(names)}", "--format=csv,noheader"]
    said = subprocess.run(words, capture_output=True, text=True, timeout=20, check=True).stdout
    return dict(zip(names, (x.strip() for x in said.splitlines()[0].split(",")), strict=True))


def measure(ctx: Context) -> None:
    """The part."""
    ctx.record.measure("doctor", doctor)
    if shutil.which("nvidia-smi"):
        ctx.record.measure("card", card)
