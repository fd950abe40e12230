"""What the monitor has to say: a finding, in plain words."""

from collections.abc import Mapping, Sequence
from typing import Any, Literal, NamedTuple

from genjax.checked import checked, number

Severity = Literal["serious", "warning", "over"]
"""`serious`: going on as it is will not help. `warning`: look at it. `over`: what was found before is gone."""

TITLES = {
    "non_finite": "a number that is not finite",
    "updates_skipped": "skipped updates",
    "posterior_collapse": "posterior collapse",
    "logits_explode": "exploding logits",
    "logits_vanish": "vanishing logits",
    "discriminator_wins": "a discriminator that has won",
    "discriminator_overfits": "an overfitting discriminator",
    "mode_collapse": "mode collapse",
    "samples_far": "samples far from the data",
    "dead_units": "dead units",
    "gradient_vanishes": "a vanishing gradient",
    "updates_too_large": "updates too large for their parameters",
    "updates_too_small": "updates too small for their parameters",
}
"""Every finding there is, by its code."""
TOLD = 3
"""Members named before the others are counted."""


class Finding(NamedTuple):
    """Something wrong with a run.

    Example:
        >>> Finding("dead_units", "warning", "g/stem/bias", 0.75, "3 in 4 units are dead.", "a smaller step").line(100)
        'health, step 100: 3 in 4 units are dead. Try a smaller step.'
    """

    code: str
    """What kind, a key of `TITLES`."""
    severity: Severity
    where: str
    """The metric, layer or parameter."""
    value: float | int | None
    """The measured number that is out of bounds; None for a finding that is over."""
    says: str
    """A sentence or two on what is the matter."""
    try_: str = ""
    """What may help, as half a sentence after "Try"."""
    members: tuple[int, ...] = ()
    """The members of a population that it concerns; empty for a single run."""
    sure: bool = False
    """Whether one measurement is enough to tell it."""
    apart: bool = False
    """Whether it is of a grid that the uninterrupted run does not have: a run that goes on forgets it."""

    def line(self, step: int) -> str:
        """The finding as a line of a log."""
        who = f"{format_members(self.members)}: " if self.members else ""
        return f"health, step {step}: {who}{self.says}" + (f" Try {self.try_}." if self.try_ else "")

    def stored(self) -> dict[str, Any]:
        """The finding as `metrics.jsonl` holds it."""
        value = {} if self.value is None else {"value": float(self.value)}
        advice = {"try": self.try_} if self.try_ else {}
        who: dict[str, Any] = {"members": list(self.members)} if self.members else {}
        who |= {"apart": True} if self.apart else {}
        fixed = {"code": self.code, "severity": self.severity, "where": self.where}
        return {**fixed, **value, "says": self.says, **advice, **who}


def found(stored: Mapping[str, Any]) -> Finding:
    """The finding from what `Finding.stored` wrote.

    Raises:
        UsageError: it is none.
    """
    checked(stored, FIELDS, "a finding")
    rest = (stored.get("value"), stored["says"], stored.get("try", ""), tuple(stored.get("members", ())))
    return Finding(stored["code"], stored["severity"], stored["where"], *rest)


FIELDS = {"code": str, "severity": str, "where": str, "says": str, "value?": number, "try?": str, "members?": [int]}
"""What is stored of a finding; see `genjax.checked`."""


def format_members(members: Sequence[int]) -> str:
    """A few members by number, and how many more there are.

    Example:
        >>> format_members([4]), format_members([0, 1, 2, 7, 9])
        ('member 4', 'members 0, 1, 2 and 2 more')
    """
    if len(members) == 1:
        return f"member {members[0]}"
    more = f" and {len(members) - TOLD} more" if len(members) > TOLD else ""
    return f"members {', '.join(map(str, members[:TOLD]))}{more}"


def folded(each: Sequence[tuple[int | None, Finding]]) -> list[Finding]:
    """What several members have in common as one finding, told in the first one's numbers."""
    groups: dict[tuple[str, str, str], list[tuple[int | None, Finding]]] = {}
    for member, f in each:
        groups.setdefault((f.code, f.where, f.severity), []).append((member, f))
    return [same[0][1]._replace(members=tuple(m for m, _ in same if m is not None)) for same in groups.values()]


def share_of(stored: Sequence[Mapping[str, Any]], member: int) -> list[dict[str, Any]]:
    """One member's share of a population's stored findings, as a run of its own would have them."""
    mine = [f for f in stored if member in f.get("members", ())]
    return [{k: v for k, v in f.items() if k != "members"} for f in mine]
