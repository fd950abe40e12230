"""Trees as named leaves: the names, dtypes and shapes by which a state is stored, compared and digested."""

import hashlib
from collections.abc import Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genjax import progress
from genjax.errors import UsageError
from genjax.train.state import refuse_used

SHOWN = 5
"""Mismatching leaves that a message names before it counts the rest."""


def named_leaves(tree: Any) -> dict[str, Any]:
    """The leaves in tree order by path: `"players/vae/params/encoder/kernel"`.

    Works for dicts, NamedTuples, tuples, lists and whatever else is a registered pytree; empty subtrees and None hold
    no leaves. `jax.ShapeDtypeStruct` counts as a leaf.

    Raises:
        UsageError: the tree was donated to training (`state.refuse_used`).
        ValueError: two leaves have one name (a "/" in a key of the tree).

    Example:
        >>> list(named_leaves({"b": [1, 2], "a": {"w": 3.0}}))
        ['a/w', 'b/0', 'b/1']
    """
    refuse_used(tree)
    paths = jax.tree_util.tree_leaves_with_path(tree)
    pairs = [(jax.tree_util.keystr(p, simple=True, separator="/"), x) for p, x in paths]
    named = dict(pairs)
    if len(named) < len(pairs):
        twice = sorted({n for n, _ in pairs if sum(n == m for m, _ in pairs) > 1})
        raise ValueError(f"two leaves of the tree are both named {twice[0]!r}. Rename a key that holds a '/'.")
    return named


def describe(name: str, leaf: Any) -> tuple[str, tuple[int, ...]]:
    """`(dtype, shape)` of a leaf; Python numbers count as NumPy's default dtype of theirs.

    Raises:
        TypeError: the leaf is not a number or an array of numbers (typed keys are derived from the step, never kept).

    Example:
        >>> describe("step", 3)
        ('int64', ())
    """
    dtype = getattr(leaf, "dtype", None)
    if dtype is None and isinstance(leaf, bool | int | float | complex):
        leaf = np.asarray(leaf)
        dtype = leaf.dtype
    if dtype is None or not hasattr(leaf, "shape"):
        raise TypeError(f"leaf {name!r} is a {type(leaf).__name__}; a state holds arrays and numbers only.")
    if jax.dtypes.issubdtype(dtype, jax.dtypes.prng_key):
        raise TypeError(f"leaf {name!r} is a PRNG key. Keys are never stored: derive them from the seed and the step.")
    if np.dtype(dtype).kind in "OSUMm":
        raise TypeError(f"leaf {name!r} has dtype {dtype}; a state holds numbers only. Put text into `extra`.")
    return str(np.dtype(dtype)), tuple(leaf.shape)


def digest(leaves: Mapping[str, Any]) -> str:
    """SHA-256 (hex) over names, dtypes, shapes and bytes of the leaves, in the mapping's order.

    Equal digests mean equal states to the bit, -0.0 and NaN payloads included; device placement does not matter.

    Example:
        >>> digest({"w": np.zeros(2)}) == digest({"w": np.array([0.0, -0.0])})
        False
    """
    sha = hashlib.sha256()
    for name, leaf in progress.over(list(leaves.items()), "arrays hashed"):
        dtype, shape = describe(name, leaf)
        sha.update(f"{name}\0{dtype}\0{shape}\0".encode())
        # Bytes by a view: hashlib does not take bfloat16.
        sha.update(np.ascontiguousarray(whole(leaf)).reshape(-1).view(np.uint8).data)
    return sha.hexdigest()


def whole(leaf: Any) -> np.ndarray:
    """A leaf's values on this host. One that is spread over processes is gathered: all of them call this together."""
    if isinstance(leaf, jax.Array) and not (leaf.is_fully_addressable or leaf.is_fully_replicated):
        from jax.experimental import multihost_utils

        leaf = multihost_utils.process_allgather(leaf, tiled=True)
    return np.asarray(leaf)


def tree_digest(tree: Any) -> str:
    """`digest` of a live tree; equals that of the same tree read from a checkpoint."""
    return digest(named_leaves(tree))


def check(wanted: Mapping[str, Any], stored: Sequence[Sequence[Any]], where: str) -> None:
    """Refuse a stored tree whose leaves are not exactly those wanted.

    Args:
        wanted: named leaves of the tree to fill.
        stored: `[name, dtype, shape]` of each stored leaf.
        where: the checkpoint's name, for the message.

    Raises:
        UsageError: naming up to five leaves with their stored and wanted dtype and shape.
    """
    have = {name: (dtype, tuple(shape)) for name, dtype, shape in stored}
    want = {name: describe(name, leaf) for name, leaf in wanted.items()}
    differ = [n for n in [*want, *(n for n in have if n not in want)] if have.get(n) != want.get(n)]
    if not differ:
        return

    def dtype_and_shape(leaf: tuple[str, tuple[int, ...]] | None) -> str:
        return "nothing" if leaf is None else f"{leaf[0]}{list(leaf[1])}"

    lines = [f"{where} does not fit the model: {len(differ)} of {len(want)} leaves differ."]
    lines += [
        f"  {n}: stored {dtype_and_shape(have.get(n))}, wanted {dtype_and_shape(want.get(n))}" for n in differ[:SHOWN]
    ]
    if len(differ) > SHOWN:
        lines.append(f"  ... and {len(differ) - SHOWN} more")
    lines.append("Use the configuration it was trained with, or another run folder.")
    raise UsageError("\n".join(lines))


def is_placed(like: Any) -> bool:
    """Whether a leaf says on which devices its array must be: a committed array, a struct with a sharding."""
    return like.committed if isinstance(like, jax.Array) else getattr(like, "sharding", None) is not None


def placed(x: Any, like: Any) -> Any:
    """A stored leaf as the kind of thing its counterpart is: jax array, NumPy array or number, Python number."""
    if isinstance(like, jax.Array | jax.ShapeDtypeStruct):
        if isinstance(x, jax.Array):
            return x
        # Copied: a view of NumPy's memory could not be donated.
        return jax.device_put(x, like.sharding) if is_placed(like) else jnp.array(x)
    if isinstance(like, np.ndarray):
        return x
    return x[()] if isinstance(like, np.generic) else x.item()
