"""Pieces of the page: text in, HTML out. Every function escapes what it is given, or takes HTML and says so."""

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib import resources
from typing import Any

import numpy as np

from genjax import figures, viz
from genjax.report.facts import Frame, data_uri, gap_of
from genjax.report.pictures import Figure


def document(title: str, body: Iterable[str]) -> str:
    """A whole page with its style and script inside; parts of `body` are HTML, begin `<main>`, and may be empty."""
    files = resources.files("genjax.report")
    css, js = (files.joinpath(name).read_text(encoding="utf-8") for name in ("page.css", "page.js"))
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n<meta name="generator" content="genjax">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n<link rel="icon" href="data:,">\n'
        f"<title>{escape(title)} · genjax</title>\n<style>\n{css}</style>\n</head>\n<body>\n"
        + "\n".join(part for part in body if part)
        + "\n</main>\n<footer>Written by genjax. One file that loads nothing and works without a network.</footer>\n"
        + f"<script>\n{js}</script>\n</body>\n</html>\n"
    )


def image(png: viz.Png, alt: str, more: str = "") -> str:
    size = f'width="{png.width}" height="{png.height}"'
    return f'<img class="pixels" src="{data_uri(png)}" {size} alt="{escape(alt)}"{more}>'


def scaled(png: viz.Png, alt: str, group: str = "", most: int = 720) -> str:
    """An image whose pixels become whole squares, at most `most` CSS pixels wide; a group shares one enlargement."""
    tied = f' data-group="{escape(group)}"' if group else ""
    return f'<div class="scaled" data-width="{png.width}" data-most="{most}"{tied}>{image(png, alt)}</div>'


def sheet(images: np.ndarray, alt: str, ncols: int | None = None, group="", most: int = 720, gap: int = -1) -> str:
    return scaled(viz.sheet(images, ncols, gap_of(images) if gap < 0 else gap), alt, group, most)


def frames(stack: Sequence[Frame], ident: str, what: str, time_at, group: str, most: int) -> str:
    """A stack of sample grids of which one shows, the last without scripts; below it its step and `time_at(step)`."""

    def at(step: int) -> str:
        return " · ".join(filter(None, (f"step {step:,}", time_at(step))))

    shown = "".join(
        image(f.png, f"{what} at step {f.step:,}", f' data-at="{at(f.step)}"').replace(
            'class="pixels"', f'class="pixels{" on" if f is stack[-1] else ""}"'
        )
        for f in stack
    )
    size = f'data-width="{stack[-1].png.width}" data-most="{most}" data-group="{escape(group)}"'
    return (
        f'<div class="scaled frames" id="{ident}" {size}>{shown}</div>'
        f'<div class="at" id="{ident}-at" aria-live="off">{at(stack[-1].step)}</div>'
    )


def scrubber(idents: Sequence[str], n: int, label: str) -> str:
    """Slider and play button that move the frames of all `idents` together; only where scripts run."""
    last = max(1, n - 1)
    return (
        f'<div class="scrub js-only" data-frames="{" ".join(idents)}"><button type="button">Play</button>'
        f'<input type="range" min="0" max="{last}" step="1" value="{last}" aria-label="{escape(label)}"></div>'
    )


def figure(f: Figure, group: str) -> str:
    """Title, text and images of a figure; lines without labels become one sheet."""
    if f.kind == "manifold":
        every = np.concatenate([r.images for r in f.rows])
        body = sheet(every, f"{f.title}: {len(every)} generated images", len(f.rows[0].images), most=760, gap=0)
    elif not any(r.label for r in f.rows):
        every, across = np.concatenate([r.images for r in f.rows]), len(f.rows[0].images)
        body = sheet(every, f"{f.title}: {len(f.rows)} lines of {across} images", across, group)
    else:
        body = f'<div class="rows labelled">{_lines(f, group)}</div>'
    return split(f.title, f.text, f"<figure>{body}</figure>")


def split(title: str, text: str, body: str, attributes: str = "") -> str:
    """A section with its title and text on the left and `body` on the right; `body` and `attributes` are HTML."""
    said = f'<p class="soft">{escape(text)}</p>' if text else ""
    left = f"<div><h2>{escape(title)}</h2>{said}</div>"
    return f'<section {attributes}><div class="split">{left}<div>{body}</div></div></section>'


def _lines(f: Figure, group: str) -> str:
    width = max(len(r.images) for r in f.rows)
    first, out = f.rows[0].label, []
    for i, row in enumerate(f.rows):
        new = " new" if i and row.label == first else ""
        out.append(f'<div class="label{new}">{escape(row.label)}</div>')
        images = row.images
        if len(images) < width:  # a short last line keeps the enlargement of the others
            images = np.concatenate([images, np.zeros((width - len(images), *images.shape[1:]), images.dtype)])
        out.append(sheet(images, f"{f.title}, {row.label}: {len(row.images)} images", width, group))
    if f.ends:
        marks = "".join(f"<span>{escape(e)}</span>" for e in f.ends)
        out.append(f'<div class="ends-label"></div><div class="ends">{marks}</div>')
    return "".join(out)


def table(rows: Iterable[tuple[str, ...]], head: Sequence[str] = (), kind: str = "") -> str:
    """A table whose first column names the row; the cells of kind `numbers` are not broken into lines."""
    top = "<thead><tr>" + "".join(f'<th scope="col">{escape(h)}</th>' for h in head) + "</tr></thead>" if head else ""
    body = "".join(
        f'<tr><th scope="row">{escape(name)}</th>' + "".join(f"<td>{escape(c)}</td>" for c in cells) + "</tr>"
        for name, *cells in rows
    )
    mark = f' class="{kind}"' if kind else ""
    return f'<div class="scroll"><table{mark}>{top}<tbody>{body}</tbody></table></div>'


def flat(value: Any, name: str = "") -> list[tuple[str, str]]:
    """Nested dicts and lists as (dotted name, text) pairs.

    Example:
        >>> flat({"versions": {"jax": "0.10"}, "cores": 2, "gpus": []})
        [('versions.jax', '0.10'), ('cores', '2'), ('gpus', 'none')]
    """
    if isinstance(value, Mapping):
        return [pair for k, v in value.items() for pair in flat(v, f"{name}.{k}" if name else str(k))]
    if isinstance(value, list | tuple) and any(isinstance(v, Mapping) for v in value):
        return [pair for i, v in enumerate(value) for pair in flat(v, f"{name}.{i + 1}")]
    if isinstance(value, list | tuple):
        return [(name, ", ".join(map(str, value)) or "none")]
    return [(name, "none" if value is None or value == "" else str(value))]


def number(value: float, half: float = math.nan) -> str:
    """A metric's value for people, and half its interval after ± where it has one; a true minus.

    Example:
        >>> number(-12.3456), number(-12.3456, 0.0123), number(23456.7)
        ('−12.35', '−12.346 ± 0.012', '23,457')
    """
    return figures.with_half(value, half, group=",").replace("-", "\N{MINUS SIGN}")


def duration(seconds: float) -> str:
    """Wall-clock time for people.

    Example:
        >>> duration(4.2), duration(75), duration(7300)
        ('4 s', '1 min 15 s', '2 h 1 min')
    """
    if not math.isfinite(seconds):
        return "an unknown time"
    s = round(seconds)
    if s < 60:
        return f"{s} s"
    if s < 3600:
        return f"{s // 60} min {s % 60} s"
    return f"{s // 3600} h {s % 3600 // 60} min"
