"""What a run carries from one session to the next besides its state: one value, with one way to JSON and one back."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from genjax.checked import Each, checked, number
from genjax.jsonfile import to_json
from genjax.metrics_log import numbers

Row = dict[str, Any]
"""Numbers, or a list over members for each metric of a population."""
FIELDS = {"pending?": [dict], "seconds?": number, "failed?": Each(str), "health?": dict}
"""Its form in a checkpoint."""


class Resume(NamedTuple):
    """Give it back to `fit`, with the state that it came with, and training goes on as if it had never stopped."""

    pending: list[Row] = []  # noqa: RUF012  (never mutated: NamedTuple default)
    """Per-step metrics since the last logged row: with them a resumed run logs the rows it would have logged."""
    seconds: float | int = 0.0
    """Wall-clock time spent on the run so far."""
    failed: dict[int, str] = {}  # noqa: RUF012  (never mutated: NamedTuple default)
    """Why members of a population failed, by their number."""
    health: dict[str, Any] | None = None
    """What the monitor remembers (`Monitor.stored`, as JSON); None where no monitor watched."""

    def to_json(self) -> dict[str, Any]:
        """The value as a checkpoint holds it, in JSON."""
        out = {"pending": to_json(self.pending), "seconds": self.seconds}
        if self.failed:
            out["failed"] = to_json(self.failed)
        if self.health is not None:
            out["health"] = to_json(self.health)
        return out

    @classmethod
    def from_json(cls, stored: Mapping[str, Any], where: object) -> "Resume":
        """Reads what `to_json` gave.

        Raises:
            UsageError: a field is not of its form; `where` names the checkpoint.
        """
        found = checked(dict(stored), FIELDS, where)
        failed = {int(i): why for i, why in found.get("failed", {}).items() if i.isdecimal()}
        return cls(list(numbers(found.get("pending", []))), found.get("seconds", 0.0), failed, found.get("health"))
