"""Curves, bands, histograms and spectra as SVG, through matplotlib."""

import io
import re
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np

LARGEST = 1e300
"""Values beyond it are left out as infinite ones are: matplotlib's ticks overflow. No float32 comes near it."""
N_POINTS = 150
"""Points of a curve; more rows than that are drawn as means with a band from least to greatest."""

# Colours go through matplotlib as these stand-ins and come out as CSS variables, so that one SVG suits light and dark.
INK, RULE = "#010101", "#010102"
LINES = ("#010103", "#010104", "#010105")
_CSS = {
    INK: "var(--chart-ink, #6b6b6b)",
    RULE: "var(--chart-rule, #d5d5d5)",
    LINES[0]: "var(--chart-1, #2f6db3)",
    LINES[1]: "var(--chart-2, #c2571a)",
    LINES[2]: "var(--chart-3, #3d8a5f)",
}


@dataclass(frozen=True)
class Svg:
    """An SVG element in memory; the last expression of a notebook cell displays it."""

    text: str = field(repr=False)  # a notebook keeps the repr beside the picture

    def _repr_svg_(self) -> str:
        return self.text


def curves(
    rows: Mapping[str, Any],
    keys: Sequence[str],
    labels: Sequence[str] | None = None,
    level: float | None = None,
    ylim: tuple[float, float] | None = None,
    size: tuple[float, float] = (4.4, 2.1),
    mark: float | None = None,
    names: tuple[str, str] = ("", ""),
) -> Svg:
    """Metrics over steps: a line for each of up to three keys, broken where a value is not finite.

    Args:
        rows: what `runs.read_metrics` gives: `step` and one equally long array per metric.
        keys: which metrics to draw; those of `rows` that have no finite value are left out.
        labels: their names in the legend, which a single curve does without.
        level: a dashed horizontal line.
        ylim: the y axis; by default it fits the curve, and leaves out a beginning that would flatten the rest.
        size: width and height in inches.
        mark: a step to mark: a dashed vertical line, and a dot on the first curve where it has that step.
        names: what stands at the x and the y axis; nothing by default, for where a heading says it.

    Example:
        >>> "<svg" in curves({"step": [0, 10, 20], "elbo": [-9.0, float("nan"), -3.0]}, ["elbo"]).text
        True
    """
    if not 1 <= len(keys) <= len(LINES):
        raise ValueError(f"{len(keys)} curves in one chart; at most {len(LINES)}, and at least one, are legible.")
    figure, axes = bare_axes(size, legend=len(keys) > 1, names=names)
    drawn = []
    for key, label, colour in zip(keys, labels or keys, LINES, strict=False):
        x, mean, low, high = _thin(np.asarray(rows["step"], float), np.asarray(rows[key], float))
        finite = np.isfinite(mean)
        if not finite.any():
            continue
        drawn.append((x, mean))
        axes.fill_between(x, low, high, where=finite, color=colour, alpha=0.16, linewidth=0)
        axes.plot(x, mean, color=colour, linewidth=1.4, label=label, solid_capstyle="round", solid_joinstyle="round")
        alone = finite & ~np.r_[False, finite[:-1]] & ~np.r_[finite[1:], False]
        axes.plot(x[alone], mean[alone], linestyle="", marker="o", markersize=2.5, color=colour, markeredgewidth=0)
    if level is not None:
        axes.axhline(level, color=INK, linewidth=0.8, dashes=(4, 3))
    if mark is not None and drawn:
        _mark(axes, mark, np.asarray(rows["step"], float), np.asarray(rows[keys[0]], float))
    if drawn:
        axes.set_xlim(0, max(x[-1] for x, _ in drawn) or 1)
        axes.set_ylim(*(ylim or _limits(drawn)))
    if len(keys) > 1 and drawn:
        _legend(axes)
    return as_svg(figure, f"{', '.join(labels or keys)} over training steps")


class Band(NamedTuple):
    """One metric of several runs, (rows, runs), with its mean and the bounds of a band around it, (rows,)."""

    runs: np.ndarray
    mean: np.ndarray
    low: np.ndarray
    high: np.ndarray


def shades(n: int) -> list[str]:
    """n colours in order, from blue over green to orange, legible on light and on dark."""
    ends = np.array([[0x2F, 0x6D, 0xB3], [0x3D, 0x8A, 0x5F], [0xC2, 0x57, 0x1A]], float)
    at = np.linspace(0, 2, n) if n > 1 else np.zeros(1)
    each = [[round(float(np.interp(a, [0, 1, 2], ends[:, c]))) for c in range(3)] for a in at]
    return ["#{:02x}{:02x}{:02x}".format(*rgb) for rgb in each]


def bands(
    steps: Any, groups: Sequence[Band], description: str, size: tuple[float, float] = (4.4, 2.1),
    mark: float | None = None,
) -> Svg:  # fmt: skip
    """A metric over steps for several groups of runs: thin lines for runs, a line and a band for each group's mean.

    A dashed vertical line stands at step `mark`.

    Example:
        >>> runs = np.array([[1.0, 2.0], [2.0, 4.0]])
        >>> "<svg" in bands([0, 10], [Band(runs, runs.mean(1), runs.min(1), runs.max(1))], "loss").text
        True
    """
    figure, axes = bare_axes(size, legend=False)
    at = np.unique(np.linspace(0, len(steps) - 1, N_POINTS).round().astype(int))
    x, drawn = np.asarray(steps, float)[at], []
    for group, colour in zip(groups, shades(len(groups)), strict=True):
        runs, mean, low, high = (_drawable(v)[at] for v in group)
        for run in runs.T:
            axes.plot(x, run, color=colour, linewidth=0.6, alpha=0.45)
        drawn += [(x, run) for run in runs.T if np.isfinite(run).any()]
        axes.fill_between(x, low, high, where=np.isfinite(low), color=colour, alpha=0.16, linewidth=0)
        axes.plot(x, mean, color=colour, linewidth=1.6, solid_capstyle="round", solid_joinstyle="round")
    if mark is not None:
        _mark(axes, mark)
    if drawn:
        axes.set_xlim(0, x[-1] or 1)
        axes.set_ylim(*_limits(drawn))
    return as_svg(figure, f"{description} of {sum(g.runs.shape[1] for g in groups)} runs over training steps")


def histogram(
    groups: Mapping[str, Any], limits: tuple[float, float] | None = None, size: tuple[float, float] = (4.4, 2.1),
    names: tuple[str, str] = ("", ""),
) -> Svg:  # fmt: skip
    """How often values occur: one outline for each of up to three named groups, as shares of the group.

    `limits` are those of the x axis, `size` is width and height in inches, `names` stand at the x and the y axis.
    """
    figure, axes = bare_axes(size, legend=True, names=names)
    values = {name: (d := _drawable(v))[~np.isnan(d)] for name, v in groups.items()}
    pooled = np.concatenate([*values.values(), np.zeros(0)])
    low, high = limits or ((pooled.min(), pooled.max()) if pooled.size else (0.0, 1.0))
    edges = np.linspace(low, high if high > low else low + 1.0, 33)
    for (name, v), colour in zip(values.items(), LINES, strict=False):
        if v.size:
            share = np.histogram(np.clip(v, edges[0], edges[-1]), edges)[0] / v.size
            axes.stairs(share, edges, fill=True, color=colour, alpha=0.16)
            axes.stairs(share, edges, color=colour, linewidth=1.2, label=name)
    axes.set_xlim(edges[0], edges[-1])
    axes.yaxis.set_major_formatter(lambda v, _: f"{100 * v:g} %")
    if pooled.size:
        _legend(axes)
    return as_svg(figure, f"histogram of {', '.join(groups)}")


def spectra(groups: Mapping[str, tuple[Any, Any]], size: tuple[float, float] = (4.4, 2.1)) -> Svg:
    """Power over frequency, both as `metrics.radial_spectrum` gives them, of up to three named groups of images."""
    figure, axes = bare_axes(size, legend=True)
    for (name, (frequency, power)), colour in zip(groups.items(), LINES, strict=False):
        shown = np.where(np.asarray(power) > 0, power, np.nan)
        axes.plot(frequency, 10 * np.log10(shown), color=colour, linewidth=1.4, label=name)
    axes.yaxis.set_major_formatter(lambda v, _: f"{number(v)} dB")
    _legend(axes)
    return as_svg(figure, f"power over cycles per pixel of {', '.join(groups)}")


def _drawable(v: Any) -> np.ndarray:
    """Values as numbers, those that cannot be drawn as NaN."""
    v = np.asarray(v, float)
    return np.where(np.abs(v) < LARGEST, v, np.nan)


def _mark(axes: Any, at: float, x: np.ndarray = np.zeros(0), y: np.ndarray = np.zeros(0)) -> None:
    """A vertical line, and a dot on the curve."""
    axes.axvline(at, color=INK, linewidth=0.8, dashes=(4, 3))
    here = (x == at) & ~np.isnan(_drawable(y))
    axes.plot(x[here], y[here], linestyle="", marker="o", markersize=5, color=LINES[0], markeredgewidth=0,
              clip_on=False)  # fmt: skip


def _legend(axes: Any) -> None:
    axes.legend(
        loc="lower left",
        bbox_to_anchor=(-0.02, 1.0),
        ncols=3,
        frameon=False,
        labelcolor=INK,
        fontsize=9,
        handlelength=1.4,
        borderaxespad=0.2,
    )


def _thin(x: np.ndarray, y: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """At most `N_POINTS` points: x, mean, least and greatest of equal stretches; NaN where a stretch has one."""
    y = _drawable(y)
    parts = np.array_split(np.arange(len(x)), min(len(x), N_POINTS))
    pick = [
        (x[p].mean() if 0 < i < len(parts) - 1 else x[p[0 if i == 0 else -1]], y[p].mean(), y[p].min(), y[p].max())
        for i, p in enumerate(parts)
    ]
    xs, mean, low, high = np.array(pick).reshape(-1, 4).T
    return xs, mean, low, high


def _limits(drawn: Sequence[tuple[np.ndarray, np.ndarray]]) -> tuple[float, float]:
    """The y axis: all values, or all but the first twentieth of the steps where that part alone triples the range."""

    every = np.concatenate([y for _, y in drawn])
    after = np.concatenate([y[x > 0.05 * x[-1]] for x, y in drawn])
    full = (float(np.nanmin(every)), float(np.nanmax(every)))
    late = (float(np.nanmin(after)), float(np.nanmax(after))) if np.isfinite(after).any() else full
    low, high = late if 0 < 3 * (late[1] - late[0]) < full[1] - full[0] else full
    margin = 0.06 * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def number(value: float, position: float = 0) -> str:
    """A tick label: 0.05, -120, 2.5k."""
    del position
    text = f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:.4g}"
    return text.replace("-", "\N{MINUS SIGN}")


def bare_axes(size: tuple[float, float], legend: bool, names: tuple[str, str] = ("", "")):
    """A figure outside pyplot and its one pair of axes, named, in the stand-in colours."""
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    figure = Figure(figsize=size)
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    left, below, above = 0.66 if names[1] else 0.46, 0.44 if names[0] else 0.26, 0.26 if legend else 0.1
    margin = left / size[0]
    axes = figure.add_axes((margin, below / size[1], 1 - margin - 0.12 / size[0], 1 - (below + above) / size[1]))
    axes.set_xlabel(names[0], color=INK, fontsize=9, labelpad=3)
    axes.set_ylabel(names[1], color=INK, fontsize=9, labelpad=4)
    axes.patch.set_visible(False)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.spines["bottom"].set_color(RULE)
    axes.grid(axis="y", color=RULE, linewidth=0.6)
    axes.set_axisbelow(True)
    axes.tick_params(length=0, labelsize=9, labelcolor=INK, pad=4)
    axes.xaxis.set_major_locator(MaxNLocator(5))
    axes.yaxis.set_major_locator(MaxNLocator(4))
    axes.xaxis.set_major_formatter(number)
    axes.yaxis.set_major_formatter(number)
    return figure, axes


def as_svg(figure: Any, description: str) -> Svg:
    """The figure as a small SVG element: text as text, colours as CSS variables, ids that no other chart has."""
    import matplotlib as mpl

    out = io.StringIO()
    with mpl.rc_context({"svg.fonttype": "none", "svg.hashsalt": "genjax", "path.simplify": True}):
        figure.savefig(out, format="svg", metadata={"Date": None, "Creator": None, "Format": None, "Type": None})
    text = out.getvalue()
    text = re.sub(r"<metadata>.*?</metadata>\s*", "", text[text.index("<svg") :], flags=re.DOTALL)
    for stand_in, css in _CSS.items():
        text = text.replace(stand_in, css)
    text = re.sub(r"<defs>\s*<style.*?</style>\s*</defs>", "", text, flags=re.DOTALL)  # it would style the whole page
    text = re.sub(r"(font-family: )[^;\"]+|(?<=px )'[^;\"]+", r"\1system-ui, sans-serif", text)
    used = set(re.findall(r"#([\w-]+)[\")]", text))
    mark = f"c{zlib.crc32(text.encode()):08x}"
    text = re.sub(r' id="([\w.-]+)"', lambda m: f' id="{mark}-{m[1]}"' if m[1] in used else "", text)
    text = re.sub(r"(url\(|href=\")#", rf"\1#{mark}-", text)
    text = re.sub(r"\n\s*", "\n", re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL))
    label = description.replace("&", "&amp;").replace('"', "&quot;").replace("<", "&lt;")
    return Svg(text.replace("<svg ", f'<svg role="img" aria-label="{label}" ', 1))
