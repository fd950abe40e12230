"""Gated convolutions over time, causal or centred: recurrence without a loop, for sequences with a mask.

Each layer is one matrix product over its taps side by side, which every platform runs at full speed. What a layer sees
widens by twice the taps' distance from layer to layer, so that four layers see 16 steps back, or 15 either way.
"""

from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Shaped

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import Dense, he, lecun, normal
from genjax.nets.functional import functional
from genjax.types import Net

Steps = Float[Array, "batch t n"]
Mask = Bool[Array, "batch t"] | Float[Array, "batch t"] | None


def centred_convs(n_in: int, n_out: int, width: int = 128, layers: int = 4, dropout: float = 0.0) -> Net:
    """x [batch, t, n_in] -> [batch, t, n_out]: each step sees those up to 2^layers - 1 before and after it.

    `apply` takes `event_mask` [batch, t]: what a step that does not count holds reaches no other.

    Args:
        n_in, n_out: numbers of a step.
        width: of the hidden layers.
        layers: gated convolutions with a shortcut each.
        dropout: share of a layer's outputs left out in training.

    Source:
        van den Oord et al. 2016, WaveNet, for the gated units with growing distances.

    Example:
        >>> net = centred_convs(3, 5, width=8, layers=2)
        >>> params, state = jax.eval_shape(net.init, jax.random.key(0))
        >>> jax.eval_shape(net.apply, params, state, jnp.zeros((2, 7, 3)))[0].shape
        (2, 7, 5)
    """
    return functional(lambda rngs: GatedConvs(n_in, n_out, width, layers, dropout, False, rngs=rngs))


def causal_convs(n_in: int, n_out: int, width: int = 128, layers: int = 4, dropout: float = 0.0) -> Net:
    """x [batch, t, n_in] -> [batch, t, n_out]: a step sees itself and the `memory(layers)` - 1 steps before it.

    Its last layer begins near 0. Arguments as for `centred_convs`.
    """
    return functional(lambda rngs: GatedConvs(n_in, n_out, width, layers, dropout, True, rngs=rngs))


def memory(layers: int) -> int:
    """Steps that `causal_convs` sees, the present one included.

    Example:
        >>> memory(4)
        16
    """
    return 2**layers


def each_step(n_in: int, n_out: int, hidden: tuple[int, ...], dropout: float = 0.0, bias: float = 0.0) -> Net:
    """x [..., n_in] -> [..., n_out]: a ReLU perceptron of every step by itself; `bias` is what its outputs begin at."""
    return functional(lambda rngs: EachStep((n_in, *hidden, n_out), dropout, bias, rngs=rngs))


class GatedConvs(nnx.Module):
    """See `centred_convs`, `causal_convs`."""

    def __init__(self, n_in: int, n_out: int, width: int, layers: int, dropout: float, causal: bool, *, rngs: nnx.Rngs):
        self.stem = Dense(n_in, width, rngs=rngs)
        self.shifts = [(0, 2**i) if causal else (-(2**i), 0, 2**i) for i in range(layers)]
        self.layers = nnx.List([Dense(len(s) * width, 2 * width, init=lecun, rngs=rngs) for s in self.shifts])
        self.hidden = Dense(width, width, init=he(), rngs=rngs)
        self.out = Dense(width, n_out, init=normal(0.1 * width**-0.5) if causal else lecun, rngs=rngs)
        self.dropout = dropout

    def __call__(self, x: Steps, *, train: bool, key, y=None, event_mask: Mask = None) -> Float[Array, "batch t m"]:
        drop = _Dropout(self.dropout if train else 0.0, key)
        h = mask_steps(self.stem(x), event_mask)
        for shifts, layer in zip(self.shifts, self.layers, strict=True):
            seen = jnp.concatenate([shifted(h, k) for k in shifts], axis=-1)
            value, gate = jnp.split(layer(seen), 2, axis=-1)
            h = mask_steps(h + drop(jnp.tanh(value) * jax.nn.sigmoid(gate)), event_mask)
        h = jax.nn.relu(self.hidden(drop(jax.nn.relu(h))))
        return at_least_float32(self.out(h))


class EachStep(nnx.Module):
    """See `each_step`."""

    def __init__(self, sizes: tuple[int, ...], dropout: float, bias: float, *, rngs: nnx.Rngs):
        pairs = list(pairwise(sizes))
        self.layers = nnx.List([Dense(a, b, init=he(), rngs=rngs) for a, b in pairs[:-1]])
        self.out = Dense(*pairs[-1], rngs=rngs)
        self.out.bias = nnx.Param(jnp.full(sizes[-1], bias, jnp.float32))
        self.dropout = dropout

    def __call__(self, x: Float[Array, "*batch n"], *, train: bool, key, y=None) -> Float[Array, "*batch m"]:
        drop = _Dropout(self.dropout if train else 0.0, key)
        for layer in self.layers:
            x = drop(jax.nn.relu(layer(x)))
        return at_least_float32(self.out(x))


class _Dropout:
    """Leaves out a share of what it is given, each time by a draw of its own; nothing without a key."""

    def __init__(self, rate: float, key):
        self.rate, self.key, self.count = rate, key, 0

    def __call__(self, x: Float[Array, "*s"]) -> Float[Array, "*s"]:
        if self.key is None or self.rate == 0:
            return x
        self.count += 1
        keep = jax.random.bernoulli(jax.random.fold_in(self.key, self.count), 1.0 - self.rate, x.shape)
        return jnp.where(keep, x / (1.0 - self.rate), 0.0)


def shifted(x: Steps, k: int) -> Steps:
    """What each step finds k steps before it (behind it for k < 0); zeros beyond the ends.

    Example:
        >>> shifted(jnp.arange(1.0, 4.0).reshape(1, 3, 1), 1).ravel().tolist()
        [0.0, 1.0, 2.0]
    """
    if k == 0:
        return x
    n = min(abs(k), x.shape[1])
    nothing = jnp.zeros_like(x[:, :n])
    return jnp.concatenate([nothing, x[:, :-n]] if k > 0 else [x[:, n:], nothing], axis=1)


def moved(window: Shaped[Array, "batch t *step"], new: Shaped[Array, "batch *step"]) -> Shaped[Array, "batch t *step"]:
    """A window of steps one step on: its first leaves, `new` comes last.

    Example:
        >>> moved(jnp.array([[1, 2, 3]]), jnp.array([4])).tolist()
        [[2, 3, 4]]
    """
    return jnp.concatenate([window[:, 1:], new[:, None]], axis=1)


def mask_steps(x: Steps, mask: Mask) -> Steps:
    """Steps, 0 where they do not count."""
    return x if mask is None else jnp.where(mask[:, :, None].astype(bool), x, 0.0)
