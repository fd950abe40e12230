"""The page of `genjax compare`: numbers, samples, spectra and what they are, of runs measured alike."""

import dataclasses
import os
from collections.abc import Sequence
from html import escape
from pathlib import Path
from typing import NamedTuple

import numpy as np

from genjax import data, runs
from genjax.channels import say
from genjax.domains.contract import Words
from genjax.errors import UsageError
from genjax.files import write_out
from genjax.measure.eval_file import best_of
from genjax.measure.evaluate import weights_of
from genjax.measure.references import real_of
from genjax.metrics import direction
from genjax.metrics.protocol import Protocol, Record
from genjax.report import charts, html
from genjax.report.sources import selected
from genjax.report.versus import Row, Side
from genjax.runs.dataset import dataset_of_run
from genjax.runs.drawing import by_shares, draw
from genjax.trust import Access

N_SHOWN, N_SPECTRUM = 49, 512
"""Samples of a side's grid; of a spectrum."""
SHARES = ("precision", "recall", "density", "coverage")

NUMBERS = (
    "Every number of a row was measured alike. ± is the half-width of the 95 % interval: over seeds where there are "
    "several, else over the samples that were measured. The floor is the metric of real images in the place of the "
    "generated ones. Bold is ahead of every other by more than the interval of their difference: ↑ the highest, ↓ the "
    "lowest, ≈ the nearest to the floor, beyond which a number is no better. A model that has collapsed to few images "
    "gets no bold for what is of each image by itself."
)
MANIFOLD = (
    "Precision: the share of generated images that lie among the real ones. Recall: the share of real images that lie "
    "among the generated ones. Density counts how many real neighbourhoods each generated image is in: above the floor "
    "they crowd together, which is no merit. Coverage is how many real images have a generated one near. A dashed tick "
    "is what real images reach."
)
SPECTRA = (
    "How much of an image is in coarse structure (left) and in fine detail (right). Below the real images on the right "
    "means blur, above means noise or a grid."
)
SAMPLES = "Drawn at random, not chosen: the first of seed {seed}, from the weights that were measured."


class Drawn(NamedTuple):
    """Samples of a side, or real examples."""

    name: str
    examples: data.Examples
    run: runs.Run
    """Which they are of, or for."""


def write(
    sides: Sequence[Side],
    rows: Sequence[Row],
    checkpoint: str,
    out: str | os.PathLike[str],
    access: Access = Access(),
) -> Path:
    """Write the page, whole or not at all; of a run that may not be opened it has the numbers alone.

    Raises:
        UsageError: `out` cannot be written.
        RunFailure: the disk is full; a page that was there is as it was.
    """
    first = next(r for row in rows for r in row.records if r is not None)
    drawn, real = _draw(sides, checkpoint, first, access)
    target = Path(out)
    write_out(target, page(sides, rows, drawn, real).encode(errors="replace"))
    return target


def page(sides: Sequence[Side], rows: Sequence[Row], drawn: Sequence[Drawn], real: Drawn | None) -> str:
    """The HTML; `real` is left out where the data set cannot be read, all pictures where nothing is drawn."""
    names = [s.name for s in sides]
    title = " against ".join(names) if len(names) <= 3 else f"{len(names)} models compared"
    records = [r for row in rows for r in row.records if r is not None]
    on = sorted({f"{r.protocol.reference} ({r.protocol.split})" for r in records})
    spectra = _spectra(drawn, real) if drawn else ""
    pictures = '<a href="#samples">Samples</a>' * bool(drawn) + '<a href="#spectra">Spectra</a>' * bool(spectra)
    header = (
        f'<header><div class="bar"><nav aria-label="On this page"><a href="#numbers">Numbers</a>{pictures}'
        '<a href="#protocol">Protocol</a></nav>'
        '<button type="button" id="theme" class="js-only">Dark</button></div>'
        f'<h1>{escape(title)}</h1><p class="lead">Measured on {escape(", ".join(on))}.</p></header>\n<main>'
    )
    with html.speaking_of(drawn[0].run.domain.words if drawn else Words("image", "images")):
        body = [
            header,
            html.split("Numbers", NUMBERS, _numbers(names, rows), 'id="numbers"'),
            _manifold(names, rows),
            *([_samples(drawn, real, records[0]), spectra] if drawn else []),
            _protocol(sides, rows),
        ]
    return html.document(title, body)


def _numbers(names: Sequence[str], rows: Sequence[Row]) -> str:
    two = len(names) == 2
    head = ["", *names, *(["difference"] if two else []), "floor", "N"]
    out = []
    for row in rows:
        there = next(r for r in row.records if r is not None)
        arrow = direction.arrow(there.protocol.metric, there.better)
        cells = [f'<th scope="row">{escape(row.metric)}{arrow}</th>']
        for i, r in enumerate(row.records):
            text = "–" if r is None else escape(_with_interval(r.value, r.half))
            cells.append(f"<td><b>{text}</b></td>" if i == row.best else f"<td>{text}</td>")
        if two:
            cells.append(
                f"<td>{'–' if row.difference is None else escape(_with_interval(*row.difference, sign=True))}</td>"
            )
        cells.append(f"<td>{'–' if row.floor is None else escape(html.number(row.floor))}</td>")
        cells.append(f"<td>{there.protocol.n:,}</td>")
        out.append(f"<tr>{''.join(cells)}</tr>")
    top = "".join(f'<th scope="col">{escape(h)}</th>' for h in head)
    table = f'<table class="numbers"><thead><tr>{top}</tr></thead><tbody>{"".join(out)}</tbody></table>'
    return f'<div class="scroll">{table}</div>'


def _with_interval(value: float, half: float, sign: bool = False) -> str:
    return f"{'+' * (sign and value > 0)}{html.number(value, half)}"


def _manifold(names: Sequence[str], rows: Sequence[Row]) -> str:
    found = {r.metric: r for r in rows if r.metric in SHARES}
    if not found:
        return ""
    there = {m: found[m].records for m in SHARES if m in found}
    shown = {m: [None if r is None else charts.Bar(r.value, r.half) for r in records] for m, records in there.items()}
    floors = {m: found[m].floor for m in shown}
    space = next(r.protocol.features for row in found.values() for r in row.records if r is not None)
    chart = f'<figure class="chart">{charts.legend(names)}{charts.bars(shown, floors, names)}</figure>'
    return html.split("Quality and variety", f"{MANIFOLD} In the space of {space}.", chart, 'id="manifold"')


def _samples(drawn: Sequence[Drawn], real: Drawn | None, record: Record) -> str:
    every = [*drawn, *([real] if real is not None else [])]
    columns = [f"<h3>{html.escape_words(d.name)}</h3>{_shown(d)}" for d in every]
    body = '<div class="columns">' + "".join(f"<div>{c}</div>" for c in columns) + "</div>"
    text = SAMPLES.format(seed=record.subject.eval_seed)
    return f'<section id="samples"><h2>Samples</h2><p class="soft">{escape(text)}</p>{body}</section>'


def _shown(d: Drawn) -> str:
    some = data.take(d.examples, np.arange(min(N_SHOWN, d.run.domain.shown, len(d.examples.x))))
    return html.pieces(d.run.domain.show(some, d.run.spec, None, False), f"Samples: {d.name}", "samples", 560)


def _spectra(drawn: Sequence[Drawn], real: Drawn | None) -> str:
    every = [*drawn, *([real] if real is not None else [])]
    found = {d.name: d.run.domain.spectrum(d.examples, d.run.spec) for d in every if d.run.domain.spectrum is not None}
    if len(found) < len(every):
        return ""
    dashed = "" if real is None else real.name
    chart = charts.spectra(found, dashed)
    keys = charts.legend([d.name for d in drawn], dashed)
    return html.split("Power spectra", SPECTRA, f'<figure class="chart">{keys}{chart}</figure>', 'id="spectra"')


def _protocol(sides: Sequence[Side], rows: Sequence[Row]) -> str:
    """How each number was measured, what is the same for all of them first."""
    of = {row.metric: next(r for r in row.records if r is not None).protocol for row in rows}
    said = {metric: dict(html.flat(_fields(p))) for metric, p in of.items()}
    fields = list(dict.fromkeys(k for p in said.values() for k in p))
    same = [k for k in fields if len({p.get(k) for p in said.values()}) == 1]
    common, special = [(k, next(iter(said.values()))[k]) for k in same], [k for k in fields if k not in same]
    table = html.table([(m, *(p.get(k, "–") for k in special)) for m, p in said.items()], ("", *special))
    subjects = []
    for s in sides:
        about = next(iter(s.records.values())).subject
        seeds = ", ".join(str(seed) for seed, _ in next(iter(s.records.values())).seeds) or str(about.seed)
        subjects.append((s.name, ", ".join(s.runs), seeds, f"{about.step:,}", "yes" if about.ema else "no",
                         about.version, about.commit[:12] + "+" * about.commit.endswith("+")))  # fmt: skip
    head = ("", "runs", "seeds", "step", "averaged weights", "genjax", "commit")
    text = "Numbers stand side by side only where all of this is equal; genjax refuses them otherwise."
    body = f"{html.table(common)}<br>{table}<br><h3>What was measured</h3>{html.table(subjects, head)}"
    return html.split("Protocol", text, body, 'id="protocol"')


def _fields(p: Protocol) -> dict[str, object]:
    shown = {**dataclasses.asdict(p), "settings": dict(p.settings)}
    shown.pop("metric")
    shown |= {k: v[:12] for k, v in shown.items() if k.endswith("_sha256") and isinstance(v, str)}  # eval.json has all
    return {k: v for k, v in shown.items() if v not in ("", {})}


def _draw(sides: Sequence[Side], checkpoint: str, record: Record, access: Access) -> tuple[list[Drawn], Drawn | None]:
    """The first run of each side drawn from as it was measured, and real images; nothing of a record's alone."""
    drawn, real = [], None
    for side in sides:
        path, member = next((found for run in side.runs if Path((found := _place(run))[0]).is_dir()), ("", None))
        if not path:
            continue
        best = best_of(path) if checkpoint == "best" else None
        step = best[0] if best is not None else next(iter(side.records.values())).subject.step
        try:  # the weights that were measured, not those that the run has by now
            run = runs.open_run(path, step, member, access.trust)
        except UsageError as e:
            say(f"genjax: no pictures of {side.name}. {e}")
            continue
        params, state = weights_of(run.state, record.protocol.weights)
        seed = record.subject.eval_seed
        reference = _reference(run, record.protocol.split, access)
        n_classes, label = run.experiment.model.n_classes, None
        if n_classes and reference is not None and reference.y is not None:
            label = by_shares(N_SPECTRUM, np.asarray(reference.y), n_classes)
        of, temperature = (run.experiment, run.domain, run.spec), record.protocol.temperature
        made = draw(*of, params, state, N_SPECTRUM, seed, label, temperature).examples
        drawn.append(Drawn(side.name, made._replace(y=None), run))
        if real is None and reference is not None:
            real = _real(reference, run)
    return drawn, real


def _place(run: str) -> tuple[str, int | None]:
    """The folder of a side's run, and the member of it."""
    folder, member = selected(run)
    return folder, int(member) if member else None


def _reference(run: runs.Run, split: str, access: Access) -> data.Examples | None:
    """The examples that the run was measured against; without its data a run still has its numbers."""
    try:
        return real_of(dataset_of_run(run, access), split).reference
    except UsageError:
        return None


def _real(reference: data.Examples, run: runs.Run) -> Drawn:
    n = len(reference.x)
    pick = np.unique(np.linspace(0, n - 1, min(N_SPECTRUM, n)).astype(np.int64))
    shuffled = np.random.default_rng(0).permutation(pick)  # a set sorted by class shows all of them
    return Drawn("Real images", data.take(reference, shuffled)._replace(y=None), run)
