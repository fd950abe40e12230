"""Decoders that write a sequence symbol by symbol: a net makes a context of z, a chain goes on from there."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from genjax.distributions.autoregressive import Chain
from genjax.distributions.discrete import Categorical
from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import Dense, embed, lecun, plus
from genjax.nets.devices import each_device
from genjax.nets.functional import functional
from genjax.nets.recurrent import GRU, Gates, Weights, gru, gru_step, inputs_of
from genjax.types import Net, UsageError


class Decoder(NamedTuple):
    """Both halves of an autoregressive decoder."""

    net: Net
    """z [batch, z_dim] -> what the chain needs of it, a tree of arrays."""
    chain: Chain


class Each(NamedTuple):
    """What a decoder gives for each example."""

    start: Float[Array, "batch hidden"]
    z: Gates | None
    """Added to every gate at every step, (batch, hidden) each."""
    seen: Bool[Array, "batch t"] | None
    """The symbols that word dropout leaves."""


class Given(NamedTuple):
    """What `gru_decoder`'s chain needs."""

    each: Each
    weights: Weights
    kernel: Float[Array, "hidden k"]
    """The weights of the logits."""
    bias: Float[Array, " k"]


def gru_decoder(
    z_dim: int, n_values: int, length: int, hidden: int = 256, *, dropout: float = 0.0, n_classes: int = 0
) -> Decoder:
    """A GRU that reads the symbols before and z at every step, and gives logits of the next symbol.

    z makes the first state, and adds to every gate at every step. With n_classes > 0 the net needs labels `y` [batch].

    Args:
        z_dim: latent dimensions; 0 for a language model without latents, which takes z [batch, 0].
        n_values: size of the alphabet.
        length: symbols of a sequence.
        hidden: units.
        dropout: chance that training hides a symbol from the step after it, so that the latents are needed
            (word dropout); the symbol is predicted all the same.
        n_classes: 0 for an unconditional decoder.

    Source:
        Bowman et al. 2016, Generating Sentences from a Continuous Space.

    Example:
        >>> decoder = gru_decoder(2, 5, 3, 8)
        >>> params, state = jax.eval_shape(decoder.net.init, jax.random.key(0))
        >>> given, _ = jax.eval_shape(decoder.net.apply, params, state, jnp.zeros((1, 2)))
        >>> jax.eval_shape(decoder.chain.whole, given, jnp.array([[1, 2, 3]])).shape
        (1, 3, 8)
    """
    if not 0.0 <= dropout < 1.0:
        raise UsageError(f"dropout={dropout}: must be at least 0 and below 1.")
    net = functional(lambda rngs: GruDecoder(z_dim, n_values, length, hidden, dropout, n_classes, rngs=rngs))
    return Decoder(net, Chain(length, _whole, _start, _step, _emission, n_values))


class GruDecoder(nnx.Module):
    """See `gru_decoder`."""

    def __init__(
        self, z_dim: int, n_values: int, length: int, hidden: int, dropout: float, n_classes: int, *, rngs: nnx.Rngs
    ):
        self.z_dim, self.length, self.dropout, self.hidden = z_dim, length, dropout, hidden
        self.cell = GRU(n_values, hidden, symbols=True, rngs=rngs)
        self.label = embed(n_classes, hidden, rngs=rngs)
        self.kernel = nnx.Param(lecun(rngs.params(), (hidden, n_values)))
        self.bias = nnx.Param(jnp.zeros(n_values, jnp.float32))
        if z_dim:
            self.first = Dense(z_dim, hidden, rngs=rngs)
            self.at_every_step = nnx.List([Dense(z_dim, hidden, bias=False, rngs=rngs) for _ in Gates._fields])

    def __call__(self, z: Float[Array, "batch z"], *, train: bool, key, y) -> Given:
        n = z.shape[0]
        start = self.first(z) if self.z_dim else jnp.zeros((n, self.hidden), jnp.float32)
        start = jnp.tanh(start if self.label is None else plus(start, self.label(y)))
        at_every_step, seen = None, None
        if self.z_dim:
            at_every_step = Gates(*(layer(z) for layer in self.at_every_step))
        if train and self.dropout:
            if key is None:
                raise ValueError("This net has dropout: in training call it with key=.")
            seen = jax.random.bernoulli(key, 1.0 - self.dropout, (n, self.length))
        return Given(Each(start, at_every_step, seen), self.cell.weights, self.kernel[...], self.bias[...])


def _start(given: Given) -> tuple[Array, Int[Array, " batch"]]:
    start = given.each.start
    return at_least_float32(start), jnp.full(start.shape[0], -1, jnp.int32)


def _step(given: Given, h: Float[Array, "batch hidden"], before: Int[Array, " batch"]):
    inputs = inputs_of(given.weights, before, True)
    if given.each.z is not None:
        inputs = Gates(*map(jnp.add, inputs, given.each.z))
    h = gru_step(inputs, given.weights.recurrent, given.weights.bias, h)
    return h, h


def _emission(given: Given, h: Float[Array, "rows hidden"]) -> Categorical:
    return Categorical(h @ given.kernel + given.bias[None])


def _whole(given: Given, x: Int[Array, "batch t"]) -> Float[Array, "batch t hidden"]:
    read = each_device(_states, x.shape[0], ("split", "split", "whole"), ("split",))
    return read(x.astype(jnp.int32), given.each, given.weights)[0]


def _states(x, each: Each, weights: Weights) -> tuple[Float[Array, "batch t hidden"]]:
    before = jnp.pad(x[:, :-1], ((0, 0), (1, 0)), constant_values=-1)
    if each.seen is not None:
        before = jnp.where(jnp.pad(each.seen[:, :-1], ((0, 0), (1, 0))), before, -1)
    inputs = inputs_of(weights, before.T, True)
    if each.z is not None:
        inputs = Gates(*(a + z[None] for a, z in zip(inputs, each.z, strict=True)))
    return (gru(inputs, weights.recurrent, weights.bias, each.start).swapaxes(0, 1),)
