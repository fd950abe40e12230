"""The picture of the README: a column for each kind of data, a row for each side."""

import importlib
import io

import jax
import numpy as np
from PIL import Image

from genjax import data


def test_every_kind_has_a_panel_in_every_row():
    kinds = importlib.import_module("experiments._kinds")
    names = "ring", "tunes", "psalms", "synthetic_speech", "penguins"
    columns = []
    for name in names:
        found = data.load(name)
        some = jax.tree.map(lambda a: a[:8], found.test._replace(y=None))
        columns.append(kinds.Shown(found.spec, {"held out": some, "samples": some}, "VAE"))
    assert [c.spec.domain for c in columns] == list(kinds.WIDTHS)
    png = kinds.picture(columns)
    pixels = np.asarray(Image.open(io.BytesIO(png.data)).convert("L"))
    rows = [kinds.HEAD + i * (kinds.HEIGHT + kinds.GAP) for i in range(2)]
    left = kinds.NAMES
    for width in kinds.WIDTHS.values():
        panels = [pixels[top : top + kinds.HEIGHT, left : left + width] for top in rows]
        assert all(panel.min() < 128 for panel in panels)
        np.testing.assert_array_equal(*panels)
        left += width + kinds.GAP
