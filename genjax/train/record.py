"""A run's folder: who holds it, what it is (`config.json`), where it ran (`manifest.json`), what was logged.

JSON here is strict. Numbers that JSON has no word for are the strings "NaN", "Infinity" and "-Infinity", which
Python's `float` and JavaScript's `Number` both read; `read_metrics` gives them back as numbers.
"""

import contextlib
import errno
import json
import math
import os
import shutil
import socket
import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from genjax.errors import RunFailure, UsageError

FORMAT = 1
"""Version of the run folder's layout; a newer one is refused."""
CONFIG, MANIFEST, METRICS, LOCK = "config.json", "manifest.json", "metrics.jsonl", "lock"
RESERVED = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def to_json(value: Any) -> Any:
    """`value` as strict JSON holds it: tuples become lists, NumPy and JAX numbers Python's, NaN and Inf strings.

    Raises:
        TypeError: there is something that JSON cannot hold.

    Example:
        >>> to_json({"a": (1, float("nan")), "b": np.float32(0.5)})
        {'a': [1, 'NaN'], 'b': 0.5}
    """
    if isinstance(value, Mapping):
        return {str(k): to_json(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(v) for v in value]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):
        return to_json(value.tolist())
    if isinstance(value, float) and not math.isfinite(value):
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"{value!r} of type {type(value).__name__} has no place in JSON.")


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """Write `to_json(value)` whole or not at all, durably: temporary file, fsync, rename, fsync of the folder.

    Raises:
        RunFailure: the disk is full or fails; the old file is as it was.
    """
    write_atomically(path, (json.dumps(to_json(value), indent=2, allow_nan=False) + "\n").encode())


def write_atomically(path: str | os.PathLike[str], content: bytes) -> None:
    """Replace a file's content whole or not at all; see `write_json`."""
    path = Path(path)
    tmp = path.with_name(f".{path.name}.tmp-{os.getpid()}")
    try:
        with tmp.open("wb") as f:
            f.write(content)
            f.flush()
            os.fsync(f.fileno())
        tmp.replace(path)
        fd = os.open(path.parent, os.O_RDONLY)
        try:
            os.fsync(fd)
        finally:
            os.close(fd)
    except OSError as e:
        raise failed_write(path, len(content), e) from e
    finally:
        with contextlib.suppress(OSError):
            tmp.unlink(missing_ok=True)


def failed_write(path: Path, n_bytes: int, e: OSError) -> RunFailure:
    """The failure to raise where writing `path` met `e`: names the path, and room needed and free on a full disk."""
    if e.errno in (errno.ENOSPC, errno.EDQUOT):
        free = shutil.disk_usage(path.parent).free / 1e6
        return RunFailure(f"no space left for {path}: needs {n_bytes / 1e6:.3f} MB, {free:.3f} MB free.")
    return RunFailure(f"writing {path} failed: {e.strerror or e}.")


def read_json(path: str | os.PathLike[str]) -> Any:
    """The content of a JSON file, None where there is no such file.

    Raises:
        UsageError: it is not JSON, or cannot be read.
    """
    try:
        return json.loads(Path(path).read_bytes())
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as e:
        raise UsageError(f"{path} cannot be read: {e.strerror}.") from e
    except ValueError as e:
        raise UsageError(f"{path} is damaged: it is not JSON ({e}).") from e


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
        ...     run.claim({"experiment": "vae", "config": {"beta": 4.0, "steps": 10}}, run_only={"steps"})
        ...     run.claim({"experiment": "vae", "config": {"beta": 4.0, "steps": 99}}, run_only={"steps"})
        True
        False
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path).expanduser().absolute()
        self._fd: int | None = None

    @property
    def config(self) -> dict[str, Any] | None:
        """The stored configuration, None in a new folder.

        Raises:
            UsageError: it is damaged, or of a newer format.
        """
        return read_config(self.path)

    def check(self, wanted: Mapping[str, Any] | None = None, run_only: Collection[str] = ()) -> dict[str, Any] | None:
        """Refuse, before anything is written, a folder in which the run cannot be.

        Args:
            wanted: the configuration to run (see `claim`); None skips the comparison.
            run_only: names of config fields that may differ.

        Returns:
            The stored configuration, None in a new folder.

        Raises:
            UsageError: the path or a parent is a file; the folder cannot be written; its format is newer; or its
                configuration differs, with the fields, stored and wanted.
        """
        _refuse_unwritable(self.path)
        stored = self.config
        if stored is not None and wanted is not None:
            different = differences(stored, wanted, run_only)
            if different:
                lines = [f"{self.path} holds a run of another configuration:", *(f"  {d}" for d in different[:6])]
                lines += [f"  ... and {len(different) - 6} more"] if len(different) > 6 else []
                raise UsageError("\n".join([*lines, "Use its configuration to continue it, or another --run-dir."]))
        return stored

    def claim(self, wanted: Mapping[str, Any], run_only: Collection[str] = ()) -> bool:
        """Make the held folder that of `wanted`: write `config.json`, or find the same configuration there.

        Args:
            wanted: `{"experiment", "config", "options", "data"}`; `format` is added. `options` may differ freely.
            run_only: names of fields of `config` that may differ; the stored file then takes the wanted values.

        Returns:
            True in a new folder, False where a run continues.

        Raises:
            UsageError: as `check`.
        """
        if self._fd is None:
            raise ValueError("enter the run folder before claiming it.")
        stored = self.check(wanted, run_only)
        full = to_json({"format": FORMAT, **wanted})
        if stored != full:
            write_json(self.path / CONFIG, full)
        return stored is None

    def __enter__(self) -> "RunFolder":
        _refuse_unwritable(self.path)
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o644)
        except OSError as e:
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
        os.ftruncate(fd, 0)
        os.pwrite(fd, json.dumps({"pid": os.getpid(), "host": socket.gethostname(), "since": now()}).encode(), 0)


def read_config(run: str | os.PathLike[str]) -> dict[str, Any] | None:
    """A run folder's `config.json`, None where there is none.

    Raises:
        UsageError: it is damaged, or of a newer format.
    """
    path = Path(run) / CONFIG
    stored = read_json(path)
    if stored is None:
        return None
    if not isinstance(stored, dict) or not isinstance(stored.get("format"), int):
        raise UsageError(f"{path} is damaged: it has no format number.")
    if stored["format"] > FORMAT:
        raise UsageError(
            f"{path} has format {stored['format']}, this genjax reads up to {FORMAT}. Install a newer genjax."
        )
    return stored


def differences(stored: Mapping[str, Any], wanted: Mapping[str, Any], run_only: Collection[str] = ()) -> list[str]:
    """What makes two configurations different runs: `"beta: stored 4.0, wanted 1.0"` for each such field.

    Compared are the experiment, every field of `config` not in `run_only`, and every field of `data`.

    Example:
        >>> differences({"config": {"beta": 4.0, "steps": 1}}, {"config": {"beta": 1.0, "steps": 2}}, {"steps"})
        ['beta: stored 4.0, wanted 1.0']
    """
    stored, wanted = to_json(stored), to_json(wanted)
    found = []
    if stored.get("experiment") != wanted.get("experiment"):
        found.append(f"experiment: stored {stored.get('experiment')}, wanted {wanted.get('experiment')}")
    for part, prefix, free in (("config", "", run_only), ("data", "data.", ())):
        old, new = stored.get(part) or {}, wanted.get(part) or {}
        for name in [*old, *(n for n in new if n not in old)]:
            if name not in free and (name not in old or name not in new or old[name] != new[name]):
                said = [json.dumps(d[name]) if name in d else "nothing" for d in (old, new)]
                found.append(f"{prefix}{name}: stored {said[0]}, wanted {said[1]}")
    return found


def now() -> str:
    """The time as `2026-11-23T17:03:00+0000`."""
    return time.strftime("%Y-%m-%dT%H:%M:%S%z")


def _refuse_unwritable(path: Path) -> None:
    """Raise UsageError where `path` cannot become or be a folder to write in. Writes nothing."""
    if path.exists() and not path.is_dir():
        raise UsageError(f"run folder {path} is a file. Use another --run-dir.")
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


class MetricsLog:
    """`metrics.jsonl`, open for appending: one row a line, complete in the kernel when `append` returns.

    A kill costs at most the line being written, which opening again removes. Call `sync` before a checkpoint is
    saved, so that no machine crash leaves a checkpoint without the rows before it.

    Args:
        path: the file, made when missing.

    Raises:
        RunFailure: it cannot be written, or a line within it is damaged.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            whole = sum(len(line) for line, _ in _lines(self.path))
            if os.fstat(self._fd).st_size != whole:
                os.ftruncate(self._fd, whole)
        except OSError as e:
            raise failed_write(self.path, 0, e) from e

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row, which has an integer `step`.

        Raises:
            RunFailure: the disk is full or fails; nothing of the row is in the file then.
        """
        line = (json.dumps(to_json(row), allow_nan=False) + "\n").encode()
        size = os.fstat(self._fd).st_size
        try:
            written = os.write(self._fd, line)
            if written < len(line):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        except OSError as e:
            os.ftruncate(self._fd, size)
            raise failed_write(self.path, len(line), e) from e

    def sync(self) -> None:
        """Wait until all rows are on the disk."""
        try:
            os.fsync(self._fd)
        except OSError as e:
            raise failed_write(self.path, 0, e) from e

    def truncate_to(self, keep: Callable[[int], bool]) -> None:
        """Keep the rows whose step satisfies `keep`, byte for byte: what was logged after the restored step goes.

        The file is replaced whole or not at all.
        """
        rows = list(_lines(self.path))
        kept = [line for line, row in rows if keep(row["step"])]
        if len(kept) < len(rows):
            write_atomically(self.path, b"".join(kept))
            os.close(self._fd)
            self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND)

    def close(self) -> None:
        """Close the file. Safe to repeat."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def __enter__(self) -> "MetricsLog":
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        self.close()


def read_rows(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """The rows of a metrics file, as numbers; a torn last line is left out, a missing file has none.

    Raises:
        RunFailure: a line before the last is not a row.
    """
    return [
        {k: RESERVED.get(v, v) if isinstance(v, str) else v for k, v in row.items()} for _, row in _lines(Path(path))
    ]


def read_metrics(run: str | os.PathLike[str]) -> dict[str, np.ndarray]:
    """The logged metrics of a run: each name's values in the order of rows, float64, NaN where a row has none.

    `step` is int64. Values that are not numbers are left out.

    Args:
        run: the run's folder, also one at work.

    Raises:
        UsageError: it is not a run's folder.
    """
    run = Path(run)
    if not (run / METRICS).exists() and read_config(run) is None:
        raise UsageError(f"{run} is not a run's folder: it has neither {CONFIG} nor {METRICS}.")
    rows = read_rows(run / METRICS)
    names = dict.fromkeys(n for row in rows for n, v in row.items() if isinstance(v, int | float))
    columns = {n: np.array([r.get(n, math.nan) for r in rows], np.float64) for n in names}
    columns["step"] = np.array([r["step"] for r in rows], np.int64)
    return columns


def _lines(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """`(line, row)` of every whole line of a metrics file."""
    try:
        raw = path.read_bytes()
    except FileNotFoundError:
        return []
    lines = raw.splitlines(keepends=True)
    found = []
    for n, line in enumerate(lines, 1):
        try:
            row = json.loads(line)
            whole = line.endswith(b"\n") and isinstance(row, dict) and isinstance(row.get("step"), int)
        except ValueError:
            whole = False
        if whole:
            found.append((line, row))
        elif n < len(lines):
            raise RunFailure(f"{path}, line {n}: damaged, not a row of metrics. Remove that line to go on without it.")
    return found
