"""Who is in a run of several members, as its folder tells, recipe or not."""

import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from genjax.runs.sample_grids import member_folder


class Member(NamedTuple):
    """A member as its run's `config.json` describes it."""

    index: int
    seed: int
    values: dict[str, float]
    """The values of the swept fields."""

    @property
    def point(self) -> str:
        return ", ".join(f"{k} {v:g}" for k, v in self.values.items())


def members(stored: Mapping[str, Any] | None) -> tuple[Member, ...]:
    """The members of a stored population; none of a single run.

    Example:
        >>> [m.point for m in members({"seeds": [0], "sweep": {"beta": [0.5, 4.0]}})]
        ['beta 0.5', 'beta 4']
    """
    if not stored:
        return ()
    points = [dict(zip(stored["sweep"], at, strict=True)) for at in itertools.product(*stored["sweep"].values())]
    each = [(seed, values) for values in points for seed in stored["seeds"]]
    return tuple(Member(i, seed, values) for i, (seed, values) in enumerate(each))


def groups(who: Sequence[Member]) -> dict[str, list[int]]:
    """Members by point of the sweep: within a group only the seed differs."""
    found: dict[str, list[int]] = {}
    for m in who:
        found.setdefault(m.point, []).append(m.index)
    return found


def describe_members(who: Sequence[Member], population: Mapping[str, Any], member: int | None) -> dict[str, str]:
    """Who the page is about, as a fact to show: all members, or which one; nothing for a single run."""
    if member is not None:
        every = members(population)
        at = f", {every[member].point}" if every[member].point else ""
        return {"Member": f"member {member} of {len(every)}{at}, seed {every[member].seed}"}
    return {"Members": _summary(who)} if who else {}


def _summary(who: Sequence[Member]) -> str:
    seeds = sorted({m.seed for m in who})
    points = list(groups(who))
    said = f"seeds {seeds[0]} to {seeds[-1]}" if len(seeds) > 1 else f"seed {seeds[0]}"
    return f"{len(who)}: {said}" + (f" at each of {len(points)} points" if len(points) > 1 else "")


def sample_folder(where: Path, member: int) -> Path:
    """Where a member's sample grids are."""
    return where / "samples" / member_folder(member)
