"""Pieces of the page: text in, HTML out. Every function escapes what it is given, or takes HTML and says so."""

import contextlib
import math
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextvars import ContextVar
from html import escape
from importlib import resources
from typing import Any

import jax
import numpy as np

from genjax import figures, viz
from genjax.data import Examples
from genjax.domains.contract import Chart, Picture, Piece, Table, Text, Words
from genjax.report.facts import Frame, data_uri
from genjax.report.pictures import Figure

IMAGES = Words("image", "images")
_WORDS: ContextVar[Words] = ContextVar("words", default=IMAGES)


@contextlib.contextmanager
def speaking_of(words: Words) -> Iterator[None]:
    """Texts within are about examples of that name: `escape_words` puts it in the place of "image"."""
    token = _WORDS.set(words)
    try:
        yield
    finally:
        _WORDS.reset(token)


def many() -> str:
    """What several examples are called here."""
    return _WORDS.get().many


def escape_words(text: str) -> str:
    """A text as HTML, in the words of the data that it is about.

    Example:
        >>> with speaking_of(Words("piece", "pieces")):
        ...     escape_words("An image among images & gan_images")
        'A piece among pieces &amp; gan_images'
    """
    words = _WORDS.get()
    if words.one != "image":
        for old, new in (("an image", words.a), ("images", words.many), ("image", words.one)):
            text = re.sub(rf"\b{old}\b", new, text)
            text = re.sub(rf"\b{old[0].upper()}{old[1:]}\b", new[0].upper() + new[1:], text)
    return escape(text)


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


def pieces(shown: Iterable[Piece], alt: str, group: str = "", most: int = 720) -> str:
    """What a domain shows of some examples."""
    return "".join(piece(p, alt, group, most) for p in shown)


def piece(p: Piece, alt: str, group: str = "", most: int = 720) -> str:
    """A picture (with its sound), lines of text, a table, or a chart."""
    if isinstance(p, Picture):
        seen = scaled(p.png, alt, group, most) if p.sharp else _smooth(p.png, p.alt)
        return seen + (viz.player(p.sound) if p.sound else "")
    if isinstance(p, Text):
        return f'<pre class="lines">{escape(chr(10).join(p.lines))}</pre>'
    if isinstance(p, Table):
        return table(p.rows, p.head, "numbers")
    assert isinstance(p, Chart)
    return f'<figure class="chart"><div class="head"><h3>{escape(p.title)}</h3></div>{p.svg.text}</figure>'


def _smooth(png: viz.Png, alt: str) -> str:
    return f'<img class="smooth" src="{data_uri(png)}" width="{png.width}" height="{png.height}" alt="{escape(alt)}">'


def frames(stack: Sequence[Frame], ident: str, what: str, time_at, group: str, most: int) -> str:
    """A stack of sample grids of which one shows, the last without scripts; below it its step and `time_at(step)`."""

    def at(step: int) -> str:
        return " · ".join(filter(None, (f"step {step:,}", time_at(step))))

    shown = "".join(_frame(f, f"{what} at step {f.step:,}", f' data-at="{at(f.step)}"', f is stack[-1]) for f in stack)
    last = stack[-1].seen
    size = (
        f' data-width="{last.width}" data-most="{most}" data-group="{escape(group)}"'
        if isinstance(last, viz.Png)
        else ""
    )
    kind = "scaled frames" if size else "frames"
    return (
        f'<div class="{kind}" id="{ident}"{size}>{shown}</div>'
        f'<div class="at" id="{ident}-at" aria-live="off">{at(stack[-1].step)}</div>'
    )


def _frame(f: Frame, alt: str, at: str, on: bool) -> str:
    if isinstance(f.seen, str):
        return f'<pre class="lines frame{" on" if on else ""}"{at}>{escape(f.seen)}</pre>'
    shown = image(f.seen, alt, at)
    return shown.replace('class="pixels"', f'class="pixels frame{" on" if on else ""}"')


def scrubber(idents: Sequence[str], n: int, label: str) -> str:
    """Slider and play button that move the frames of all `idents` together; only where scripts run."""
    last = max(1, n - 1)
    return (
        f'<div class="scrub js-only" data-frames="{" ".join(idents)}"><button type="button">Play</button>'
        f'<input type="range" min="0" max="{last}" step="1" value="{last}" aria-label="{escape(label)}"></div>'
    )


def figure(f: Figure, group: str) -> str:
    """Title, text and examples of a figure; lines without labels are shown together."""
    if f.kind == "manifold":
        every = _together(f)
        alt = f"{f.title}: {len(every.x)} generated images"
        body = pieces(f.show(every, len(f.rows[0].examples.x), True), alt, most=760)
    elif not any(r.label for r in f.rows) and _is_text(f):
        body = "".join(pieces(f.show(row.examples, None, False), f.title, group) for row in f.rows)
    elif not any(r.label for r in f.rows):
        across = len(f.rows[0].examples.x)
        alt = f"{f.title}: {len(f.rows)} lines of {across} images"
        body = pieces(f.show(_together(f), across, False), alt, group)
    else:
        body = f'<div class="rows labelled">{_lines(f, group)}</div>'
    return split(f.title, f.text, f"<figure>{body}</figure>")


def _is_text(f: Figure) -> bool:
    """Whether examples are lines: then they stand below each other."""
    return all(isinstance(p, Text) for p in f.show(f.rows[0].examples, None, False))


def _together(f: Figure) -> Examples:
    return jax.tree.map(lambda *v: np.concatenate(v), *(r.examples for r in f.rows))


def split(title: str, text: str, body: str, attributes: str = "") -> str:
    """A section with its title and text on the left and `body` on the right; `body` and `attributes` are HTML."""
    soft = f'<p class="soft">{escape_words(text)}</p>' if text else ""
    left = f"<div><h2>{escape_words(title)}</h2>{soft}</div>"
    return f'<section {attributes}><div class="split">{left}<div>{body}</div></div></section>'


def _lines(f: Figure, group: str) -> str:
    width = max(len(r.examples.x) for r in f.rows)
    first, out = f.rows[0].label, []
    for i, row in enumerate(f.rows):
        new = " new" if i and row.label == first else ""
        out.append(f'<div class="label{new}">{escape(row.label)}</div>')
        examples, short = row.examples, width - len(row.examples.x)
        shown = f.show(examples, width, False)
        if short and isinstance(shown[0], Picture) and shown[0].sharp:  # it keeps the enlargement of the others
            shown = f.show(jax.tree.map(lambda v, n=short: np.concatenate([v, np.zeros_like(v[:1]).repeat(n, 0)]),
                                        examples), width, False)  # fmt: skip
        seen = pieces(shown, f"{f.title}, {row.label}: {len(examples.x)} images", group)
        alone = len(shown) == 1 and not (isinstance(shown[0], Picture) and shown[0].sound)
        out.append(seen if alone else f"<div>{seen}</div>")  # one cell beside its label
    if f.ends and _is_text(f):
        out.append(f'<div></div><div class="ends"><span>from top to bottom: {escape(" … ".join(f.ends))}</span></div>')
    elif f.ends:
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
