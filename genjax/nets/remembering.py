"""Decoders of piano rolls that remember: each chord is made of its own latents and of the chords before it."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float, Int

from genjax.distributions.autoregressive import Chain
from genjax.distributions.chords import Chords, by_interval, chords
from genjax.nets.blocks import normal
from genjax.nets.functional import functional
from genjax.nets.over_time import causal_convs, each_step, mask_steps, memory, moved, shifted
from genjax.nets.sequence import Decoder
from genjax.types import Key, Net, Params, State, UsageError

REACH = 24
"""Semitones that a note reaches: up and down in the next two chords, up in its own."""
UNITS = 8
"""Hidden units of each key."""


class Given(NamedTuple):
    """What the chain of `remembering` needs."""

    z: Float[Array, "batch t z"]
    params: Params
    """`past`, `head` and `moves`, the nets'; `chords`, of a chord's distribution."""
    key: Key | None
    """The key of dropout; None outside of training."""


class Window(NamedTuple):
    """The chain's state: what the convolutions see."""

    t: Int[Array, ""]
    chords: Float[Array, "batch memory keys"]
    there: Bool[Array, "batch memory"]
    """False before the beginning."""


def remembering(
    z_dim: int,
    keys: int,
    length: int,
    width: int = 128,
    layers: int = 4,
    dropout: float = 0.0,
    bias: float = 0.0,
    hidden: int = 256,
) -> Decoder:
    """p(x_t | z_t, x_<t) of rolls: a perceptron of z_t and of what causal convolutions over the chords before say.

    A chord is `distributions.Chords`, with hidden units of each key that see the lower notes and the last two chords by
    interval (`Moves`): what holds in one key holds in all. The net takes z (batch, t, z_dim) of any t; samples have
    `length` steps.

    Args:
        z_dim: latent dimensions of a step.
        keys: of a roll.
        length: steps of a sample.
        width: of the hidden layers.
        layers: convolutions, which see the last `memory(layers)` chords; at least 1.
        dropout: share of hidden units left out in training.
        bias: what the logits begin at.
        hidden: units of the chords' masked layer.

    Source:
        Chung et al. 2015, A Recurrent Latent Variable Model for Sequential Data (whose decoder sees z_t and the state
        of a recurrent net; here gated convolutions stand for that net, and the moves are ours).

    Example:
        >>> decoder = remembering(2, 3, 5, 8, 1)
        >>> params, state = jax.eval_shape(decoder.net.init, jax.random.key(0))
        >>> given, _ = jax.eval_shape(decoder.net.apply, params, state, jnp.zeros((1, 5, 2)))
        >>> said, near = jax.eval_shape(decoder.chain.whole, given, jnp.ones((1, 5, 3)))
        >>> near.shape
        (1, 5, 3, 8)
    """
    if layers < 1:
        raise UsageError(f"layers={layers} must be at least 1: what remembers nothing is nets.each_step.")
    each = chords(hidden)
    n_out = each.n_out(keys)
    past = causal_convs(keys, width, width, layers, dropout)
    head = each_step(z_dim + width + keys, n_out + UNITS, (width, width), dropout)
    moves = functional(lambda rngs: Moves(keys, rngs=rngs))
    nets = {"past": past, "head": head, "moves": moves}

    def init(key: Key) -> tuple[Params, State]:
        made = {name: net.init(k)[0] for (name, net), k in zip(nets.items(), jax.random.split(key, 3), strict=True)}
        return made | {"chords": each.init(keys)}, {}

    def apply(params: Params, state: State, z: Array, *, train: bool = False, key: Key | None = None, y=None):
        return Given(z, params, key if train else None), state

    def out(given: Given, z: Array, before: Array, there: Array, last: bool = False) -> tuple[Array, Array]:
        """What z and the chords before say, of which those that are not `there` are nothing; all steps or the last."""
        k_past, k_head = (None, None) if given.key is None else jax.random.split(given.key)
        train, before = given.key is not None, mask_steps(before, there)
        h, _ = past.apply(given.params["past"], {}, before, event_mask=there, train=train, key=k_past)
        lately = jnp.concatenate([before, shifted(before, 1)], -1)
        if last:
            h, before, lately = h[:, -1], before[:, -1], lately[:, -1]
        said, _ = head.apply(given.params["head"], {}, jnp.concatenate([z, h, before], -1), train=train, key=k_head)
        near, _ = moves.apply(given.params["moves"], {}, lately, said[..., n_out:])
        return said[..., :n_out].at[..., :keys].add(bias), near

    def whole(given: Given, x: Float[Array, "batch t keys"]) -> tuple[Array, Array]:
        there = jnp.broadcast_to(jnp.arange(x.shape[1]) > 0, x.shape[:2])
        return out(given, given.z, shifted(x, 1), there)

    def start(given: Given) -> tuple[Window, Float[Array, "batch keys"]]:
        n, size = given.z.shape[0], memory(layers)
        return Window(jnp.int32(0), jnp.zeros((n, size, keys)), jnp.zeros((n, size), bool)), jnp.zeros((n, keys))

    def step(given: Given, w: Window, before: Float[Array, "batch keys"]) -> tuple[Window, tuple[Array, Array]]:
        window, there = moved(w.chords, before), moved(w.there, jnp.broadcast_to(w.t > 0, before.shape[:1]))
        z = jax.lax.dynamic_index_in_dim(given.z, w.t, 1, keepdims=False)
        return Window(w.t + 1, window, there), out(given, z, window, there, last=True)

    def of_chord(given: Given, out: tuple[Array, Array]) -> Chords:
        said, near = out
        own = {name: given.params["moves"][name] for name in ("below", "units")}
        return Chords(said[..., :keys], said[..., keys:], given.params["chords"] | own, near)

    return Decoder(Net(init, apply), Chain(length, whole, start, step, of_chord, n_out + keys * UNITS))


class Moves(nnx.Module):
    """What the notes of two chords say to the hidden units of the keys near them, by interval alone.

    It keeps the weights of what comes after, too: of the lower notes (`below`), and of the units in the logits.
    """

    def __init__(self, keys: int, *, rngs: nnx.Rngs):
        self.keys = keys
        self.into = nnx.Param(normal(0.1)(rngs.params(), (2, 2 * REACH + 1, UNITS)))
        self.below = nnx.Param(normal(0.1)(rngs.params(), (REACH, UNITS)))
        self.units = nnx.Param(normal(0.1)(rngs.params(), (UNITS,)))

    def __call__(
        self, chords: Float[Array, "*batch two_keys"], context: Float[Array, "*batch units"], *, train, key, y=None
    ) -> Float[Array, "*batch keys units"]:
        # A product of matrices whose entries repeat along diagonals: faster than a convolution with few channels.
        w = jnp.concatenate([by_interval(w, self.keys, -REACH) for w in self.into[...]])
        return (chords @ w).reshape(*chords.shape[:-1], self.keys, UNITS) + context[..., None, :]
