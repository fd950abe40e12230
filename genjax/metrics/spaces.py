"""The space in which examples are compared, and the modes that data have: what metrics of samples get of them."""

from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import numpy as np
from jaxtyping import Float, Int

from genjax import data

BLOCK = 10_000
"""Examples of a set read on demand that are decoded at once."""

Kind: TypeAlias = Literal["examples", "features", "logits", "classes", "modes"]
Numbers: TypeAlias = Mapping[str, float]


class Labelled(NamedTuple):
    """Examples with the class of each: a real one's own, or that which a generated one was asked for."""

    features: Float[np.ndarray, "n d"]
    logits: Float[np.ndarray, "n classes"]
    label: Int[np.ndarray, " n"]


class Modes(NamedTuple):
    """What modes the data have, and what tells them apart."""

    rows: Callable[..., np.ndarray]
    """Samples (n, *event), and their mask where they have one -> a row for each, (n, ...)."""
    coverage: Callable[[np.ndarray], Numbers]
    """Rows -> modes hit, their KL, and the share of good samples where a sample can be bad."""
    features: str = ""
    """The classifier that names the modes; empty where the coordinates do."""
    features_sha256: str = ""


class Space(NamedTuple):
    """Where examples are compared: the fields of a feature net that a record names, and what is known of the data.

    Its functions take stored examples (n, *event), and their mask where they have one.
    """

    name: str
    sha256: str
    features: Callable[..., np.ndarray]
    """-> float32 (n, d)"""
    logits: Callable[..., np.ndarray] | None = None
    """-> (n, classes); None where the space has no classifier."""
    modes: Modes | None = None
    """The modes of the data set; None where they are not known."""

    def rows(self, kind: Kind, part: data.Examples | data.Lazy) -> Any:
        """What metrics of a kind see of examples: arrays, or a `Labelled` of them, with a row for each example."""
        if isinstance(part, data.Lazy):
            blocks = (np.arange(i, min(i + BLOCK, part.n)) for i in range(0, part.n, BLOCK))
            each = [self.rows(kind, data.take(part, block)) for block in blocks]
            return jax.tree.map(lambda *rows: np.concatenate(rows), *each)
        if kind == "examples":
            return part
        of = (part.x,) if part.event_mask is None else (part.x, part.event_mask)
        if kind == "features":
            return np.asarray(self.features(*of))
        if kind == "logits":
            assert self.logits is not None
            return np.asarray(self.logits(*of))
        if kind == "modes":
            assert self.modes is not None
            return self.modes.rows(*of)
        assert part.y is not None
        return Labelled(self.rows("features", part), self.rows("logits", part), part.y)
