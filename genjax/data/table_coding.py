"""Rows of a table as the vectors that a net sees, and back: numbers by mode and place, one-hot categories."""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float

from genjax.data.transforms import Transform
from genjax.distributions.product import Part, joined, stretches
from genjax.types import Batch, Key

MISSING = -3e38
"""Stands for a missing value in what `inverse` gives."""
SPAN = 4.0
"""Standard deviations of a mode that the place 1 is from its centre. CTGAN's."""


class Coding(NamedTuple):
    """How one column is coded."""

    part: Part
    kind: str
    mean: tuple[float, ...] = ()
    sd: tuple[float, ...] = ()
    """Standard deviations of the modes; 0 of a single value."""
    log_weight: tuple[float, ...] = ()
    missing: bool = False
    """Whether the last choice is a missing value."""
    share: tuple[float, ...] = ()
    """The share of each choice in the training rows."""


def codings(columns: Sequence[Mapping[str, Any]]) -> tuple[Coding, ...]:
    """How the columns of a table are coded.

    Example:
        >>> age = {"kind": "number", "modes": [[0.3, 0.0, 0.0], [0.7, 40.0, 9.0]], "missing": 0.1}
        >>> codings([age])[0].part.wide, codings([age])[0].share
        ((False, True, False), (0.27, 0.63, 0.1))
    """
    return tuple(_coding(c) for c in columns)


def _coding(column: Mapping[str, Any]) -> Coding:
    kind, gone = column["kind"], float(column["missing"])
    missing = gone > 0
    tail = (gone,) if missing else ()
    if kind == "empty":
        return Coding(Part((False,)), kind, missing=True, share=(1.0,))
    if kind == "category":
        share = [s * (1 - gone) for s in column["share"]]
        return Coding(Part((False,) * (len(share) + missing)), kind, missing=missing, share=(*_rounded(share), *tail))
    weight, mean, sd = (tuple(map(float, v)) for v in zip(*column["modes"], strict=True))
    wide = tuple(s > 0 for s in sd) + (False,) * missing
    share = _rounded([w * (1 - gone) for w in weight])
    return Coding(Part(wide), kind, mean, sd, tuple(float(np.log(w)) for w in weight), missing, (*share, *tail))


def _rounded(values: Sequence[float]) -> tuple[float, ...]:
    return tuple(round(v, 9) for v in values)


def parts_of(columns: Sequence[Mapping[str, Any]]) -> tuple[Part, ...]:
    """How a coded row is made up, for `distributions.product`."""
    return tuple(c.part for c in codings(columns))


def shares_of(columns: Sequence[Mapping[str, Any]]) -> tuple[tuple[int, tuple[float, ...]], ...]:
    """Each column of categories: its place, and how often each of them (a missing value too) is there."""
    return tuple((i, c.share) for i, c in enumerate(codings(columns)) if c.kind == "category")


def width(columns: Sequence[Mapping[str, Any]]) -> int:
    """Numbers of a coded row."""
    return sum(c.part.size for c in codings(columns))


def to_parts(columns: Sequence[Mapping[str, Any]]) -> Transform:
    """Rows (batch, columns), with their event mask, to events of `distributions.product`, (batch, `width`).

    A number is told by the value that many share, or by a mode drawn by its chance of having made it, and by its place
    in it: -1 to 1 is the mode's centre -+ 4 standard deviations. The coded rows have no event mask: a missing value is
    a choice like others. The inverse gives rows as stored, `MISSING` where a value is missing; it takes relaxed choices
    by their largest.

    Source:
        Xu et al. 2019, Modeling Tabular Data using Conditional GAN, section 4.2.
    """
    coded = codings(columns)

    def apply(key: Key, batch: Batch) -> Batch:
        x = jnp.asarray(batch.x, jnp.float32)
        there = jnp.ones(x.shape, bool) if batch.event_mask is None else batch.event_mask
        pairs = [_coded(c, x[:, i], there[:, i], jax.random.fold_in(key, i)) for i, c in enumerate(coded)]
        return batch._replace(x=joined(pairs), event_mask=None)

    def inverse(x: Float[Array, "*batch n"]) -> Float[Array, "*batch columns"]:
        pairs = stretches([c.part for c in coded], jnp.asarray(x, jnp.float32))
        return jnp.stack([_decoded(c, place, choice) for c, (place, choice) in zip(coded, pairs, strict=True)], -1)

    return Transform(apply, inverse, range="real", name="to_parts", values=0)


def _coded(c: Coding, x: Float[Array, " batch"], there: Bool[Array, " batch"], key: Key):
    n, last = len(c.part.wide), len(c.part.wide) - 1
    if c.kind == "empty":
        return None, jnp.ones((x.shape[0], 1))
    if c.kind == "category":
        choice = jnp.clip(x.astype(jnp.int32), 0, last)
        return None, jax.nn.one_hot(jnp.where(there, choice, last) if c.missing else choice, n)
    choice = _mode_of(c, x, key)
    place = None
    if c.part.has_place:
        mean, sd = (jnp.take(jnp.array(v, jnp.float32), choice) for v in (c.mean, c.sd))
        wide = there & (sd > 0)
        place = jnp.where(wide, jnp.clip((x - mean) / (SPAN * jnp.where(sd > 0, sd, 1.0)), -1.0, 1.0), 0.0)
    return place, jax.nn.one_hot(jnp.where(there, choice, last) if c.missing else choice, n)


def _mode_of(c: Coding, x: Float[Array, " batch"], key: Key):
    """The number of each value's mode."""
    mean, sd = jnp.array(c.mean, jnp.float32), jnp.array(c.sd, jnp.float32)
    away = jnp.abs(x[:, None] - mean[None])
    single = (sd == 0)[None]
    if not c.part.has_place:
        return away.argmin(1)
    score = jnp.array(c.log_weight)[None] - jnp.log(jnp.where(single, 1.0, sd[None]))
    score = score - 0.5 * jnp.square(away / jnp.where(single, 1.0, sd[None]))
    drawn = jax.random.categorical(key, jnp.where(single, -jnp.inf, score))
    same = single & (away == 0)
    return jnp.where(same.any(1), same.argmax(1), drawn)


def _decoded(c: Coding, place, choice: Float[Array, "*batch k"]) -> Float[Array, "*batch"]:
    which = choice.argmax(-1)
    ok = jnp.isfinite(choice).all(-1)
    if c.kind == "empty":
        return jnp.full(which.shape, MISSING)
    if c.kind == "category":
        value = which.astype(jnp.float32)
    else:
        mean, sd = ((*v, 0.0) if c.missing else v for v in (c.mean, c.sd))
        value = jnp.take(jnp.array(mean, jnp.float32), which)
        if place is not None:
            width = SPAN * jnp.take(jnp.array(sd, jnp.float32), which)
            value, ok = value + width * jnp.clip(place, -1.0, 1.0), ok & jnp.isfinite(place)
    value = jnp.where(which == choice.shape[-1] - 1, MISSING, value) if c.missing else value
    return jnp.where(ok, value, jnp.nan)
