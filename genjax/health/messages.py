"""Which findings were reported already: each is reported when it begins and when it is over, not at every row."""

from collections import Counter, deque
from collections.abc import Mapping, Sequence
from typing import Any

from genjax.health.finding import TITLES, Finding
from genjax.health.judge import HOLD, judge

MOST = 3
"""How often one finding is reported in a run, at most, where it comes and goes."""
ALONE = -1
"""The member of a single run."""

_At = tuple[str, int]
"""A source of measurements and a member."""
_Key = tuple[str, int, str, str]
"""Source, member, code, where."""


class Telling:
    """Turns the findings of measurements into those worth reporting. It is small, and a checkpoint holds it (`stored`).

    Args:
        stored: of the session before; None for a new run.
    """

    def __init__(self, stored: Mapping[str, Any] | None = None):
        stored = stored or {}
        self.history: dict[_At, deque[list[Finding]]] = {}
        for source, member, recent in stored.get("recent", []):
            marks = [[_mark(*key) for key in keys] for keys in recent]
            self.history[source, member] = deque(marks, HOLD[source])
        self.open: dict[_Key, bool] = {_key(*k): told for *k, told in stored.get("open", [])}
        """Whether a finding that holds was told."""
        self.told: Counter[_Key] = Counter({_key(*k): n for *k, n in stored.get("told", [])})

    def see(self, source: str, findings: Sequence[Finding], member: int = ALONE) -> list[Finding]:
        """One more measurement's findings; what is to be told now: findings that begin, and those that are over."""
        hold = HOLD[source]
        recent = self.history.setdefault((source, member), deque(maxlen=hold))
        recent.append(list(findings))
        new = []
        for f in judge(list(recent), hold):
            key = (source, member, f.code, f.where)
            if key in self.open:
                continue
            self.open[key] = self.told[key] < MOST
            if self.open[key]:
                self.told[key] += 1
                new.append(f)
        lately = {(f.code, f.where) for found in recent for f in found}
        for key in [k for k in self.open if k[:2] == (source, member) and k[2:] not in lately]:
            if self.open.pop(key):
                says = f"Over: {TITLES[key[2]]} at {key[3]}, not seen in the last {hold} measurements."
                new.append(Finding(key[2], "over", key[3], None, says))
        return new

    def once(self, finding: Finding, member: int = ALONE) -> list[Finding]:
        """Reports a finding once in a run; it has no end."""
        key = ("steps", member, finding.code, finding.where)
        if self.told[key]:
            return []
        self.told[key] = 1
        return [finding]

    def stored(self) -> dict[str, Any]:
        """All of it as JSON; empty where nothing was ever found."""
        recent: list[list[Any]] = [
            [source, member, [[[f.code, f.where] for f in found] for found in marks]]
            for (source, member), marks in self.history.items()
        ]
        if not self.told and not any(any(marks) for *_, marks in recent):
            return {}
        told = [[*key, n] for key, n in self.told.items()]
        return {"recent": recent, "open": [[*key, t] for key, t in self.open.items()], "told": told}


def _mark(code: str, where: str) -> Finding:
    """Enough of an old finding to be recognised."""
    return Finding(code, "warning", where, None, "")


def _key(source: str, member: int, code: str, where: str) -> _Key:
    return source, member, code, where
