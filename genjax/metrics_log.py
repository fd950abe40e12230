"""`metrics.jsonl`: a row of numbers per log point, appended while a run works, cut back when it resumes."""

import errno
import itertools
import json
import math
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any

import numpy as np

from genjax.checked import LARGEST_FILE, is_number
from genjax.errors import RunFailure
from genjax.files import failed_write, write_atomically
from genjax.jsonfile import to_json

RENAMED = {"images_per_s": "examples_per_s"}
"""What rows of older runs call a number, and what it is called now."""
NUMBERS = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}
"""What `to_json` writes for numbers that JSON has no word for."""


class MetricsLog:
    """`metrics.jsonl`, open for appending: one row a line, complete in the kernel when `append` returns.

    A kill costs at most the line being written, which opening again removes. Call `sync` before a checkpoint is
    saved, so that no machine crash leaves a checkpoint without the rows before it.

    Args:
        path: the file, made when missing.

    Raises:
        RunFailure: it cannot be written, or a line within it is damaged. Any method that writes raises it, too, where
            the path has come to lead to another file.
    """

    def __init__(self, path: str | os.PathLike[str]):
        self.path = Path(path)
        try:
            self._fd = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o644)
            whole = sum(len(line) for line, _ in _lines(self.path))
            if os.fstat(self._fd).st_nlink > 1:  # a copy by hard links (cp -al) has the same file
                self._replace([line for line, _ in _lines(self.path)])
            elif os.fstat(self._fd).st_size != whole:
                os.ftruncate(self._fd, whole)
        except OSError as e:
            raise failed_write(self.path, 0, e) from e

    def append(self, row: Mapping[str, Any]) -> None:
        """Add a row, which has an integer `step`.

        Raises:
            RunFailure: the disk is full or fails; nothing of the row is in the file then.
        """
        self._check()
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

    def amend(self, row: Mapping[str, Any]) -> None:
        """Put `row` in the place of the last one, which is of the same step; who reads finds the one or the other."""
        kept = [line for line, old in _lines(self.path) if old["step"] < row["step"]]
        self._replace([*kept, (json.dumps(to_json(row), allow_nan=False) + "\n").encode()])

    def truncate_to(self, keep: Callable[[int], bool]) -> None:
        """Keep the rows whose step satisfies `keep`, byte for byte: what was logged after the restored step goes.

        The file is replaced whole or not at all.
        """
        rows = list(_lines(self.path))
        kept = [line for line, row in rows if keep(row["step"])]
        if len(kept) < len(rows):
            self._replace(kept)

    def _check(self) -> None:
        """Refuse to write where the path no longer leads to the open file: it, or its folder, was moved or replaced."""
        try:
            same = os.path.samestat(os.lstat(self.path), os.fstat(self._fd))
        except OSError:
            same = False
        if not same:
            raise RunFailure(
                f"{self.path} is no longer the file that this process writes: it, or the folder, was moved or replaced "
                "meanwhile. Nothing was written into what is there now."
            )

    def _replace(self, lines: Sequence[bytes]) -> None:
        self._check()
        write_atomically(self.path, b"".join(lines))
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
    return [numbers(row) for _, row in _lines(Path(path))]


def numbers(value: Any) -> Any:
    """What `to_json` made of numbers, or of lists and dicts of them, as they were."""
    if isinstance(value, dict):
        return {k: numbers(v) for k, v in value.items()}
    if isinstance(value, list):
        return [numbers(v) for v in value]
    return NUMBERS.get(value, value) if isinstance(value, str) else value


def flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with a number a name: member i's loss is `loss/i`. Only numbers are taken."""
    row = {k: v for k, v in row.items() if _numeric(v)}
    each = {k: {f"{k}/{i}": x for i, x in enumerate(v)} if isinstance(v, list) else {k: v} for k, v in row.items()}
    return {k: v for part in each.values() for k, v in part.items()}


def over_members(row: Mapping[str, Any]) -> dict[str, Any]:
    """A row with the mean over the members whose number is finite, NaN where none is. Only numbers are taken."""

    def mean(v: Any) -> Any:
        finite = [x for x in v if math.isfinite(x)] if isinstance(v, list) else [v]
        return v if not isinstance(v, list) else sum(finite) / len(finite) if finite else math.nan

    return {k: mean(v) for k, v in row.items() if _numeric(v)}


def last_part(name: str) -> str:
    """A metric's name without its move's: `vae/elbo` is an `elbo`.

    Example:
        >>> last_part("vae/elbo"), last_part("elbo"), last_part("val/d/loss")
        ('elbo', 'elbo', 'loss')
    """
    return name.rpartition("/")[2]


def plain_names(names: Iterable[str]) -> dict[str, str]:
    """What a game's metrics would be called if it had two moves, `d` and `g`, beside what they are called.

    The discriminator's move is the one with a `real_logit`. Of moves that share a name the first has it (`g.0`). A lazy
    penalty, a move named as the discriminator's or `penalty`, is the discriminator's penalty.

    Example:
        >>> plain_names(["d.0/real_logit", "d.0/loss", "d.1/loss", "d.1/penalty", "g/loss"])
        ... # doctest: +NORMALIZE_WHITESPACE
        {'d.0/real_logit': 'd/real_logit', 'd.0/loss': 'd/loss', 'd.1/loss': 'd.1/loss', 'd.1/penalty': 'd/penalty',
         'g/loss': 'g/loss'}
    """
    names = list(names)
    player = next((n.rpartition("/")[0] for n in names if n.endswith("/real_logit")), "")
    if not player:
        return {n: n for n in names}
    moves = {n.rpartition("/")[0] for n in names}
    lazy = [m for m in moves if m == "penalty" or m.partition(".")[0] == player.partition(".")[0]]
    penalties = sorted(f"{m}/penalty" for m in lazy if f"{m}/penalty" in names)
    of = {m: "d" if m == player else m.removesuffix(".0") for m in moves}
    plain = {n: "/".join(filter(None, (of[n.rpartition("/")[0]], last_part(n)))) for n in names}
    return plain | dict.fromkeys(penalties[:1], "d/penalty")


def columns(rows: Sequence[Mapping[str, Any]]) -> dict[str, np.ndarray]:
    """Rows as one array a name, float64 with NaN where a row has none; `step` is int64. Only numbers are taken.

    Of a population's metrics, lists over members, the arrays are [rows, members].

    Example:
        >>> columns([{"step": 1, "loss": 0.5}, {"step": 2, "elbo": -3.0}])["loss"].tolist()
        [0.5, nan]
    """
    sizes = {n: len(v) if isinstance(v, list) else 0 for row in rows for n, v in row.items() if _numeric(v)}
    none = {n: [math.nan] * size if size else math.nan for n, size in sizes.items()}
    arrays: dict[str, np.ndarray] = {n: np.array([r.get(n, none[n]) for r in rows], np.float64) for n in sizes}
    arrays["step"] = np.array([r["step"] for r in rows], np.int64)
    return arrays


def _numeric(v: Any) -> bool:
    return all(isinstance(x, int | float) for x in (v if isinstance(v, list) else [v]))


def _lines(path: Path) -> list[tuple[bytes, dict[str, Any]]]:
    """`(line, row)` of every whole line of a metrics file.

    Raises:
        RunFailure: a line before the last is not a row, or what it has under a name does not go with the rows before.
    """
    found: list[tuple[bytes, dict[str, Any]]] = []
    sizes: dict[str, str] = {}
    try:
        with path.open("rb") as f:
            for n in itertools.count(1):
                if not (line := f.readline(LARGEST_FILE)):
                    return found
                row, wrong = _row(line, sizes)
                if row is not None:
                    found.append((line, row))
                elif wrong or f.read(1):
                    what = wrong or "not a row of metrics"
                    raise RunFailure(f"{path}, line {n}: damaged, {what}. Remove that line to go on without it.")
    except FileNotFoundError:
        pass
    except OSError as e:
        raise RunFailure(f"{path} cannot be read: {e.strerror or e}.") from e
    return found


def _row(line: bytes, sizes: dict[str, str]) -> tuple[dict[str, Any] | None, str]:
    """`(row, "")`, or None and what is wrong with a whole row; a torn line has nothing wrong.

    `sizes` holds what each name has had in the rows before.
    """
    try:
        row = json.loads(line)
    except (ValueError, RecursionError):
        return None, ""
    if not line.endswith(b"\n") or not isinstance(row, dict):
        return None, ""
    row = {RENAMED.get(k, k): v for k, v in row.items()}
    step = row.get("step")
    if not isinstance(step, int) or isinstance(step, bool) or not 0 <= step < 2**53:
        return None, ""
    for name, v in row.items():
        if name == "health":
            continue
        listed = isinstance(v, list)
        what = "the numbers of one run"
        if listed:
            what = f"the numbers of {len(v)} members"
        if not all(map(is_number, v if listed else [v])):
            if listed or isinstance(v, int | float) or name in ("seconds", "examples_per_s"):
                return None, f"{name!a} is no number"
            what = "no numbers"
        if sizes.setdefault(name, what) != what:
            return None, f"{name!a} has {what}, in rows before {sizes[name]}"
    return row, ""
