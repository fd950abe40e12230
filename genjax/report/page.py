"""The whole page: of one run, or of several side by side and then each in full."""

import shlex
from collections.abc import Sequence
from html import escape

import numpy as np

from genjax import data, viz
from genjax.domains.contract import Words
from genjax.errors import UsageError
from genjax.metrics_log import plain_names
from genjax.report import collapse, comparison, health, html, measured, members, population, samples, sweep, words
from genjax.report.facts import Facts, commands, gaps


def page(runs: Sequence[Facts]) -> str:
    """The HTML of a report on one or more runs."""
    several = len(runs) > 1
    title = _title(runs)
    with html.speaking_of(_common_words(runs)):
        body = [_header(runs, title)]
        if several:
            body.append(comparison.section(runs))
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
        said = f"Trained on the same {_count(n)} {many} ({_size(runs[0])})"
        return f"{said}, and shown at the same enlargement." if _enlarged(runs) else f"{said}."
    said = "The runs were trained on different data; compare with care."
    return f"{said} All are shown at the same enlargement." if _enlarged(runs) else said


def _enlarged(runs: Sequence[Facts]) -> bool:
    """Whether what is shown are pictures, not text."""
    return not any(isinstance(f.seen, str) for r in runs for f in r.frames)


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
        **members.describe_members(run.members, run.population, run.member),
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
        return f"CPU, {cores} core{'s' * (cores != 1)}" if cores else "CPU"
    return f"{count} × {kind}" if count and count > 1 else str(kind)


def _run(run: Facts, ident: str, several: bool) -> str:
    """Everything on one run but its summary. In a comparison its samples have been shown already."""
    parts = [] if several else [samples.section(run, ident)]
    parts.append(sweep.section(run))
    parts.append(measured.numbers(run.records, run.step, bool(run.members), ident))
    parts.append(
        health.section(
            run.findings, run.options, run.reached, run.looked, collapse.findings_from(run.records), f"{ident}-health"
        )
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


def _discriminator(run: Facts) -> str:
    """The discriminator's outputs over training, and now."""
    named = {plain: name for name, plain in plain_names(run.rows).items()}
    kind = next((k for k in ("probability", "logit") if {f"d/real_{k}", f"d/fake_{k}"} <= set(named)), None)
    if kind is None:
        return ""
    level, ylim, text = (0.5, (0.0, 1.0), words.PROBABILITY) if kind == "probability" else (None, None, words.LOGIT)
    keys = [named[f"d/real_{kind}"], named[f"d/fake_{kind}"]]
    chart = viz.curves(run.rows, keys, ["real", "generated"], level, ylim)
    cells = [
        f"<h3>During training</h3>{chart.text}<figcaption>{html.escape_words(text)}{_gaps(run, keys)}</figcaption>"
    ]
    if run.pictures is not None and run.pictures.scores:
        scores, is_probability = run.pictures.scores, run.pictures.is_probability
        text = words.HISTOGRAM if "test" in scores else words.HISTOGRAM_NO_TEST
        if len(scores) == 1:
            text = words.HISTOGRAM_NO_DATA
        drawn = viz.histogram(scores, (0.0, 1.0) if is_probability else None).text
        what = "probability of being real" if is_probability else "logit"
        cells.append(f"<h3>Now: {what}</h3>{drawn}<figcaption>{html.escape_words(text)}</figcaption>")
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
        head = (
            f'<div class="head"><h3>{html.escape_words(chart.title)}</h3><span class="now">{escape(now)}</span></div>'
        )
        cells.append(
            f'<figure class="chart">{head}{svg.text}'
            f"<figcaption>{html.escape_words(chart.text)}{_gaps(run, chart.keys)}</figcaption></figure>"
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
        f'<div class="tables"><div><h3>Configuration</h3>{html.table(list(comparison.config_of(run).items()))}</div>'
        f"<div><h3>Last checkpoint</h3>{html.table(checkpoint)}<br><h3>Data and folder</h3>{html.table(about)}</div>"
        f"</div><br><h3>Environment</h3>{environment}"
    )
    same = "On the same machine with the same versions, the same command gives the same numbers to the last bit."
    text = "The digest is a hash over every number of the checkpoint: two runs with one digest are the same run."
    return html.split("Commands", same, lines, f'id="{ident}-about"') + html.split(
        "Configuration and environment", text, tables
    )
