"""The part of a page that a sweep has: rate against distortion, and every number against the field that was swept."""

from collections.abc import Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from genjax import viz
from genjax.metrics.interval import interval
from genjax.metrics.protocol import Protocol, Record
from genjax.report import html, words
from genjax.report.facts import Facts
from genjax.report.members import Member
from genjax.runs.display import favourite_of
from genjax.runs.validation import PREFIX

MOST_LABELS = 12
"""Most points of a sweep that have their values beside them; more are distinguished by colour alone."""
RATE_DISTORTION = (
    "What the code costs against what is lost without it, in nats per image: every small mark is a member, every large "
    "one the mean over the seeds of a point. Left above are models that ignore their code, right below those that copy "
    "through it; minus the sum of both is the bound on the likelihood, so of two models the one nearer to the lower "
    "left corner is better."
)
AGAINST = (
    "Small marks are members, the line joins the means over seeds, bars are 95 % intervals over seeds where there are "
    "several."
)
FLOOR = "Dashed is what real images reach in the place of generated ones."


class Numbers(NamedTuple):
    """One number of every member for each metric."""

    values: dict[str, np.ndarray]
    """(members,), NaN where a member has none"""
    floors: dict[str, float]
    better: dict[str, str]
    source: str
    """Where they are from, in sentences."""


def section(run: Facts) -> str:
    """The section of a run in which a field was swept; nothing for any other."""
    if len({m.point for m in run.members}) < 2:
        return ""
    found = numbers(run)
    if not found.values:
        return ""
    main, others = _fields(run.members)
    text, parts = found.source, []
    if {"rate", "distortion"} <= set(found.values):
        chart = _rate_distortion(run.members, found, main, others)
        parts.append(html.split("Rate and distortion", f"{RATE_DISTORTION} {text}", chart, 'id="sweep"'))
        text = ""
    cells = [_against(run.members, name, found, main, others) for name in found.values]
    body = f'{_legend(run.members, others)}<div class="charts">{"".join(cells)}</div>'
    ident = "" if parts else 'id="sweep"'
    said = " ".join(filter(None, (AGAINST, FLOOR if found.floors else "", text)))
    parts.append(f'<section {ident}><h2>Against {escape(main)}</h2><p class="soft">{escape(said)}</p>{body}</section>')
    return "".join(parts)


def numbers(run: Facts) -> Numbers:
    """What is best known of every member: measured by `genjax eval`, else on held-out images, else while training."""
    failed = run.rows["failed"][-1] > 0 if "failed" in run.rows else np.zeros(len(run.members), bool)
    alive = [m.index for m in run.members if not failed[m.index]]
    measured = _measured(run.records, alive, len(run.members))
    some = {r.subject.member for r in run.records if r.protocol.checkpoint == "last"}
    hint = f"`genjax eval {run.path} --member all` measures "
    if measured.values:
        gone = f" {int(failed.sum())} of {len(failed)} members have failed and are left out." if failed.any() else ""
        return measured._replace(source=measured.source + gone)
    why = f"{len(some)} of {len(alive)} members are measured; {hint}the others." if some else f"{hint}all members."
    for rows, strip, of in (
        (run.validation, PREFIX, "on held-out images, at the last evaluation while training"),
        (run.rows, "", "as last logged while training: of training batches, so they flatter a model that overfits"),
    ):
        named = {k.removeprefix(strip): k for k in rows if rows[k].ndim == 2}
        # A loss has the swept field in it: it does not mean the same for every member.
        names = {favourite: k for k, favourite in favourite_of(named).items() if not favourite.endswith("loss")}
        names |= {k: k for k in named if k.startswith("kd_")}
        last = {name: np.where(failed, np.nan, rows[named[k]][-1]) for name, k in names.items()}
        if last:
            order = sorted(last, key=words.rank)
            return Numbers({k: last[k] for k in order}, {}, {}, f"Numbers {of}. {why}")
    return Numbers({}, {}, {}, why)


def _measured(records: Sequence[Record], alive: Sequence[int], n: int) -> Numbers:
    """Records of the last checkpoints that every living member has, measured alike: of several ways the largest."""
    of: dict[Protocol, dict[int, Record]] = {}
    for r in records:
        if r.protocol.checkpoint == "last" and r.subject.member is not None:
            of.setdefault(r.protocol, {})[r.subject.member] = r
    whole = [p for p, by_member in of.items() if set(alive) <= set(by_member)]
    best: dict[str, Protocol] = {}
    for p in sorted(whole, key=lambda p: (p.n, repr(p))):
        best[p.metric] = p
    values, floors, better = {}, {}, {}
    for metric in sorted(best, key=words.rank):
        found = of[best[metric]]
        values[metric] = np.array([found[i].value if i in alive else np.nan for i in range(n)])
        known = [r.floor for r in found.values() if r.floor is not None]
        if known:
            floors[metric] = float(np.mean(known))
        better[metric] = next(iter(found.values())).better
    if not values:
        return Numbers({}, {}, {}, "")
    first = next(iter(best.values()))
    return Numbers(values, floors, better, f"Measured by genjax eval on {first.reference} ({first.split}).")


def _fields(who: Sequence[Member]) -> tuple[str, list[str]]:
    """The field of the horizontal axis, which has the most values, and the others."""
    fields = list(who[0].values)
    main = max(fields, key=lambda f: len({m.values[f] for m in who}))
    return main, [f for f in fields if f != main]


def _other(m: Member, others: Sequence[str]) -> str:
    return ", ".join(f"{f} {m.values[f]:g}" for f in others)


def _lines(who: Sequence[Member], others: Sequence[str]) -> list[str]:
    """What tells the lines of a chart apart: the points of all fields but that of its axis."""
    return list(dict.fromkeys(_other(m, others) for m in who))


def _rate_distortion(who: Sequence[Member], found: Numbers, main: str, others: Sequence[str]) -> str:
    at, lines = list(dict.fromkeys(m.values[main] for m in who)), _lines(who, others)
    clouds = []
    for line in lines:
        for value in at:
            here = [m.index for m in who if m.values[main] == value and _other(m, others) == line]
            label = f"{main} {value:g}" if len(at) * len(lines) <= MOST_LABELS and line == lines[0] else ""
            clouds.append(viz.Cloud(label, found.values["rate"][here], found.values["distortion"][here],
                                    at.index(value), lines.index(line)))  # fmt: skip
    svg = viz.plane(clouds, "rate, nats", "distortion, nats", len(at))
    keys = [f'<span style="color:{c}">● {escape(f"{main} {v:g}")}</span>'
            for v, c in zip(at, viz.shades(len(at)), strict=True)]  # fmt: skip
    if len(lines) > 1:
        keys += [f'<span class="soft">{viz.SIGNS[i % len(viz.SIGNS)]} {escape(x)}</span>' for i, x in enumerate(lines)]
    legend = f"<p>{' &nbsp; '.join(keys)}</p>" if len(lines) > 1 or len(at) > MOST_LABELS else ""
    return f'<figure class="chart">{legend}{svg.text}</figure>'


def _against(who: Sequence[Member], name: str, found: Numbers, main: str, others: Sequence[str]) -> str:
    at = sorted({m.values[main] for m in who})
    trends = []
    for line in _lines(who, others):
        each = [[found.values[name][m.index] for m in who if m.values[main] == v and _other(m, others) == line]
                for v in at]  # fmt: skip
        values = np.array(each, float)
        trends.append(viz.Trend(line, values, np.asarray(interval(values).half)))
    svg = viz.against(at, trends, main, name, found.floors.get(name))
    arrow = {"higher": " ↑", "lower": " ↓"}.get(found.better.get(name, ""), "")
    return f'<figure class="chart"><div class="head"><h3>{escape(name)}{arrow}</h3></div>{svg.text}</figure>'


def _legend(who: Sequence[Member], others: Sequence[str]) -> str:
    lines = _lines(who, others)
    if len(lines) < 2:
        return ""
    keys = zip(lines, viz.shades(len(lines)), strict=True)
    spans = [f'<span style="color:{c}">{viz.SIGNS[i % len(viz.SIGNS)]} {escape(x)}</span>'
             for i, (x, c) in enumerate(keys)]  # fmt: skip
    return f"<p>{' &nbsp; '.join(spans)}</p>"
