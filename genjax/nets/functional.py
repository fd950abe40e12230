"""From an NNX module to a `Net`: two pure functions over plain dicts with string keys."""

import dataclasses
import functools
from collections.abc import Callable

from flax import nnx
from flax.traverse_util import flatten_dict, unflatten_dict

from genjax.types import Key, Net, Params, Range, State


def functional(
    make: Callable[[nnx.Rngs], nnx.Module], couples_examples: bool = False, range: Range | None = None
) -> Net:
    """The `Net` of a module: `init` makes its arrays, `apply` runs it on given ones.

    A module keeps its trained arrays in `nnx.Param` and everything else that lives on in other `nnx.Variable`s
    (`nnx.BatchStat`). `apply` builds a fresh module around the arrays at each call and reads the variables back, so an
    assignment to a running statistic inside `__call__` is seen by nobody else, and `vmap`, loops, derivatives of any
    order and `jax.export` see a pure function. A module must not share one variable between two places.

    Args:
        make: the module's constructor, given random streams; called anew by every `init`, under `jit` too.
        couples_examples: see `Net`; true for a module with batch norm.
        range: of the output, where the module's last activation sets one.

    Returns:
        A `Net` whose `apply` passes `train` (bool), `key`, `y` and what else it gets (a mask) on to the module.

    Example:
        >>> import jax
        >>> class Scale(nnx.Module):
        ...     def __init__(self):
        ...         self.s = nnx.Param(jax.numpy.ones(3))
        ...     def __call__(self, x, *, train, key, y):
        ...         return x * self.s[...]
        >>> params, state = functional(lambda rngs: Scale()).init(jax.random.key(0))
        >>> params, state
        ({'s': Array([1., 1., 1.], dtype=float32)}, {})
    """

    @functools.cache
    def structure():
        """The module without its arrays; made once, when first needed, so that describing a net costs nothing."""
        graph, variables = nnx.split(nnx.eval_shape(lambda: make(nnx.Rngs(0))))
        return graph, nnx.to_flat_state(variables)

    def init(key: Key) -> tuple[Params, State]:
        return _arrays(make(nnx.Rngs(key)))

    def apply(params: Params, state: State, *inputs, train: bool = False, key: Key | None = None, y=None, **more):
        graph, variables = structure()
        values = flatten_dict(params) | flatten_dict(state)
        filled = [(path, v.replace(values[tuple(map(str, path))])) for path, v in variables]
        module = nnx.merge(graph, nnx.from_flat_state(filled))
        out = module(*inputs, train=train, key=key, y=y, **more)
        return out, _arrays(module)[1]

    return Net(init, apply, couples_examples, range)


def unmasked(net: Net) -> Net:
    """A net for masked data that reads them as they are stored, with zeros where nothing counts.

    Example:
        >>> import jax
        >>> from genjax.nets.mlp import mlp_encoder
        >>> net = unmasked(mlp_encoder((3,), 2))
        >>> params, state = net.init(jax.random.key(0))
        >>> net.apply(params, state, jax.numpy.ones((1, 3)), event_mask=jax.numpy.ones((1, 3), bool))[0].shape
        (1, 2)
    """
    return dataclasses.replace(net, apply=lambda *args, event_mask=None, **more: net.apply(*args, **more))


def _arrays(module: nnx.Module) -> tuple[Params, State]:
    """A module's trained and other arrays as plain nested dicts; the index of a list becomes a string."""
    _, *both = nnx.split(module, nnx.Param, ...)
    params, state = (
        unflatten_dict({tuple(map(str, path)): v[...] for path, v in nnx.to_flat_state(part)}) for part in both
    )
    return params, state
