"""A DCGAN without transposed convolutions: upsampling and 3x3 convolutions in the generator, dropout in the critic."""

from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import BatchNorm, Conv, Dense, UpConv, drop_channels, embed, leaky, normal, projection
from genjax.nets.functional import functional
from genjax.nets.image import Images, Labels, Pyramid, around_one
from genjax.nets.mlp import Shape
from genjax.types import Net

INIT = normal(0.02)


def upsampling_generator(z_dim: int, shape: Shape, width: int = 64, n_classes: int = 0, eps: float = 1e-5) -> Net:
    """z [batch, z_dim] -> images [batch, *shape] in (-1, 1), by nearest upsampling, 3x3 convolutions and batch norm.

    Neighbouring pixels see equal numbers of taps, so no checkerboard is built in.

    Args:
        z_dim: latent dimensions.
        shape: of an image, any (height, width, channels).
        width: channels at the image's size; twice as many inside.
        n_classes: with more than 0, `apply` needs labels `y` [batch]; their embedding is joined to z.
        eps: added to the variances of the batch norms after the first one.

    Source:
        Odena et al. 2016, Deconvolution and Checkerboard Artifacts; the sizes are PyTorch-GAN's dcgan.py, which has
        eps 0.8 (where it means a momentum).
    """
    return functional(
        lambda rngs: UpsamplingGenerator(z_dim, shape, width, n_classes, eps, rngs=rngs), couples_examples=True
    )


def dropout_discriminator(
    shape: Shape, width: int = 16, n_classes: int = 0, rate: float = 0.25, eps: float = 1e-5
) -> Net:
    """Images [batch, *shape] -> logits [batch]: 3x3 convolutions of stride 2, leaky ReLU, dropout, batch norm.

    In training `apply` needs a `key`.

    Args:
        shape: of an image, any (height, width, channels).
        width: channels at half the image's size, doubled at each smaller one up to 8 * width.
        n_classes: with more than 0, `apply` needs labels `y` [batch], which enter by projection.
        rate: share of the channels dropped after each convolution, 0 <= rate < 1.
        eps: added to the variances of the batch norms, which all stages but the first have.

    Source:
        PyTorch-GAN's dcgan.py, of the same sizes at 32x32; it has eps 0.8.
    """
    if not 0.0 <= rate < 1.0:
        raise ValueError(f"rate={rate} must be at least 0 and below 1.")
    return functional(
        lambda rngs: DropoutDiscriminator(shape, width, n_classes, rate, eps, rngs=rngs),
        couples_examples=Pyramid(shape, width, least=2).n_stages > 1,
    )


class UpsamplingGenerator(nnx.Module):
    """See `upsampling_generator`."""

    def __init__(self, z_dim: int, shape: Shape, width: int, n_classes: int, eps: float, *, rngs: nnx.Rngs):
        self.pyramid = Pyramid(shape, width, least=8)
        n = self.pyramid.n_stages
        self.sizes = (*[2 * width] * n, width)
        self.label = embed(n_classes, z_dim, rngs=rngs)
        n_in, places = z_dim * (2 if n_classes else 1), self.pyramid.base[0] * self.pyramid.base[1]
        self.stem = Dense(n_in, places * self.sizes[0], init=INIT, rngs=rngs)
        self.first = BatchNorm(self.sizes[0], scale_init=around_one, rngs=rngs)
        self.up = nnx.List([UpConv(a, b, init=INIT, bias=False, rngs=rngs) for a, b in pairwise(self.sizes)])
        self.norms = nnx.List([BatchNorm(c, eps=eps, scale_init=around_one, rngs=rngs) for c in self.sizes[1:]])
        self.out = Conv(width, shape[2], 3, init=INIT, rngs=rngs)

    def __call__(self, z: Float[Array, "batch z"], *, train: bool, key, y: Labels) -> Images:
        h = self.stem(z if self.label is None else jnp.concatenate([z, self.label(y).astype(z.dtype)], 1))
        h = self.first(h.reshape(-1, *self.pyramid.base, self.sizes[0]), train=train)
        for up, norm in zip(self.up, self.norms, strict=True):
            h = leaky(norm(up(h), train=train))
        return self.pyramid.crop(jnp.tanh(at_least_float32(self.out(h))))


class DropoutDiscriminator(nnx.Module):
    """See `dropout_discriminator`."""

    def __init__(self, shape: Shape, width: int, n_classes: int, rate: float, eps: float, *, rngs: nnx.Rngs):
        self.pyramid, self.rate = Pyramid(shape, width, least=2), rate
        sizes, n = (shape[2], *self.pyramid.widths), self.pyramid.n_features
        self.down = nnx.List([Conv(a, b, 3, 2, ((1, 1), (1, 1)), init=INIT, rngs=rngs) for a, b in pairwise(sizes)])
        self.norms = nnx.List([BatchNorm(c, eps=eps, scale_init=around_one, rngs=rngs) for c in sizes[2:]])
        self.logit = Dense(n, 1, init=INIT, rngs=rngs)
        self.label = embed(n_classes, n, init=INIT, rngs=rngs)

    def __call__(self, x: Images, *, train: bool, key, y: Labels) -> Float[Array, " batch"]:
        h = self.pyramid.pad(x)
        for i, down in enumerate(self.down):
            k = None if key is None else jax.random.fold_in(key, i)
            h = drop_channels(leaky(down(h)), self.rate, k, train)
            h = self.norms[i - 1](h, train=train) if i else h
        h = at_least_float32(h).reshape(x.shape[0], -1)  # a logit of 8 bits is no measure of a loss
        return self.logit(h)[:, 0] + projection(h, self.label, y)
