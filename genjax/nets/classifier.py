"""Small convolutional classifiers of images, whose penultimate layer is a feature space for metrics."""

from itertools import pairwise

import jax
from flax import nnx
from jaxtyping import Array, Float

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import BatchNorm, Conv, Dense, he
from genjax.nets.functional import functional
from genjax.nets.image import Images, Labels
from genjax.nets.mlp import Shape
from genjax.types import Net


def classifier(shape: Shape, n_classes: int, width: int = 32) -> Net:
    """x [batch, *shape] -> (features [batch, 4 * width], logits [batch, n_classes]).

    Six 3x3 convolutions with batch norm and ReLU: one at full size, three that halve it and double the channels, and
    a residual one before the last. Features are its mean over places, at least 0; the logits are linear in them.

    Args:
        shape: of an image, any (height, width, channels).
        n_classes: at least 2.
        width: channels at half the image's size, at least 2.

    Example:
        >>> import jax.numpy as jnp
        >>> net = classifier((8, 8, 1), 10, width=4)
        >>> params, state = jax.eval_shape(net.init, jax.random.key(0))
        >>> features, logits = jax.eval_shape(net.apply, params, state, jnp.zeros((3, 8, 8, 1)))[0]
        >>> features.shape, logits.shape
        ((3, 16), (3, 10))
    """
    if min(*shape, n_classes - 1, width - 1) < 1:
        raise ValueError(f"shape={shape}, n_classes={n_classes}, width={width} must be at least 1, 2 and 2.")
    return functional(lambda rngs: Classifier(shape, n_classes, width, rngs=rngs), couples_examples=True)


class Classifier(nnx.Module):
    """See `classifier`."""

    def __init__(self, shape: Shape, n_classes: int, width: int, *, rngs: nnx.Rngs):
        sizes = (width // 2, width, 2 * width, 4 * width)
        make = lambda a, b, stride=1: Conv(a, b, 3, stride, init=he(), bias=False, rngs=rngs)  # noqa: E731
        self.stem = make(shape[2], sizes[0])
        self.down = nnx.List([make(a, b, 2) for a, b in pairwise(sizes)])
        self.norms = nnx.List([BatchNorm(c, rngs=rngs) for c in sizes])
        self.middle, self.middle_norm = make(sizes[2], sizes[2]), BatchNorm(sizes[2], rngs=rngs)
        self.logit = Dense(sizes[-1], n_classes, rngs=rngs)

    def __call__(
        self, x: Images, *, train: bool, key, y: Labels
    ) -> tuple[Float[Array, "batch d"], Float[Array, "batch k"]]:
        h = x
        for i, (conv, norm) in enumerate(zip((self.stem, *self.down), self.norms, strict=True)):
            if i == len(self.down):
                h = h + jax.nn.relu(self.middle_norm(self.middle(h), train=train))
            h = jax.nn.relu(norm(conv(h), train=train))
        features = at_least_float32(h).mean((1, 2))
        return features, self.logit(features)
