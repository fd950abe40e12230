"""Processes that are started, asked line by line, and ended in time."""

import contextlib
import json
import os
import queue
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from typing import Any

from experiments.accelerator.context import ROOT


class Gone(Exception):
    """A process ended, or did not answer in time."""


def environment(**more: str) -> dict[str, str]:
    """The environment of a child: this checkout's genjax, memory taken as needed, and `more`."""
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    return os.environ | {"PYTHONPATH": path, "XLA_PYTHON_CLIENT_PREALLOCATE": "false", **more}


def run(words: Sequence[str], seconds: float, **more: str) -> str:
    """What a Python process prints.

    Raises:
        Gone: it failed, or took longer; with the last line it said.
    """
    command = [sys.executable, *words]
    try:
        done = subprocess.run(command, env=environment(**more), capture_output=True, text=True, timeout=seconds)
    except subprocess.TimeoutExpired:
        raise Gone(f"{' '.join(words[:4])}: not done in {seconds:.0f} s") from None
    if done.returncode:
        raise Gone(f"{' '.join(words[:4])}: {last_line(done.stderr) or f'exit code {done.returncode}'}")
    return done.stdout


def last_line(text: str) -> str:
    """The last line that says something."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return lines[-1][:200] if lines else ""


class Worker:
    """A process that speaks the bench's protocol."""

    def __init__(self, words: Sequence[str], more: Mapping[str, str] | None = None):
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  (goes with the worker)
        self.process = subprocess.Popen(
            [sys.executable, *words], env=environment(**(more or {})), text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors,
        )  # fmt: skip
        self.lines: queue.Queue[str | None] = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.lines.put(line)
        self.lines.put(None)

    def hear(self, keys: str | tuple[str, ...], seconds: float) -> dict[str, Any]:
        """The next message that has a key, or one of several.

        Raises:
            Gone: it ended or was silent for so long.
        """
        wanted = {keys} if isinstance(keys, str) else set(keys)
        end = time.monotonic() + seconds
        while True:
            try:
                line = self.lines.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise Gone(f"no answer in {seconds:.0f} s") from None
            if line is None:
                raise Gone(self._why())
            if line.startswith("{") and wanted & set(message := json.loads(line)):
                return message

    def ask(self, line: str, key: str, seconds: float) -> dict[str, Any]:
        """Says a line and hears the answer."""
        self.say(line)
        return self.hear(key, seconds)

    def say(self, line: str) -> None:
        """Says a line; its answer is heard later."""
        assert self.process.stdin is not None
        try:
            print(line, file=self.process.stdin, flush=True)
        except OSError:
            raise Gone(self._why()) from None

    def _why(self) -> str:
        self.process.wait()
        self.errors.seek(0)
        return last_line(self.errors.read()) or f"exit code {self.process.returncode}"

    def stop(self) -> None:
        """Ends it."""
        self.process.kill()
        self.process.wait()
        for stream in (self.process.stdin, self.process.stdout, self.errors):
            if stream is not None:
                with contextlib.suppress(OSError):
                    stream.close()
