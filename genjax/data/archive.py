"""Examples of any kind of data in an `.npz` file, as `genjax sample --out F.npz` writes those that are no images.

Its arrays are `x` (of points `image`), `domain` and `spec` (texts: the kind, and JSON of its constants); and where
there are such `label` (numbers of classes), `classes` (their names) and `event_mask`.
"""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from genjax.data.classes import numbered, raw_labels
from genjax.data.examples import Dataset, Examples, Spec, dataset
from genjax.errors import UsageError, shown
from genjax.formats import npz

CONSTANTS = ("n_values", "columns", "about")
"""Fields of a `Spec` that tell how examples are stored."""


def domain_of(path: Path) -> str:
    """The kind of data that a file says it holds; empty where it says none, so that it is of images.

    Raises:
        UsageError: it is no `.npz` file.
    """
    found = npz.read(path, ["domain"])[0].get("domain")
    return str(found) if found is not None and found.dtype.kind == "U" and found.ndim == 0 else ""


def constants(spec: Spec) -> dict[str, Any]:
    """What a file says of the kind: its name, and JSON of its constants."""
    about = {"n_values": spec.n_values, "columns": [dict(c) for c in spec.columns], "about": dict(spec.about)}
    return {"domain": spec.domain, "spec": json.dumps(about)}


def load_archive(path: Path, domain: str) -> Dataset:
    """The examples of a file, all for training.

    Raises:
        UsageError: arrays are missing, do not fit each other, or hold what such data cannot.
    """
    said = shown(path)
    a, _ = npz.read(path, ["x", "image", "label", "event_mask", "classes", "spec"])
    x = a.get("x", a.get("image"))
    if x is None or x.ndim < 2 or not x.size or x.dtype.kind not in "uif":
        raise UsageError(f"{said}: holds no examples of {shown(domain)}: wanted an array x of numbers, (n, ...).")
    try:
        about = json.loads(str(a["spec"]))
        of: Mapping[str, Any] = {k: about[k] for k in CONSTANTS}
        n_values = int(of["n_values"])
    except (KeyError, TypeError, ValueError, RecursionError) as e:
        raise UsageError(f"{said}: does not say what its {shown(domain)} are ({type(e).__name__}: spec).") from None
    if not np.isfinite(x).all():
        raise UsageError(f"{said}: x holds NaN or infinity.")
    if n_values and not (x.dtype.kind in "ui" and int(x.min()) >= 0 and int(x.max()) < n_values):
        raise UsageError(f"{said}: x holds other values than the whole numbers 0 to {n_values - 1}.")
    mask = a.get("event_mask")
    if mask is not None and (mask.dtype != np.bool_ or mask.ndim < 2 or mask.shape != x.shape[: mask.ndim]):
        raise UsageError(f"{said}: event_mask is {mask.dtype} {mask.shape}; wanted bool over the first axes of x.")
    names = a["classes"].tolist() if "classes" in a and a["classes"].dtype.kind == "U" else None
    (y,), classes = numbered([raw_labels(a.get("label"), len(x), f"{said}: label")], names, said)
    return dataset(shown(path.stem), Examples(x, y, mask), None, classes, domain=domain, **of)
