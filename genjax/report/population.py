"""The part of a page that a run of several members has: how each did, and their curves together."""

from collections.abc import Mapping, Sequence
from html import escape

import numpy as np

from genjax import viz
from genjax.metrics.interval import interval
from genjax.metrics_log import plain_names
from genjax.report import html, words
from genjax.report.members import Member, groups
from genjax.runs.display import favourite_of

DISCRIMINATOR = {
    f"d/{of}_{kind}": f"Discriminator's {kind}, {name} images"
    for kind in ("probability", "logit")
    for of, name in (("real", "real"), ("fake", "generated"))
}


def table(rows: Mapping[str, np.ndarray], who: Sequence[Member]) -> str:
    """Each member's last numbers, and each group's mean with its 95 % interval."""
    keys = [k for k in favourite_of(rows) if rows[k].ndim == 2]
    failed = rows["failed"][-1] if "failed" in rows else np.zeros(len(who))
    last = {k: np.where(failed > 0, np.nan, rows[k][-1]) for k in keys}
    shown = [
        (f"{m.index}", f"{m.seed}", *(f"{v:g}" for v in m.values.values()),
         *("failed" if failed[m.index] else html.number(float(last[k][m.index])) for k in keys))
        for m in who
    ]  # fmt: skip
    body = html.table(shown, ("member", "seed", *who[0].values, *keys))
    means = []
    for point, index in groups(who).items():
        cells = []
        for k in keys:
            mean, half = interval(last[k][index])
            cells.append(html.number(float(mean), float(half)) if np.isfinite(mean) else "none")
        means.append((point or "all seeds", f"{int((failed[index] == 0).sum())}", *cells))
    about = "Mean over the seeds that have not failed, and its 95 % interval (Student's t)."
    return f'{body}<br><p class="soft">{about}</p>{html.table(means, ("", "seeds", *keys))}'


def logged(rows: Mapping[str, np.ndarray]) -> list[words.Chart]:
    """The charts of a population's logged metrics."""
    rows = {k: v for k, v in rows.items() if v.ndim == 2 or k == "step"}
    said = {plain: name for name, plain in plain_names(rows).items() if plain in DISCRIMINATOR}
    outputs = [words.Chart((said[k],), title, words.DISCRIMINATOR) for k, title in DISCRIMINATOR.items() if k in said]
    return [*words.charts(rows), *outputs]


def curves(
    rows: Mapping[str, np.ndarray], who: Sequence[Member], charts: Sequence[words.Chart], mark: int | None = None
) -> str:
    """Charts of metrics: each member thin, each group's mean with its interval; a dashed line at step `mark`."""
    by_point = groups(who)
    cells = []
    for chart in charts:
        for key in (k for k in chart.keys if k in rows and np.isfinite(rows[k]).any()):
            drawn = [_band(rows[key][:, index]) for index in by_point.values()]
            title = chart.title if len(chart.keys) == 1 else f"{chart.title}: {key.split('/')[0]}"
            svg = viz.bands(rows["step"], drawn, key, mark=mark)
            cells.append(
                f'<figure class="chart"><div class="head"><h3>{html.escape_words(title)}</h3></div>{svg.text}'
                f"<figcaption>{html.escape_words(chart.text)}</figcaption></figure>"
            )
    colours = zip(by_point, viz.shades(len(by_point)), strict=True)
    names = [f'<span style="color:{c}">● {escape(p)}</span>' for p, c in colours]
    legend = f"<p>{' &nbsp; '.join(names)}</p>" if len(by_point) > 1 else ""
    return f'{legend}<div class="charts">{"".join(cells)}</div>'


def _band(runs: np.ndarray) -> viz.Band:
    mean, half = interval(runs)
    return viz.Band(runs, mean, mean - half, mean + half)
