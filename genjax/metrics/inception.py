"""The weights of the Inception-v3 of FID: from the PyTorch file that a user brings to genjax's own, and from there."""

import functools
import hashlib
import re
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genjax import nets
from genjax.errors import UsageError
from genjax.formats import torch_file
from genjax.metrics import weights
from genjax.metrics.frozen_net import FeatureNet, batched
from genjax.nets import inception
from genjax.types import Params, State

FILE = "pt_inception-2015-12-05-6726825d.pth"
SHA256 = "6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2"
N_BYTES = 95_628_359
CHECK = "arrays_sha256"
"""The entry of the kept file that says what its arrays must be."""
BATCH = 32
"""Images of one pass."""
HOW = (
    f"download {FILE} (96 MB) from the releases of github.com/mseitzer/pytorch-fid, "
    f"then run `genjax features import {FILE}`"
)
"""How to come by the weights."""


class Imported(NamedTuple):
    """What `import_file` did."""

    path: Path
    sha256: str
    known: bool
    """Whether the file is the one that everybody's FID is computed with."""


def installed() -> Path:
    """Where imported weights are kept."""
    return weights.data_folder() / "features" / "inception.safetensors"


def import_file(path: Path, allow_unknown: bool = False) -> Imported:
    """Converts a PyTorch weights file of the FID Inception and keeps it; nothing in it is executed.

    Raises:
        UsageError: it is not the known file (and that is not allowed), names anything but tensors, or has others.
    """
    try:
        content = path.read_bytes()
    except OSError as e:
        raise UsageError(f"FILE={path}: cannot be read ({e.strerror}).") from None
    sha256 = hashlib.sha256(content).hexdigest()
    if sha256 != SHA256 and not allow_unknown:
        size = f"It has {len(content):,} bytes and that one {N_BYTES:,}. " if len(content) != N_BYTES else ""
        raise UsageError(
            f"FILE={path}: is not {FILE}: its SHA-256 is {sha256}, not {SHA256}. {size}"
            "Other weights give other numbers, which are no FID; --allow-unknown converts them all the same."
        )
    params, state = converted(torch_file.read(content, f"FILE={path}"), f"FILE={path}")
    try:
        about = {"source": path.name, "source_sha256": sha256}
        weights.write(installed(), params, state, {**about, CHECK: weights.arrays_sha256(params, state)})
    except OSError as e:
        raise UsageError(f"{installed()}: cannot be written ({e.strerror}).") from None
    return Imported(installed(), sha256, sha256 == SHA256)


def converted(arrays: dict[str, np.ndarray], name: str) -> tuple[Params, State]:
    """Parameters and state of `nets.inception_v3` from the arrays of a PyTorch `state_dict`.

    Raises:
        UsageError: arrays are missing, of another shape, unknown, or not finite.
    """
    arrays = {k: v for k, v in arrays.items() if not k.endswith("num_batches_tracked")}
    n_classes, n = inception.N_CLASSES, inception.N_FEATURES
    wanted: dict[str, tuple[int, ...]] = {"fc.weight": (n_classes, n), "fc.bias": (n_classes,)}
    for path, layer, n_in in inception.layers():
        wanted[f"{'.'.join(path)}.conv.weight"] = (layer.n_out, n_in, *layer.kernel)
        wanted |= {f"{'.'.join(path)}.bn.{k}": (layer.n_out,) for k in _BATCH_NORM}
    if missing := sorted(set(wanted) - set(arrays)):
        raise UsageError(f"{name}: lacks {missing[0]} and {len(missing) - 1} more of the arrays of FID's Inception-v3.")
    if unknown := sorted(set(arrays) - set(wanted)):
        raise UsageError(f"{name}: has {unknown[0]}, which FID's Inception-v3 has not.")
    for k, shape in wanted.items():
        if arrays[k].shape != shape:
            raise UsageError(f"{name}: {k} has shape {arrays[k].shape}, not {shape}.")
        if not np.isfinite(arrays[k]).all() or (k.endswith("running_var") and arrays[k].min() < 0):
            raise UsageError(f"{name}: {k} holds numbers that are not finite, or negative variances.")
    params: Params = {"fc": {"kernel": _float(arrays["fc.weight"].T)}}
    state: State = {}
    for path, _, _ in inception.layers():
        p, s, prefix = params, state, ".".join(path)
        for part in path[:-1]:
            p, s = p.setdefault(part, {}), s.setdefault(part, {})
        norm = {ours: _float(arrays[f"{prefix}.bn.{theirs}"]) for theirs, ours in _BATCH_NORM.items()}
        kernel = _float(arrays[f"{prefix}.conv.weight"].transpose(2, 3, 1, 0))
        p[path[-1]] = {"kernel": kernel, "scale": norm["scale"], "bias": norm["bias"]}
        s[path[-1]] = {"mean": norm["mean"], "var": norm["var"]}
    return params, state


_BATCH_NORM = {"weight": "scale", "bias": "bias", "running_mean": "mean", "running_var": "var"}


def _float(a: np.ndarray) -> np.ndarray:
    return np.ascontiguousarray(a, dtype=np.float32)


def inception_net() -> FeatureNet:
    """The Inception-v3 of FID with the weights that were imported; images of any size, gray ones as three channels.

    Its `sha256` is that of the PyTorch file, the same for everybody.

    Raises:
        UsageError: no weights have been imported, or their file is damaged.
    """
    path = installed()
    if not path.is_file():
        raise UsageError(f"feature net inception: its weights are not part of genjax; {HOW}.")
    return _loaded(path, path.stat().st_mtime_ns)


@functools.cache
def _loaded(path: Path, _modified: int) -> FeatureNet:
    w = weights.read(path)
    sha256 = w.about.get("source_sha256", "")
    expected = jax.eval_shape(nets.inception_v3().init, jax.random.key(0))
    shapes = lambda trees: jax.tree.map(lambda a: tuple(a.shape), trees)  # noqa: E731
    if not re.fullmatch(r"[0-9a-f]{64}", sha256) or shapes((w.params, w.state)) != shapes(expected):
        raise UsageError(f"{path}: holds other arrays than FID's Inception-v3. Import the weights again: {HOW}.")
    if w.about.get(CHECK) != weights.arrays_sha256(w.params, w.state):
        what = "its arrays are not those that were imported" if CHECK in w.about else "it has no check sum"
        raise UsageError(
            f"{path}: {what}, so a distance in their space would be no FID. Import the weights again: {HOW}."
        )
    outputs = batched(nets.inception_v3(), w, BATCH, None, "inception", three_channels)
    return FeatureNet("inception", sha256, inception.N_FEATURES, inception.N_CLASSES, None, outputs)


def three_channels(x: Any) -> Any:
    """Gray images three times over; the net scales pixels itself."""
    return jnp.broadcast_to(x, (*x.shape[:3], 3))
