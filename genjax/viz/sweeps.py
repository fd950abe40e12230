"""Charts of a sweep: rate against distortion, and a number against the field that was swept."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from genjax.viz.charts import INK, Svg, as_svg, bare_axes, number, shades

MARKERS = "osD^v"
SIGNS = "●■◆▲▼"
"""The markers as text, for legends."""
NEAR = 0.05
"""Means nearer than this share of both axes have one label together."""


class Cloud(NamedTuple):
    """The members at one point of a sweep; they differ only in their seed."""

    label: str
    x: np.ndarray
    """(members,), NaN where there is no number"""
    y: np.ndarray
    colour: int = 0
    """Which of the colours."""
    marker: int = 0
    """Which of the markers; clouds of one marker are joined by a line in their order."""


class Trend(NamedTuple):
    """A number over the values of a swept field."""

    label: str
    values: np.ndarray
    """(values, seeds), NaN where there is no number"""
    half: np.ndarray
    """(values,), half the 95 % interval; NaN where there is none"""


def plane(
    clouds: Sequence[Cloud], xlabel: str, ylabel: str, n_colours: int, size: tuple[float, float] = (7.0, 4.0)
) -> Svg:
    """Members in a plane of two numbers: small marks for members, a large labelled one for each cloud's mean.

    A thin line joins the means of one marker, in the order given.

    Example:
        >>> one = Cloud("beta 1", np.array([5.0, 5.5]), np.array([80.0, 81.0]))
        >>> "beta 1" in plane([one], "rate", "distortion", 1).text
        True
    """
    figure, axes = _titled(size, xlabel, ylabel)
    colours = shades(n_colours)
    joined: dict[int, list[tuple[float, float]]] = {}
    labels: list[tuple[tuple[float, float], str]] = []
    for cloud in clouds:
        ok = np.isfinite(cloud.x) & np.isfinite(cloud.y)
        if not ok.any():
            continue
        mean = float(cloud.x[ok].mean()), float(cloud.y[ok].mean())
        joined.setdefault(cloud.marker, []).append(mean)
        look: dict[str, Any] = {
            "color": colours[cloud.colour], "marker": MARKERS[cloud.marker % len(MARKERS)], "linestyle": "",
            "markeredgewidth": 0,
        }  # fmt: skip
        if ok.sum() > 1:
            axes.plot(cloud.x[ok], cloud.y[ok], markersize=3.5, alpha=0.5, **look)
        axes.plot(*mean, markersize=7, clip_on=False, **look)
        if cloud.label:
            labels.append((mean, cloud.label))
    for means in joined.values():
        axes.plot(*zip(*means, strict=True), color=INK, linewidth=0.8, alpha=0.5, zorder=1)
    axes.margins(x=0.14, y=0.12)
    for mean, label in _merged(labels):
        axes.annotate(label, mean, (6, 5), textcoords="offset points", fontsize=9, color=INK)
    return as_svg(figure, f"{ylabel} over {xlabel} of {len(clouds)} points of a sweep")


def against(
    x: Sequence[float], trends: Sequence[Trend], xlabel: str, ylabel: str, floor: float | None = None,
    size: tuple[float, float] = (4.4, 2.4),
) -> Svg:  # fmt: skip
    """A number over the values of a field, a line for each trend: dots are runs, lines their means, bars intervals.

    Args:
        x: the field's values.
        trends: in the order of their colours.
        xlabel: the field.
        ylabel: the number.
        floor: a dashed line: what real data reach.
        size: width and height in inches.

    Example:
        >>> beta = Trend("", np.array([[1.0, 2.0], [2.0, 4.0]]), np.array([0.5, 1.0]))
        >>> "<svg" in against([0.5, 4.0], [beta], "beta", "fd").text
        True
    """
    figure, axes = _titled(size, xlabel, "")
    at, order = np.asarray(x, float), np.argsort(np.asarray(x, float))
    for i, (trend, colour) in enumerate(zip(trends, shades(len(trends)), strict=True)):
        values = np.where(np.isfinite(trend.values), trend.values, np.nan)
        n = np.isfinite(values).sum(1)
        mean = np.where(n, np.nansum(values, 1) / np.maximum(n, 1), np.nan)
        there = order[np.isfinite(mean[order])]
        if values.shape[1] > 1:
            axes.plot(np.repeat(at, values.shape[1]), values.ravel(), linestyle="", marker="o", markersize=3,
                      color=colour, alpha=0.45, markeredgewidth=0)  # fmt: skip
        half = np.where(np.isfinite(trend.half), trend.half, np.nan)[there]
        axes.errorbar(at[there], mean[there], half, color=colour, linewidth=1.4, elinewidth=1.0, capsize=2.5,
                      marker=MARKERS[i % len(MARKERS)], markersize=4.5, markeredgewidth=0)  # fmt: skip
    if floor is not None and np.isfinite(floor):
        axes.axhline(floor, color=INK, linewidth=0.8, dashes=(4, 3))
    if _evener_in_logs(at):
        axes.set_xscale("log")
        axes.minorticks_off()
    _ticks(axes, at)
    axes.margins(x=0.08, y=0.1)
    return as_svg(figure, f"{ylabel} over {xlabel}")


def _merged(labels: Sequence[tuple[tuple[float, float], str]]) -> list[tuple[tuple[float, float], str]]:
    """Labels with their places; those that would lie on each other as one, with commas."""
    if not labels:
        return []
    span = np.ptp(np.array([at for at, _ in labels]), axis=0)
    kept: list[tuple[tuple[float, float], str]] = []
    for at, label in labels:
        near = [i for i, (other, _) in enumerate(kept) if all(abs(np.subtract(at, other)) <= NEAR * span)]
        if near:
            place, said = kept[near[0]]
            kept[near[0]] = (place, f"{said}, {label.rpartition(' ')[2]}")
        else:
            kept.append((at, label))
    return kept


def _evener_in_logs(at: np.ndarray) -> bool:
    """Whether the values of a field are spread more evenly on a logarithmic axis."""
    values = np.unique(at)
    if len(values) < 3 or values[0] <= 0:
        return False
    plain, logs = np.diff(values), np.diff(np.log(values))
    return float(logs.min() / logs.max()) > float(plain.min() / plain.max())


def _ticks(axes: Any, at: np.ndarray) -> None:
    """The field's own values as ticks, where they are few."""
    values = np.unique(at)
    if len(values) <= 8:
        axes.set_xticks(values, [number(float(v)) for v in values])


def _titled(size: tuple[float, float], xlabel: str, ylabel: str) -> tuple[Any, Any]:
    """A bare figure with room for the names of its axes: one below, one above the top left corner."""
    figure, axes = bare_axes(size, legend=False)
    left, below, above = 0.5, 0.46, 0.3 if ylabel else 0.1
    axes.set_position((left / size[0], below / size[1], 1 - (left + 0.16) / size[0], 1 - (below + above) / size[1]))
    axes.set_xlabel(xlabel, color=INK, fontsize=9, labelpad=3)
    if ylabel:
        axes.text(-0.02, 1.03, ylabel, transform=axes.transAxes, color=INK, fontsize=9)
    return figure, axes
