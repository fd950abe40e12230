"""One run measured on the command line: a record is kept as soon as it is there, and what failed is named."""

import dataclasses
import time
from collections.abc import Sequence
from typing import Any, NamedTuple

from genjax import channels
from genjax.errors import RunFailure, UsageError


class Taken(NamedTuple):
    """What was measured of a run, and what was not."""

    records: list[Any]
    failures: dict[str, list[str]]
    """By the reason, the metrics that should be there and are not."""
    unwritten: Exception | None
    """Why the records are not in eval.json; None where they are."""


def measure_checkpoints(
    path: str, last: Any, best: tuple[Any, str] | None, checkpoint: str, real: Any, space: Any, request: Any,
    session: dict[str, Any],
) -> Taken:  # fmt: skip
    """Measure a run's last checkpoint, its best one, or both. A failure keeps nothing else from being measured.

    Args:
        path: the run's folder.
        last: opened at its last checkpoint.
        best: opened at its best one, and what that is the best of; None where there is none.
        checkpoint: `last`, `best` or `both`.
        real: what it is measured against.
        space: where samples are compared.
        request: what to measure.
        session: of eval.json; the seconds of each metric are added.

    Raises:
        UsageError: a metric does not exist or does not apply; nothing was written.
    """
    from genjax.measure.eval_file import add_records
    from genjax.measure.evaluate import outcomes

    same = best is not None and best[0].step == last.step
    records: list[Any] = []
    failures: dict[str, list[str]] = {}
    notes: dict[str, None] = {}
    unwritten: Exception | None = None
    seconds = session.setdefault("seconds", {})
    sides = [(last, "last", "")] if checkpoint != "best" or same else []
    if best is not None and checkpoint != "last" and not same:
        sides.append((best[0], "best", best[1]))
    began = time.perf_counter()
    for run, which, chosen_by in sides:
        for outcome in outcomes(run, real, space, request, which, chosen_by):
            new = list(outcome.records)
            if same and best is not None and checkpoint != "last":
                as_best = [_as_best(r, best[1]) for r in new]
                new = as_best if checkpoint == "best" else [*new, *as_best]
            records += new
            seconds[outcome.name] = round(seconds.get(outcome.name, 0.0) + outcome.seconds, 3)
            for note in outcome.notes:
                if note not in notes:
                    channels.say(f"genjax: {note}")
                notes[note] = None
            if outcome.failure is not None:
                names = failures.setdefault(_reason(outcome.failure), [])
                names += [outcome.name] * (outcome.name not in names)
            elif new:
                channels.say(f"{outcome.name}: {outcome.seconds:.1f} s")
            if new and unwritten is None:
                try:
                    gone = add_records(path, new, session).gone
                except (RunFailure, UsageError) as e:  # hours of measuring are not to be lost with the file
                    unwritten = e
                    continue
                if gone:
                    channels.say(_of_another_reference(gone, path))
    session["total_seconds"] = round(time.perf_counter() - began, 3)
    return Taken(records, failures, unwritten)


def failed(taken: Sequence[Taken], path: str) -> RunFailure | None:
    """The error to raise at the end: which metrics are missing and why; None where all are there."""
    failures: dict[str, list[str]] = {}
    for t in taken:
        for why, names in t.failures.items():
            failures.setdefault(why, []).extend(n for n in names if n not in failures.get(why, ()))
    if not failures:
        none = all(not t.records for t in taken)
        return RunFailure("no number could be measured, for the reasons above.") if none else None
    lines = [f"{', '.join(names)} not measured: {why}" for why, names in failures.items()]
    n = sum(len(t.records) for t in taken)
    return RunFailure("\n".join([*lines, f"The other {n} records are in {path}/eval.json." if n else
                                 "No number was measured."]))  # fmt: skip


def _reason(e: Exception) -> str:
    if isinstance(e, RunFailure | UsageError):
        return str(e)
    first = (str(e).splitlines() or [""])[0]
    return f"{type(e).__name__}: {first[:200]} This is a fault of genjax or of the recipe."


def _of_another_reference(gone: Sequence[Any], path: str) -> str:
    about = gone[0].protocol
    names = ", ".join(dict.fromkeys(r.protocol.metric for r in gone))
    return (
        f"genjax: {len(gone)} records of {path}/eval.json were measured against another {about.split} part of "
        f"{about.reference}, which has changed since. They are taken out: {names}."
    )


def _as_best(r: Any, chosen_by: str) -> Any:
    """The record of the last checkpoint as that of the best, which it is."""
    return dataclasses.replace(
        r, protocol=dataclasses.replace(r.protocol, checkpoint="best"),
        subject=dataclasses.replace(r.subject, chosen_by=chosen_by),
    )  # fmt: skip
