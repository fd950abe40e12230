"""Commands that look and change nothing: `list`, `doctor`."""

import importlib.metadata
import importlib.util
import os
import platform
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from genjax import __version__, recipes
from genjax.cli.cache import cache_folder
from genjax.cli.flags import flag, parse
from genjax.errors import UsageError

VERSIONS = (
    "jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "grain", "numpy", "tensorflow-datasets",
    "array_record", "safetensors", "matplotlib", "tyro", "rich", "pillow",
)  # fmt: skip
"""Distributions whose versions `doctor` prints."""


@dataclass(frozen=True)
class List:
    """The recipes that ship with genjax, with the kinds of data that each takes and its first line.

    `genjax list KIND` shows those that take such data; the second column has the kinds.
    """


def list_recipes(argv: Sequence[str]) -> None:
    """`genjax list [KIND]`: name, data and first line of every shipped recipe, read without running any."""
    asked = [word for word in argv if not word.startswith("-")]
    parse(List, [word for word in argv if word.startswith("-")], "genjax list")
    every = [(name, recipes.find(name)) for name in recipes.names()]
    rows = [(name, ", ".join(recipes.domains(path)), recipes.docstring(path).split("\n")[0]) for name, path in every]
    if not rows:
        print(f"There are no recipes in {recipes.folder()}.")
        return
    kinds = list(dict.fromkeys(kind for _, path in every for kind in recipes.domains(path)))
    for kind in asked:
        if kind not in kinds:
            there = f" There are {', '.join(kinds)}." if kinds else ""
            raise UsageError(f"KIND={kind}: no recipe is for such data.{recipes.nearest(kind, kinds)}{there}")
        rows = [row for row in rows if kind in row[1].split(", ")]
    print(table(rows if kinds else [(name, what) for name, _, what in rows]))
    print("\n`genjax train NAME` trains one; `genjax train NAME --help` shows what it is and lists its flags.")


def table(rows: Sequence[Sequence[str]]) -> str:
    """Plain left-aligned columns, two spaces apart; what would steer a terminal is escaped.

    Example:
        >>> print(table([("a", "b"), ("long", "c")]))
        a     b
        long  c
    """
    rows = [["".join(c if c.isprintable() else ascii(c)[1:-1] for c in cell) for cell in row] for row in rows]
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return "\n".join("  ".join(cell.ljust(w) for cell, w in zip(row, widths, strict=True)).rstrip() for row in rows)


@dataclass(frozen=True)
class Doctor:
    """Devices, versions, data sets, disk, and what is missing, in words."""

    data_dir: str | None = flag(None, help="TFDS folder; else $TFDS_DATA_DIR or ~/tensorflow_datasets")


def doctor(argv: Sequence[str]) -> None:
    """`genjax doctor`."""
    args = parse(Doctor, argv, "genjax doctor")
    sections = {
        "genjax": [f"{__version__} (genjax-vae-gan), Python {platform.python_version()}, {platform.platform()}"],
        "versions": _versions(),
        "devices": _devices(),
        "data": _data(args.data_dir),
        "disk": [f"{shutil.disk_usage(Path.cwd()).free / 1e9:.1f} GB free in {Path.cwd()}"],
        "cache": [_cache()],
        "missing": _missing() or ["nothing"],
    }
    for title, lines in sections.items():
        for i, line in enumerate(lines):
            print(f"{title if i == 0 else '':10}{line}")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _versions() -> list[str]:
    found = [f"{name} {_version(name) or 'MISSING'}" for name in VERSIONS]
    return [", ".join(found[i : i + 4]) for i in range(0, len(found), 4)]


def _devices() -> list[str]:
    import jax

    try:
        devices = jax.devices()
    except RuntimeError as e:
        return [f"jax finds no device: {str(e).splitlines()[0]}"]
    kinds = sorted({(d.platform, d.device_kind) for d in devices})
    count = {kind: sum(d.device_kind == kind for d in devices) for _, kind in kinds}
    lines = [f"{count[kind]} x {kind} ({name})" for name, kind in kinds if name != "cpu"]
    lines.append(f"{os.cpu_count()} CPU cores" + ("" if lines else ", no accelerator (platform cpu)"))
    if devices[0].platform == "cpu":
        if Path("/dev/nvidia0").exists():
            lines.append("an NVIDIA GPU is in this machine but jax does not use it: pip install -e '.[cuda12]'")
        if Path("/dev/accel0").exists():
            lines.append("a TPU is in this machine but jax does not use it: pip install -e '.[tpu]'")
    return lines


def _data(data_dir: str | None) -> list[str]:
    from genjax import data
    from genjax.data import readers

    lines = [f"{name}: {what}" for name, what in data.names().items()]
    folder = data.data_dir_of(data_dir)
    try:
        sets, unusable = data.survey(data_dir)
    except UsageError as e:
        return [*lines, str(e)]
    broken = [f"  {u.name} {u.version}".rstrip() + f": not usable. {u.why}" for u in unusable]
    if not sets and not broken:
        return [*lines, f"no data set is prepared in {folder} (TFDS); --data-dir or $TFDS_DATA_DIR name another folder"]
    lines.append(f"prepared in {folder}:")
    for s in sets:
        splits = ", ".join(f"{n:,} {split}" for split, n in s.splits.items())
        why_not = "" if s.has_images or readers.of_prepared(s.name) else "; nothing of genjax reads it"
        if s.file_format != "array_record":
            why_not = f"; stored as {s.file_format}, prepare it again with --file_format=array_record"
        lines.append(f"  {s.name} {s.version}: {splits}{why_not}")
    return lines + broken


def _cache() -> str:
    folder = cache_folder()
    files = [p for p in folder.rglob("*") if p.is_file()] if folder.is_dir() else []
    return f"{len(files)} compiled programs, {sum(p.stat().st_size for p in files) / 1e6:.0f} MB in {folder}"


def _missing() -> list[str]:
    """What is not installed, and what it would be for."""
    wanted = {
        "tensorboardX": "--tensorboard; pip install -e '.[logs]'",
        "tensorflow": "preparing TFDS data sets (reading prepared ones needs none); pip install -e '.[tfds]'",
    }
    lines = [f"{name}, for {why}" for name, why in wanted.items() if importlib.util.find_spec(name) is None]
    return lines + [f"{name}, which genjax needs; pip install -e ." for name in VERSIONS if _version(name) is None]
