"""`eval.json`, the records of a run, and which checkpoints they are of."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from genjax.checked import checked
from genjax.checkpoint import folders
from genjax.errors import UsageError
from genjax.files import locked
from genjax.jsonfile import read_json, write_json
from genjax.measure.merging import merged, outdated
from genjax.metrics.protocol import Record, from_json
from genjax.runs import run_folder
from genjax.runs.validation import PREFIX

EVAL = "eval.json"
FORMAT = 1


def read_eval(run: str | os.PathLike[str]) -> list[Record]:
    """The records of a run's `eval.json`; empty where there is no such file.

    Raises:
        UsageError: it is damaged, or of another genjax.
    """
    path = Path(run) / EVAL
    stored = read_json(path)
    if stored is None:
        return []
    if not isinstance(stored, dict) or stored.get("format") != FORMAT or not isinstance(stored.get("records"), list):
        raise UsageError(f"{path}: not of format {FORMAT}, which this genjax reads. Move it away to measure.")
    checked(stored, {"records": [dict]}, path)
    try:
        return [from_json(r) for r in stored["records"]]
    except UsageError as e:
        raise UsageError(f"{path}: {e}") from None


class Kept(NamedTuple):
    """What `eval.json` holds after records were added."""

    records: list[Record]
    gone: list[Record]
    """Taken out: they were measured against images that the reference no longer has."""


def add_records(run: str | os.PathLike[str], new: Sequence[Record], session: dict[str, Any]) -> Kept:
    """Put records into a run's `eval.json`, whole or not at all.

    Args:
        run: the folder.
        new: they take the place of old ones measured alike.
        session: when, where and how long: apart from the records, which repeat to the bit.

    Raises:
        UsageError: the old file is damaged, or of another genjax.
        RunFailure: it cannot be written; the old file is as it was.
    """
    path = Path(run) / EVAL
    with locked(path):
        old = read_eval(run)
        records = merged(old, list(new))
        write_json(path, {"format": FORMAT, "records": [r.to_json() for r in records], "session": session})
    return Kept(records, outdated(old, list(new)))


def best_of(run: str | os.PathLike[str]) -> tuple[int, str] | None:
    """`(step, "max:val/elbo")` of the checkpoint that was best on validation, never on anything else; None for none."""
    options = (run_folder.read_config(run) or {}).get("options", {})
    how, _, metric = str(options.get("keep_best", "")).partition(":")
    if how not in ("min", "max") or not metric.startswith(PREFIX):
        return None
    step = folders.best(folders.resolved(Path(run) / "checkpoints"), f"{how}:{metric}")
    return None if step is None else (step, f"{how}:{metric}")
