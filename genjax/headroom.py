"""How much memory there is, and refusing what would not fit before it is begun. Standard library only."""

from pathlib import Path

from genjax.errors import UsageError

COPIES = 3
"""A training state is in memory so often: as it is, as it becomes, and as it is saved."""
SAMPLE_COPIES = 4
"""So are samples: as they are drawn, in one array, as a picture, and as the file."""
SMALL = 64 * 2**20
"""Bytes for which `check` does not look."""
MOST_MEMBERS = 100_000
"""Most members of a population."""


def available() -> int | None:
    """Bytes of memory that this process may still take: the machine's, or its control group's; None for unknown."""
    found = [n for n in (_machine(), _group()) if n is not None]
    return min(found, default=None)


def refuse_beyond(flag: str, each: int, n: int, what: str, have: int | None = None) -> None:
    """Refuse n things of `each` bytes that do not fit.

    Args:
        flag: what asks for them, `--n=64`.
        each: bytes of one, all its copies included.
        n: how many.
        what: they are, as half a sentence: "images of 28x28x1".
        have: bytes that there are; None for this machine's.

    Raises:
        UsageError: with the estimate, and how many do fit.
    """
    have = available() if have is None else have
    if have is None or each * n <= have:
        return
    fits = have // max(each, 1)
    most = f"At most {fits:,} fit." if fits else "Not one of them fits: choose a smaller one."
    raise UsageError(f"{flag}: {n:,} {what} need about {size(each * n)} of memory, {size(have)} are free.\n{most}")


def check(n_bytes: float | int, what: str, remedy: str) -> None:
    """Refuse one piece of work that needs more memory than there is, before it begins.

    Args:
        n_bytes: what it will need at its peak.
        what: the work, as the subject of a sentence.
        remedy: what makes it smaller.

    Raises:
        UsageError: there is less; with both numbers.
    """
    if n_bytes > SMALL and (have := available()) is not None and n_bytes > have:
        raise UsageError(f"{what}: needs {size(n_bytes)} of memory, {size(have)} are free.\n{remedy}")


def size(n_bytes: float | int) -> str:
    """A number of bytes for people.

    Example:
        >>> size(3_100_000), size(64e9)
        ('3.1 MB', '64 GB')
    """
    for unit in ("B", "kB", "MB", "GB", "TB"):
        if n_bytes < 1000:
            return f"{n_bytes:.3g} {unit}"
        n_bytes /= 1000
    return f"{n_bytes:,.0f} PB"


def _machine() -> int | None:
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration, ValueError, IndexError):
        return None


def _group(root: Path = Path("/sys/fs/cgroup")) -> int | None:
    """What a container or a job may still take; pages of files that it has read are given back when asked for."""
    new = ("memory.max", "memory.current", "memory.stat", "inactive_file")
    old = ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat", "total_inactive_file")
    for most, now, about, name in (new, old):
        try:
            used = int((root / now).read_text()) - _pages(root / about, name)
            return max(0, int((root / most).read_text()) - used)
        except (OSError, ValueError):  # not there, or `max`: no limit
            continue
    return None


def _pages(about: Path, name: str) -> int:
    try:
        return int(dict(line.split() for line in about.read_text().splitlines()).get(name, 0))
    except (OSError, ValueError):
        return 0
