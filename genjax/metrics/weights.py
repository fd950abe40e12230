"""Weights of feature nets as safetensors: arrays and a header, nothing that could be executed.

A file holds every array of a net by its path (`params/stem/kernel`, `state/norms/0/mean`) and one entry of metadata,
`about`, a JSON object on where it comes from. It is identified by the SHA-256 of its bytes.
"""

import hashlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load, save

from genjax import files
from genjax.errors import UsageError
from genjax.types import Params, State


class Weights(NamedTuple):
    """What a file holds; arrays are float32."""

    params: Params
    state: State
    about: dict[str, Any]
    sha256: str


def data_folder() -> Path:
    """The user's own data: `$XDG_DATA_HOME/genjax`, else `~/.local/share/genjax`."""
    base = os.environ.get("XDG_DATA_HOME") or "~/.local/share"
    return (Path(base) / "genjax").expanduser()


def write(path: str | os.PathLike, params: Params, state: State, about: Mapping[str, Any], half: bool = False) -> str:
    """Writes a net's arrays whole or not at all; the same arrays give the same bytes. Gives the file's SHA-256.

    Args:
        path: the file.
        params: the net's parameters.
        state: its other arrays.
        about: what JSON can hold.
        half: keep kernels (arrays of two axes or more) as float16; the others stay float32.
    """
    flat = {**_flat("params", params), **_flat("state", state)}
    arrays = {k: np.ascontiguousarray(v.astype(np.float16 if half and v.ndim > 1 else np.float32)) for k, v in
              flat.items()}  # fmt: skip
    # One entry of metadata: several would be written in a random order.
    content = save(arrays, {"about": json.dumps(dict(about), sort_keys=True)})
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    files.replace(path, content)
    return hashlib.sha256(content).hexdigest()


def read(path: str | os.PathLike, sha256: str | None = None) -> Weights:
    """A net's arrays from a file, which must be the one with this SHA-256 where it is given.

    Raises:
        UsageError: it is another file, or no safetensors file of a net.
    """
    content = Path(path).read_bytes()
    found = hashlib.sha256(content).hexdigest()
    if sha256 is not None and found != sha256:
        raise UsageError(f"{path}: is damaged or another file; its SHA-256 is {found}, not {sha256}.")
    try:
        arrays = load(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        about = json.loads(header.get("__metadata__", {}).get("about", "{}"))
    except (SafetensorError, ValueError, KeyError) as e:
        raise UsageError(f"{path}: is not a safetensors file ({e}).") from None
    trees: dict[str, Any] = {"params": {}, "state": {}}
    for name, array in arrays.items():
        *above, last = name.split("/")
        if not above or above[0] not in trees:
            raise UsageError(f"{path}: holds {name}, which is no array of a feature net.")
        node = trees
        for part in above:
            node = node.setdefault(part, {})
        node[last] = array.astype(np.float32)
    return Weights(trees["params"], trees["state"], about, found)


def arrays_sha256(params: Params, state: State) -> str:
    """SHA-256 over every array of a net as float32, with its path and shape: what its features depend on."""
    digest = hashlib.sha256()
    for name, array in sorted({**_flat("params", params), **_flat("state", state)}.items()):
        digest.update(f"{name} {array.shape}\n".encode())
        digest.update(np.ascontiguousarray(array, np.float32).data)
    return digest.hexdigest()


def _flat(prefix: str, tree: Mapping[str, Any]) -> dict[str, np.ndarray]:
    """Arrays of nested dicts by their path."""
    out: dict[str, np.ndarray] = {}
    for name, value in sorted(tree.items()):
        path = f"{prefix}/{name}"
        out |= _flat(path, value) if isinstance(value, Mapping) else {path: np.asarray(value)}
    return out
