"""Nets of a GAN of symbol sequences: residual one-dimensional convolutions on relaxed one-hot codes."""

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Bool, Float

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import Dense, embed, he, lecun, plus, projection
from genjax.nets.conv import conv
from genjax.nets.functional import functional
from genjax.types import Net, UsageError

TAPS = 5
"""Symbols that a convolution looks at."""
SHARE = 0.3
"""How much of a residual branch is added."""


def symbol_generator(
    z_dim: int, length: int, n_values: int, width: int = 512, n_blocks: int = 5, *, tau: float = 0.0, n_classes: int = 0
) -> Net:
    """z [batch, z_dim] -> probabilities [batch, length, n_values] of each place's symbol, by a softmax.

    Args:
        z_dim: latent dimensions.
        length: symbols of a sequence.
        n_values: size of the alphabet.
        width: channels; the paper has 512.
        n_blocks: residual blocks.
        tau: with more than 0, a call with a key, as training and draws are, adds Gumbel noise to the logits and divides
            by this temperature, so that fakes are near one-hot draws; 0 for the softmax itself, as published.
        n_classes: with more than 0, `apply` needs labels `y` [batch].

    Source:
        Gulrajani et al. 2017, Improved Training of Wasserstein GANs, section 5.4 and the code `gan_language.py`;
        Jang, Gu & Poole 2017, Categorical Reparameterization with Gumbel-Softmax (tau).

    Example:
        >>> net = symbol_generator(4, 6, 3, width=8, n_blocks=1)
        >>> params, state = net.init(jax.random.key(0))
        >>> net.apply(params, state, jnp.zeros((2, 4)))[0].sum(2).round(3).tolist()[0]
        [1.0, 1.0, 1.0, 1.0, 1.0, 1.0]
    """
    if tau < 0:
        raise UsageError(f"tau={tau}: a temperature is at least 0; 0 leaves the noise out.")
    make = lambda rngs: SymbolGenerator(z_dim, length, n_values, width, n_blocks, tau, n_classes, rngs=rngs)  # noqa: E731
    return functional(make, range="unit")


def symbol_discriminator(length: int, n_values: int, width: int = 512, n_blocks: int = 5, n_classes: int = 0) -> Net:
    """Codes [batch, length, n_values], one-hot or relaxed, -> logits [batch]; labels enter by projection.

    `apply` takes `event_mask` and leaves it alone: how long a text is is part of what is told apart, by what stands
    after its end.

    Source:
        As `symbol_generator`.
    """
    return functional(lambda rngs: SymbolDiscriminator(length, n_values, width, n_blocks, n_classes, rngs=rngs))


class Conv1d(nnx.Module):
    """Convolution of sequences [batch, t, n_in] -> [batch, t, n_out], zeros beyond the ends."""

    def __init__(self, n_in: int, n_out: int, taps: int, *, init=lecun, rngs: nnx.Rngs):
        self.kernel = nnx.Param(init(rngs.params(), (taps, n_in, n_out)))
        self.bias = nnx.Param(jnp.zeros(n_out, jnp.float32))

    def __call__(self, x: Float[Array, "batch t n_in"]) -> Float[Array, "batch t n_out"]:
        row = conv(x[:, None], self.kernel[...].astype(x.dtype)[None])  # a map of one row
        return plus(row[:, 0], self.bias[...][None, None])


class Block(nnx.Module):
    """x + SHARE * conv(relu(conv(relu(x))))."""

    def __init__(self, n: int, *, rngs: nnx.Rngs):
        self.conv1, self.conv2 = (Conv1d(n, n, TAPS, init=he(), rngs=rngs) for _ in range(2))

    def __call__(self, x: Float[Array, "batch t n"]) -> Float[Array, "batch t n"]:
        return x + SHARE * self.conv2(jax.nn.relu(self.conv1(jax.nn.relu(x))))


class SymbolGenerator(nnx.Module):
    """See `symbol_generator`."""

    def __init__(
        self, z_dim: int, length: int, n_values: int, width: int, n_blocks: int, tau: float, n_classes: int, *,
        rngs: nnx.Rngs,
    ):  # fmt: skip
        self.length, self.width, self.tau = length, width, tau
        self.stem = Dense(z_dim, length * width, rngs=rngs)
        self.label = embed(n_classes, width, rngs=rngs)
        self.blocks = nnx.List([Block(width, rngs=rngs) for _ in range(n_blocks)])
        self.out = Conv1d(width, n_values, 1, rngs=rngs)

    def __call__(self, z: Float[Array, "batch z"], *, train: bool, key, y) -> Float[Array, "batch t k"]:
        h = self.stem(z).reshape(-1, self.length, self.width)
        if self.label is not None:
            h = plus(h, self.label(y)[:, None])
        for block in self.blocks:
            h = block(h)
        logits = at_least_float32(self.out(h))
        if not self.tau:
            return jax.nn.softmax(logits)
        if train and key is None:
            raise ValueError("This net has Gumbel noise: in training call it with key=.")
        if key is not None:
            logits = logits + jax.random.gumbel(key, logits.shape, logits.dtype)
        return jax.nn.softmax(logits / self.tau)


class SymbolDiscriminator(nnx.Module):
    """See `symbol_discriminator`."""

    def __init__(self, length: int, n_values: int, width: int, n_blocks: int, n_classes: int, *, rngs: nnx.Rngs):
        self.stem = Conv1d(n_values, width, 1, rngs=rngs)
        self.blocks = nnx.List([Block(width, rngs=rngs) for _ in range(n_blocks)])
        self.out = Dense(length * width, 1, rngs=rngs)
        self.label = embed(n_classes, length * width, rngs=rngs)

    def __call__(
        self, x: Float[Array, "batch t k"], *, train: bool, key, y, event_mask: Bool[Array, "batch t"] | None = None
    ) -> Float[Array, " batch"]:
        h = self.stem(x)
        for block in self.blocks:
            h = block(h)
        h = at_least_float32(h.reshape(x.shape[0], -1))
        return self.out(h)[:, 0] + projection(h, self.label, y)
