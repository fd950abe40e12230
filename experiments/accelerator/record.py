"""Records of parts: written whole or not at all, a row at a time, and continued by another session of the same code."""

import json
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from experiments.accelerator.driver import one_line
from genjax.files import write_atomically

SAME = ("device_kind", "device_count", "genjax_sha256", "jax", "python")
"""What must be equal for the rows of an earlier session to count."""
AGAIN = {"failed", "partial"}
"""What a row has that another session measures again."""
Row = dict[str, Any]


def folder_of(out: Path, device_kind: str) -> Path:
    """Where the records of a device are.

    Example:
        >>> folder_of(Path("results"), "NVIDIA H100 80GB HBM3").name
        'nvidia-h100-80gb-hbm3'
    """
    return out / re.sub(r"[^a-z0-9]+", "-", device_kind.lower()).strip("-")


class Record:
    """The record of one part on one device, on the disk with every row that is added.

    Args:
        folder: of the device's records.
        part: its name.
        stamp: what was measured where: device, versions, commit.
        seconds: until the part is to begin nothing new.
        clock: seconds from some moment on.
    """

    def __init__(
        self, folder: Path, part: str, stamp: Row, seconds: float, clock: Callable[[], float] = time.monotonic
    ):
        self.path, self.folder, self.stamp, self.clock = folder / f"{part}.json", folder, stamp, clock
        self.began, self.end = clock(), clock() + seconds
        before = read(self.path)
        same = before.get("stamp") is not None and all(before["stamp"].get(k) == stamp.get(k) for k in SAME)
        self.rows: dict[str, Row] = before["rows"] if same else {}
        self.before = before["seconds"] if same else 0.0
        self.left_out: list[str] = []
        self.part = part
        self.write("running")

    def left(self) -> float:
        """Seconds until nothing new is to begin."""
        return self.end - self.clock()

    def wants(self, name: str) -> bool:
        """Whether a row is to be measured now: it is not there whole, and there is time. One without time is noted."""
        if name in self.rows and not AGAIN & set(self.rows[name]):
            return False
        if self.left() <= 0:
            self.left_out.append(name)
            return False
        return True

    def add(self, name: str, row: Row) -> None:
        """A row, on the disk at once, and printed."""
        self.rows[name] = row
        self.write("running")
        print(f"{self.part} {name}: {json.dumps(row)[:400]}", flush=True)

    def measure(self, name: str, of: Callable[[], Row]) -> None:
        """The row that `of` measures, where it is wanted; what it raises is recorded as its failure."""
        if self.wants(name):
            with self.failing(name):
                began = self.clock()
                row = of()
                self.add(name, {**row, "seconds": round(self.clock() - began, 2)})

    @contextmanager
    def failing(self, name: str) -> Iterator[None]:
        """Records what is raised within as the failure of a row."""
        try:
            yield
        except Exception as e:
            self.add(name, {"failed": one_line(e)})

    def finish(self, status: str = "", reason: str = "") -> tuple[str, str]:
        """The record's end: done, else failed where a row failed, out of time where rows were left out."""
        failed = {name: row["failed"] for name, row in self.rows.items() if "failed" in row}
        each = (
            [f"{len(failed)} of {len(self.rows)} rows: {'; '.join(map(': '.join, failed.items()))}"] if failed else []
        )
        each += [f"no time for {', '.join(self.left_out)}"] if self.left_out else []
        if not status:
            status, reason = "failed" if failed else "out of time" if each else "done", "; ".join(each)
        self.write(status, reason)
        return status, reason

    def write(self, status: str, reason: str = "") -> None:
        """The whole record, atomically."""
        whole = {
            "part": self.part,
            "status": status,
            "reason": reason,
            "seconds": round(self.before + self.clock() - self.began, 2),
            "stamp": self.stamp,
            "rows": self.rows,
            "left_out": self.left_out,
        }
        self.path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(self.path, (json.dumps(whole, indent=1) + "\n").encode())


def read(path: Path) -> Row:
    """A record; empty where there is none that can be read."""
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return found if isinstance(found, dict) and isinstance(found.get("rows"), dict) else {}
