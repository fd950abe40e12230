"""Points in the plane: float32, stored as (1, 1, 2), the modes of which are known where they were made here."""

from typing import Any

import numpy as np
from jaxtyping import Float

from genjax import viz
from genjax.data import Examples, Spec
from genjax.data.synthetic import MIXTURES
from genjax.domains.contract import Domain, Finished, How, Picture, Piece
from genjax.errors import UsageError
from genjax.metrics.modes import mode_coverage
from genjax.metrics.spaces import Modes, Numbers, Space

SIDE = 240
"""Pixels of a picture's side."""


def finish(x: Any, spec: Spec) -> Finished:
    """Points as the model gives them."""
    x = np.asarray(x, np.float32)
    return Finished(Examples(x), np.all(np.isfinite(x).reshape(len(x), -1), axis=1))


def rows(x: np.ndarray) -> Float[np.ndarray, "n 2"]:
    """A row for each point."""
    return np.asarray(x).reshape(len(x), -1)


def show(examples: Examples, spec: Spec, ncols: int | None = None, close: bool = False) -> list[Piece]:
    """All of them as dots in the square from -1 to 1."""
    return [Picture(viz.encode(glance(examples, spec)), f"{len(examples.x)} points in the plane", sharp=False)]


def glance(examples: Examples, spec: Spec) -> np.ndarray:
    """All of them as dots in the square from -1 to 1."""
    return viz.dots(rows(examples.x), SIDE)


def png(examples: Examples, spec: Spec, how: How) -> bytes:
    """Dots in a square, as a PNG file."""
    picture = viz.dots(rows(examples.x), SIDE * how.scale)
    return viz.encode(picture, {"Description": how.about.encode("latin-1", "replace").decode("latin-1")}).data


def space(name: str, spec: Spec) -> Space:
    """The plane itself, and the modes of `ring` and `grid`.

    Raises:
        UsageError: another space is asked for.
    """
    if name not in ("", "plane"):
        raise UsageError(f"--features={name}: {spec.name} is points, which are compared in the plane. Leave it out.")
    return Space("plane", "", rows, modes=modes_of(spec.name))


def modes_of(name: str) -> Modes | None:
    """The modes of `ring` and `grid`; None of other points."""
    if name not in MIXTURES:
        return None
    mixture = MIXTURES[name]()

    def coverage(points: np.ndarray) -> Numbers:
        found = mode_coverage(points, mixture.centers, mixture.sd)
        return {"modes": found.hit, "good_share": found.good, "modes_kl": found.kl}

    return Modes(rows, coverage)


DOMAIN = Domain(
    name="points",
    one="point",
    many="points",
    finish=finish,
    show=show,
    glance=glance,
    save={".png": png},
    space=space,
    vector=lambda examples, spec: rows(examples.x),
    drawn="whole",
    as_is=True,
    array="image",
    sizes=lambda spec: "2 coordinates",
    pictures=(".png",),
    kinds=("model", "modes"),
    near=lambda x, spec: (),
)
