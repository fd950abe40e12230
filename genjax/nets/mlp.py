"""Multi-layer perceptrons on flattened examples of any shape."""

import math
from collections.abc import Callable, Sequence

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import BatchNorm, Dense, Embed, Init, embed, he, leaky, lecun, normal, plus, projection
from genjax.nets.functional import functional
from genjax.types import Net

Shape = tuple[int, ...]
"""(height, width, channels) of an image."""
Event = tuple[int, ...]
"""Sizes of one example's axes: (height, width, channels) of an image, (z_dim,) of latents."""


def mlp_encoder(
    shape: Event,
    n_out: int,
    hidden: tuple[int, ...] = (400,),
    n_classes: int = 0,
    activation: Callable = jax.nn.relu,
) -> Net:
    """x [batch, *shape] -> [batch, n_out]: hidden layers of the given sizes, then a linear one.

    Hidden kernels begin with He's initialisation under ReLU, LeCun's under any other activation (tanh).
    With n_classes > 0, `apply` needs labels `y` [batch].

    Example:
        >>> net = mlp_encoder((8, 8, 1), 4)
        >>> params, state = net.init(jax.random.key(0))
        >>> net.apply(params, state, jnp.zeros((2, 8, 8, 1)))[0].shape
        (2, 4)
    """
    sizes = (math.prod(shape), *hidden, n_out)
    return functional(lambda rngs: Mlp(sizes, n_classes, activation, init=_init_for(activation), rngs=rngs))


def mlp_decoder(
    z_dim: int,
    shape: Event,
    hidden: tuple[int, ...] = (400,),
    n_classes: int = 0,
    activation: Callable = jax.nn.relu,
) -> Net:
    """z [batch, z_dim] -> [batch, *shape], the likelihood's raw parameters; `shape`'s channels are its `n_out`.

    Activation and initialisation as in `mlp_encoder`.
    """
    sizes, init = (z_dim, *hidden, math.prod(shape)), _init_for(activation)
    return functional(lambda rngs: Mlp(sizes, n_classes, activation, init=init, shape=shape, rngs=rngs))


def mlp_generator(
    z_dim: int,
    shape: Event,
    hidden: tuple[int, ...] = (256, 512),
    n_classes: int = 0,
    norm: str = "none",
    eps: float = 1e-5,
) -> Net:
    """z [batch, z_dim] -> images [batch, *shape] in (-1, 1): leaky ReLU layers, then tanh.

    Args:
        z_dim: latent dimensions.
        shape: of an image, (height, width, channels).
        hidden: sizes of the hidden layers.
        n_classes: with more than 0, `apply` needs labels `y` [batch].
        norm: "none", or "batch": batch norm on every hidden layer but the first.
        eps: added to the variances of batch norm.
    """
    sizes, normed = (z_dim, *hidden, math.prod(shape)), hidden[1:] if is_batch(norm) else ()

    def make(rngs: nnx.Rngs) -> Mlp:
        norms = [BatchNorm(n, eps=eps, rngs=rngs) for n in normed]
        return Mlp(sizes, n_classes, leaky, init=he(0.2), shape=shape, squash=jnp.tanh, norms=norms, rngs=rngs)

    return functional(make, couples_examples=bool(normed), range="signed")


def mlp_discriminator(shape: Event, hidden: tuple[int, ...] = (512, 256), n_classes: int = 0) -> Net:
    """Images [batch, *shape] -> logits [batch]: leaky ReLU layers, then a linear one; labels enter by projection."""
    sizes = (math.prod(shape), *hidden)
    return functional(lambda rngs: MlpDiscriminator(sizes, n_classes, rngs=rngs))


class Mlp(nnx.Module):
    """Dense layers with an activation between them.

    A label is embedded and added to the first layer's output: the same as feeding its one-hot code beside the input.
    """

    def __init__(
        self,
        sizes: tuple[int, ...],
        n_classes: int,
        activation: Callable,
        *,
        init: Init,
        shape: Event | None = None,
        squash: Callable | None = None,
        norms: Sequence[BatchNorm] = (),
        rngs: nnx.Rngs,
    ):
        """`shape` is the image to fold the output into, `squash` the last activation; None for neither.

        `norms` stand before the activations of the hidden layers after the first.
        """
        self.norms = nnx.List(norms)
        self.layers = nnx.List(_dense_layers(sizes, init, lecun, rngs, biased=lambda i: not 1 <= i <= len(norms)))
        self.label = embed(n_classes, sizes[1], rngs=rngs)
        self.activation, self.shape, self.squash = activation, shape, squash

    def __call__(self, x: Float[Array, "batch ..."], *, train: bool, key, y: Int[Array, " batch"] | None):
        h = self.layers[0](x.reshape(x.shape[0], -1))
        if self.label is not None:
            h = plus(h, self.label(y))
        for i, layer in enumerate(list(self.layers)[1:]):
            h = layer(self.activation(h))
            h = self.norms[i](h, train=train) if i < len(self.norms) else h
        h = h if self.squash is None else self.squash(at_least_float32(h))
        return h if self.shape is None else h.reshape(-1, *self.shape)


class MlpDiscriminator(nnx.Module):
    """Dense layers, a linear logit, and a projected label."""

    def __init__(self, sizes: tuple[int, ...], n_classes: int, *, rngs: nnx.Rngs):
        self.layers = nnx.List(_dense_layers(sizes, he(0.2), he(0.2), rngs))
        self.logit = Dense(sizes[-1], 1, rngs=rngs)
        self.label: Embed | None = embed(n_classes, sizes[-1], init=normal(sizes[-1] ** -0.5), rngs=rngs)

    def __call__(self, x: Float[Array, "batch ..."], *, train: bool, key, y: Int[Array, " batch"] | None):
        h = x.reshape(x.shape[0], -1)
        for layer in self.layers:
            h = leaky(layer(h))
        h = at_least_float32(h)  # a logit of 8 bits is no measure of a loss
        return self.logit(h)[:, 0] + projection(h, self.label, y)


def _dense_layers(
    sizes: tuple[int, ...], init: Init, last: Init, rngs: nnx.Rngs, biased: Callable[[int], bool] = lambda i: True
) -> list[Dense]:
    n = len(sizes) - 1
    inits = [init] * (n - 1) + [last]
    return [Dense(sizes[i], sizes[i + 1], init=inits[i], bias=biased(i), rngs=rngs) for i in range(n)]


def _init_for(activation: Callable) -> Init:
    return he() if activation is jax.nn.relu else lecun


def is_batch(norm: str) -> bool:
    """Whether `norm` is "batch"; it may also be "none"."""
    if norm not in ("batch", "none"):
        raise ValueError(f'norm={norm!r} must be "batch" or "none".')
    return norm == "batch"
