"""What `genjax compare` compares: runs, and runs of which only a record was kept."""

import dataclasses
import os
import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from genjax.checked import checked, number
from genjax.errors import UsageError
from genjax.metrics.protocol import Record, from_json
from genjax.train import record
from genjax.train.evalfile import read_eval


class Source(NamedTuple):
    """A run that was measured."""

    path: str
    """Its folder, or the record that it stands in."""
    name: str
    """Its recipe's, with something that tells it from others of that recipe."""
    records: tuple[Record, ...]
    origin: Mapping[str, Any]
    """How it came to be, as a record has it: command, device, versions, and its own seed, time, code and state."""


def sources(path: str | os.PathLike[str]) -> list[Source]:
    """The run in a folder, or every run of a record that `genjax compare --record` wrote.

    Raises:
        UsageError: the run was not measured, or the file is no record.
    """
    name = os.fspath(path)
    if is_record(name):
        return _recorded(name)
    records = [r for r in read_eval(name) if r.subject.member is None]
    if not records:
        raise UsageError(f"RUN={name}: has no eval.json. Measure it first: genjax eval {name}")
    called = f"{Path(records[0].subject.recipe).stem} · {Path(name).resolve().name}"
    last = next((r for r in records if r.protocol.checkpoint == "last"), records[0])
    return [Source(name, called, tuple(records), _origin(name, last))]


def is_record(path: str | os.PathLike[str]) -> bool:
    """Whether it names a record, not a run's folder."""
    return Path(path).suffix == ".json" and not Path(path).is_dir()


def _recorded(path: str) -> list[Source]:
    stored = record.read_json(path)
    if stored is None:
        raise UsageError(f"RUN={path}: there is no such record.")
    try:
        found = [s for run in checked(stored, RUNS, path)["runs"] for s in _each(path, run)]
        if not found:
            raise ValueError("no runs")
        return found
    except (UsageError, KeyError, TypeError, ValueError) as e:
        raise UsageError(f"RUN={path}: not a record of `genjax compare --record` ({type(e).__name__}: {e}).") from None


RUNS = {"runs": [{
    "recipe": str, "command": str, "device": str, "versions": dict, "records": [dict],
    "each": [{"seed": int, "step": int, "state_sha256": str, "seconds": (number, None), "commit": (str, None)}],
}]}  # fmt: skip
"""What is read of a record; see `genjax.checked`."""


def _each(path: str, run: Mapping[str, Any]) -> list[Source]:
    """A source for each seed of a record's run."""
    records = [from_json(r) for r in run["records"]]
    seeds = {each["seed"] for each in run["each"]}
    if not records or any({seed for seed, _ in r.seeds} != seeds for r in records if r.seeds or len(seeds) != 1):
        raise ValueError(f"{run['recipe']}: not every number is of the seeds {sorted(seeds)}")
    about = {"command": str(run["command"]), "device": str(run["device"]), "versions": run["versions"]}
    shlex.split(about["command"])  # of which the sides' names are made
    return [
        Source(path, run["recipe"], tuple(_of_seed(r, each) for r in records), {**about, "each": [each]})
        for each in run["each"]
    ]


def _of_seed(r: Record, each: Mapping[str, Any]) -> Record:
    """The record of one seed, of a record over several; its interval over samples is not kept there."""
    if not r.seeds:
        return r
    subject = dataclasses.replace(r.subject, seed=each["seed"], state_sha256=each["state_sha256"])
    return dataclasses.replace(r, subject=subject, value=dict(r.seeds)[each["seed"]], over_seeds=None, seeds=())


def _origin(run: str, measured: Record) -> dict[str, Any]:
    manifest = record.read_manifest(run)
    rows, about = record.read_rows(Path(run) / record.METRICS), measured.subject
    device, cores = manifest.get("device_kind"), manifest.get("cpu_count")
    return {
        "command": _command(manifest.get("command", [])),
        "device": f"{cores} core{'s' * (cores != 1)}, {manifest.get('cpu')}" if device == "cpu" else str(device),
        "versions": {k: manifest.get(k) for k in ("python", "jax", "jaxlib", "flax", "optax", "numpy")},
        "each": [{
            "seed": about.seed, "step": about.step, "state_sha256": about.state_sha256,
            "seconds": float(rows[-1].get("seconds", "nan")) if rows else None, "commit": manifest.get("commit"),
        }],
    }  # fmt: skip


def _command(words: Sequence[str]) -> str:
    """A run's command without what another machine or seed has otherwise, or what follows from the rest of it."""
    head, flags = words[:3], words[3:]
    pairs = zip(flags[::2], flags[1::2], strict=False)
    own = ("--run-dir", "--data-dir", "--seed", "--keep-best")
    return shlex.join([*head, *(w for flag, value in pairs if flag not in own for w in (flag, value))])
