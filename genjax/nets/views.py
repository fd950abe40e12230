"""Nets that see data in several ways at once: views of an example laid side by side in one vector.

A discriminator of sound hears more in a wave beside its spectrogram than in either. As the views are what the
discriminator is given, a penalty on its slope (R1, R2) is a penalty in each view, in its own units; through the
logarithm of a spectrum it would be one on the silence alone.
"""

import itertools
import math
from collections.abc import Callable, Mapping
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from genjax.types import Key, Net, Params, State, UsageError


def then(net: Net, view: Callable[[Any], Any]) -> Net:
    """The net with `view` of its output in the place of its output, as a generator whose samples are seen in views.

    Example:
        >>> import jax.numpy as jnp
        >>> from genjax.nets.mlp import mlp_decoder
        >>> net = then(mlp_decoder(2, (4, 4, 1), (8,)), lambda x: x.reshape(-1, 16))
        >>> net.apply(*net.init(jax.random.key(0)), jnp.zeros((3, 2)))[0].shape
        (3, 16)
    """

    def apply(params: Params, state: State, *inputs, train: bool = False, key: Key | None = None, y=None):
        out, state = net.apply(params, state, *inputs, train=train, key=key, y=y)
        return view(out), state

    return Net(net.init, apply, net.couples_examples)


def seeing(views: Mapping[str, tuple[Net | None, tuple[int, ...]]]) -> Net:
    """A discriminator of vectors [batch, n] made of views: the sum of the logits of a net for each.

    Args:
        views: by name, in the order in which they lie, a net and the shape of what it sees; None for a view that is
            there and not looked at.

    Raises:
        UsageError: no view has a net; in `apply`, vectors of another length than all views have together.
    """
    sizes = [math.prod(shape) for _, shape in views.values()]
    ends = dict(zip(views, itertools.accumulate(sizes), strict=True))
    seen = {name: (net, shape) for name, (net, shape) in views.items() if net is not None}
    if not seen:
        raise UsageError("seeing: give it at least one view, a net and the shape of what it sees.")

    def init(key: Key) -> tuple[Params, State]:
        made = {name: net.init(jax.random.fold_in(key, i)) for i, (name, (net, _)) in enumerate(seen.items())}
        return {name: params for name, (params, _) in made.items()}, {name: state for name, (_, state) in made.items()}

    def apply(
        params: Params, state: State, x: Float[Array, "batch n"], *, train: bool = False, key: Key | None = None, y=None
    ) -> tuple[Float[Array, " batch"], State]:
        if x.shape[1] != sum(sizes):
            raise UsageError(f"vectors of {x.shape[1]} numbers; the views have {sum(sizes)} together.")
        logit, after = jnp.zeros(x.shape[0], jnp.float32), {}
        for i, (name, (net, shape)) in enumerate(seen.items()):
            view = x[:, ends[name] - math.prod(shape) : ends[name]].reshape(-1, *shape)
            own = None if key is None else jax.random.fold_in(key, i)
            out, after[name] = net.apply(params[name], state[name], view, train=train, key=own, y=y)
            logit = logit + out
        return logit, after

    return Net(init, apply, any(net.couples_examples for net, _ in seen.values()))
