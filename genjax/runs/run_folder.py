"""A run's folder: who holds it (`lock`), what it is (`config.json`), what was logged (`metrics.jsonl`).

The rest of what a folder holds: `manifest` (where it ran), `metrics_log`, `jsonfile`.
"""

import contextlib
import json
import os
import secrets
import socket
import time
from collections.abc import Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np
from etils import epath

from genjax.checkpoint import folders, seal
from genjax.checkpoint.marks import Mark, mark
from genjax.checkpoint.open_folder import Held, last_good, moved
from genjax.errors import RunFailure, UsageError
from genjax.files import FAILING, failed_write, refuse_part_of_a_run
from genjax.jsonfile import read_json, to_json, write_json
from genjax.metrics_log import MetricsLog, columns, read_rows
from genjax.runs import ownership
from genjax.runs.identity import (
    ABOUT,
    CHECKPOINTS,
    CONFIG,
    FIELDS,
    FORMAT,
    MANIFEST,
    METRICS,
    WHOLE,
    has_begun,
    mark_of,
    options_of,
    read_config,
    read_manifest,
    refuse_vanished,
)
from genjax.runs.manifest import environment_differences, manifest, now

__all__ = [
    "ABOUT",
    "CHECKPOINTS",
    "CONFIG",
    "FIELDS",
    "FORMAT",
    "MANIFEST",
    "METRICS",
    "WHOLE",
    "MetricsLog",
    "RunFolder",
    "differences",
    "environment_differences",
    "has_begun",
    "manifest",
    "mark",
    "mark_of",
    "now",
    "options_of",
    "read_config",
    "read_json",
    "read_manifest",
    "read_metrics",
    "read_rows",
    "refuse_vanished",
    "to_json",
    "write_json",
]

LOCK = "lock"


class RunFolder:
    """The folder of one run, held by one process at a time. A context manager.

    Making one writes nothing; `check` refuses what cannot work; entering makes the folder and takes the lock;
    `claim` writes or compares `config.json`. The lock is the kernel's (`flock`): it vanishes with its process,
    however that ends, and the file `lock` that stays behind means nothing.

    Args:
        path: the folder, which need not exist.

    Example:
        >>> import tempfile
        >>> with tempfile.TemporaryDirectory() as tmp, RunFolder(tmp + "/run") as run:
        ...     run.claim({"experiment": "vae", "config": {"beta": 4.0, "steps": 10}}, resumable={"steps"})
        ...     run.claim({"experiment": "vae", "config": {"beta": 4.0, "steps": 99}}, resumable={"steps"})
        True
        False
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path).expanduser().absolute()
        self._fd: int | None = None
        self._held: Held | None = None
        self._claimed: dict[str, Any] | None = None

    @property
    def config(self) -> dict[str, Any] | None:
        """The stored configuration, None in a new folder.

        Raises:
            UsageError: it is damaged, or of a newer format.
        """
        return read_config(self.path)

    @property
    def mark(self) -> Mark | None:
        """What the checkpoints of this run are sealed with; None in a new folder."""
        stored = self.config
        return None if stored is None else mark(stored)

    def check(self, wanted: Mapping[str, Any] | None = None, resumable: Collection[str] = ()) -> dict[str, Any] | None:
        """Refuse, before anything is written, a folder in which the run cannot be.

        Args:
            wanted: the configuration to run (see `claim`); None skips the comparison.
            resumable: names of config fields that may differ.

        A run without a sealed checkpoint begins again at step 0: there `config` may differ.

        Returns:
            The stored configuration, None in a new folder.

        Raises:
            UsageError: the path or a parent is a file; the folder cannot be written; it is neither empty nor a run's;
                its format is newer; its configuration differs, with the fields, stored and wanted; a checkpoint in it
                is of another run or of another `config.json`; or its checkpoints are gone.
        """
        _refuse_unwritable(self.path)
        stored = self.config
        if stored is None:
            ownership.refuse_strangers(self.path)
            return None
        ownership.refuse_odd_parts(self.path)
        mark_of(self.path)  # first: what was edited by hand is not what the run is
        if wanted is not None:
            begun = has_begun(self.path, stored)
            different = differences(
                stored, wanted, resumable if begun else {*stored.get("config", {}), *wanted["config"]}
            )
            if different:
                lines = [f"{self.path} holds a run of another configuration:", *(f"  {d}" for d in different[:5])]
                lines += [f"  ... and {len(different) - 5} more"] if len(different) > 5 else []
                lines += ["`genjax train RUN` continues it as it is; another --run-dir starts a run."]
                raise UsageError("\n".join(lines))
        refuse_vanished(self.path, stored)
        return stored

    def claim(self, wanted: Mapping[str, Any], resumable: Collection[str] = ()) -> bool:
        """Make the held folder that of `wanted`: write `config.json`, or find the same configuration there.

        Args:
            wanted: `{"experiment", "config", "options", "data"}`, of a population `"population"` too; `format` is
                added. `options` may differ freely.
            resumable: names of fields of `config` that may differ; the stored file then takes the wanted values.

        A new run gets a random `id`, which stays; `resumable` is kept beside it, as `run_only`. Where genjax
        itself writes another configuration into the folder (a field that may differ), the old one's hash is kept in
        `was`, so that the checkpoints of before still fit.

        Returns:
            True in a new folder, False where a run continues.

        Raises:
            UsageError: as `check`.
        """
        if self._fd is None:
            raise ValueError("enter the run folder before claiming it.")
        stored = self.check(wanted, resumable)
        self.guard()
        full = to_json({"format": FORMAT, **wanted, **self._identity(stored, resumable)})
        if stored is not None and (before := mark(stored)).config != mark(full).config:
            full["was"] = [*before.was, before.config]
        self._claimed = full
        if stored != full:
            write_json(self.path / CONFIG, full)
        return stored is None

    def _identity(self, stored: Mapping[str, Any] | None, resumable: Collection[str]) -> dict[str, Any]:
        """What `config.json` says of the run itself: a new one's, or kept; one older than ids gets its id now."""
        if stored is not None and stored.get("id"):
            return {k: stored[k] for k in ("id", "run_only", "was", "adopted", "sealed") if k in stored}
        made: dict[str, Any] = {"id": secrets.token_hex(8), "run_only": sorted(resumable)}
        if stored is not None:
            where = folders.resolved(self.path / CHECKPOINTS)
            made["adopted"] = {}
            for step in folders.sealed(where):
                with contextlib.suppress(seal.Damage):
                    made["adopted"][str(step)] = seal.own_hash(seal.read(where / str(step)))
            made |= {"sealed": max(map(int, made["adopted"]))} if made["adopted"] else {}
        return made

    def note_seal(self, step: int) -> None:
        """Note in `config.json` that a checkpoint was sealed once: should all be gone later, that is no fresh start."""
        stored = self.config or self._claimed  # a file that was removed meanwhile is written again
        if stored is None or self._held is None or not self._held.is_here():
            return
        if stored is self._claimed or stored.get("sealed") is None:
            with contextlib.suppress(RunFailure):  # a full disk: noted with the next seal
                write_json(self.path / CONFIG, {"sealed": step, **stored})

    def guard(self) -> None:
        """Refuse to go on where the path no longer leads to the folder that is held. Call it before each write.

        Costs two looks at the disk. A lock file that was removed is made and locked anew, so that no second process
        can hold the folder. Between this look and the rename of a small file nothing is guarded; what takes longer,
        checkpoints, is written through the open folder (`checkpoint.keeper`).

        Raises:
            RunFailure: the folder was moved or replaced, or another process has locked it since.
        """
        if self._fd is None or self._held is None:
            return  # not the leader of several processes
        if self._held.is_here() and (self._locks_there(self._fd) or self._locked_anew()):
            return
        last = ""
        if self._held.at != self.path:
            last = last_good(max(folders.sealed(epath.Path(self._held.at) / CHECKPOINTS), default=None))
        raise moved(self.path, self._held.where(), last)

    def _locks_there(self, fd: int) -> bool:
        try:
            return os.path.samestat(os.lstat(self.path / LOCK), os.fstat(fd))
        except OSError:
            return False

    def _locked_anew(self) -> bool:
        """Whether a removed lock file could be made and locked again."""
        import fcntl

        try:
            fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o644)
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            return False
        old, self._fd = self._fd, fd
        if old is not None:
            os.close(old)
        return True

    def __enter__(self) -> "RunFolder":
        _refuse_unwritable(self.path)
        if self.config is None:
            ownership.refuse_strangers(self.path)
        else:
            ownership.refuse_odd_parts(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._held = Held(self.path)
            flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0)
            self._fd = os.open(self._held.at / LOCK, flags, 0o644)
        except OSError as e:
            if e.errno in FAILING:
                raise failed_write(self.path / LOCK, 0, e) from e
            raise UsageError(f"run folder {self.path}: cannot be written ({e.strerror}).") from e
        self._lock(self._fd)
        # A forked child would hold the lock beyond this process's death.
        os.register_at_fork(after_in_child=self._forget)
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        if self._fd is not None:
            os.ftruncate(self._fd, 0)
            self._forget()

    def _forget(self) -> None:
        fd, self._fd = self._fd, None
        if fd is not None:
            os.close(fd)
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def _lock(self, fd: int) -> None:
        import fcntl  # not on Windows, where genjax still imports

        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = _holder(fd)
            self._forget()
            raise UsageError(
                f"run folder {self.path} is in use by {holder}. Wait for it, stop it, or use another --run-dir."
            ) from None
        except OSError as e:
            self._forget()
            raise UsageError(f"run folder {self.path}: its file system has no locks ({e.strerror}).") from e
        with contextlib.suppress(OSError):  # a full disk: the lock holds without its holder's name
            os.ftruncate(fd, 0)
            os.pwrite(fd, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now()}).encode(), 0)


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any], resumable: Collection[str] = ()) -> list[str]:
    """What makes two configurations different runs: `"beta: stored 4.0, wanted 1.0"` for each such field.

    Compared are the experiment, every field of `config` not in `resumable`, every field of `data`, and the
    seeds and the sweep of a population.

    Example:
        >>> differences({"config": {"beta": 4.0, "steps": 1}}, {"config": {"beta": 1.0, "steps": 2}}, {"steps"})
        ['beta: stored 4.0, wanted 1.0']
    """
    stored, wanted = to_json(stored), to_json(wanted)
    found = []
    if stored.get("experiment") != wanted.get("experiment"):
        found.append(f"experiment: stored {stored.get('experiment')}, wanted {wanted.get('experiment')}")
    for part, prefix, free in (("config", "", resumable), ("data", "data.", ()), ("population", "", ())):
        old, new = stored.get(part) or {}, wanted.get(part) or {}
        # An older genjax stored less of the data.
        later = [] if part == "data" and old else [n for n in new if n not in old]
        for name in [*old, *later]:
            if name not in free and (name not in old or name not in new or old[name] != new[name]):
                said = [json.dumps(d[name]) if name in d else "nothing" for d in (old, new)]
                found.append(f"{prefix}{name}: stored {said[0]}, wanted {said[1]}")
    return found


def read_metrics(run: str | os.PathLike[str], member: int | None = None, name: str = METRICS) -> dict[str, np.ndarray]:
    """The logged metrics of a run: each name's values in the order of rows, float64, NaN where a row has none.

    `step` is int64. Values that are not numbers are left out. The metrics of a population are [rows, members].

    Args:
        run: the run's folder, also one at work.
        member: of a population, this member's alone.
        name: of the file; `validation.jsonl` holds the evaluations on held-out images.

    Raises:
        UsageError: it is not a run's folder, or has no such member.
    """
    run = Path(run)
    if not (run / name).exists() and read_config(run) is None:
        raise UsageError(f"{run} is not a run's folder: it has neither {CONFIG} nor {name}.")
    rows = columns(read_rows(run / name))
    if member is None:
        return rows
    n = max((v.shape[1] for v in rows.values() if v.ndim == 2), default=0)
    if not 0 <= member < n:
        raise UsageError(f"member={member}: {run} has metrics of {n} members.")
    return {k: v[:, member] if v.ndim == 2 else v for k, v in rows.items()}


def _refuse_unwritable(path: Path) -> None:
    """Raise UsageError where `path` cannot become or be a folder to write in. Writes nothing."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"run folder {path} is a file. Use another --run-dir.")
    if path.is_symlink() and not path.exists():
        raise UsageError(f"run folder {path} is a link to {os.readlink(path)}, which is not there. Make that folder.")
    refuse_part_of_a_run(path, "--run-dir")
    there = next(p for p in (path, *path.parents) if p.exists())
    if not there.is_dir():
        raise UsageError(f"run folder {path} cannot be made: {there} is a file. Use another --run-dir.")
    if not os.access(there, os.W_OK | os.X_OK):
        raise UsageError(f"run folder {path}: {there} cannot be written. Use another --run-dir.")


def _holder(fd: int) -> str:
    """`process 12 on host (since ...)`; waits a moment for a holder that has just come to write its name."""
    for _ in range(10):
        try:
            who = json.loads(os.pread(fd, 4096, 0))
            return f"process {who['pid']} on {who['host']} (since {who['since']})"
        except (ValueError, KeyError, TypeError):
            time.sleep(0.05)
    return "another process"
