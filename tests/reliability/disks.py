"""Small and read-only disks for tests; skipped, with the reason, where mounting is not allowed."""

import contextlib
import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest


@contextlib.contextmanager
def small(path: Path, megabytes: float) -> Iterator[Path]:
    """A disk of that size at `path`."""
    path.mkdir()
    with _mounted(path, "-t", "tmpfs", "-o", f"size={int(megabytes * 1024)}k", "tmpfs", str(path)):
        yield path


@contextlib.contextmanager
def read_only(path: Path) -> Iterator[Path]:
    """A disk that cannot be written at `path`."""
    path.mkdir()
    with _mounted(path, "-t", "tmpfs", "-o", "ro,size=64k", "tmpfs", str(path)):
        yield path


@contextlib.contextmanager
def _mounted(path: Path, *arguments: str) -> Iterator[None]:
    if os.geteuid() != 0 or not shutil.which("mount"):
        pytest.skip("mounting a small disk needs root")
    done = subprocess.run(["mount", *arguments], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip(f"mounting is not allowed here: {done.stderr.strip()}")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(path)], check=True)


def fill(disk: Path) -> Path:
    """Fill a disk to its last byte; the file to remove for room."""
    ballast = disk / "ballast"
    with ballast.open("wb", buffering=0) as f, contextlib.suppress(OSError):
        while f.write(b"\0" * 4096) == 4096:
            pass
    return ballast
