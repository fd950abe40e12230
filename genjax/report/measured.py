"""The parts of a page with what was measured: numbers of `genjax eval`, evaluations on held-out images."""

import dataclasses
from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from genjax import viz
from genjax.metrics import direction
from genjax.metrics.protocol import Record
from genjax.report import html, population, words
from genjax.report.members import Member
from genjax.runs.validation import PREFIX


def numbers(records: Sequence[Record], step: int | None, several: bool = False, ident: str = "") -> str:
    """The section of a run's records, a row for each metric and way of measuring it; nothing where there are none.

    Args:
        records: of `eval.json`.
        step: of the last checkpoint, to tell where the run has gone on since.
        several: whether the page is about several members, and rows name theirs.
        ident: the run's in the page.
    """
    if not records:
        return ""
    of: dict[tuple[object, ...], dict[str, Record]] = {}
    for r in sorted(records, key=lambda r: (r.subject.member or 0, words.rank(r.protocol.metric))):
        alike = dataclasses.replace(r.protocol, checkpoint="")
        of.setdefault((r.subject.member, alike), {})[_column(r)] = r
    columns = sorted({c for row in of.values() for c in row}, reverse=True, key=lambda c: c.startswith("last"))
    references = list(dict.fromkeys(map(_reference, records)))
    one, rows = len(references) == 1, []
    for row in of.values():
        first = next(iter(row.values()))
        arrow = direction.arrow(first.protocol.metric, first.better)
        cells = ["–" if c not in row else html.number(row[c].value, row[c].half) for c in columns]
        floor = "–" if first.floor is None else html.number(first.floor)
        who = [str(first.subject.member)] if several else []
        rows.append((first.protocol.metric + arrow, *who, *cells, floor, f"{first.protocol.n:,}", _how(first, not one)))
    head = ("", *(["member"] if several else []), *columns, "floor", "N", "in" if one else "reference")
    seeds = sorted({r.subject.eval_seed for r in records})
    text = f"{words.MEASURED} Reference: {references[0]}." if one else words.MEASURED
    text += f" Drawn with seed {seeds[0]}." if len(seeds) == 1 else ""
    last = [r.subject.step for r in records if r.protocol.checkpoint == "last"]
    stale = f'<p class="note">{escape(words.stale(max(last), step))}</p>' if last and max(last) != step else ""
    return html.split("Measured", text, stale + html.table(rows, head, "numbers"), f'id="{ident}-measured"')


def _column(r: Record) -> str:
    return f"{r.protocol.checkpoint}, step {r.subject.step:,}"


def _reference(r: Record) -> str:
    return f"{r.protocol.reference} {r.protocol.split}, {r.protocol.n_reference:,} {html.many()}"


def _how(r: Record, reference: bool) -> str:
    """What the number is against, and in which space; and what else of its protocol is not the usual."""
    p = r.protocol
    said = [_reference(r)] if reference else []
    said += [f"{p.features} features"] if p.features_sha256 else [p.features] if p.features else []
    said += [f"{p.weights} weights"] if p.weights != "average" else []
    said += [f"temperature {p.temperature:g}"] if p.temperature != 1 else []
    return ", ".join(said)


def validation(
    rows: Mapping[str, np.ndarray],
    logged: Mapping[str, np.ndarray],
    best: tuple[int, str] | None,
    who: Sequence[Member] = (),
    ident: str = "",
) -> str:
    """The section of the evaluations on held-out images as curves; nothing where there were none.

    Args:
        rows: of `validation.jsonl`.
        logged: of `metrics.jsonl`: what training has of the same quantity is drawn beside.
        best: step of the best checkpoint and what it is the best of; its step is marked.
        who: the members of a population.
        ident: the run's in the page.
    """
    if not len(rows.get("step", ())):
        return ""
    mark = None if best is None else best[0]
    text = words.VALIDATION + ("" if best is None else words.best_of(*best, bool(who)))
    if who:
        body = population.curves(rows, who, words.validation(rows), mark)
    else:
        body = f'<div class="charts">{"".join(_chart(c, rows, logged, mark) for c in words.validation(rows))}</div>'
    return html.split("On held-out images", text, body, f'id="{ident}-validation"')


def _chart(chart: words.Chart, rows: Mapping[str, np.ndarray], logged: Mapping[str, np.ndarray], mark) -> str:
    (key,) = chart.keys
    steps, values = rows["step"], np.asarray(rows[key], float)
    drawn, keys, labels = {"step": steps, key: values}, [key], ["held-out"]
    of_training = _beside(logged, key.removeprefix(PREFIX), steps)
    if of_training is not None:
        drawn["training"], keys, labels = of_training, [key, "training"], ["held-out", "training"]
    svg = viz.curves(drawn, keys, labels, mark=mark)
    at = np.flatnonzero(steps == mark) if mark is not None else np.array([len(steps) - 1])
    now = html.number(float(values[at[-1]])) if at.size else ""
    head = f'<div class="head"><h3>{html.escape_words(chart.title)}</h3><span class="now">{escape(now)}</span></div>'
    return f'<figure class="chart">{head}{svg.text}<figcaption>{html.escape_words(chart.text)}</figcaption></figure>'


def _beside(logged: Mapping[str, np.ndarray], key: str, steps: np.ndarray) -> np.ndarray | None:
    """A logged metric at the steps of the evaluations, between its rows in proportion; None where it has none."""
    if key not in logged:
        return None
    values = np.asarray(logged[key], float)
    there = np.isfinite(values)
    return np.interp(steps, logged["step"][there], values[there]) if there.any() else None
