"""Charts of a comparison as small SVG elements, in the page's own colours: bars with intervals, and spectra."""

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

import numpy as np

from genjax import viz
from genjax.domains.contract import Spectrum
from genjax.figures import figure

WIDTH, LEFT, RIGHT = 440, 96, 44
"""A chart's width and margins in its own units; the numbers of bars stand in the right margin, clear of bars."""
BAR, GAP, PLOT = 13, 10, 190
COLOURS = ("var(--chart-1)", "var(--chart-2)", "var(--chart-3)")
INK, RULE = "var(--chart-ink)", "var(--chart-rule)"


class Bar(NamedTuple):
    """One number: its value and half its interval, NaN where it has none."""

    value: float
    half: float


def colours(n: int) -> Sequence[str]:
    """A colour for each of n things compared; those of more than three are shades in their order."""
    return COLOURS[:n] if n <= len(COLOURS) else viz.shades(n)


def bars(rows: Mapping[str, Sequence[Bar | None]], floors: Mapping[str, float | None], names: Sequence[str]) -> str:
    """Groups of horizontal bars from 0: a group a row, a bar for each of `names`, a tick where real data is.

    Args:
        rows: of each group its bars, None where there is no number.
        floors: of each group the number of real data, None where there is none.
        names: what is compared, in the order of the bars.
    """
    there = [b for row in rows.values() for b in row if b is not None]
    ends = [b.value + (b.half if math.isfinite(b.half) else 0.0) for b in there] + [f for f in floors.values() if f]
    most = max([1.0, *(v for v in ends if math.isfinite(v))])
    scale = (WIDTH - LEFT - RIGHT) / most
    out, y = [], 4.0
    for title, row in rows.items():
        top = y
        for i, bar in enumerate(row):
            if bar is not None and math.isfinite(bar.value):
                out.append(_bar(bar, y, scale, colours(len(names))[i]))
            y += BAR
        middle = (top + y) / 2
        out.append(f'<text x="{LEFT - 8}" y="{middle + 4:.1f}" text-anchor="end" fill="{INK}">{escape(title)}</text>')
        floor = floors.get(title)
        if floor is not None and math.isfinite(floor):
            x = LEFT + floor * scale
            out.append(f'<path d="M{x:.1f} {top - 3:.1f}V{y + 3:.1f}" stroke="{INK}" stroke-dasharray="3 2"/>')
        y += GAP
    out.append(f'<path d="M{LEFT} 0V{y - GAP + 4:.1f}" stroke="{RULE}"/>')
    return _svg("".join(out), y, f"{', '.join(rows)} of {', '.join(names)}")


def _bar(bar: Bar, y: float, scale: float, fill: str) -> str:
    width = max(bar.value, 0.0) * scale
    out = f'<rect x="{LEFT}" y="{y + 1:.1f}" width="{width:.1f}" height="{BAR - 3}" rx="1" fill="{fill}"/>'
    if math.isfinite(bar.half):
        low, high = max(bar.value - bar.half, 0.0) * scale, (bar.value + bar.half) * scale
        at = y + BAR / 2 - 0.5
        out += f'<path d="M{LEFT + low:.1f} {at:.1f}H{LEFT + high:.1f}" stroke="{INK}" stroke-width="1.2"/>'
    number = escape(figure(bar.value, bar.half))
    return out + f'<text x="{WIDTH}" y="{y + BAR - 3:.1f}" text-anchor="end" fill="{INK}">{number}</text>'


def spectra(of: Mapping[str, Spectrum], dashed: str = "") -> str:
    """Power over frequency, both on logarithmic axes; one line each, that of `dashed` (the real images) dashed.

    Images of another size have frequencies of their own. Powers of 0, of constant images, are left out: they have no
    place on such an axis.
    """
    finite = np.concatenate([s.power[s.power > 0] for s in of.values()] or [np.ones(1)])
    if not finite.size:
        finite = np.ones(1)
    high = math.ceil(math.log10(finite.max()))
    low = min(max(math.floor(math.log10(finite.min())), high - 8), high - 1)
    first, last = min(s.frequency[0] for s in of.values()), max(s.frequency[-1] for s in of.values())
    unit = next(s.unit for s in of.values())
    left, right = math.log10(first), math.log10(last)
    wide = WIDTH - LEFT / 2 - RIGHT / 2

    def at(f: np.ndarray, p: np.ndarray) -> str:
        x = LEFT / 2 + (np.log10(f) - left) / max(right - left, 1e-9) * wide
        y = 8 + (high - np.clip(np.log10(p), low, high)) / (high - low) * PLOT
        return "M" + "L".join(f"{a:.1f} {b:.1f}" for a, b in zip(x, y, strict=True))

    out, solid = [], 0
    for e in range(low, high + 1):
        y = 8 + (high - e) / (high - low) * PLOT
        out.append(f'<path d="M{LEFT / 2} {y:.1f}H{WIDTH - RIGHT / 2}" stroke="{RULE}"/>')
        out.append(f'<text x="{LEFT / 2 - 6}" y="{y + 4:.1f}" text-anchor="end" fill="{INK}">{_power_of_ten(e)}</text>')
    for name, (frequency, p, _) in of.items():
        stroke = INK if name == dashed else colours(len(of) - (dashed in of))[solid]
        solid += name != dashed
        more = ' stroke-dasharray="4 3"' if name == dashed else ""
        keep = p > 0
        if keep.any():
            line = at(frequency[keep], p[keep])
            out.append(f'<path d="{line}" fill="none" stroke="{stroke}" stroke-width="1.6"{more}/>')
    for f in (first, last):
        anchor, x = ("start", LEFT / 2) if f == first else ("end", WIDTH - RIGHT / 2)
        out.append(f'<text x="{x}" y="{PLOT + 24}" text-anchor="{anchor}" fill="{INK}">{figure(f)} {unit}</text>')
    return _svg("".join(out), PLOT + 30, f"power spectra of {', '.join(of)}")


def legend(names: Sequence[str], dashed: str = "") -> str:
    """The colours of what is compared."""
    items = [f'<span style="color:{c}">● {escape(n)}</span>' for n, c in zip(names, colours(len(names)), strict=True)]
    items += [f'<span class="soft">- - {escape(dashed)}</span>'] if dashed else []
    return f"<p>{' &nbsp; '.join(items)}</p>"


def _power_of_ten(e: int) -> str:
    return "10" + str(e).translate(str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹"))


def _svg(body: str, height: float, what: str) -> str:
    return (
        f'<svg role="img" aria-label="{escape(what)}" viewBox="0 0 {WIDTH} {height:.0f}" font-size="11" '
        f'font-family="system-ui, sans-serif">{body}</svg>'
    )
