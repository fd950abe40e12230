"""Prose: uint8 or uint16 (t,), the numbers of symbols; a mask says where a line ends, windows have none."""

from functools import partial
from typing import Any

import numpy as np

from genjax.data import Examples, Spec
from genjax.data.text import line
from genjax.domains.contract import GENERIC, Domain, Finished, How, Piece, Text
from genjax.errors import UsageError
from genjax.metrics.prose_metrics import ngram_vectors, prose_metrics
from genjax.metrics.spaces import Space

BREAK = "\f"
"""The line between two windows in a file of text, whose own lines may be anything."""


def finish(x: Any, spec: Spec) -> Finished:
    """Numbers of symbols; a line ends with its end, and what stands after it is dropped. -1 stands for a broken one."""
    x = np.asarray(x)
    finite = np.all(x >= 0 if x.dtype.kind in "iu" else np.isfinite(x), axis=1)
    numbers = np.clip(np.nan_to_num(x), 0, spec.n_values - 1).astype(np.int64)
    end = int(spec.about.get("end", -1))
    mask = None
    if end >= 0:
        ended = np.cumsum(numbers == end, axis=1) - (numbers == end)  # ends before this place
        mask = ended == 0
        numbers = np.where(mask, numbers, 0)
    return Finished(Examples(numbers.astype(spec.dtype), None, mask), finite)


def lines(examples: Examples, spec: Spec) -> list[str]:
    """Each text as a string."""
    return [line(row, spec.about) for row in examples.x]


def show(examples: Examples, spec: Spec, ncols: int | None = None, close: bool = False) -> list[Piece]:
    """A line for each; line ends inside a window are shown as a sign."""
    return [Text(tuple(text.replace("\n", "⏎") for text in lines(examples, spec)))]


def txt(examples: Examples, spec: Spec, how: How) -> bytes:
    """A file of text: a line for each; windows with a form feed between them."""
    between = "\n" if spec.about.get("end", -1) >= 0 else f"\n{BREAK}\n"
    return (between.join(lines(examples, spec)) + "\n").encode()


def space(name: str, spec: Spec) -> Space:
    """The space of short n-grams, see `metrics.prose_metrics.ngram_vectors`.

    Raises:
        UsageError: another space is asked for.
    """
    if name not in ("", "ngrams"):
        raise UsageError(f"--features={name}: {spec.name} is prose, which is compared by its n-grams. Leave it out.")
    return Space("ngrams", "", ngram_vectors)


def metrics(spec: Spec) -> dict:
    """Those of prose, named after the unit of the data."""
    unit = {"number": "token"}.get(spec.about.get("unit", ""), spec.about.get("unit", "symbol"))
    return prose_metrics(unit, partial(line, about=spec.about))


DOMAIN = Domain(
    name="prose",
    one="text",
    many="texts",
    finish=finish,
    show=show,
    glance=lambda examples, spec: "\n".join(text.replace("\n", "⏎") for text in lines(examples, spec)) + "\n",
    save={".txt": txt},
    space=space,
    vector=lambda examples, spec: ngram_vectors(examples.x, examples.event_mask),
    each=".txt",
    sizes=lambda spec: f"{'up to ' if spec.about.get('end', -1) >= 0 else ''}{spec.shape[0]} {spec.about['unit']}s",
    metrics=metrics,
    kinds=(*GENERIC, "examples"),
    compared="shares of short n-grams",
    abreast=1,
    legend=lambda spec: "" if spec.about.get("end", -1) >= 0 else "⏎ is the end of a line.",
    measured=lambda spec, config: {"quantisation": f"numbers of {spec.about['unit']}s", "resize": "none"},
)
