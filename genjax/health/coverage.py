"""What the monitor could look at, and what not and why: without that, "nothing found" says nothing."""

from collections.abc import Mapping, Sequence
from typing import Any

from genjax.health import judge
from genjax.health.finding import TITLES, Finding
from genjax.health.judge import HOLD, YOUNG

NEEDED = {"rows": HOLD["rows"], "pictures": 2, "probe": HOLD["probe"]}
"""Measurements of each source without which it judges nothing; of grids one from step `YOUNG` on is enough."""
NAMES = {"rows": "the metrics", "pictures": "the samples", "probe": "the model from within"}
UNITS = {"rows": "row", "pictures": "grid", "probe": "look"}


class Looked:
    """Counts the measurements that were judged, and keeps why some are not to be had. A checkpoint holds it.

    Args:
        stored: of the session before.
    """

    def __init__(self, stored: Mapping[str, Any] | None = None):
        stored = stored or {}
        self.judged: dict[str, int] = {k: int(stored.get("judged", {}).get(k, 0)) for k in NEEDED}
        self.apart = 0
        """Step of a grid that the uninterrupted run does not have: judged, and not counted for a run that goes on."""
        self.cannot: dict[str, str] = dict(stored.get("cannot", {}))
        """What cannot be judged however long the run is, and why."""

    def grid(self, step: int) -> None:
        """A grid was judged; a late one counts as two."""
        self.judged["pictures"] += 1 + (step >= YOUNG)

    def stored(self) -> dict[str, Any]:
        """All of it as JSON."""
        return {"judged": self.judged, **({"apart": self.apart} if self.apart else {}), "cannot": self.cannot}


def missing(looked: Mapping[str, Any], step: int) -> tuple[dict[str, str], dict[str, str]]:
    """What could not be judged of a run, with the reasons: for want of steps or time, and for other reasons.

    Args:
        looked: `Looked.stored()`; empty for a run that has saved nothing.
        step: that the run has reached.
    """
    judged, cannot = dict(looked.get("judged", {})), dict(looked.get("cannot", {}))
    if apart := looked.get("apart", 0):
        judged["pictures"] = judged.get("pictures", 0) + 1 + (apart >= YOUNG)
    short = {}
    for source, least in NEEDED.items():
        n = judged.get(source, 0)
        if n >= least or NAMES[source] in cannot:
            continue
        if step < judge.SETTLED:
            short[NAMES[source]] = f"from step {judge.SETTLED} on"
        elif source == "probe":
            short[NAMES[source]] = f"2 % of the run's time allowed {n or 'no'} look{'s' * (n > 1)}, two are needed"
        else:
            short[NAMES[source]] = (
                f"{n or 'no'} {UNITS[source]}{'s' * (n > 1)} since step {judge.SETTLED}, {least} needed"
            )
    return short, cannot


def verdict(looked: Mapping[str, Any], findings: Sequence[Finding], step: int) -> str:
    """What a run's health is, in a sentence or two, without a full stop at the end.

    "Nothing found" is said only where every check could look.

    Args:
        looked: `Looked.stored()`.
        findings: those that still hold.
        step: that the run has reached.

    Example:
        >>> verdict({}, (), 60)
        'too short to judge: 60 steps, and only numbers that are not finite are judged before step 300'
        >>> verdict({"judged": {"rows": 9, "pictures": 4, "probe": 2}}, (), 2000)
        'nothing found in 2,000 steps'
    """
    short, cannot = missing(looked, step)
    seen = [name for name in NAMES.values() if name not in short and name not in cannot]
    if findings:
        named = ", ".join(dict.fromkeys(TITLES[f.code] for f in findings))
        said = f"{len(findings)} finding{'s' * (len(findings) > 1)} still hold{'s' * (len(findings) == 1)}: {named}"
    elif step < judge.SETTLED:
        return (
            f"too short to judge: {step:,} step{'s' * (step != 1)}, and only numbers that are not finite are judged "
            f"before step {judge.SETTLED}"
        )
    elif not short and not cannot:
        return f"nothing found in {step:,} steps"
    else:
        said = f"nothing found in {' and '.join(seen)}" if seen else ""
    parts = [
        said,
        f"too short to judge: {_listed(short)}" if short else "",
        f"not judged: {_listed(cannot)}" * bool(cannot),
    ]
    first, *rest = filter(None, parts)
    return ". ".join([first, *(p[0].upper() + p[1:] for p in rest)])


def _listed(reasons: Mapping[str, str]) -> str:
    return "; ".join(f"{what} ({why})" for what, why in reasons.items())
