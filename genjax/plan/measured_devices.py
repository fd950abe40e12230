"""What was measured on an accelerator, in the place of what `genjax plan` assumes of it.

A committed record of `experiments/accelerator` (its part `plan`) has the figures. Where there is none of a device, its
plan rests on assumptions. The bound is of published figures all the same.
"""

import dataclasses
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genjax import recipes
from genjax.checked import Each, checked, parsed
from genjax.errors import UsageError
from genjax.plan import devices
from genjax.plan.devices import Device

FIGURES = {"overhead_s": float, "flops_per_s": Each(float), "bytes_per_s": float}
"""What `calibrate.accelerator` gives; see `genjax.checked`."""
STAMP = {"device_kind": str, "rehearsal": bool, "when": str, "jax": str}
REPLACED = ("time of an empty kernel", "float32 operands")
"""How the assumptions begin that the figures replace."""


def folder() -> Path:
    """Where the committed records are."""
    return recipes.folder() / "accelerator" / "results"


def with_measurements(device: Device, records: Path | None = None) -> Device:
    """The device with what was measured on one; as it is where there is no record.

    Raises:
        UsageError: a record is damaged.
    """
    for path in sorted((records or folder()).glob("*/plan.json")):
        found = parsed(path.read_bytes(), path)
        found = checked(found, {"stamp": STAMP, "rows": dict}, path)
        stamp, rows = found["stamp"], found["rows"]
        if stamp["rehearsal"] or devices.name_of_kind(stamp["device_kind"]) != device.name or "figures" not in rows:
            continue
        if "failed" in rows["figures"]:
            continue
        figures = checked(rows["figures"], FIGURES, path)
        return using(device, figures, f"{stamp['device_kind']}, {stamp['when'][:10]}, jax {stamp['jax']}")
    return device


def using(device: Device, figures: Mapping[str, Any], where: str) -> Device:
    """The device with figures of `calibrate.accelerator`."""
    rates = figures["flops_per_s"]
    shares = {how: rate / device.matrix_rate(how.removesuffix(":conv")) for how, rate in rates.items()}
    each = ", ".join(f"{how} {rates[how] / 1e12:.3g} ({share:.0%} of the peak)" for how, share in shares.items())
    said = (
        f"time of an empty kernel: {1e6 * figures['overhead_s']:.3g} us",
        f"TFLOP/s of products and convolutions: {each}",
        f"bandwidth: {figures['bytes_per_s'] / 1e9:,.0f} GB/s ({figures['bytes_per_s'] / device.fastest:.0%})",
    )
    return dataclasses.replace(
        device,
        overhead=figures["overhead_s"],
        reached=dict(rates),
        reached_bandwidth=figures["bytes_per_s"],
        assumed=tuple(a for a in device.assumed if not a.startswith(REPLACED)),
        measured=(*said, *([f"on {where}"] if where else [])),
    )


def published(kind: str) -> Device:
    """The published figures of what JAX calls a device.

    Raises:
        UsageError: there are none here.
    """
    name = devices.name_of_kind(kind)
    if name is None or name == "cpu":
        raise UsageError(f"device {json.dumps(kind)}: `genjax plan` has no published figures of it.")
    return devices.find(name)
