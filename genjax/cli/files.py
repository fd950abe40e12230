"""What commands that write files share: suffixes, ranges, names. `genjax.files` writes them."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from genjax.errors import UsageError
from genjax.files import refuse_part_of_a_run
from genjax.trust import Access


def suffix_of(out: str, allowed: Sequence[str]) -> str:
    """The suffix of a file to be written, which must be one of `allowed`; no part of a run's folder is."""
    refuse_part_of_a_run(out)
    suffix = Path(out).suffix.lower()
    if suffix not in allowed:
        raise UsageError(f"--out={out}: write a file that ends in {' or '.join(allowed)}.")
    return suffix


def check_range(name: str, value: int, least: int) -> None:
    """Refuse a whole number that is below `least` or beyond what the device counts in."""
    if not least <= value < 2**31:  # 32 bits on the device
        raise UsageError(f"--{name}={value}: must be at least {least}{', and below 2**31' * (value > least)}.")


def check_data(run: Any, access: Access) -> None:
    """Refuse `--data` that is not what the run was trained on; nothing is read where it was not given."""
    if access.data is not None:
        from genjax.runs.dataset import dataset_of_run

        dataset_of_run(run, access)


def describe_run(run: Any) -> str:
    """A run in words: its name, and its member where it is one of several."""
    return run.name if run.member is None else f"{run.name}, {run.members.name(run.member)},"
