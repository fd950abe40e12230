"""Layers: dense, convolution, normalisation, label embedding, residual block.

Thin NNX modules around our own convolution. Each takes its sizes and `rngs`, holds arrays, and has one short
`__call__`. Kernels are initialised by the initialiser `init(key, shape)` given to the layer, by default
LeCun's (variance 1 / fan-in); biases are zero.

A layer computes in the dtype of its input and returns it; its arrays stay float32. Only products (dense,
convolution) are worth half precision: everything broadcast (biases, scales, labels) and every statistic is float32
inside, because its gradient is a sum over examples and places, in which bfloat16 stands still after 256 ones.
"""

import functools
import math
from collections.abc import Callable

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Float, Int

from genjax.distributions.numerics import at_least_float32
from genjax.nets.conv import Padding, conv, conv_transpose
from genjax.nets.devices import each_device
from genjax.nets.recompute import segment
from genjax.nets.resample import Method, conv_pool, upsample_conv
from genjax.types import Key

Init = Callable[..., Array]

lecun = nnx.initializers.lecun_normal()
zeros = nnx.initializers.zeros_init()


def he(slope: float = 0.0, gain: float = 1.0) -> Init:
    """He's initialisation for leaky ReLU of the given slope: variance gain**2 * 2 / (1 + slope**2) / fan-in.

    Source:
        He et al. 2015, Delving Deep into Rectifiers, section 2.2.
    """
    return nnx.initializers.variance_scaling(gain**2 * 2.0 / (1.0 + slope**2), "fan_in", "normal")


def normal(std: float) -> Init:
    """Zero-mean normal of a fixed standard deviation, DCGAN's with 0.02."""
    return nnx.initializers.normal(std)


class Dense(nnx.Module):
    """x [..., n_in] -> [..., n_out]."""

    def __init__(self, n_in: int, n_out: int, *, init: Init = lecun, bias: bool = True, rngs: nnx.Rngs):
        self.kernel = nnx.Param(init(rngs.params(), (n_in, n_out)))
        self.bias = nnx.Param(jnp.zeros(n_out)) if bias else None

    def __call__(self, x: Float[Array, "*batch n_in"]) -> Float[Array, "*batch n_out"]:
        return _biased(x @ self.kernel[...].astype(x.dtype), self.bias)


class Conv(nnx.Module):
    """Convolution of NHWC maps, kernel `size` x `size`."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        size: int = 3,
        stride: int = 1,
        padding: Padding = "SAME",
        *,
        init: Init = lecun,
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        self.stride, self.padding = stride, padding
        self.kernel = nnx.Param(init(rngs.params(), (size, size, n_in, n_out)))
        self.bias = nnx.Param(jnp.zeros(n_out)) if bias else None

    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        return _biased(conv(x, self.kernel[...].astype(x.dtype), self.stride, self.padding), self.bias)


class ConvTranspose(nnx.Module):
    """Transposed convolution that multiplies height and width by `stride`, kernel `size` x `size`.

    The initialiser sees the fan-in of one output pixel, n_in * (size / stride)**2, so that activations keep their
    variance.
    """

    def __init__(
        self,
        n_in: int,
        n_out: int,
        size: int = 4,
        stride: int = 2,
        *,
        init: Init = lecun,
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        if size % stride:
            raise ValueError(
                f"size={size} must be a multiple of stride={stride}, else pixels see unequal numbers of taps."
            )
        self.stride = stride
        taps = size // stride
        kernel = init(rngs.params(), (taps, taps, n_in, stride * stride * n_out))
        self.kernel = nnx.Param(kernel.reshape(size, size, n_out, n_in))  # independent entries: any order is as good
        self.bias = nnx.Param(jnp.zeros(n_out)) if bias else None

    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        return _biased(conv_transpose(x, self.kernel[...].astype(x.dtype), self.stride, "SAME"), self.bias)


class UpConv(nnx.Module):
    """Upsampling by 2, then a convolution of odd `size` and stride 1; see `resample.upsample_conv`."""

    def __init__(
        self,
        n_in: int,
        n_out: int,
        size: int = 3,
        method: Method = "nearest",
        *,
        init: Init = lecun,
        bias: bool = True,
        rngs: nnx.Rngs,
    ):
        self.method: Method = method
        self.kernel = nnx.Param(init(rngs.params(), (size, size, n_in, n_out)))
        self.bias = nnx.Param(jnp.zeros(n_out)) if bias else None

    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        return _biased(upsample_conv(x, self.kernel[...].astype(x.dtype), self.method), self.bias)


class ConvPool(nnx.Module):
    """A convolution of odd `size` and stride 1, then the mean over 2x2 places; see `resample.conv_pool`."""

    def __init__(self, n_in: int, n_out: int, size: int = 3, *, init: Init = lecun, bias: bool = True, rngs: nnx.Rngs):
        self.kernel = nnx.Param(init(rngs.params(), (size, size, n_in, n_out)))
        self.bias = nnx.Param(jnp.zeros(n_out)) if bias else None

    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h2 w2 c2"]:
        return _biased(conv_pool(x, self.kernel[...].astype(x.dtype)), self.bias)


def _biased(x, bias: nnx.Param | None):
    return x if bias is None else plus(x, bias[...].reshape((1,) * (x.ndim - 1) + (-1,)))


def plus(h: Float[Array, "*shape"], term: Float[Array, "..."]) -> Float[Array, "*shape"]:
    """h + term in h's dtype, added in float32 at least, so that the gradient of a broadcast term is summed there."""
    return (at_least_float32(h) + term).astype(h.dtype)


class BatchNorm(nnx.Module):
    """Normalises each channel by the batch's mean and variance; by running averages of them when `train` is False.

    Statistics are in float32 (or x's precision, where that is higher), over the global batch and all places, the
    variance in two passes and biased (divided by n) for normalising. The running variance averages the unbiased
    estimate (divided by n - 1), as PyTorch does, since it stands for the population's. A net that holds one couples
    the examples of a batch.

    Source:
        Ioffe & Szegedy 2015, Batch Normalization, algorithms 1 and 2.
    """

    def __init__(
        self, n: int, *, momentum: float = 0.9, eps: float = 1e-5, scale_init: Init | None = None, rngs: nnx.Rngs
    ):
        """`momentum` is the weight of the old average in a new one, 0 <= momentum < 1."""
        self.momentum, self.eps = momentum, eps
        self.scale = nnx.Param(jnp.ones(n) if scale_init is None else scale_init(rngs.params(), (n,)))
        self.bias = nnx.Param(jnp.zeros(n))
        self.mean = nnx.BatchStat(jnp.zeros(n))
        self.var = nnx.BatchStat(jnp.ones(n))

    def __call__(self, x: Float[Array, "batch *places c"], *, train: bool) -> Float[Array, "batch *places c"]:
        scale, bias = self.scale[...], self.bias[...]
        if not train:
            return _normal(x, self.mean[...], lax.rsqrt(self.var[...] + self.eps), scale, bias).astype(x.dtype)
        n = math.prod(x.shape[:-1])
        y, mean, var = batch_normal(self.eps, x, scale, bias)
        self.mean[...] = self._averaged(self.mean[...], mean)
        self.var[...] = self._averaged(self.var[...], var * (n / max(n - 1, 1)))
        return y

    def _averaged(self, old, new):
        return self.momentum * old + (1.0 - self.momentum) * lax.stop_gradient(new).astype(old.dtype)


def _wide(v, x):
    """v [c] against x [..., c]."""
    return v.reshape((1,) * (x.ndim - 1) + (-1,))


def _normal(x, mean, inv_std, scale, bias):
    h = at_least_float32(x)
    return (h - _wide(mean, x)) * _wide(scale * inv_std, x) + _wide(bias, x)


def _moments(x) -> tuple[Array, Array]:
    """Mean and biased variance of x [batch, ..., c] over all but c, in two passes.

    Where the batch lies on several devices each takes its own share's, and they are put together exactly (Chan et al.
    1979, Updating Formulae and a Pairwise Algorithm for Computing Sample Variances) with one exchange between them.
    """

    def own(x):
        h, axes = at_least_float32(x), tuple(range(x.ndim - 1))
        mean = h.mean(axes)
        return (jnp.stack([mean, jnp.square(h - _wide(mean, h)).mean(axes)])[None],)

    (shares,) = each_device(own, x.shape[0], ("split",), ("gathered",))(x)
    mean = shares[:, 0].mean(0)
    return mean, (shares[:, 1] + jnp.square(shares[:, 0] - mean[None])).mean(0)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def batch_normal(eps: float, x, scale, bias) -> tuple[Array, Array, Array]:
    """scale * (x - mean) / sqrt(var + eps) + bias in x's dtype, and mean and var, which no gradient goes through.

    Its gradient needs two sums over the batch, those of bias and scale; left to itself autodiff takes a third, after
    them. It can be differentiated again.

    Source:
        Ioffe & Szegedy 2015, Batch Normalization, section 3.
    """
    return _batch_normal(eps, x, scale, bias)[0]


def _batch_normal(eps, x, scale, bias):
    mean, var = _moments(x)
    inv_std = lax.rsqrt(var + eps)
    return (_normal(x, mean, inv_std, scale, bias).astype(x.dtype), mean, var), (x, mean, inv_std, scale)


def _batch_normal_vjp(eps, saved, gradients):
    x, mean, inv_std, scale = saved
    g, n = at_least_float32(gradients[0]), math.prod(x.shape[:-1])
    axes = tuple(range(x.ndim - 1))
    x_hat = (at_least_float32(x) - _wide(mean, x)) * _wide(inv_std, x)
    d_scale, d_bias = (g * x_hat).sum(axes), g.sum(axes)
    d_x = _wide(scale * inv_std, x) * (g - _wide(d_bias / n, x) - x_hat * _wide(d_scale / n, x))
    return d_x.astype(x.dtype), d_scale.astype(scale.dtype), d_bias.astype(scale.dtype)


batch_normal.defvjp(_batch_normal, _batch_normal_vjp)


class GroupNorm(nnx.Module):
    """Normalises each example by mean and variance over groups of channels and all places.

    Statistics as in `BatchNorm`, two passes. Up to 8 groups of at least 4 channels.

    Source:
        Wu & He 2018, Group Normalization.
    """

    def __init__(self, n: int, *, eps: float = 1e-5):
        self.groups = math.gcd(n, min(8, max(n // 4, 1)))
        self.eps = eps
        self.scale = nnx.Param(jnp.ones(n))
        self.bias = nnx.Param(jnp.zeros(n))

    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h w c"]:
        b, h, w, c = x.shape
        g = at_least_float32(x).reshape(b, h, w, self.groups, c // self.groups)
        g = g - g.mean((1, 2, 4), keepdims=True)
        g = g * lax.rsqrt(jnp.square(g).mean((1, 2, 4), keepdims=True) + self.eps)
        wide = (1, 1, 1, -1)
        return (g.reshape(x.shape) * self.scale[...].reshape(wide) + self.bias[...].reshape(wide)).astype(x.dtype)


class Embed(nnx.Module):
    """A vector for each class: labels [batch] -> [batch, n_out]. Refuses to be called without labels."""

    def __init__(self, n_classes: int, n_out: int, *, init: Init = normal(1.0), rngs: nnx.Rngs):
        self.n_classes = n_classes
        self.table = nnx.Param(init(rngs.params(), (n_classes, n_out)))

    def __call__(self, y: Int[Array, " batch"] | None) -> Float[Array, "batch n_out"]:
        if y is None:
            raise ValueError(f"This net was built with n_classes={self.n_classes}: call it with labels, y=[batch].")
        return self.table[...][y]


def embed(n_classes: int, n_out: int, *, init: Init = normal(1.0), rngs: nnx.Rngs) -> Embed | None:
    """An `Embed`, or None for a net without classes."""
    return Embed(n_classes, n_out, init=init, rngs=rngs) if n_classes else None


def projection(h: Float[Array, "batch n"], label: Embed | None, y) -> Float[Array, " batch"] | float:
    """The conditional part of a discriminator's logit, <embedding of y, h>; 0 for a net without classes.

    Source:
        Miyato & Koyama 2018, cGANs with Projection Discriminator.
    """
    return 0.0 if label is None else (label(y) * h).sum(1)


class ResBlock(nnx.Module):
    """x + conv(silu(norm(conv(silu(norm(x)))))) with 3x3 convolutions; the last begins at zero, so the block at x.

    Source:
        He et al. 2016, Identity Mappings in Deep Residual Networks, with group norm and SiLU.
    """

    def __init__(self, n: int, *, rngs: nnx.Rngs):
        self.norm1, self.conv1 = GroupNorm(n), Conv(n, n, rngs=rngs)
        self.norm2, self.conv2 = GroupNorm(n), Conv(n, n, init=zeros, rngs=rngs)

    def __call__(self, x: Float[Array, "batch h w c"]) -> Float[Array, "batch h w c"]:
        return segment(ResBlock._forward, self, x)

    def _forward(self, x):
        h = self.conv1(jax.nn.silu(self.norm1(x)))
        return x + self.conv2(jax.nn.silu(self.norm2(h)))


def drop_channels(
    h: Float[Array, "batch h w c"], rate: float, key: Key | None, train: bool
) -> Float[Array, "batch h w c"]:
    """Sets whole channels of each example to zero with probability `rate` and scales the others up; in training only.

    Raises:
        ValueError: training without a key.

    Source:
        Tompson et al. 2015, Efficient Object Localization Using Convolutional Networks (SpatialDropout).
    """
    if not train or rate == 0.0:
        return h
    if key is None:
        raise ValueError("This net has dropout: in training call it with key=.")
    kept = jax.random.bernoulli(key, 1.0 - rate, (h.shape[0], 1, 1, h.shape[3]))
    return h * (kept / (1.0 - rate)).astype(h.dtype)


def leaky(x: Float[Array, "*shape"]) -> Float[Array, "*shape"]:
    """Leaky ReLU of slope 0.2, as in DCGAN's discriminator."""
    return jax.nn.leaky_relu(x, 0.2)
