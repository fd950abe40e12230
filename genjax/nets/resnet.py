"""The residual generator and discriminator of SNGAN, for images of any height, width and channels."""

import functools
import math
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import BatchNorm, Conv, ConvPool, Dense, Init, UpConv, embed, projection
from genjax.nets.functional import functional
from genjax.nets.image import Images, Labels, Pyramid
from genjax.nets.mlp import Shape
from genjax.nets.recompute import segment
from genjax.nets.spectral import spectral_norm
from genjax.types import Net


def resnet_generator(z_dim: int, shape: Shape, width: int = 256, n_classes: int = 0) -> Net:
    """z [batch, z_dim] -> images [batch, *shape] in (-1, 1): residual blocks of batch norm and bilinear upsampling.

    Args:
        z_dim: latent dimensions, 128 in the paper.
        shape: of an image, any (height, width, channels).
        width: channels of every block.
        n_classes: with more than 0, `apply` needs labels `y` [batch]; their embedding is joined to z (the paper's
            conditional model has class-wise batch norm instead).

    Source:
        Miyato et al. 2018, Spectral Normalization for GANs, table 4 (32x32 images); bilinear upsampling is that of
        Lee & Town 2020, Mimicry.
    """
    return functional(lambda rngs: ResnetGenerator(z_dim, shape, width, n_classes, rngs=rngs), couples_examples=True)


def resnet_discriminator(shape: Shape, width: int = 128, n_classes: int = 0, spectral: bool = True) -> Net:
    """Images [batch, *shape] -> logits [batch]: residual blocks, each half the size of the one before, then two plain.

    Args:
        shape: of an image, any (height, width, channels).
        width: channels of every block.
        n_classes: with more than 0, `apply` needs labels `y` [batch], which enter by projection.
        spectral: whether every kernel is divided by its largest singular value; see `spectral_norm`.

    Source:
        Miyato et al. 2018, Spectral Normalization for GANs, table 4; Miyato & Koyama 2018 for the projection.
    """
    net = functional(lambda rngs: ResnetDiscriminator(shape, width, n_classes, rngs=rngs))
    return spectral_norm(net) if spectral else net


def xavier(gain: float) -> Init:
    """Glorot's uniform initialisation, its standard deviation times `gain`."""
    return nnx.initializers.variance_scaling(gain**2, "fan_avg", "uniform")


INIT, SHORTCUT = xavier(math.sqrt(2.0)), xavier(1.0)


class ResnetGenerator(nnx.Module):
    """See `resnet_generator`."""

    def __init__(self, z_dim: int, shape: Shape, width: int, n_classes: int, *, rngs: nnx.Rngs):
        self.pyramid, self.width = Pyramid(shape, width), width
        self.label = embed(n_classes, z_dim, rngs=rngs)
        n_in = z_dim * (2 if n_classes else 1)
        self.stem = Dense(n_in, math.prod(self.pyramid.base) * width, init=SHORTCUT, rngs=rngs)
        self.blocks = nnx.List([UpBlock(width, rngs=rngs) for _ in range(self.pyramid.n_stages)])
        self.norm = BatchNorm(width, rngs=rngs)
        self.out = Conv(width, shape[2], 3, init=SHORTCUT, rngs=rngs)

    def __call__(self, z: Float[Array, "batch z"], *, train: bool, key, y: Labels) -> Images:
        h = self.stem(z if self.label is None else jnp.concatenate([z, self.label(y).astype(z.dtype)], 1))
        h = h.reshape(-1, *self.pyramid.base, self.width)
        for block in self.blocks:
            h = block(h, train)
        h = self.out(jax.nn.relu(self.norm(h, train=train)))
        return self.pyramid.crop(jnp.tanh(at_least_float32(h)))


class UpBlock(nnx.Module):
    """shortcut(up x) + conv(relu(norm(conv(up(relu(norm x)))))), up bilinear by 2.

    No convolution has a bias: batch norm, at the latest the generator's last one, would take it away.
    """

    def __init__(self, n: int, *, rngs: nnx.Rngs):
        self.norm1, self.norm2 = BatchNorm(n, rngs=rngs), BatchNorm(n, rngs=rngs)
        self.conv1 = UpConv(n, n, 3, "bilinear", init=INIT, bias=False, rngs=rngs)
        self.conv2 = Conv(n, n, init=INIT, bias=False, rngs=rngs)
        self.shortcut = UpConv(n, n, 1, "bilinear", init=SHORTCUT, bias=False, rngs=rngs)

    def __call__(self, x: Images, train: bool) -> Float[Array, "batch h2 w2 c"]:
        return segment(functools.partial(UpBlock._forward, train=train), self, x)

    def _forward(self, x, train: bool):
        h = self.conv1(jax.nn.relu(self.norm1(x, train=train)))
        h = self.conv2(jax.nn.relu(self.norm2(h, train=train)))
        return h + self.shortcut(x)


class ResnetDiscriminator(nnx.Module):
    """See `resnet_discriminator`."""

    def __init__(self, shape: Shape, width: int, n_classes: int, *, rngs: nnx.Rngs):
        self.pyramid = Pyramid(shape, width)
        n_down = max(self.pyramid.n_stages - 1, 1)
        channels = pairwise((shape[2], *[width] * n_down))
        self.down = nnx.List([DownBlock(a, b, first=i == 0, rngs=rngs) for i, (a, b) in enumerate(channels)])
        self.flat = nnx.List([FlatBlock(width, rngs=rngs) for _ in range(2)])
        self.logit = Dense(width, 1, init=SHORTCUT, rngs=rngs)
        self.label = embed(n_classes, width, init=SHORTCUT, rngs=rngs)

    def __call__(self, x: Images, *, train: bool, key, y: Labels) -> Float[Array, " batch"]:
        h = self.pyramid.pad(x)
        for block in (*self.down, *self.flat):
            h = block(h)
        h = at_least_float32(jax.nn.relu(h)).sum((1, 2))  # a logit of 8 bits is no measure of a loss
        return self.logit(h)[:, 0] + projection(h, self.label, y)


class DownBlock(nnx.Module):
    """shortcut(pool x) + pool(conv(relu(conv(relu x)))), pool the mean over 2x2; the first block lets x in as it is."""

    def __init__(self, n_in: int, n_out: int, *, first: bool, rngs: nnx.Rngs):
        self.first = first
        self.conv1 = Conv(n_in, n_out, init=INIT, rngs=rngs)
        self.conv2 = ConvPool(n_out, n_out, init=INIT, rngs=rngs)
        self.shortcut = ConvPool(n_in, n_out, 1, init=SHORTCUT, rngs=rngs)

    def __call__(self, x: Images) -> Float[Array, "batch h2 w2 c2"]:
        return segment(DownBlock._forward, self, x)

    def _forward(self, x):
        h = self.conv1(x if self.first else jax.nn.relu(x))
        return self.conv2(jax.nn.relu(h)) + self.shortcut(x)


class FlatBlock(nnx.Module):
    """x + conv(relu(conv(relu x)))."""

    def __init__(self, n: int, *, rngs: nnx.Rngs):
        self.conv1, self.conv2 = (Conv(n, n, init=INIT, rngs=rngs) for _ in range(2))

    def __call__(self, x: Images) -> Images:
        return segment(FlatBlock._forward, self, x)

    def _forward(self, x):
        return x + self.conv2(jax.nn.relu(self.conv1(jax.nn.relu(x))))
