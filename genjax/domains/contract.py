"""What one kind of data is to a person: what its examples are called, how they are shown, saved and compared.

Nothing outside `genjax.data` and this package knows how an example of some kind is stored. Commands, pages, the monitor
and what measures runs ask the domain of the data. A new kind is a reader in `genjax.data` and a `Domain`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple, TypeAlias

import numpy as np
from jaxtyping import Bool

from genjax import viz
from genjax.data import Dataset, Examples, Spec
from genjax.figures import by
from genjax.files import SOFTWARE
from genjax.metrics.spaces import Space
from genjax.metrics.table import Metric
from genjax.viz import Png, Svg

GENERIC = ("model", "features", "logits", "classes", "modes")
"""Kinds of metrics (`metrics.table.Metric`) that any data may have."""


class Finished(NamedTuple):
    """Samples as they are stored."""

    examples: Examples
    finite: Bool[np.ndarray, " n"]
    """Whether all that the model gave of a sample is finite."""
    outside: float = 0.0
    """Share of the values that lay far outside of what can be stored, and were clipped."""


class Picture(NamedTuple):
    """A picture, with its sound where it has one."""

    png: Png
    alt: str
    sharp: bool = True
    """Whether a pixel is an element of the data, to be drawn as a square of whole pixels."""
    sound: bytes = b""
    """A WAV file; empty for none."""


class Text(NamedTuple):
    """Lines of text, one an example."""

    lines: tuple[str, ...]


class Table(NamedTuple):
    """Rows of text under a head."""

    head: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]


class Chart(NamedTuple):
    """A drawing of lines."""

    svg: Svg
    title: str


Piece: TypeAlias = Picture | Text | Table | Chart
"""What a page shows of some examples."""


class Spectrum(NamedTuple):
    """Mean power over frequency, from the lowest frequency above 0: a page draws it on a logarithmic axis."""

    frequency: np.ndarray
    power: np.ndarray
    unit: str = "cycles/pixel"
    """The unit of the frequencies."""


class How(NamedTuple):
    """How a file of samples is to be written."""

    about: str = ""
    """What the samples are of, in a sentence, for the file's metadata."""
    ncols: int | None = None
    """Columns of a picture of several examples; None for about a square."""
    scale: int = 1
    """Pixels of the file's for each of a picture's."""


Save: TypeAlias = Callable[[Examples, Spec, How], bytes]
"""Examples to the bytes of a file."""


class Words(NamedTuple):
    """What an example is called, and several of them."""

    one: str = "example"
    many: str = "examples"

    @property
    def a(self) -> str:
        """With its article.

        Example:
            >>> Words("image", "images").a, Words("point", "points").a
            ('an image', 'a point')
        """
        return f"{'an' if self.one[:1] in 'aeiou' else 'a'} {self.one}"


def encode_glance(seen: np.ndarray | str) -> tuple[str, bytes]:
    """The suffix and the bytes of a file for what `Domain.glance` gave."""
    return (
        (".txt", seen.encode(errors="replace")) if isinstance(seen, str) else (".png", viz.encode(seen, SOFTWARE).data)
    )


def one_above_the_other(pictures: list[np.ndarray], spec: Spec, n: int) -> Png:
    """Pictures of samples as they were kept."""
    return viz.encode(np.concatenate(pictures))


def no_pictures(spec: Spec) -> tuple[int, int] | None:
    """A domain without pictures."""
    return None


@dataclass(frozen=True, eq=False)
class Domain:
    """One kind of data.

    Attributes:
        name: as `data.Spec.domain` has it.
        one: what an example is called in messages, "image".
        many: what several are called.
        finish: `finish(x, spec) -> Finished`: what the inverse of the transform made of a model's samples, as they are
            stored: rounded, clipped, broken ones marked, with the mask where they have one.
        show: `show(examples, spec, ncols, close) -> [Piece, ...]`: what a page shows of examples: `ncols` in a line, as
            small as may be (no sounds); with None as many in a line as look well. `close`: without gaps, as a map.
        glance: `glance(examples, spec)`: a picture (H, W, C) uint8, or text: what a run keeps of its samples while it
            trains, as `samples/<step>.png` or `.txt`.
        save: by suffix, what `genjax sample` writes. `.npz` comes with every domain.
        space: `space(name, spec) -> Space`: where examples are compared; an empty name for the data's own.
        vector: `vector(examples, spec) -> (n, d)`: real numbers whose Euclidean distance means something: neighbours,
            doubles, and how near samples are to the data are judged by them.
        drawn: `draw`: a sample is a draw with all of the model's noise. `mean`: without that of p(x | z), which no
            photograph has. `whole`: a draw, of all that are asked for at once: examples are tiny.
        as_is: whether models see the examples as they are stored, so that there is nothing to invert.
        each: the suffix of the file that a folder of samples holds for each example; empty for no folders.
        array: what an `.npz` of samples calls them.
        stated: whether such a file says of which kind they are; without a word they are read as images.
        resize: `resize(spec)`: the flag by which a command brings examples of another size to this one; empty for none.
        why_likelihood: `why_likelihood(spec)`: what about the data made `distributions.likelihood_of` choose, in words.
        sizes: `sizes(spec)`: the size of an example, in words.
        cell: `cell(spec) -> (h, w)` of an example in a picture of many; None where there are no such pictures.
        pictures: suffixes of pictures, which `--ncols` and `--scale` are for.
        frame: `frame(pictures, spec, n) -> Png`: kept pictures of samples (`glance`) together for a page, at most n
            examples of each where that can be told.
        metrics: metrics of this kind of data by their names, besides those of `metrics.table.METRICS`; or a function of
            the `Spec` that gives them.
        kinds: of the metrics that apply.
        measured: `measured(spec, config)`: what a record's protocol says of values and sizes.
        limits: what can be stored, in words, for messages of values far outside of it.
        coarse: `coarse(x, spec) -> (n, d)`: where the monitor counts kinds and doubles; of samples as the transform's
            inverse gives them, and of stored examples. None: `vector` of what is finished.
        near: `near(x, spec)`: where the monitor measures how far samples are from the data, some views of them of which
            the farthest counts; of none nothing is judged. None: as `coarse`.
        spectrum: `spectrum(examples, spec) -> Spectrum`, for comparisons; None for none.
        compared: what `vector` holds, in words.
        shown: samples that a page shows at once, at most.
        abreast: examples of one line of a figure; 1 where an example is a line of text itself.
        legend: `legend(spec)`: how to read what a page shows of an example, in sentences; empty where it needs none.
        read: `read(what) -> Dataset`, or None where `what` is not for it: for data that no reader of genjax knows.
    """

    name: str
    one: str
    many: str
    finish: Callable[[Any, Spec], Finished]
    show: Callable[[Examples, Spec, int | None, bool], list[Piece]]
    glance: Callable[[Examples, Spec], np.ndarray | str]
    save: Mapping[str, Save]
    space: Callable[[str, Spec], Space]
    vector: Callable[[Examples, Spec], np.ndarray]
    drawn: Literal["mean", "draw", "whole"] = "draw"
    as_is: bool = False
    each: str = ""
    array: str = "x"
    stated: bool = True
    resize: Callable[[Spec], str] = lambda spec: ""
    why_likelihood: Callable[[Spec], str] = lambda spec: "the data"
    sizes: Callable[[Spec], str] = lambda spec: by(spec.shape)
    cell: Callable[[Spec], tuple[int, int] | None] = no_pictures
    pictures: tuple[str, ...] = ()
    frame: Callable[[list[np.ndarray], Spec, int], Png] = one_above_the_other
    metrics: Mapping[str, Metric] | Callable[[Spec], Mapping[str, Metric]] = field(default_factory=dict)
    kinds: tuple[str, ...] = GENERIC
    measured: Callable[[Spec, Any], Mapping[str, Any]] = lambda spec, config: {}
    limits: str = ""
    coarse: Callable[[Any, Spec], np.ndarray] | None = None
    near: Callable[[Any, Spec], tuple[np.ndarray, ...]] | None = None
    spectrum: Callable[[Examples, Spec], Spectrum] | None = None
    compared: str = "numbers"
    shown: int = 64
    abreast: int = 8
    legend: Callable[[Spec], str] = lambda spec: ""
    read: Callable[[str], Dataset | None] | None = None

    @property
    def words(self) -> Words:
        """What examples are called."""
        return Words(self.one, self.many)

    def metrics_of(self, spec: Spec) -> Mapping[str, Metric]:
        """The metrics of this kind of data alone."""
        return self.metrics(spec) if callable(self.metrics) else self.metrics

    def named(self, n: int) -> str:
        """So many of them: `1 image`, `2,000 images`."""
        return f"{n:,} {self.one if n == 1 else self.many}"
