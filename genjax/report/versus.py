"""Runs compared by their records: which numbers may stand side by side, and what they are."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from genjax.errors import UsageError
from genjax.metrics.protocol import Difference, Protocol, Record, check_alike, compare, over_seeds
from genjax.train import record
from genjax.train.evalfile import read_eval


class Side(NamedTuple):
    """The runs of one configuration: one, or several that differ in their seed."""

    name: str
    runs: tuple[str, ...]
    records: dict[str, Record]
    """By metric; over seeds where there are several runs."""


class Row(NamedTuple):
    """A metric of every side."""

    metric: str
    records: tuple[Record | None, ...]
    floor: float | None
    best: int | None
    """The side whose number is best, where metric and intervals say so of one."""
    difference: Difference | None
    """Of two sides: the second's less the first's."""


def sides(runs: Sequence[str | os.PathLike[str]], checkpoint: str = "last") -> list[Side]:
    """The runs by configuration, with the numbers that they were all measured alike in.

    Raises:
        UsageError: a run was not measured, or not of this checkpoint; or a metric was measured in unlike ways, with the
            fields that differ.
    """
    found: dict[tuple[str, str], list[tuple[str, list[Record]]]] = {}
    for path in runs:
        run = os.fspath(path)
        records = [r for r in read_eval(run) if r.protocol.checkpoint == checkpoint and r.subject.member is None]
        if not records:
            what = f"no records of its {checkpoint} checkpoint" if read_eval(run) else "no eval.json"
            raise UsageError(f"RUN={run}: has {what}. Measure it first: genjax eval {run}")
        about = records[0].subject
        found.setdefault((about.recipe, about.config_sha256), []).append((run, records))
    everyone = [records for members in found.values() for _, records in members]
    chosen = {metric: _common(metric, everyone) for metric in _metrics(everyone)}
    made = []
    for (recipe, _), members in found.items():
        names = [run for run, _ in members]
        by_metric = {}
        for metric, protocol in chosen.items():
            each = [r for _, records in members for r in records if r.protocol == protocol]
            if len(each) == len(members):
                by_metric[metric] = over_seeds(each)
        made.append(Side(_name(recipe, names, len(found)), tuple(names), by_metric))
    return made


def rows(of: Sequence[Side]) -> list[Row]:
    """A row for each metric that a side has, in the order of their names; likelihoods first."""
    every = list(dict.fromkeys(m for side in of for m in side.records))
    likelihoods = [m for m in every if all(s.records[m].protocol.features == "" for s in of if m in s.records)]
    return [_row(m, of) for m in [*likelihoods, *(m for m in every if m not in likelihoods)]]


def _row(metric: str, of: Sequence[Side]) -> Row:
    records = tuple(s.records.get(metric) for s in of)
    there = [r for r in records if r is not None]
    check_alike(there)
    floor = next((r.floor for r in there if r.floor is not None), None)
    a, b = records if len(records) == 2 else (None, None)
    return Row(metric, records, floor, _best(records), None if a is None or b is None else compare(a, b))


def _best(records: Sequence[Record | None]) -> int | None:
    """The side that is ahead of every other by more than the interval of their difference; None where none is."""
    there = [(i, r) for i, r in enumerate(records) if r is not None]
    better = {r.better for _, r in there}
    if len(there) < 2 or len(better) > 1 or better == {""}:
        return None
    sign = 1 if better == {"higher"} else -1
    (i, top), *rest = sorted(there, key=lambda p: -sign * p[1].value)
    ahead = [compare(r, top) for _, r in rest]
    return i if all(sign * d.value > d.half for d in ahead) else None


def _metrics(everyone: Sequence[Sequence[Record]]) -> list[str]:
    return list(dict.fromkeys(r.protocol.metric for records in everyone for r in records))


def _common(metric: str, everyone: Sequence[Sequence[Record]]) -> Protocol:
    """How all runs that have the metric measured it: of several ways the one with the most images."""
    have = [[r for r in records if r.protocol.metric == metric] for records in everyone]
    have = [h for h in have if h]
    ways = [r.protocol for r in have[0] if all(any(o.protocol == r.protocol for o in h) for h in have[1:])]
    if not ways:
        for other in have[1:]:
            if not any(o.protocol == r.protocol for o in other for r in have[0]):
                check_alike((have[0][0], other[0]))
        raise UsageError(f"{metric}: no way of measuring it is common to all runs. Run `genjax eval` alike on each.")
    return max(ways, key=lambda p: (p.n, repr(p)))


def _name(recipe: str, runs: Sequence[str], n_sides: int) -> str:
    """The recipe, or its file's name; with the run's folder where one recipe may stand on two sides."""
    stem = Path(recipe).stem
    return stem if len(runs) > 1 else f"{stem} · {Path(runs[0]).resolve().name}"


def write_record(of: Sequence[Side], path: str | os.PathLike[str]) -> None:
    """Write what `genjax results` makes a table of: every side's records, with the runs' commands, device and time.

    Raises:
        UsageError: the file cannot be written.
    """
    made = []
    for side in of:
        manifests = [record.read_json(Path(run) / record.MANIFEST) or {} for run in side.runs]
        logged = [record.read_rows(Path(run) / record.METRICS) for run in side.runs]
        seconds = [float(rows[-1]["seconds"]) for rows in logged if rows]
        first = manifests[0]
        words = [str(w) for w in first.get("command", [])]
        where = words.index("--run-dir") if "--run-dir" in words else len(words)
        on_cpu = first.get("device_kind") == "cpu"
        made.append({
            "recipe": side.name,
            "command": " ".join(words[:where]),
            "seeds": [seed for seed, _ in next(iter(side.records.values())).seeds],
            "seconds": round(sum(seconds) / len(seconds), 1) if seconds else None,
            "device": f"{first.get('cpu_count')} cores, {first.get('cpu')}" if on_cpu else first.get("device_kind"),
        })
    records = [r.to_json() for side in of for r in side.records.values()]
    target = Path(path)
    if not target.parent.is_dir():
        raise UsageError(f"--record={path}: there is no folder {target.parent}.")
    record.write_json(target, {"runs": made, "records": records})
