"""Maps made twice as large or half as large, alone or together with the convolution beside them.

A convolution next to a change of size does work twice: after nearest-neighbour up-sampling several taps read one pixel,
before a mean several outputs add up. Summing such taps first gives one convolution of stride 2 with 4x4 instead of four
times 3x3 taps a pixel, 16/36 of the products for the same sums. On CPU, where products are what costs, that form is
used; elsewhere the plain one, whose layers the compiler knows best. A 1x1 kernel commutes with both changes of size
and is applied to the smaller map on every platform, a quarter of the products.
"""

from typing import Literal, TypeAlias

import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from genjax.nets.conv import Kernel, Map, Padding, conv, conv_transpose

Method: TypeAlias = Literal["nearest", "bilinear"]


def upsample(x: Map, method: Method = "nearest") -> Float[Array, "n h2 w2 c"]:
    """Twice the height and width.

    Args:
        x: maps.
        method: "nearest" repeats every pixel; "bilinear" mixes the two nearest pixels of each axis 3 : 1, the edge
            repeated beyond the map (PyTorch's `align_corners=False`).

    Raises:
        ValueError: another method.

    Example:
        >>> upsample(jnp.array([0.0, 4.0]).reshape(1, 1, 2, 1), "bilinear")[0, 0, :, 0].tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    if method == "nearest":
        n, h, w, c = x.shape
        return jnp.broadcast_to(x[:, :, None, :, None], (n, h, 2, w, 2, c)).reshape(n, 2 * h, 2 * w, c)
    if method != "bilinear":
        raise ValueError(f'method={method!r} must be "nearest" or "bilinear".')
    return _bilinear(_bilinear(x, 1), 2)


def mean_pool(x: Map) -> Float[Array, "n h2 w2 c"]:
    """Means of 2x2 pixels: half the height and width.

    Raises:
        ValueError: an odd height or width.

    Example:
        >>> mean_pool(jnp.arange(4.0).reshape(1, 2, 2, 1)).tolist()
        [[[[1.5]]]]
    """
    _even(x)
    n, h, w, c = x.shape
    return x.reshape(n, h // 2, 2, w // 2, 2, c).mean((2, 4))


def upsample_conv(x: Map, w: Kernel, method: Method = "nearest") -> Float[Array, "n h2 w2 c_out"]:
    """`conv(upsample(x, method), w)`, stride 1 and "SAME", to rounding: twice the height and width.

    Args:
        x: maps.
        w: kernels of odd height and width.
        method: as `upsample`. "bilinear" saves products for a 1x1 kernel only.

    Raises:
        ValueError: an even kernel, or as `upsample` and `conv`.
    """
    pads = _same(w)
    if w.shape[:2] == (1, 1):
        return upsample(conv(x, w), method)
    if method != "nearest":
        return conv(upsample(x, method), w)

    def summed(x, w):
        # Transposed: a pixel goes to every output whose taps read one of its four copies.
        w = jnp.swapaxes(_summed_taps(w)[::-1, ::-1], 2, 3)
        return conv_transpose(x, w, 2, pads)

    return lax.platform_dependent(x, w, cpu=summed, default=lambda x, w: conv(upsample(x), w))


def conv_pool(x: Map, w: Kernel) -> Float[Array, "n h2 w2 c_out"]:
    """`mean_pool(conv(x, w))`, stride 1 and "SAME", to rounding: half the height and width.

    Args:
        x: maps of even height and width.
        w: kernels of odd height and width.

    Raises:
        ValueError: an even kernel, or as `mean_pool` and `conv`.
    """
    pads = _same(w)
    if w.shape[:2] == (1, 1):
        return conv(mean_pool(x), w)
    _even(x)

    def summed(x, w):
        return conv(x, 0.25 * _summed_taps(w), 2, pads)

    return lax.platform_dependent(x, w, cpu=summed, default=lambda x, w: mean_pool(conv(x, w)))


def _even(x) -> None:
    h, w = x.shape[1:3]
    if h % 2 or w % 2:
        raise ValueError(f"A map of {h}x{w} cannot be halved: both sizes must be even.")


def _same(w) -> Padding:
    """The padding that keeps a map's size, for odd kernels alone the same on both sides."""
    kh, kw = w.shape[:2]
    if kh % 2 == 0 or kw % 2 == 0:
        raise ValueError(f"A kernel of {kh}x{kw} has no middle: both sizes must be odd.")
    return (kh // 2, kh // 2), (kw // 2, kw // 2)


def _summed_taps(w):
    """w [kh, kw, ...] -> [kh + 1, kw + 1, ...]: the sum of w and its copies moved by one row, one column, and both."""
    for axis in (0, 1):
        ends = [(0, 0)] * w.ndim
        ends[axis] = (1, 1)
        p = jnp.pad(w, ends)
        w = lax.slice_in_dim(p, 0, -1, axis=axis) + lax.slice_in_dim(p, 1, None, axis=axis)
    return w


def _bilinear(x, axis: int):
    """Twice as long along an axis: each pixel gives 3/4 of itself and 1/4 of one neighbour, then of the other."""
    n = x.shape[axis]
    before = lax.concatenate([lax.slice_in_dim(x, 0, 1, axis=axis), lax.slice_in_dim(x, 0, n - 1, axis=axis)], axis)
    after = lax.concatenate([lax.slice_in_dim(x, 1, n, axis=axis), lax.slice_in_dim(x, n - 1, n, axis=axis)], axis)
    both = jnp.stack([0.75 * x + 0.25 * before, 0.75 * x + 0.25 * after], axis + 1)
    return both.reshape(*x.shape[:axis], 2 * n, *x.shape[axis + 1 :])
