"""Rows of images with their names beside them and, where they mean something, the columns' names above."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genjax.viz.images import Png, encode, enlargement, on_nothing, to_uint8

LETTERS = 13
"""Size of the letters, in pixels."""
INK = 128
"""Grey, legible on light and on dark."""
AWAY = 8
"""Pixels between a name and its row."""


def rows(
    groups: Mapping[str, Any], columns: Sequence[str] = (), corner: str = "", ncols: int = 12, scale: int | None = None
) -> Png:
    """Named rows of images for a notebook: the name of each group stands to the left of its first row.

    Args:
        groups: images (n, h, w, c) of pixels 0..255 by name, all of one size; more than `ncols` take several rows.
        columns: what stands above the columns, where each has a meaning of its own.
        corner: what the names of the columns are values of; it stands to the left of them.
        ncols: images in a row.
        scale: every pixel is drawn as `scale` x `scale`; by default an image is some 56 pixels wide.

    Example:
        >>> rows({"data": np.zeros((4, 8, 8, 1)), "samples": np.zeros((8, 8, 8, 1))}, ncols=4).height
        182
    """
    images = {name: to_uint8(x) for name, x in groups.items()}
    shapes = {x.shape[1:] for x in images.values()}
    if len(shapes) != 1:
        given = ", ".join(f"{name!r} {x.shape}" for name, x in images.items())
        raise ValueError(f"rows need at least one group, and images of one size; got {given or 'no group'}.")
    if len(columns) > ncols:
        raise ValueError(f"{len(columns)} names for {ncols} columns. Try ncols={len(columns)}.")
    h, w, _ = shapes.pop()
    scale = scale or enlargement(w)
    gap = 2 if scale < 4 else 1
    sheets = [Image.fromarray(on_nothing(x, min(ncols, len(x)), gap, scale)) for x in images.values()]
    mode = sheets[0].mode
    ink = (INK,) * (len(mode) - 1)

    font = ImageFont.load_default(LETTERS)
    left = AWAY + round(max(font.getlength(text) for text in (*images, corner)))
    above = LETTERS + AWAY if columns or corner else 0
    height = above + sum(sheet.height + gap * scale for sheet in sheets) - gap * scale
    picture = Image.new(mode, (left + max(sheet.width for sheet in sheets), height), (*ink, 0))
    draw = ImageDraw.Draw(picture)
    draw.text((left - AWAY, LETTERS // 2 + 1), corner, (*ink, 255), font, "rm")
    step = on_nothing(next(iter(images.values()))[:1], 1, gap, scale).shape[1] + gap * scale
    for i, name in enumerate(columns):
        draw.text((left + i * step + (step - gap * scale) // 2, LETTERS // 2 + 1), name, (*ink, 255), font, "mm")
    top = above
    for name, sheet in zip(images, sheets, strict=True):
        picture.paste(sheet, (left, top))
        draw.text((left - AWAY, top + h * scale // 2), name, (*ink, 255), font, "rm")
        top += sheet.height + gap * scale
    return encode(np.asarray(picture))
