"""Plain convolutional nets of VAEs: strided convolutions and ReLU, without normalisation or residual blocks."""

from itertools import pairwise

import jax
from flax import nnx
from jaxtyping import Array, Float

from genjax.nets.blocks import Conv, ConvTranspose, Dense, embed, he, plus
from genjax.nets.functional import functional
from genjax.nets.image import Images, Labels, Pyramid
from genjax.nets.mlp import Shape
from genjax.types import Net


def plain_encoder(shape: Shape, n_out: int, width: int = 32, n_classes: int = 0) -> Net:
    """x [batch, *shape] -> [batch, n_out]: 4x4 convolutions of stride 2 with ReLU, then a linear layer.

    Half the cost of `conv_encoder`, and what most published VAEs of small images are. Sizes as there: `width`
    channels in the first stage, doubled by each further one up to 8 * width. With n_classes > 0, `apply` needs labels
    `y` [batch], whose embedding is added to the first stage.

    Source:
        Higgins et al. 2017, beta-VAE, whose nets for 64x64 images are of this kind.

    Example:
        >>> import jax.numpy as jnp
        >>> net = plain_encoder((20, 36, 2), 4, width=8)
        >>> params, state = jax.eval_shape(net.init, jax.random.key(0))
        >>> jax.eval_shape(net.apply, params, state, jnp.zeros((3, 20, 36, 2)))[0].shape
        (3, 4)
    """
    return functional(lambda rngs: PlainEncoder(shape, n_out, width, n_classes, rngs=rngs))


def plain_decoder(z_dim: int, shape: Shape, width: int = 32, n_classes: int = 0) -> Net:
    """z [batch, z_dim] -> [batch, *shape], the likelihood's raw parameters: the mirror image of `plain_encoder`."""
    return functional(lambda rngs: PlainDecoder(z_dim, shape, width, n_classes, rngs=rngs))


class PlainEncoder(nnx.Module):
    """See `plain_encoder`."""

    def __init__(self, shape: Shape, n_out: int, width: int, n_classes: int, *, rngs: nnx.Rngs):
        self.pyramid = Pyramid(shape, width)
        sizes = (shape[2], *self.pyramid.widths)
        self.down = nnx.List([Conv(a, b, 4, 2, init=he(), rngs=rngs) for a, b in pairwise(sizes)])
        self.out = Dense(self.pyramid.n_features, n_out, rngs=rngs)
        self.label = embed(n_classes, sizes[1], rngs=rngs)

    def __call__(self, x: Images, *, train: bool, key, y: Labels) -> Float[Array, "batch n_out"]:
        h = self.pyramid.pad(x)
        for i, down in enumerate(self.down):
            h = down(h)
            if i == 0 and self.label is not None:
                h = plus(h, self.label(y)[:, None, None, :])
            h = jax.nn.relu(h)
        return self.out(h.reshape(x.shape[0], -1))


class PlainDecoder(nnx.Module):
    """See `plain_decoder`."""

    def __init__(self, z_dim: int, shape: Shape, width: int, n_classes: int, *, rngs: nnx.Rngs):
        self.pyramid = Pyramid(shape, width)
        sizes = self.pyramid.widths[::-1]
        self.stem = Dense(z_dim, self.pyramid.n_features, init=he(), rngs=rngs)
        self.label = embed(n_classes, self.pyramid.n_features, rngs=rngs)
        self.up = nnx.List([ConvTranspose(a, b, init=he(), rngs=rngs) for a, b in pairwise(sizes)])
        self.out = ConvTranspose(sizes[-1], shape[2], rngs=rngs)

    def __call__(self, z: Float[Array, "batch z"], *, train: bool, key, y: Labels) -> Images:
        h = self.stem(z)
        if self.label is not None:
            h = plus(h, self.label(y))
        h = self.pyramid.fold(jax.nn.relu(h))
        for up in self.up:
            h = jax.nn.relu(up(h))
        return self.pyramid.crop(self.out(h))
