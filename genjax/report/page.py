"""The whole page: of one run, or of several side by side and then each in full."""

import shlex
from collections.abc import Callable, Sequence
from html import escape
from itertools import pairwise

import jax
import numpy as np

from genjax import data, viz
from genjax.data import Examples
from genjax.domains.contract import Words
from genjax.errors import UsageError
from genjax.health import Finding, still_open
from genjax.report import collapse, health, html, measured, members, population, sweep, words
from genjax.report.facts import Facts, commands, gaps
from genjax.report.pictures import Pictures


def page(runs: Sequence[Facts]) -> str:
    """The HTML of a report on one or more runs."""
    several = len(runs) > 1
    title = _title(runs)
    with html.speaking_of(_common_words(runs)):
        body = [_header(runs, title)]
        if several:
            body.append(_comparison(runs))
    for i, run in enumerate(runs):
        with html.speaking_of(run.words):
            if several:
                title_ = f"<h2>{escape(run.name)}</h2>{_summary(run)}"
                body.append(f'<section class="run-title" id="run{i}">{title_}</section>')
            body.append(_run(run, f"r{i}", several))
    return html.document(title, body)


def _common_words(runs: Sequence[Facts]) -> Words:
    """What the examples of all runs are called."""
    names = {run.words for run in runs}
    return names.pop() if len(names) == 1 else Words()


def _title(runs: Sequence[Facts]) -> str:
    names = {str(r.data.get("name", "")) for r in runs}
    on = f" on {names.pop()}" if len(names) == 1 and "" not in names else ""
    if len(runs) == 1:
        return f"{_article(runs[0].family)}{on}"
    families = [r.family for r in runs]
    if sorted(families) == ["GAN", "VAE"]:
        return f"A VAE and a GAN{on}, side by side"
    return f"{len(runs)} runs{on}, side by side"


def _article(family: str) -> str:
    names = {"VAE": "A variational autoencoder", "GAN": "A generative adversarial network"}
    return names.get(family, "A generative model")


def _header(runs: Sequence[Facts], title: str) -> str:
    if len(runs) > 1:
        links = [("compare", "Side by side"), *((f"run{i}", r.name) for i, r in enumerate(runs))]
        intro = f'<p class="lead">{escape(_same_data(runs))}</p>'
    else:
        run = runs[0]
        links = [
            ("pictures", "Pictures"),
            *([("r0-measured", "Measured")] if run.records else []),
            ("r0-health", "Health"),
            *([("r0-validation", f"Held-out {run.words.many}")] if run.validation else []),
            ("r0-curves", "Curves"),
            ("r0-about", "Configuration and commands"),
        ]
        intro = _summary(runs[0])
    nav = "".join(f'<a href="#{target}">{escape(text)}</a>' for target, text in links)
    toggle = '<button type="button" id="theme" class="js-only">Dark</button>'
    return (
        f'<header><div class="bar"><nav aria-label="On this page">{nav}</nav>{toggle}</div>'
        f"<h1>{escape(title)}</h1>{intro}</header>\n<main>"
    )


def _same_data(runs: Sequence[Facts]) -> str:
    prints = {str(r.data.get("fingerprint", "")) for r in runs}
    if len(prints) == 1 and "" not in prints:
        n, many = runs[0].data.get("n_train"), runs[0].words.many
        return f"Trained on the same {_count(n)} {many} ({_size(runs[0])}), and shown at the same enlargement."
    return "The runs were trained on different data; compare with care. All are shown at the same enlargement."


def _count(n: object) -> str:
    return f"{n:,}" if isinstance(n, int) else "unknown number of"


def _size(run: Facts) -> str:
    try:
        return "unknown size" if run.domain is None else run.domain.sizes(data.spec_of(run.data))
    except UsageError:
        return "unknown size"


def _state(run: Facts) -> str:
    """One sentence: how far the run is."""
    of = f" of {run.planned:,}" if run.planned else ""
    if run.finished:
        return f"Finished: {run.step:,} steps."
    if run.step is None:
        return f"No checkpoint yet; {run.reached:,}{of} steps are logged."
    return f"Not finished: {run.reached:,}{of} steps so far. It can be continued, command below."


def _summary(run: Facts) -> str:
    seconds = run.rows["seconds"][-1] if len(run.rows.get("seconds", ())) else None
    about = run.data
    classes = about.get("n_classes") or 0
    facts = {
        "Recipe": run.recipe,
        "Data": f"{about.get('name', 'unknown')}, {_count(about.get('n_train'))} {run.words.many}",
        _title_case(run.words.many): _size(run) + (f", {classes} classes" if classes else ""),
        "Family": run.family or "unknown",
        "Steps": f"{run.reached:,}" + (f" of {run.planned:,}" if run.planned and run.planned != run.reached else ""),
        "Time": "not logged" if seconds is None else html.duration(float(seconds)),
        **members.said(run.members, run.population, run.member),
        "Device": _device(run),
        "Last checkpoint": "none yet" if run.step is None else f"step {run.step:,}",
    }
    cells = "".join(f"<div><dt>{escape(k)}</dt><dd>{escape(v)}</dd></div>" for k, v in facts.items())
    kind = "lead" if run.finished else "lead warn"
    notes = "".join(f'<p class="note">{escape(p)}</p>' for p in run.problems)
    return f'<p class="{kind}">{escape(_state(run))}</p><dl class="facts">{cells}</dl>{notes and "<br>" + notes}'


def _title_case(word: str) -> str:
    return word[:1].upper() + word[1:]


def _device(run: Facts) -> str:
    """What the run was trained on."""
    kind, count, cores = (run.manifest.get(k) for k in ("device_kind", "device_count", "cpu_count"))
    if kind is None:
        return "not recorded"
    if str(kind).lower() == "cpu":
        return f"CPU, {cores} cores" if cores else "CPU"
    return f"{count} × {kind}" if count and count > 1 else str(kind)


def _time_at(run: Facts) -> Callable[[int], str]:
    """Wall-clock time at a step, between logged ones in proportion; nothing where the log does not reach."""
    steps, seconds = (np.r_[0.0, run.rows.get(k, np.zeros(0))] for k in ("step", "seconds"))

    def said(step: int) -> str:
        return html.duration(float(np.interp(step, steps, seconds))) if 0 < step <= steps[-1] else ""

    return said


def _run(run: Facts, ident: str, several: bool) -> str:
    """Everything on one run but its summary. In a comparison its samples have been shown already."""
    parts = [] if several else [_samples(run, ident)]
    parts.append(sweep.section(run))
    parts.append(measured.numbers(run.records, run.step, bool(run.members), ident))
    parts.append(
        health.section(run.findings, run.options, run.reached, run.looked, collapse.of(run.records), f"{ident}-health")
    )
    if run.pictures is not None:
        shown = {"reconstructions"} if several else set()
        parts += [html.figure(f, f"{ident}-{f.kind}") for f in run.pictures.figures if f.kind not in shown]
    if run.members:
        parts.append(_members(run))
    else:
        parts.append(_discriminator(run))
    parts += [_held_out(run, ident), _curves(run, ident), _about(run, ident)]
    return "\n".join(p for p in parts if p)


def _held_out(run: Facts, ident: str) -> str:
    return measured.validation(run.validation, run.rows, run.best, run.members, ident)


def _members(run: Facts) -> str:
    """Every member's numbers, and their means."""
    if not len(run.rows.get("step", ())):
        return ""
    text = "The last logged values. Members of one line below differ in their seed alone."
    return html.split("Members", text, population.table(run.rows, run.members), 'id="members"')


def _samples(run: Facts, ident: str) -> str:
    if run.frames:
        note = f" {len(run.frames)} of {run.n_frames} grids are in this page." if run.n_frames > len(run.frames) else ""
        shown = html.frames(run.frames, f"{ident}-frames", "Generated samples", _time_at(run), f"{ident}-samples", 620)
        shown += html.scrubber([f"{ident}-frames"], len(run.frames), "Step of training") if len(run.frames) > 1 else ""
        text = "The same latents at every stop: each place in the grid shows one image taking shape."
        text += f" A row is a member, from 0 to {len(run.members) - 1}." if run.members else ""
    elif run.pictures is not None:
        shown, note = _shown(run.pictures, run.pictures.samples, "Generated samples", "", 620), ""
        text = "Samples from the last checkpoint. The run has saved no grids during training."
    else:
        shown, note, text = "", "", "There are no samples yet."
    of_mean = run.domain is not None and run.domain.drawn == "mean"
    mean = " Shown is the decoder's mean." if run.family == "VAE" and shown and of_mean else ""
    figure = f"<figure>{shown}</figure>" if shown else ""
    if run.pictures is not None and run.frames and not of_mean:  # a glance is no hearing, nor a whole text
        figure += f"<figure>{_shown(run.pictures, run.pictures.samples, 'Generated samples', '', 620)}</figure>"
    return html.split("Samples growing over training", text + mean + note, figure, 'id="pictures"')


def _shown(p: Pictures, examples: Examples, alt: str, group: str, most: int, ncols: int | None = None) -> str:
    return html.pieces(p.show(examples, ncols, False), alt, group, most)


def _comparison(runs: Sequence[Facts]) -> str:
    """Samples over training in columns with one slider, enlarged details, reconstructions, what differs and why."""
    columns, idents = [], []
    for i, run in enumerate(runs):
        if run.frames:
            idents.append(f"c{i}-frames")
            body = html.frames(run.frames, idents[-1], f"Samples of {run.name}", _time_at(run), "compare", 560)
        elif run.pictures is not None:
            body = _shown(run.pictures, run.pictures.samples, f"Samples of {run.name}", "compare", 560)
        else:
            body = '<p class="soft">No samples yet.</p>'
        columns.append(f"<h3>{escape(_label(run))}</h3>{body}")
    real = next((r.pictures for r in runs if r.pictures is not None and r.pictures.real is not None), None)
    if real is not None and real.real is not None:
        shown = _shown(real, real.real, "Real images of the data set", "compare", 560)
        columns.append(f'<h3>{html.said("Real images")}</h3>{shown}<div class="at">for comparison</div>')
    longest = max((len(r.frames) for r in runs), default=0)
    slider = html.scrubber(idents, longest, "Share of training done, all runs") if longest > 1 else ""
    text = "In each column the same latents at every stop. The slider moves all runs, by the share of training done."
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
    soft = f'<p class="soft">{html.said(text)}</p>' if text else ""
    return f"<section {attributes}><h2>{html.said(title)}</h2>{soft}{body}</section>"


def _columns(columns: Sequence[str]) -> str:
    return '<div class="columns">' + "".join(f"<div>{c}</div>" for c in columns) + "</div>"


def _label(run: Facts) -> str:
    return f"{run.family} · {run.name}" if run.family else run.name


def _close_up(runs: Sequence[Facts], real: Pictures | None) -> str:
    """Four images of each at a large enlargement, from the last checkpoint."""
    if not all(r.domain is not None and r.domain.cell(data.spec_of(r.data)) for r in runs):
        return ""  # other data are no larger for being fewer
    named = [(_label(r), r.pictures, r.pictures.samples) for r in runs if r.pictures is not None]
    if real is not None and real.real is not None:
        step = max(1, len(real.real.x) // 4)
        named.append(("Real images", real, jax.tree.map(lambda v: v[::step], real.real)))
    if len(named) < 2:
        return ""
    few = [(n, p, jax.tree.map(lambda v: v[:4], v)) for n, p, v in named]
    columns = [f"<h3>{html.said(n)}</h3>{_shown(p, v, f'{n}, enlarged', 'close', 360, 2)}" for n, p, v in few]
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
    pictures = all(r.domain is not None and r.domain.drawn == "mean" for r in runs)
    if not {"VAE", "GAN"} <= {r.family for r in runs} or not pictures:
        return ""
    said = {"VAE": ("VAEs as a family", words.BLUR), "GAN": ("GANs as a family", words.SHARP)}
    columns = []
    for family, (title, text) in said.items():
        mine = [(r, collapse.look(r.records, _found(r))) for r in runs if r.family == family]
        own = "".join(f"<p><b>{escape(r.name)}.</b> {escape(look)}</p>" for r, look in mine)
        columns.append(f"<h3>{title}</h3><p>{escape(text)}</p>{own}")
    return f"<section><h2>Why they look different</h2>{_columns(columns)}</section>"


def _config(run: Facts) -> dict[str, str]:
    """The configuration; where it leaves the likelihood to the data, that which they chose."""
    chosen = run.manifest.get("likelihood") if run.config.get("likelihood") == "" else None
    of_data = {"likelihood": f"{chosen}, chosen by the data"} if chosen else {}
    return {k: str(v) for k, v in run.config.items()} | of_data


def _found(run: Facts) -> list[Finding]:
    """What is wrong with a run now, by its monitor and by what was measured."""
    return [*(s.finding for s in still_open(run.findings)), *collapse.of(run.records)]


def _differences(runs: Sequence[Facts]) -> str:
    names = list(dict.fromkeys(k for r in runs for k in ("recipe", *r.config)))
    values = [{"recipe": r.recipe, **_config(r)} for r in runs]
    rows = [(k, *(v.get(k, "–") for v in values)) for k in names]
    rows = [row for row in rows if any(a != b for a, b in pairwise(row[1:]))]
    if not rows:
        return html.split("What differs", "Nothing in the configuration.", "")
    text = "The fields of the configuration in which the runs differ."
    return html.split("What differs", text, html.table(rows, ("", *(r.name for r in runs))))


def _discriminator(run: Facts) -> str:
    """The discriminator's outputs over training, and now."""
    kind = next((k for k in ("probability", "logit") if f"d/real_{k}" in run.rows and f"d/fake_{k}" in run.rows), None)
    if kind is None:
        return ""
    level, ylim, text = (0.5, (0.0, 1.0), words.PROBABILITY) if kind == "probability" else (None, None, words.LOGIT)
    keys = [f"d/real_{kind}", f"d/fake_{kind}"]
    chart = viz.curves(run.rows, keys, ["real", "generated"], level, ylim)
    cells = [f"<h3>During training</h3>{chart.text}<figcaption>{html.said(text)}{_gaps(run, keys)}</figcaption>"]
    if run.pictures is not None and run.pictures.scores:
        scores, is_probability = run.pictures.scores, run.pictures.is_probability
        text = words.HISTOGRAM if "test" in scores else words.HISTOGRAM_NO_TEST
        if len(scores) == 1:
            text = words.HISTOGRAM_NO_DATA
        drawn = viz.histogram(scores, (0.0, 1.0) if is_probability else None).text
        what = "probability of being real" if is_probability else "logit"
        cells.append(f"<h3>Now: {what}</h3>{drawn}<figcaption>{html.said(text)}</figcaption>")
    body = "".join(f'<figure class="chart">{c}</figure>' for c in cells)
    return html.split("What the discriminator says", words.DISCRIMINATOR, f'<div class="charts">{body}</div>')


def _gaps(run: Facts, keys: Sequence[str]) -> str:
    said = " ".join(filter(None, (gaps(run.rows, k) for k in keys)))
    return f' <span class="warn">{escape(said)}</span>' if said else ""


def _curves(run: Facts, ident: str) -> str:
    if not len(run.rows.get("step", ())):
        return html.split("Curves", "Nothing has been logged yet.", "", f'id="{ident}-curves"')
    if run.members:
        text = "Over training steps; thin lines are members, thick ones the means over seeds with their 95 % intervals."
        charts = population.curves(run.rows, run.members, population.logged(run.rows))
        return html.split("Curves", text, charts, f'id="{ident}-curves"')
    cells = []
    for chart in words.charts(run.rows):
        labels = [k.split("/")[0] for k in chart.keys] if len(chart.keys) > 1 else None
        svg = viz.curves(run.rows, chart.keys, labels)
        last = [run.rows[k][np.isfinite(run.rows[k])] for k in chart.keys]
        now = " · ".join(html.number(float(v[-1])) for v in last if len(v))
        head = f'<div class="head"><h3>{html.said(chart.title)}</h3><span class="now">{escape(now)}</span></div>'
        cells.append(
            f'<figure class="chart">{head}{svg.text}'
            f"<figcaption>{html.said(chart.text)}{_gaps(run, chart.keys)}</figcaption></figure>"
        )
    text = (
        "Over training steps; every logged value is an average since the one before. Beside each title stands the "
        "last. Where there are many, the line is the mean of neighbours and the band their range. A first twentieth "
        "that would flatten all the rest runs out of the chart."
    )
    charts = f'<div class="charts">{"".join(cells)}</div>'
    return html.split("Curves", text, charts, f'id="{ident}-curves"')


def _about(run: Facts, ident: str) -> str:
    lines = "".join(
        f'<h3>{escape(title)}</h3><div class="command"><pre><code>{escape(line)}</code></pre>'
        '<button type="button" class="copy js-only">Copy</button></div>'
        for title, line in commands(run).items()
    )
    checkpoint = [("step", f"{run.step:,}"), ("digest", run.digest)] if run.step is not None else [("step", "none yet")]
    about = html.flat({**run.data, "folder": run.path})
    manifest = dict(run.manifest)
    if isinstance(manifest.get("command"), list):
        manifest["command"] = shlex.join(map(str, manifest["command"]))
    environment = html.table(html.flat(manifest)) if manifest else '<p class="soft">Not recorded.</p>'
    tables = (
        f'<div class="tables"><div><h3>Configuration</h3>{html.table(list(_config(run).items()))}</div>'
        f"<div><h3>Last checkpoint</h3>{html.table(checkpoint)}<br><h3>Data and folder</h3>{html.table(about)}</div>"
        f"</div><br><h3>Environment</h3>{environment}"
    )
    same = "On the same machine with the same versions, the same command gives the same numbers to the last bit."
    text = "The digest is a hash over every number of the checkpoint: two runs with one digest are the same run."
    return html.split("Commands", same, lines, f'id="{ident}-about"') + html.split(
        "Configuration and environment", text, tables
    )
