"""Nets of CTGAN: a generator of residual layers, and a critic that looks at several rows at once."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from genjax.distributions.numerics import at_least_float32
from genjax.errors import UsageError
from genjax.nets.blocks import BatchNorm, Dense, leaky, lecun
from genjax.nets.functional import functional
from genjax.types import Net


def residual_generator(n_in: int, n_out: int, hidden: tuple[int, ...] = (256, 256)) -> Net:
    """z [batch, n_in] -> [batch, n_out], raw outputs; each layer's result stands beside its input.

    Source:
        Xu et al. 2019, Modeling Tabular Data using Conditional GAN, section 4.4: batch norm and ReLU.

    Example:
        >>> net = residual_generator(3, 5, (4,))
        >>> params, state = net.init(jax.random.key(0))
        >>> net.apply(params, state, jnp.zeros((2, 3)))[0].shape
        (2, 5)
    """
    return functional(lambda rngs: ResidualGenerator(n_in, n_out, hidden, rngs=rngs), couples_examples=True)


def packed_discriminator(n_in: int, hidden: tuple[int, ...] = (256, 256), pac: int = 10, dropout: float = 0.5) -> Net:
    """Rows [batch, n_in] -> logits [batch]: `pac` rows after one another are judged together, and have one logit.

    What many rows have in common is seen at once, so that a generator that gives few kinds of rows is found out.

    Args:
        n_in: numbers of a row.
        hidden: sizes of the layers.
        pac: rows of a pack; the batch must be a multiple of it.
        dropout: share of hidden units left out in training.

    Source:
        Lin et al. 2018, PacGAN: The power of two samples in generative adversarial networks; Xu et al. 2019.
    """
    if pac < 1:
        raise UsageError(f"pac={pac}: a pack has at least 1 row. Try 10.")
    sizes = (pac * n_in, *hidden)
    return functional(lambda rngs: PackedDiscriminator(sizes, pac, dropout, rngs=rngs), couples_examples=pac > 1)


class ResidualGenerator(nnx.Module):
    """See `residual_generator`."""

    def __init__(self, n_in: int, n_out: int, hidden: tuple[int, ...], *, rngs: nnx.Rngs):
        sizes = [n_in + sum(hidden[:i]) for i in range(len(hidden) + 1)]
        self.layers = nnx.List([Dense(a, b, init=lecun, rngs=rngs) for a, b in zip(sizes, hidden, strict=False)])
        self.norms = nnx.List([BatchNorm(n, rngs=rngs) for n in hidden])
        self.out = Dense(sizes[-1], n_out, rngs=rngs)

    def __call__(self, z: Float[Array, "batch n_in"], *, train: bool, key, y) -> Float[Array, "batch n_out"]:
        for layer, norm in zip(self.layers, self.norms, strict=True):
            z = jnp.concatenate([jax.nn.relu(norm(layer(z), train=train)), z], axis=1)
        return self.out(z)


class PackedDiscriminator(nnx.Module):
    """See `packed_discriminator`."""

    def __init__(self, sizes: tuple[int, ...], pac: int, dropout: float, *, rngs: nnx.Rngs):
        self.layers = nnx.List([Dense(a, b, init=lecun, rngs=rngs) for a, b in pairwise(sizes)])
        self.logit = Dense(sizes[-1], 1, rngs=rngs)
        self.pac, self.dropout = pac, dropout

    def __call__(self, x: Float[Array, "batch n_in"], *, train: bool, key, y) -> Float[Array, " batch"]:
        n = x.shape[0]
        if isinstance(n, int) and n % self.pac:
            raise UsageError(
                f"a batch of {n} rows has no whole number of packs of {self.pac}: "
                f"try --batch-size {max(1, n // self.pac) * self.pac}."
            )
        h = x.reshape(n // self.pac, -1)
        for i, layer in enumerate(self.layers):
            h = leaky(layer(h))
            if train and key is not None and self.dropout:
                keep = jax.random.bernoulli(jax.random.fold_in(key, i), 1.0 - self.dropout, h.shape)
                h = jnp.where(keep, h / (1.0 - self.dropout), 0.0)
        return jnp.repeat(self.logit(at_least_float32(h))[:, 0], self.pac)
