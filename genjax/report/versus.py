"""Runs compared by their records: which numbers may stand side by side, and what they are."""

import os
import shlex
from collections.abc import Iterable, Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, NamedTuple

from genjax.checkpoint import folders
from genjax.errors import UsageError, shown
from genjax.files import locked
from genjax.metrics import direction
from genjax.metrics.protocol import Difference, Protocol, Record, alike, check_alike, compare, over_seeds
from genjax.report.sources import Source, flags_in, is_record, sources
from genjax.report.words import rank
from genjax.runs import run_folder

AND = "; "
"""Between the devices of a side."""


class Side(NamedTuple):
    """The runs of one configuration: one, or several that differ in their seed."""

    name: str
    runs: tuple[str, ...]
    """Folders, members of one as `runs/eight#3`, or a record that they stand in."""
    records: dict[str, Record]
    """By metric; over seeds where there are several runs."""
    origin: Mapping[str, Any]
    """How they came to be: command and versions of the first, every device; of each its seed, time, code and state."""


class Row(NamedTuple):
    """A metric of every side."""

    metric: str
    records: tuple[Record | None, ...]
    floor: float | None
    best: int | None
    """The side whose number is best, where metric and intervals say so of one."""
    difference: Difference | None
    """The second side's number less the first's, where there are two sides."""


def sides(runs: Sequence[str | os.PathLike[str]], checkpoint: str = "last") -> list[Side]:
    """Runs, and those that a record is of, by configuration, with the numbers that all were measured alike in.

    Raises:
        UsageError: a run was not measured, or not of this checkpoint; or a metric was measured in unlike ways, with the
            fields that differ.
    """
    groups: dict[tuple[Any, ...], list[Source]] = {}
    for source in (s for run in runs for s in sources(run)):
        records = tuple(r for r in source.records if r.protocol.checkpoint == checkpoint)
        if not records:
            where = f"RUN={source.where}: has no records of its {checkpoint} checkpoint"
            raise UsageError(f"{where}. Measure it first: {_how_to_measure(source)}")
        about = records[0].subject
        groups.setdefault((about.recipe, about.config_sha256, about.code), []).append(source._replace(records=records))
    everyone = [s.records for group in groups.values() for s in group]
    _check_data(groups.values())
    chosen = {metric: _common(metric, everyone) for metric in _metrics(everyone)}
    made = []
    for name, group in zip(_names(list(groups.values())), groups.values(), strict=True):
        by_metric = {}
        for metric, protocol in chosen.items():
            of_each = [r for s in group for r in s.records if alike(r.protocol, protocol)]
            if len(of_each) == len(group):
                by_metric[metric] = over_seeds(of_each)
        if not by_metric:
            raise UsageError(f"{name}: there is no number that all of its runs have. Run `genjax eval` alike on each.")
        devices = dict.fromkeys(d for s in group for d in s.origin["device"].split(AND))
        each = [each for s in group for each in s.origin["each"]]
        origin = {**group[0].origin, "device": AND.join(devices), "each": each}
        made.append(Side(name, tuple(dict.fromkeys(s.where for s in group)), by_metric, origin))
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
    return Row(metric, records, floor, _best(records, floor, of), None if a is None or b is None else compare(a, b))


def _best(records: Sequence[Record | None], floor: float | None, of: Sequence[Side]) -> int | None:
    """The side that is ahead of every other by more than the interval of their difference; None where none is.

    A side that has collapsed to few samples is best in nothing that is of each sample by itself.
    """
    there = [(i, r, direction.shortfall(r, floor)) for i, r in enumerate(records) if r is not None]
    unlike = len({r.better for _, r, _ in there}) > 1 and not direction.known(there[0][1].protocol.metric)
    if len(there) < 2 or unlike:
        return None
    (i, top, least), *rest = sorted(there, key=lambda p: p[2])
    if not all(short - least > compare(r, top).half for _, r, short in rest):
        return None
    alone = direction.stem(top.protocol.metric) in direction.OF_EACH
    return None if alone and direction.collapsed(of[i].records) else i


def _check_data(groups: Iterable[Sequence[Source]]) -> None:
    """Raises `UsageError` where runs were measured on other data; which, no metric need tell: they may share none."""
    on: dict[str, str] = {}
    for source in (s for group in groups for s in group):
        for r in source.records:
            on.setdefault(r.protocol.reference, source.where)
    if len(on) > 1:
        said = ", ".join(f"{where} on {shown(name)}" for name, where in on.items())
        raise UsageError(f"runs of unlike data say nothing of each other: {said}. Compare runs of one data set.")


def _metrics(everyone: Sequence[Sequence[Record]]) -> list[str]:
    return list(dict.fromkeys(r.protocol.metric for records in everyone for r in records))


def _common(metric: str, everyone: Sequence[Sequence[Record]]) -> Protocol:
    """How all runs that have the metric measured it: of several ways the one with the most images."""
    have = [[r for r in records if r.protocol.metric == metric] for records in everyone]
    have = [h for h in have if h]
    ways = [r.protocol for r in have[0] if all(any(alike(o.protocol, r.protocol) for o in h) for h in have[1:])]
    if not ways:
        for other in have[1:]:
            if not any(alike(o.protocol, r.protocol) for o in other for r in have[0]):
                check_alike((have[0][0], other[0]))
        raise UsageError(f"{metric}: no way of measuring it is common to all runs. Run `genjax eval` alike on each.")
    return max(ways, key=lambda p: (p.n, repr(p)))


def _names(groups: Sequence[Sequence[Source]]) -> list[str]:
    """A run's own name; of several their recipe's, with the flags that differ where several sides are of one recipe.

    Sides that are members of one run are called by their swept values: `beta 4`. Sides that differ in their code alone
    are told apart by it.
    """
    if len({s.path for g in groups for s in g}) == 1 and all(s.member is not None for g in groups for s in g):
        told = [g[0].point or (g[0].name if len(g) == 1 else f"{len(g)} seeds") for g in groups]
    else:
        told = _told_by_flags(groups)
    code = [sha256(repr(g[0].records[0].subject.code).encode()).hexdigest()[:6] for g in groups]
    return [f"{name} · code {code[i]}" if told.count(name) > 1 else name for i, name in enumerate(told)]


def _told_by_flags(groups: Sequence[Sequence[Source]]) -> list[str]:
    names = [g[0].name if len(g) == 1 else Path(g[0].records[0].subject.recipe).stem for g in groups]
    pairs = [flags_in(shlex.split(g[0].origin["command"])[3:]) for g in groups]

    def own(i: int) -> list[str]:
        same = [pairs[j] for j, name in enumerate(names) if name == names[i]]
        return [f"{k.lstrip('-')} {v}" for k, v in pairs[i] if any((k, v) not in other for other in same)]

    return [" · ".join([name, *([", ".join(own(i))] if own(i) else [])]) for i, name in enumerate(names)]


def notes(of: Sequence[Side]) -> list[str]:
    """Sentences about the code and the weights that the numbers come from."""
    said, codes = [], {}
    for side in of:
        about = next(iter(side.records.values())).subject
        codes.setdefault((about.recipe, about.config_sha256), set()).add(about.code)
        if about.trained_by and about.trained_by != about.measured_by:
            said.append(f"{side.name}: measured by another genjax than trained it (their sources differ).")
    if any(len(of_one) > 1 for of_one in codes.values()):
        said.append("Runs of one configuration but of unlike code stand apart: they are not averaged as seeds.")
    return [*said, *(text for side in of for text in _gone_on(side))]


def _gone_on(side: Side) -> list[str]:
    """Which runs of a side have been trained further since the numbers of their last checkpoint were measured."""
    said = []
    measured = {r.protocol.checkpoint: r.subject.step for r in side.records.values()}
    for run in side.runs:
        if "last" not in measured or is_record(run):
            continue
        now = folders.sealed(folders.resolved(Path(run) / "checkpoints"))
        if now and now[-1] != measured["last"]:
            said.append(
                f"{run}: its numbers are from the weights that were measured (step {measured['last']:,}); "
                f"it is at step {now[-1]:,} now. genjax eval {run} measures it again."
            )
    return said


def _how_to_measure(source: Source) -> str:
    return f"genjax eval {source.path}" + (f" --member {source.member}" if source.member is not None else "")


def write_record(runs: Sequence[str | os.PathLike[str]], path: str | os.PathLike[str]) -> None:
    """Write what `genjax results` makes a table of: the numbers of each configuration, and where they are from.

    Those of the checkpoints that are best on validation are in it where every run was measured there.

    Raises:
        UsageError: the runs were not measured alike, or the file cannot be written.
    """
    both = all(any(r.protocol.checkpoint == "best" for r in source.records) for run in runs for source in sources(run))
    made: dict[int, dict[str, Any]] = {}
    for checkpoint in ("last", "best") if both else ("last",):
        of = sides(runs, checkpoint)
        order = [row.metric for row in rows(of)]
        for i, side in enumerate(of):
            entry = made.setdefault(i, {"recipe": side.name, **side.origin, "records": []})
            entry["records"] += [side.records[m].to_json() for m in order if m in side.records]
    target = Path(path)
    if not target.parent.is_dir():
        raise UsageError(f"--record={path}: there is no folder {target.parent}.")
    with locked(target):
        _check_kept(runs, target, list(made.values()))
        run_folder.write_json(target, {"runs": list(made.values())})


def _check_kept(runs: Sequence[str | os.PathLike[str]], target: Path, made: Sequence[Mapping[str, Any]]) -> None:
    """Refuse to write over a record, the only trace that runs may have left, without all of its numbers."""
    over = [run for run in runs if is_record(run) and Path(run).resolve() == target.resolve()]
    had = {_which(r.to_json()) for run in over for source in sources(run) for r in source.records}
    if lost := sorted(had - {_which(r) for entry in made for r in entry["records"]}):
        said = ", ".join(f"{metric} of {recipe} ({checkpoint})" for recipe, _, metric, checkpoint in lost)
        hint = "Measure them there too, or write another file."
        raise UsageError(f"--record={target}: would lose what not every run has: {said}. {hint}")


def _which(r: Mapping[str, Any]) -> tuple[str, str, str, str]:
    return r["subject"]["recipe"], r["subject"]["config_sha256"], r["metric"], r["protocol"]["checkpoint"]
