"""Runs compared by their records: which numbers may stand side by side, and what they are."""

import os
import shlex
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

from genjax.errors import UsageError
from genjax.metrics.protocol import Difference, Protocol, Record, check_alike, compare, over_seeds
from genjax.report.words import rank
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
    """A row for each metric that a side has, likelihoods first."""
    return [_row(m, of) for m in sorted({m for side in of for m in side.records}, key=rank)]


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


def write_record(runs: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str]) -> None:
    """Write what `genjax results` makes a table of: the numbers of each configuration, and where they are from.

    Those of the checkpoints that are best on validation are in it where every run was measured there.

    Raises:
        UsageError: the runs were not measured alike, or the file cannot be written.
    """
    both = all(any(r.protocol.checkpoint == "best" for r in read_eval(run)) for run in runs)
    made: dict[tuple[str, ...], dict[str, Any]] = {}
    for checkpoint in ("last", "best") if both else ("last",):
        of = sides(runs, checkpoint)
        order = [row.metric for row in rows(of)]
        for side in of:
            entry = made.setdefault(side.runs, _origin(side))
            entry["records"] += [side.records[m].to_json() for m in order if m in side.records]
    target = Path(path)
    if not target.parent.is_dir():
        raise UsageError(f"--record={path}: there is no folder {target.parent}.")
    record.write_json(target, {"runs": list(made.values())})


def _origin(side: Side) -> dict[str, Any]:
    """How the runs of a side came to be: command, device, versions, and each run's seed, time, code and state."""
    manifests = [record.read_json(Path(run) / record.MANIFEST) or {} for run in side.runs]
    first, each = manifests[0], []
    for run, manifest in zip(side.runs, manifests, strict=True):
        rows, about = record.read_rows(Path(run) / record.METRICS), read_eval(run)[0].subject
        each.append({
            "seed": about.seed, "step": about.step, "state_sha256": about.state_sha256,
            "seconds": float(rows[-1]["seconds"]) if rows else None, "commit": manifest.get("commit"),
        })  # fmt: skip
    on_cpu = first.get("device_kind") == "cpu"
    return {
        "recipe": side.name,
        "command": _command(first.get("command", [])),
        "device": f"{first.get('cpu_count')} cores, {first.get('cpu')}" if on_cpu else first.get("device_kind"),
        "versions": {k: first.get(k) for k in ("python", "jax", "jaxlib", "flax", "optax", "numpy")},
        "each": each,
        "records": [],
    }


def _command(words: Sequence[str]) -> str:
    """A run's command without what another machine or seed has otherwise, or what follows from the rest of it."""
    head, flags = words[:3], words[3:]
    pairs = zip(flags[::2], flags[1::2], strict=False)
    own = ("--run-dir", "--data-dir", "--seed", "--keep-best")
    return shlex.join([*head, *(w for flag, value in pairs if flag not in own for w in (flag, value))])
