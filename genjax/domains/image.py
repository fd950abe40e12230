"""Images: uint8 (h, w, c), pixels 0 ... 255; one channel is grey, three are RGB."""

from typing import Any

import numpy as np
from jaxtyping import Float, Num

from genjax import __version__, distributions, viz
from genjax.data import Examples, Spec
from genjax.domains.contract import Domain, Finished, How, Picture, Piece, Spectrum
from genjax.metrics.image_metrics import IMAGE_METRICS
from genjax.metrics.image_spaces import image_space
from genjax.metrics.sharpness import radial_spectrum

SLACK = 26
"""Levels beyond white or black that a normal pixel's mean may stray."""
THUMBNAIL, MODE = 32, 14
"""Larger images are compared as thumbnails: of 32 to 63 pixels for how far samples are from the data; of 14 to 27 for
how they differ, for a mode is what is seen from afar, and a mean over pixels takes away the noise that would make
copies look different."""
N_COLUMNS = 16
"""Images of each member in a picture of all."""


def finish(x: Any, spec: Spec) -> Finished:
    """Pixels rounded and clipped; what is not finite is hatched, see `viz.to_uint8`."""
    x = np.asarray(x)
    finite = np.isfinite(x).reshape(len(x), -1)
    return Finished(Examples(viz.to_uint8(x)), np.all(finite, axis=1), outside(x))


def outside(images: Num[np.ndarray, "n h w c"]) -> float:
    """Share of the values that lie beyond 0 ... 255 by more than `SLACK`; what is not finite is another matter."""
    return float((((images < -SLACK) | (images > 255 + SLACK)) & np.isfinite(images)).mean())


def show(examples: Examples, spec: Spec, ncols: int | None = None, close: bool = False) -> list[Piece]:
    """One picture of all, with transparent gaps, or none."""
    png = viz.sheet(examples.x, ncols, 0 if close else gap_of(examples.x))
    return [Picture(png, f"{len(examples.x)} images")]


def gap_of(images: np.ndarray) -> int:
    """Pixels between images: one between thumbnails, two otherwise."""
    return 1 if images.shape[2] < 16 else 2


def glance(examples: Examples, spec: Spec) -> np.ndarray:
    """A grid, about a square."""
    return viz.grid(examples.x)


def frame(pictures: list[np.ndarray], spec: Spec, n: int) -> viz.Png:
    """Grids cut anew, with transparent gaps; of several a row of images each. Another picture stays as it is."""
    h, w, c = spec.shape
    cuts = [viz.tiles(picture, (h, w, c)) for picture in pictures]
    cut = [c for c in cuts if c is not None]
    if len(cut) < len(pictures):
        return viz.encode(np.concatenate(pictures))
    if len(cut) > 1:
        most = min(N_COLUMNS, *(len(images) for images, _ in cut))
        images = np.concatenate([images[:most] for images, _ in cut])
        return viz.sheet(images, most, gap_of(images))
    images, ncols = cut[0]
    if len(images) > n:
        images, ncols = images[:n], None
    return viz.sheet(images, ncols, gap_of(images))


def png(examples: Examples, spec: Spec, how: How) -> bytes:
    """A grid as a PNG file."""
    about = {"Software": f"genjax {__version__}", "Description": _latin(how.about)}
    return viz.encode(_picture(examples, how), about).data


def pdf(examples: Examples, spec: Spec, how: How) -> bytes:
    """A grid as a PDF file."""
    return viz.pdf(_picture(examples, how), how.about)


def _picture(examples: Examples, how: How) -> np.ndarray:
    return viz.grid(examples.x, how.ncols).repeat(how.scale, axis=0).repeat(how.scale, axis=1)


def _latin(text: str) -> str:
    """Text as PNG's metadata can hold it."""
    return text.encode("latin-1", "replace").decode("latin-1")


def vector(examples: Examples, spec: Spec) -> Num[np.ndarray, "n d"]:
    """All pixels."""
    return examples.x.reshape(len(examples.x), -1)


def coarse(images: Any, spec: Spec) -> Float[np.ndarray, "n d"]:
    """Thumbnails in which modes are counted, as rows."""
    return small(np.asarray(images, np.float32), MODE).reshape(len(images), -1)


def near(images: Any, spec: Spec) -> tuple[np.ndarray, ...]:
    """Thumbnails; of images larger than these, whose means would hide noise, also the middle in full detail."""
    images = np.asarray(images)
    if max(spec.shape[:2]) == 1:
        return ()  # a pixel may have as few values as it likes
    whole = small(images.astype(np.float64), THUMBNAIL).reshape(len(images), -1)
    if min(spec.shape[:2]) < 2 * THUMBNAIL:
        return (whole,)
    h, w = (max(0, size - THUMBNAIL) // 2 for size in spec.shape[:2])
    middle = images[:, h : h + THUMBNAIL, w : w + THUMBNAIL].astype(np.float64)
    return whole, middle.reshape(len(images), -1)


def small(v: Float[np.ndarray, "n h w c"], side: int) -> Float[np.ndarray, "n h2 w2 c"]:
    """Means over squares of pixels, so that the shorter side is `side` to 2 `side` - 1 long; as it is below that."""
    n, h, w, c = v.shape
    by = max(1, min(h, w) // side)
    v = v[:, : h // by * by, : w // by * by]
    return v.reshape(n, h // by, by, w // by, by, c).mean(axis=(2, 4))


def sizes(spec: Spec) -> str:
    """Height and width in pixels, and what the channels are.

    Example:
        >>> sizes(Spec("a", (28, 28, 1), 0, 1, ""))
        '28 × 28 pixels, grey'
    """
    h, w, c = spec.shape
    return f"{h} × {w} pixels" + {1: ", grey", 3: ", colour"}.get(c, f", {c} channels")


def resize(spec: Spec) -> str:
    """The flag that brings images to this size; of squares alone.

    Example:
        >>> resize(Spec("a", (28, 28, 1), 0, 1, "")), resize(Spec("a", (28, 20, 1), 0, 1, ""))
        ('--image-size 28', '')
    """
    h, w, _ = spec.shape
    return f"--image-size {h}" if h == w else ""


def cell(spec: Spec) -> tuple[int, int]:
    """Height and width of an image in a grid."""
    h, w, c = spec.shape
    return h, w * (1 if c in (1, 3) else c)


def protocol_fields(spec: Spec, config: Any) -> dict[str, Any]:
    """What was done to values and sizes, for a record's protocol."""
    size = getattr(config, "image_size", 0)
    return {
        "quantisation": "uint8, rounded",
        "resize": f"to {size} pixels, cut to a square" if size else "none",
    }


def spectrum(examples: Examples, spec: Spec) -> Spectrum:
    """Power over frequency, averaged over directions."""
    found = radial_spectrum(examples.x)
    return Spectrum(found.frequency, found.power)


DOMAIN = Domain(
    name="image",
    one="image",
    many="images",
    finish=finish,
    show=show,
    glance=glance,
    save={".png": png, ".pdf": pdf},
    space=lambda name, spec: image_space(name, spec.name, spec.shape),
    vector=vector,
    drawn="mean",
    each=".png",
    array="image",
    stated=False,
    resize=resize,
    why_likelihood=distributions.why_chosen,
    sizes=sizes,
    cell=cell,
    pictures=(".png", ".pdf"),
    frame=frame,
    metrics=IMAGE_METRICS,
    kinds=("model", "features", "logits", "classes", "modes", "examples"),
    measured=protocol_fields,
    limits="0 ... 255",
    coarse=coarse,
    near=near,
    spectrum=spectrum,
    compared="pixels",
)
