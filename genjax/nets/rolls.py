"""Nets of a piano-roll GAN: a generator and a critic of convolutions over time."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import Dense, he, leaky, normal
from genjax.nets.functional import functional
from genjax.nets.mlp import Event
from genjax.nets.over_time import shifted
from genjax.types import Net

LEAST = 4
"""Steps at which a generator begins and a critic ends."""
TAPS = (-1, 0, 1)


def roll_generator(z_dim: int, shape: Event, width: int = 128) -> Net:
    """z [batch, z_dim] -> rolls [batch, t, keys] of 0 and 1, to which a gradient passes as if they were chances.

    Steps are doubled from `LEAST` on, with a convolution over three of them each time; notes sound where their chance
    is above a half.

    Source:
        Dong & Yang 2018, Convolutional Generative Adversarial Networks with Binary Neurons for Polyphonic Music
        Generation (deterministic neurons with the straight-through estimator of Bengio et al. 2013).
    """
    return functional(lambda rngs: RollGenerator(z_dim, shape, width, rngs=rngs), range="bits")


def roll_discriminator(shape: Event, width: int = 128) -> Net:
    """Rolls [batch, t, keys] -> logits [batch]; steps that do not count, by `event_mask`, are silent."""
    return functional(lambda rngs: RollDiscriminator(shape, width, rngs=rngs))


def halvings(steps: int) -> int:
    """How often steps can be halved, rounded up, until `LEAST` or fewer are left.

    Example:
        >>> halvings(64), halvings(33), halvings(4)
        (4, 4, 0)
    """
    return max(0, (-(-steps // LEAST) - 1).bit_length())


class TimeConv(nnx.Module):
    """x [batch, t, n_in] -> [batch, t, n_out]: a convolution over three steps, zeros beyond the ends."""

    def __init__(self, n_in: int, n_out: int, *, init=None, rngs: nnx.Rngs):
        self.dense = Dense(len(TAPS) * n_in, n_out, init=init or he(0.2), rngs=rngs)

    def __call__(self, x: Float[Array, "batch t n"]) -> Float[Array, "batch t m"]:
        return self.dense(jnp.concatenate([shifted(x, k) for k in TAPS], axis=-1))


class RollGenerator(nnx.Module):
    """See `roll_generator`."""

    def __init__(self, z_dim: int, shape: Event, width: int, *, rngs: nnx.Rngs):
        self.steps, keys = shape
        self.width, n = width, halvings(self.steps)
        self.stem = Dense(z_dim, LEAST * width, init=he(0.2), rngs=rngs)
        self.convs = nnx.List([TimeConv(width, width, rngs=rngs) for _ in range(n + 1)])
        self.out = TimeConv(width, keys, init=normal(0.02), rngs=rngs)
        self.out.dense.bias = nnx.Param(jnp.full(keys, -1.0, jnp.float32))

    def __call__(self, z: Float[Array, "batch z"], *, train: bool, key, y) -> Float[Array, "batch t keys"]:
        h = leaky(self.stem(z)).reshape(z.shape[0], LEAST, self.width)
        for i, conv in enumerate(self.convs):
            h = jnp.repeat(h, 2, axis=1) if i else h
            h = h + leaky(conv(h))
        chance = jax.nn.sigmoid(at_least_float32(self.out(h[:, : self.steps])))
        return chance + jax.lax.stop_gradient((chance > 0.5) - chance)


class RollDiscriminator(nnx.Module):
    """See `roll_discriminator`."""

    def __init__(self, shape: Event, width: int, *, rngs: nnx.Rngs):
        steps, keys = shape
        n = halvings(steps)
        sizes = (keys, *(width,) * (n + 1))
        self.convs = nnx.List([TimeConv(a, b, rngs=rngs) for a, b in pairwise(sizes)])
        self.n, left = n, steps
        for _ in range(n):
            left = -(-left // 2)
        self.hidden = Dense(left * width, width, init=he(0.2), rngs=rngs)
        self.logit = Dense(width, 1, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch t keys"], *, train: bool, key, y, event_mask: Bool[Array, "batch t"] | None = None
    ) -> Float[Array, " batch"]:
        h = x if event_mask is None else jnp.where(event_mask[:, :, None].astype(bool), x, 0.0)
        for i, conv in enumerate(self.convs):
            h = leaky(conv(h))
            if i < self.n:
                h = jnp.pad(h, [(0, 0), (0, h.shape[1] % 2), (0, 0)])
                h = 0.5 * (h[:, 0::2] + h[:, 1::2])
        h = leaky(self.hidden(h.reshape(x.shape[0], -1)))
        return self.logit(at_least_float32(h))[:, 0]
