"""Convolutional nets for images of any height, width and channels.

A net halves (or doubles) height and width in as many stages as leave the smaller side between 4 and 8, at least one.
Images that the stages do not divide are padded with zeros, evenly on both sides; generated ones are cropped from the
middle.
"""

import math
from dataclasses import dataclass
from itertools import pairwise

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import (
    BatchNorm,
    Conv,
    ConvTranspose,
    Dense,
    GroupNorm,
    Init,
    ResBlock,
    embed,
    he,
    leaky,
    lecun,
    normal,
    plus,
    projection,
)
from genjax.nets.functional import functional
from genjax.nets.mlp import Shape, is_batch
from genjax.types import Net

Images = Float[Array, "batch h w c"]
Labels = Int[Array, " batch"] | None


def conv_encoder(shape: Shape, n_out: int, width: int = 32, n_blocks: int = 1, n_classes: int = 0) -> Net:
    """x [batch, *shape] -> [batch, n_out]: stages of a strided convolution and residual blocks, then a linear layer.

    Args:
        shape: of an image, any (height, width, channels).
        n_out: outputs, twice z_dim for a diagonal normal.
        width: channels of the first stage, doubled by each further one up to 8 * width.
        n_blocks: residual blocks a stage (group norm, SiLU).
        n_classes: with more than 0, `apply` needs labels `y` [batch].

    Example:
        >>> net = conv_encoder((20, 36, 2), 4, width=8)
        >>> params, state = jax.eval_shape(net.init, jax.random.key(0))
        >>> jax.eval_shape(net.apply, params, state, jnp.zeros((3, 20, 36, 2)))[0].shape
        (3, 4)
    """
    return functional(lambda rngs: ConvEncoder(shape, n_out, width, n_blocks, n_classes, rngs=rngs))


def conv_decoder(z_dim: int, shape: Shape, width: int = 32, n_blocks: int = 1, n_classes: int = 0) -> Net:
    """z [batch, z_dim] -> [batch, *shape], the likelihood's raw parameters: the mirror image of `conv_encoder`."""
    return functional(lambda rngs: ConvDecoder(z_dim, shape, width, n_blocks, n_classes, rngs=rngs))


def dcgan_generator(z_dim: int, shape: Shape, width: int = 64, norm: str = "batch", n_classes: int = 0) -> Net:
    """z [batch, z_dim] -> images [batch, *shape] in (-1, 1), by 4x4 transposed convolutions of stride 2 and a tanh.

    Args:
        z_dim: latent dimensions.
        shape: of an image, any (height, width, channels).
        width: channels at half the image's size, doubled at each smaller one up to 8 * width.
        norm: "batch": batch norm and ReLU, weights normal(0, 0.02), the paper's. "none": leaky ReLU and
            He's initialisation, for losses that need no normalisation (relativistic with R1 and R2).
        n_classes: with more than 0, `apply` needs labels `y` [batch]; their embedding is joined to z.

    Source:
        Radford et al. 2016, Unsupervised Representation Learning with Deep Convolutional GANs, section 3.
    """
    batch_norm = is_batch(norm)
    return functional(
        lambda rngs: DcganGenerator(z_dim, shape, width, batch_norm, n_classes, rngs=rngs),
        couples_examples=batch_norm,
        range="signed",
    )


def dcgan_discriminator(shape: Shape, width: int = 64, norm: str = "batch", n_classes: int = 0) -> Net:
    """Images [batch, *shape] -> logits [batch], by 4x4 convolutions of stride 2 and leaky ReLU.

    Args:
        shape: of an image, any (height, width, channels).
        width: channels at half the image's size, doubled at each smaller one up to 8 * width.
        norm: "batch": batch norm on all stages but the first, weights normal(0, 0.02), the paper's; such a net
            couples its examples, so gradient penalties refuse it. "none": He's initialisation.
        n_classes: with more than 0, `apply` needs labels `y` [batch], which enter by projection (Miyato & Koyama
            2018) onto the flattened last map.

    Source:
        Radford et al. 2016, Unsupervised Representation Learning with Deep Convolutional GANs, section 3.
    """
    batch_norm = is_batch(norm)
    return functional(
        lambda rngs: DcganDiscriminator(shape, width, batch_norm, n_classes, rngs=rngs),
        couples_examples=batch_norm and Pyramid(shape, width).n_stages > 1,
    )


@dataclass(frozen=True)
class Pyramid:
    """The sizes of a net's stages for images of `shape`, with `width` channels in the first one.

    The smaller side of the smallest map is from `least` to 2 * `least` - 1, unless one stage alone goes below it.
    """

    shape: Shape
    width: int
    least: int = 4

    def __post_init__(self):
        if len(self.shape) != 3:
            raise ValueError(f"shape={self.shape}: these nets are for images, (height, width, channels).")
        if min(*self.shape, self.width) < 1:
            raise ValueError(f"shape={self.shape} and width={self.width} must all be at least 1.")

    @property
    def n_stages(self) -> int:
        """Halvings of height and width."""
        return max(int(math.log2(min(self.shape[:2]) / self.least)), 1)

    @property
    def base(self) -> tuple[int, int]:
        """Height and width of the smallest map."""
        h, w, _ = self.shape
        return -(-h // 2**self.n_stages), -(-w // 2**self.n_stages)

    @property
    def widths(self) -> tuple[int, ...]:
        """Channels after each stage, from the image inward."""
        return tuple(self.width * 2 ** min(i, 3) for i in range(self.n_stages))

    @property
    def n_features(self) -> int:
        """Elements of the smallest map."""
        return math.prod(self.base) * self.widths[-1]

    @property
    def margins(self) -> tuple[tuple[int, int], tuple[int, int]]:
        """Rows above and below, columns left and right, that an image lacks to be divisible by all stages."""
        extra = [b * 2**self.n_stages - n for b, n in zip(self.base, self.shape, strict=False)]
        top, left = (e // 2 for e in extra)
        return (top, extra[0] - top), (left, extra[1] - left)

    def pad(self, x: Images) -> Float[Array, "batch padded_h padded_w c"]:
        """Zeros around images, as wide as `margins`."""
        return jnp.pad(x, ((0, 0), *self.margins, (0, 0)))

    def crop(self, x: Float[Array, "batch padded_h padded_w c"]) -> Images:
        """The inverse of `pad`."""
        (h, w, _), ((top, _), (left, _)) = self.shape, self.margins
        return x[:, top : top + h, left : left + w]

    def fold(self, h: Float[Array, "batch n"]) -> Images:
        """Features as the smallest map."""
        return h.reshape(-1, *self.base, self.widths[-1])


class ConvEncoder(nnx.Module):
    """See `conv_encoder`."""

    def __init__(self, shape: Shape, n_out: int, width: int, n_blocks: int, n_classes: int, *, rngs: nnx.Rngs):
        self.pyramid = Pyramid(shape, width)
        sizes = (shape[2], *self.pyramid.widths)
        self.down = nnx.List([Conv(a, b, 4, 2, rngs=rngs) for a, b in pairwise(sizes)])
        self.blocks = nnx.List([nnx.List(_blocks(c, n_blocks, rngs)) for c in self.pyramid.widths])
        self.norm = GroupNorm(sizes[-1])
        self.out = Dense(self.pyramid.n_features, n_out, rngs=rngs)
        self.label = embed(n_classes, sizes[1], rngs=rngs)

    def __call__(self, x: Images, *, train: bool, key, y: Labels) -> Float[Array, "batch n_out"]:
        h = self.pyramid.pad(x)
        for i, (down, blocks) in enumerate(zip(self.down, self.blocks, strict=True)):
            h = down(h)
            if i == 0 and self.label is not None:
                h = plus(h, self.label(y)[:, None, None, :])
            for block in blocks:
                h = block(h)
        return self.out(jax.nn.silu(self.norm(h)).reshape(x.shape[0], -1))


class ConvDecoder(nnx.Module):
    """See `conv_decoder`."""

    def __init__(self, z_dim: int, shape: Shape, width: int, n_blocks: int, n_classes: int, *, rngs: nnx.Rngs):
        self.pyramid = Pyramid(shape, width)
        sizes = (*self.pyramid.widths[::-1], max(width // 2, 8))
        self.stem = Dense(z_dim, self.pyramid.n_features, rngs=rngs)
        self.label = embed(n_classes, self.pyramid.n_features, rngs=rngs)
        self.blocks = nnx.List([nnx.List(_blocks(c, n_blocks, rngs)) for c in sizes[:-1]])
        self.norms = nnx.List([GroupNorm(c) for c in sizes])
        self.up = nnx.List([ConvTranspose(a, b, rngs=rngs) for a, b in pairwise(sizes)])
        self.out = Conv(sizes[-1], shape[2], 3, rngs=rngs)

    def __call__(self, z: Float[Array, "batch z"], *, train: bool, key, y: Labels) -> Images:
        h = self.stem(z)
        if self.label is not None:
            h = plus(h, self.label(y))
        h = self.pyramid.fold(h)
        for blocks, norm, up in zip(self.blocks, list(self.norms)[:-1], self.up, strict=True):
            for block in blocks:
                h = block(h)
            h = up(jax.nn.silu(norm(h)))
        return self.pyramid.crop(self.out(jax.nn.silu(self.norms[-1](h))))


class DcganGenerator(nnx.Module):
    """See `dcgan_generator`."""

    def __init__(self, z_dim: int, shape: Shape, width: int, batch_norm: bool, n_classes: int, *, rngs: nnx.Rngs):
        self.pyramid = Pyramid(shape, width)
        init, last = _dcgan_inits(batch_norm)
        sizes = self.pyramid.widths[::-1]
        bias = not batch_norm  # batch norm subtracts the mean: a bias before it has no effect
        self.label = embed(n_classes, z_dim, rngs=rngs)
        n_in = z_dim * (2 if n_classes else 1)
        self.stem = Dense(n_in, self.pyramid.n_features, init=init, bias=bias, rngs=rngs)
        pairs = pairwise(sizes)
        self.up = nnx.List([ConvTranspose(a, b, init=init, bias=bias, rngs=rngs) for a, b in pairs])
        self.norms = nnx.List([_batch_norm(c, rngs) for c in sizes] if batch_norm else [])
        self.out = ConvTranspose(sizes[-1], shape[2], init=last, rngs=rngs)

    def __call__(self, z: Float[Array, "batch z"], *, train: bool, key, y: Labels) -> Images:
        h = z if self.label is None else jnp.concatenate([z, self.label(y).astype(z.dtype)], 1)
        h = self._activate(0, self.pyramid.fold(self.stem(h)), train)
        for i, up in enumerate(self.up):
            h = self._activate(i + 1, up(h), train)
        return self.pyramid.crop(jnp.tanh(at_least_float32(self.out(h))))

    def _activate(self, i: int, h: Images, train: bool) -> Images:
        return jax.nn.relu(self.norms[i](h, train=train)) if len(self.norms) else leaky(h)


class DcganDiscriminator(nnx.Module):
    """See `dcgan_discriminator`."""

    def __init__(self, shape: Shape, width: int, batch_norm: bool, n_classes: int, *, rngs: nnx.Rngs):
        self.pyramid = Pyramid(shape, width)
        init, last = _dcgan_inits(batch_norm)
        sizes, n = self.pyramid.widths, self.pyramid.n_features
        self.first = Conv(shape[2], sizes[0], 4, 2, init=init, rngs=rngs)
        pairs = pairwise(sizes)
        self.down = nnx.List([Conv(a, b, 4, 2, init=init, bias=not batch_norm, rngs=rngs) for a, b in pairs])
        self.norms = nnx.List([_batch_norm(c, rngs) for c in sizes[1:]] if batch_norm else [])
        self.logit = Dense(n, 1, init=last, rngs=rngs)
        self.label = embed(n_classes, n, init=last if batch_norm else normal(n**-0.5), rngs=rngs)

    def __call__(self, x: Images, *, train: bool, key, y: Labels) -> Float[Array, " batch"]:
        h = leaky(self.first(self.pyramid.pad(x)))
        for i, down in enumerate(self.down):
            h = down(h)
            h = leaky(self.norms[i](h, train=train) if len(self.norms) else h)
        h = at_least_float32(h).reshape(x.shape[0], -1)  # a logit of 8 bits is no measure of a loss
        return self.logit(h)[:, 0] + projection(h, self.label, y)


def _dcgan_inits(batch_norm: bool) -> tuple[Init, Init]:
    """Initialisers of hidden and last layers."""
    return (normal(0.02), normal(0.02)) if batch_norm else (he(0.2), lecun)


def _batch_norm(n: int, rngs: nnx.Rngs) -> BatchNorm:
    return BatchNorm(n, scale_init=around_one, rngs=rngs)


def around_one(key, shape) -> Float[Array, " n"]:
    """DCGAN's scales: normal(1, 0.02)."""
    return 1.0 + 0.02 * jax.random.normal(key, shape)


def _blocks(n: int, n_blocks: int, rngs: nnx.Rngs) -> list[ResBlock]:
    return [ResBlock(n, rngs=rngs) for _ in range(n_blocks)]
