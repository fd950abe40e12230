"""Whether a run's folder is what it says: its `config.json`, and checkpoints sealed with that. Executes nothing."""

import contextlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from genjax.checked import Each, checked
from genjax.checkpoint import folders, seal
from genjax.checkpoint.marks import Mark, mark
from genjax.errors import UsageError
from genjax.jsonfile import read_json
from genjax.metrics_log import read_rows
from genjax.runs.ownership import listed

FORMAT = 1
"""Version of the run folder's layout; a newer one is refused."""
CONFIG, MANIFEST, METRICS, CHECKPOINTS = "config.json", "manifest.json", "metrics.jsonl", "checkpoints"
FIELDS = {
    "experiment?": str, "config?": dict, "options?": dict,
    "data?": {"name?": str, "shape?": [int], "n_classes?": int, "n_train?": int, "fingerprint?": str},
    "where?": Each(str), "id?": str, "run_only?": [str], "was?": [str], "adopted?": Each(str), "sealed?": int,
    "population?": ({"seeds": [int], "sweep": Each([float])}, None),
    "code?": ({"entry": str, "recipe": Each(str), "genjax": str}, None),
}  # fmt: skip
"""What `config.json` may hold; see `genjax.checked`."""
WHOLE = {
    "experiment": str, "config": dict, "options": dict,
    "data": {"name": str, "shape": [int], "n_classes": int, "n_train": int, "fingerprint": str},
}  # fmt: skip
"""What it must hold of a run that is opened."""
ABOUT = {
    "started?": (str, None), "command?": [str], "device_kind?": (str, None), "device_count?": (int, None),
    "cpu?": (str, None), "cpu_count?": (int, None), "commit?": (str, None), "continued?": [dict],
}  # fmt: skip
"""What is read of `manifest.json`."""


def read_config(run: str | os.PathLike[str]) -> dict[str, Any] | None:
    """A run folder's `config.json`, None where there is none.

    Raises:
        UsageError: it is damaged, or of a newer format.
    """
    path = Path(run) / CONFIG
    if path.exists() and not path.is_file():
        raise UsageError(f"{path} is not a file.")
    stored = read_json(path)
    if stored is None:
        return None
    if not isinstance(stored, dict) or not isinstance(stored.get("format"), int):
        raise UsageError(f"{path} is damaged: it has no format number.")
    if stored["format"] > FORMAT:
        raise UsageError(
            f"{path} has format {stored['format']}, this genjax reads up to {FORMAT}. Install a newer genjax."
        )
    return checked(stored, FIELDS, path)


def read_manifest(run: str | os.PathLike[str]) -> dict[str, Any]:
    """A run folder's `manifest.json`; empty where there is none.

    Raises:
        UsageError: it is damaged.
    """
    path = Path(run) / MANIFEST
    stored = read_json(path)
    return {} if stored is None else checked(stored, ABOUT, path)


def options_of(run: str | os.PathLike[str] | None) -> dict[str, Any] | None:
    """The options that a run has had so far; None where there is no run yet.

    Raises:
        UsageError: its `config.json` is damaged, or of a newer format.
    """
    found = None if run is None else (read_config(Path(run).expanduser()) or {}).get("options")
    return found if isinstance(found, dict) else None


def mark_of(run: str | os.PathLike[str]) -> Mark | None:
    """The mark of a run's folder, after its checkpoints were found to carry it. Reads; executes nothing.

    Returns:
        None where there is no `config.json`, and no checkpoint that says of which run it is.

    Raises:
        UsageError: a checkpoint is of another run, or was sealed with another `config.json`, or that is gone.
    """
    stored, where = read_config(run), folders.resolved(Path(run) / CHECKPOINTS)
    if stored is not None:
        found = mark(stored)
        folders.check_marks(where, found)
        return found
    for step in folders.sealed(where):
        with contextlib.suppress(seal.Damage):
            if seal.read(where / str(step)).get("mark"):
                raise UsageError(
                    f"RUN={run}: its {CONFIG} is gone, with which checkpoint {step} was sealed: what the checkpoint is "
                    "of cannot be told.\nPut it back."
                )
    return None


def has_begun(run: str | os.PathLike[str], stored: Mapping[str, Any]) -> bool:
    """Whether a run has, or ever had, a sealed checkpoint; before that, nothing of it is worth keeping."""
    if stored.get("sealed") is not None or folders.sealed(folders.resolved(Path(run) / CHECKPOINTS)):
        return True
    return not stored.get("id") and bool(read_rows(Path(run) / METRICS))


def refuse_vanished(run: str | os.PathLike[str], stored: Mapping[str, Any]) -> None:
    """Refuse a run whose checkpoints are gone: to start at 0 would erase what was logged.

    A run that was killed before its first checkpoint may start again: it never noted a seal. One older than that
    note (without an `id`) is taken to have had checkpoints as soon as anything is logged.

    Raises:
        UsageError: a step was sealed once, and none is there now.
    """
    run = Path(run)
    where = folders.resolved(run / CHECKPOINTS)
    if folders.sealed(where) or not has_begun(run, stored):
        return
    rows = [r["step"] for r in read_rows(run / METRICS)] if stored.get("sealed") is None else []
    names = sorted(p.name for p in where.iterdir() if p.name[0].isdigit()) if where.is_dir() else []
    left = f"{where} holds none with a seal (there are {listed(names)})" if names else f"{where} holds none"
    once = f"rows up to step {max(rows)} were logged" if rows else f"step {stored['sealed']} was sealed once"
    raise UsageError(
        f"the checkpoints of the run in {run} are gone: {once}, now {left}.\n"
        "Put them back to continue. To start again at step 0, name another --run-dir; this one stays as it is."
    )
