"""Work that every device does on its own examples, where a batch lies over several.

The compiler finds out by itself which device needs what, except in loops: there it adds up the devices' sums in every
turn. The forms for CPU loop over parts of a batch, so they say it themselves.
"""

import contextlib
from collections.abc import Callable, Iterator, Sequence
from contextvars import ContextVar
from typing import Any, Literal, TypeAlias

import jax
from jax import lax
from jax.sharding import Mesh
from jax.sharding import PartitionSpec as P

Lies: TypeAlias = Literal["whole", "split", "summed", "gathered"]
"""How a value lies: the same everywhere; each device's examples, along the first axis; a sum over all of them;
what each one has, along the first axis, on all of them."""

_MESH: ContextVar[Mesh | None] = ContextVar("mesh", default=None)


@contextlib.contextmanager
def batches_over(mesh: Mesh | None) -> Iterator[None]:
    """Programs traced inside split their batches over all axes of `mesh`, as far as their sizes divide."""
    token = _MESH.set(mesh)
    try:
        yield
    finally:
        _MESH.reset(token)


def each_device(f: Callable[..., tuple], n: Any, takes: Sequence[Lies], gives: Sequence[Lies]) -> Callable[..., tuple]:
    """`f` on every device's own share of n examples; `f` itself where there is one device or n does not divide.

    Args:
        f: from pytrees to a tuple of pytrees.
        n: examples in all; a symbol in a program exported for any number.
        takes: how each argument lies, "whole" or "split".
        gives: how each result lies. What is "summed" or "gathered" is so over the devices once, after `f`.
    """
    mesh = _MESH.get()
    if mesh is None or mesh.size == 1 or not isinstance(n, int) or n % mesh.size:
        return f
    axes = mesh.axis_names
    join = {"summed": lambda r: lax.psum(r, axes), "gathered": lambda r: lax.all_gather(r, axes, tiled=True)}

    def here(*args):
        with batches_over(None):
            results = f(*args)
        return tuple(join[how](r) if how in join else r for r, how in zip(results, gives, strict=True))

    ins, outs = (tuple(P(axes) if how == "split" else P() for how in each) for each in (takes, gives))
    return jax.shard_map(here, mesh=mesh, in_specs=ins, out_specs=outs, check_vma=False)


def n_chunks(n: Any, size: int, limit: int) -> int:
    """The smallest number of equal parts of n examples of `size` each, such that a part has at most `limit`.

    One example a part where even one is too large; one part where n is a symbol, in a program exported for any batch
    size.
    """
    if not isinstance(n, int):
        return 1
    return n // max((c for c in range(1, n + 1) if n % c == 0 and c * size <= limit), default=1)
