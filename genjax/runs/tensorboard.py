"""TensorBoard's event files, written in the loop's own thread; what cannot be written is said once and stops no run."""

import importlib
import os
import socket
import struct
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from genjax.errors import UsageError


class Board:
    """One more event file in a folder. Every row is in it, whole, when `row` returns.

    tensorboardX gives the formats; its writer is not used, because its thread dies of a full disk, and what is then put
    into its queue waits without end.

    Args:
        folder: made where there is none.
        at: the step that the run goes on from: TensorBoard forgets what other files have of later ones.
        say: shows a person a line.
    """

    def __init__(self, folder: Path, at: int, say: Callable[[str], Any]):
        self.failed = ""
        """Why nothing more is written; empty where all is well."""
        self._say, self._fd = say, -1
        name = f"events.out.tfevents.{time.time_ns() // 10**6:013d}.{socket.gethostname()}"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._fd = os.open(folder / name, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
        except OSError as e:
            self._give_up(e)
        now = time.time()
        pb = _formats()
        again = pb.SessionLog(status=pb.SessionLog.START)
        self._write(pb.Event(wall_time=now, file_version="brain.Event:2"))
        self._write(pb.Event(wall_time=now, step=at + 1, session_log=again))

    def row(self, step: int, values: Mapping[str, float | int]) -> None:
        """The numbers of a logged row."""
        event = _formats().Event(wall_time=time.time(), step=step)
        for name, v in values.items():
            event.summary.value.add(tag=name, simple_value=float(v))
        self._write(event)

    def close(self) -> None:
        """Close the file. Safe to repeat."""
        fd, self._fd = self._fd, -1
        if fd >= 0:
            os.close(fd)

    def _write(self, event: Any) -> None:
        if self._fd < 0:
            return
        content = _framed(event.SerializeToString())
        size = os.fstat(self._fd).st_size
        try:
            if os.write(self._fd, content) < len(content):
                raise OSError("there is no space left")
        except OSError as e:
            os.ftruncate(self._fd, size)
            self._give_up(e)

    def _give_up(self, e: OSError) -> None:
        self.failed = str(e.strerror or e)
        self._say(f"TensorBoard's files cannot be written ({self.failed}); training goes on without them.")
        self.close()


def check(wanted: bool) -> None:
    """Refuse `--tensorboard` where what it needs is not installed."""
    if not wanted:
        return
    try:
        import tensorboardX  # noqa: F401
    except ImportError:
        raise UsageError("--tensorboard needs tensorboardX: pip install tensorboardX (the extra `logs`).") from None


def _formats() -> Any:
    """tensorboardX's messages, whose classes are made as they are imported."""
    return importlib.import_module("tensorboardX.proto.event_pb2")


def _framed(content: bytes) -> bytes:
    """A record of a TFRecord file: length and content, each with its masked CRC-32C."""
    from tensorboardX.crc32c import crc32c

    def masked(part: bytes) -> bytes:
        crc = crc32c(part)
        return struct.pack("<I", (((crc >> 15) | (crc << 17)) + 0xA282EAD8) & 0xFFFFFFFF)

    length = struct.pack("<Q", len(content))
    return length + masked(length) + content + masked(content)
