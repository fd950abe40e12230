"""The columns of a table as small histograms side by side."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from genjax.viz.charts import INK, LINES, RULE, Svg, as_svg, number

BINS = 24
MOST = 12
"""Categories that are named; more are put together as `others`."""
NCOLS = 4


class Panel(NamedTuple):
    """One column: numbers to bin, or categories with how often each is there."""

    title: str
    values: np.ndarray
    """Numbers; or the counts of the categories."""
    names: tuple[str, ...] = ()
    """The names of the categories; () for numbers."""


def columns(panels: Sequence[Panel]) -> Svg:
    """A histogram of each column, as shares of the rows.

    Example:
        >>> "<svg" in columns([Panel("age", np.arange(9.0)), Panel("sex", np.array([4, 5]), ("f", "m"))]).text
        True
    """
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    nrows = max(1, -(-len(panels) // NCOLS))
    figure = Figure(figsize=(9.2, 1.75 * nrows), layout="constrained")
    FigureCanvasSVG(figure)
    figure.patch.set_visible(False)
    axes = figure.subplots(nrows, NCOLS, squeeze=False).ravel()
    for ax in axes[len(panels) :]:
        ax.set_visible(False)
    for ax, panel in zip(axes, panels, strict=False):
        ax.patch.set_visible(False)
        ax.set_title(panel.title[:28], fontsize=8, color=INK, loc="left")
        ax.tick_params(labelsize=6.5, colors=INK, length=2, width=0.6)
        for side, spine in ax.spines.items():
            spine.set_visible(side == "bottom")
            spine.set_color(RULE)
        if panel.names:
            _categories(ax, panel)
        else:
            _numbers(ax, panel.values)
    return as_svg(figure, f"histograms of {len(panels)} columns")


def _numbers(ax: Any, values: np.ndarray) -> None:
    values = np.asarray(values, float)
    ax.set_yticks([])
    if not values.size:
        ax.set_xticks([])
        return
    low, high = values.min(), values.max()
    share, edges = np.histogram(values, BINS, (low, high if high > low else low + 1.0))
    ax.stairs(share / len(values), edges, fill=True, color=LINES[0], alpha=0.55)
    ax.locator_params(axis="x", nbins=4)
    ax.xaxis.set_major_formatter(number)


def _categories(ax: Any, panel: Panel) -> None:
    counts, names = np.asarray(panel.values, float), list(panel.names)
    if len(names) > MOST:
        order = np.argsort(-counts, kind="stable")
        rest = counts[order[MOST - 1 :]].sum()
        counts = np.append(counts[order[: MOST - 1]], rest)
        names = [names[i] for i in order[: MOST - 1]] + ["others"]
    at = np.arange(len(names))[::-1]
    ax.barh(at, counts / max(counts.sum(), 1.0), color=LINES[0], alpha=0.55, height=0.8)
    ax.set_yticks(at, [n[:16] for n in names], fontsize=5.5 if len(names) > 6 else 6.5)
    ax.xaxis.set_major_formatter(lambda v, _: f"{100 * v:g} %")
    ax.locator_params(axis="x", nbins=3)
