"""What a run's folder says of its health."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from genjax.checked import checked
from genjax.errors import RunFailure, UsageError
from genjax.health.finding import FIELDS, Finding, found, share_of
from genjax.metrics_log import read_rows


class Said(NamedTuple):
    """A finding and the step of the row that it came with."""

    step: int
    finding: Finding


def read_findings(metrics: Path, member: int | None = None) -> tuple[Said, ...]:
    """The findings in a run's `metrics.jsonl`, in the order of its rows; for a population all, or one member's."""
    rows = [(row["step"], row.get("health", [])) for row in read_rows(metrics)]
    try:
        for _, said in rows:
            checked(said, [FIELDS], "health")
    except UsageError as e:
        raise RunFailure(f"{metrics}: a row is damaged: its {e}") from None
    each = [(step, said if member is None else share_of(said, member)) for step, said in rows]
    return tuple(Said(step, found(f)) for step, said in each for f in said)


def still_open(findings: Sequence[Said]) -> list[Said]:
    """The findings that were still open when the log ends, each as it was last reported."""
    last: dict[tuple[Any, ...], Said] = {}
    for s in findings:
        for member in s.finding.members or (None,):
            last[s.finding.code, s.finding.where, member] = s
    return list(dict.fromkeys(s for s in last.values() if s.finding.severity != "over"))
