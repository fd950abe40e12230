"""Several runs side by side: their samples, details, reconstructions, and what differs and why."""

from collections.abc import Sequence
from html import escape
from itertools import pairwise

import jax

from genjax import data
from genjax.health import Finding, still_open
from genjax.report import collapse, html, samples, words
from genjax.report.facts import Facts
from genjax.report.pictures import Pictures


def section(runs: Sequence[Facts]) -> str:
    """Samples over training in columns with one slider, enlarged details, reconstructions, what differs and why."""
    columns, idents = [], []
    for i, run in enumerate(runs):
        if run.frames:
            idents.append(f"c{i}-frames")
            body = html.frames(run.frames, idents[-1], f"Samples of {run.name}", samples.time_at(run), "compare", 560)
            if run.pictures is not None:
                body += samples.heard_of(run.pictures, run.pictures.samples, f"Samples of {run.name}")
        elif run.pictures is not None:
            body = samples.shown_of(run.pictures, run.pictures.samples, f"Samples of {run.name}", "compare", 560)
        else:
            body = '<p class="soft">No samples yet.</p>'
        columns.append(f"<h3>{escape(_label(run))}</h3>{body}")
    real = next((r.pictures for r in runs if r.pictures is not None and r.pictures.real is not None), None)
    if real is not None and real.real is not None:
        alt = "Real images of the data set"
        shown = samples.heard_of(real, real.real, alt) or samples.shown_of(real, real.real, alt, "compare", 560)
        columns.append(f'<h3>{html.escape_words("Real images")}</h3>{shown}<div class="at">for comparison</div>')
    longest = max((len(r.frames) for r in runs), default=0)
    slider = html.scrubber(idents, longest, "Share of training done, all runs") if longest > 1 else ""
    text = "In each column the same latents at every stop. The slider moves all runs, by the share of training done."
    text += samples.legend(runs[0]) if len({run.words for run in runs}) == 1 else ""
    parts = [
        _section("Samples growing over training", text, f"{slider}{_columns(columns)}", 'class="first" id="compare"'),
        _close_up(runs, real),
        _rebuilt(runs),
        _families(runs),
        _differences(runs),
    ]
    return "\n".join(p for p in parts if p)


def _section(title: str, text: str, body: str, attributes: str = "") -> str:
    """A section; `body` and `attributes` are HTML."""
    soft = f'<p class="soft">{html.escape_words(text)}</p>' if text else ""
    return f"<section {attributes}><h2>{html.escape_words(title)}</h2>{soft}{body}</section>"


def _columns(columns: Sequence[str]) -> str:
    return '<div class="columns">' + "".join(f"<div>{c}</div>" for c in columns) + "</div>"


def _label(run: Facts) -> str:
    return f"{run.family} · {run.name}" if run.family else run.name


def _close_up(runs: Sequence[Facts], real: Pictures | None) -> str:
    """Four images of each at a large enlargement, from the last checkpoint."""
    if not all(r.domain is not None and r.domain.pictures and r.domain.cell(data.spec_of(r.data)) for r in runs):
        return ""  # other data are no larger for being fewer
    named = [(_label(r), r.pictures, r.pictures.samples) for r in runs if r.pictures is not None]
    if real is not None and real.real is not None:
        step = max(1, len(real.real.x) // 4)
        named.append(("Real images", real, jax.tree.map(lambda v: v[::step], real.real)))
    if len(named) < 2:
        return ""
    few = [(n, p, jax.tree.map(lambda v: v[:4], v)) for n, p, v in named]
    columns = [
        f"<h3>{html.escape_words(n)}</h3>{samples.shown_of(p, v, f'{n}, enlarged', 'close', 360, 2)}" for n, p, v in few
    ]
    text = "Samples from the last checkpoint, every pixel a square: look at edges, thin strokes and texture."
    return _section("Close up", text, _columns(columns))


def _rebuilt(runs: Sequence[Facts]) -> str:
    found = [(r, f) for r in runs if r.pictures is not None for f in r.pictures.figures if f.kind == "reconstructions"]
    out = []
    for run, f in found:
        named = f._replace(title=f"{f.title}, {run.name}" if len(found) > 1 else f.title)
        if any(r.family == "GAN" for r in runs):
            named = named._replace(text=f"{f.text} A GAN has no encoder, so it has nothing to show here.")
        out.append(html.figure(named, "rebuilt"))
    return "".join(out)


def _families(runs: Sequence[Facts]) -> str:
    pictures = all(r.domain is not None and r.domain.pictures and r.domain.drawn == "mean" for r in runs)
    if not {"VAE", "GAN"} <= {r.family for r in runs} or not pictures:
        return ""
    said = {"VAE": ("VAEs as a family", words.BLUR), "GAN": ("GANs as a family", words.SHARP)}
    columns = []
    for family, (title, text) in said.items():
        mine = [(r, collapse.look(r.records, _found(r))) for r in runs if r.family == family]
        own = "".join(f"<p><b>{escape(r.name)}.</b> {escape(look)}</p>" for r, look in mine)
        columns.append(f"<h3>{title}</h3><p>{escape(text)}</p>{own}")
    return f"<section><h2>Why they look different</h2>{_columns(columns)}</section>"


def config_of(run: Facts) -> dict[str, str]:
    """The configuration; where it leaves the likelihood to the data, that which they chose."""
    chosen = run.manifest.get("likelihood") if run.config.get("likelihood") == "" else None
    of_data = {"likelihood": f"{chosen}, chosen by the data"} if chosen else {}
    return {k: str(v) for k, v in run.config.items()} | of_data


def _found(run: Facts) -> list[Finding]:
    """What is wrong with a run now, by its monitor and by what was measured."""
    return [*(s.finding for s in still_open(run.findings)), *collapse.findings_from(run.records)]


def _differences(runs: Sequence[Facts]) -> str:
    names = list(dict.fromkeys(k for r in runs for k in ("recipe", *r.config)))
    values = [{"recipe": r.recipe, **config_of(r)} for r in runs]
    rows = [(k, *(v.get(k, "–") for v in values)) for k in names]
    rows = [row for row in rows if any(a != b for a, b in pairwise(row[1:]))]
    if not rows:
        return html.split("What differs", "Nothing in the configuration.", "")
    text = "The fields of the configuration in which the runs differ."
    return html.split("What differs", text, html.table(rows, ("", *(r.name for r in runs))))
