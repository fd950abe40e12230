"""Two-dimensional convolution that is fast in every derivative, on every platform.

XLA's CPU backend has a library path for convolutions and a naive loop 5 to 100 times slower. Ordinary automatic
differentiation falls into the loop: inside `lax.fori_loop`, for kernel gradients of transposed convolutions, and for
windows wider than the map. The canonical form here avoids all of that. It is three bilinear maps, closed under
differentiation, each written as a plain convolution in the order NHWC, HWIO, NHWC, or as a matrix product:

    conv(x, w)     d/dx = tconv(ct, w)     d/dw = kconv(x, ct)
    tconv(g, w)    d/dg = conv(ct, w)      d/dw = kconv(ct, g)
    kconv(x, g)    d/dx = tconv(g, ct)     d/dg = conv(x, ct)

What a kernel gradient reads again and again, and what a transposed convolution writes and reads back, must fit into a
core's cache (large maps are up to four times slower otherwise), so both work a large batch off in parts, in a loop.
Where a batch lies over several devices each works off its own images (`devices.each_device`), and sums are added once.

On other platforms `lax.conv_general_dilated` and its own derivatives are used: their compilers choose layouts better
than we can. The choice is made when the program is lowered, so a program exported for TPU on a CPU machine holds no
trace of the canonical form. Derivatives are reverse mode only (`jax.grad`, of any order); `jax.jvp` is refused by JAX.
"""

import functools
from collections.abc import Callable
from typing import Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
from jax import lax
from jaxtyping import Array, Float

from genjax.nets.devices import Lies, each_device, n_chunks

Pair: TypeAlias = tuple[int, int]
Padding: TypeAlias = Literal["SAME", "VALID"] | tuple[Pair, Pair]
"""`"SAME"` (output of ceil(size / stride), the odd row at the end), `"VALID"`, or ((top, bottom), (left, right))."""
Map: TypeAlias = Float[Array, "n h w c"]
Kernel: TypeAlias = Float[Array, "kh kw c_in c_out"]

_ORDER = ("NHWC", "HWIO", "NHWC")
_FEW_TAPS = 1
"""Up to so many taps, a kernel gradient is fastest as one matrix product each."""
_FEW_OUTPUTS = 32
"""Output channels below which XLA's library path is not taken."""
_KERNEL_BYTES, _PRODUCT_BYTES = 2**19, 2**20
"""What one pass of a kernel gradient reads again and again, and what one pass of a transposed convolution writes and
reads back: as much as stays in a core's second-level cache (1 to 2 MB on today's servers)."""


class _Geometry(NamedTuple):
    """One convolution's static shape: hashable, so that it can be a non-differentiated argument."""

    size: Pair
    """Height and width of the convolution's input, the larger map."""
    kernel: Pair
    stride: Pair
    pads: tuple[Pair, Pair]


def conv(x: Map, w: Kernel, stride: int | Pair = 1, padding: Padding = "SAME") -> Float[Array, "n ho wo c_out"]:
    """Cross-correlation of maps x with kernels w, as every deep-learning library means "convolution".

    Args:
        x: input maps (batch, height, width, channels in).
        w: kernels (height, width, channels in, channels out), of x's dtype.
        stride: of both axes, or (vertical, horizontal); at least 1.
        padding: zeros around x, see `Padding`.

    Raises:
        ValueError: channels disagree, a stride below 1, a negative padding, or a kernel larger than the padded map.

    Example:
        >>> conv(jnp.ones((1, 4, 4, 1)), jnp.ones((3, 3, 1, 1)), 2)[0, :, :, 0].tolist()
        [[9.0, 6.0], [6.0, 4.0]]
    """
    if x.shape[3] != w.shape[2]:
        raise ValueError(f"x has {x.shape[3]} channels but w takes {w.shape[2]}: x {x.shape}, w {w.shape}.")
    geo = _geometry(x.shape[1:3], w.shape[:2], stride, padding)
    cpu, other = functools.partial(_conv, geo), functools.partial(_plain_conv, geo)
    return lax.platform_dependent(x, w, cpu=cpu, default=other)


def conv_transpose(
    g: Map,
    w: Float[Array, "kh kw c_out c_in"],
    stride: int | Pair = 1,
    padding: Padding = "SAME",
    size: Pair | None = None,
) -> Float[Array, "n ho wo c_out"]:
    """The transpose of `conv(., w, stride, padding)`: maps the convolution's outputs back to its inputs' shape.

    Args:
        g: input maps (batch, height, width, channels in).
        w: kernels (height, width, channels OUT, channels in): the kernel of the convolution it transposes.
        stride: of that convolution: how much larger the result is.
        padding: of that convolution: how many rows and columns are cropped.
        size: height and width of the result. By default the smallest the convolution allows, except that "SAME" gives
            stride times the height and width of `g`.

    Raises:
        ValueError: as `conv`, or `size` is not one that the convolution maps to g's height and width.

    Example:
        >>> conv_transpose(jnp.ones((1, 2, 2, 1)), jnp.ones((4, 4, 3, 1)), 2, ((1, 1), (1, 1))).shape
        (1, 4, 4, 3)
    """
    if g.shape[3] != w.shape[3]:
        raise ValueError(f"g has {g.shape[3]} channels but w takes {w.shape[3]}: g {g.shape}, w {w.shape}.")
    geo = _geometry(size or _default_size(g.shape[1:3], w.shape[:2], stride, padding), w.shape[:2], stride, padding)
    if _out_size(geo) != g.shape[1:3]:
        raise ValueError(f"size={geo.size} would be convolved to {_out_size(geo)}, not to g's {g.shape[1:3]}.")
    cpu, other = functools.partial(_tconv, geo), functools.partial(_plain_tconv, geo)
    return lax.platform_dependent(g, w, cpu=cpu, default=other)


# ---- geometry: plain integers, checked once


def _pair(v: int | Pair) -> Pair:
    return (v, v) if isinstance(v, int) else (int(v[0]), int(v[1]))


def _geometry(size, kernel, stride: int | Pair, padding: Padding) -> _Geometry:
    size, kernel, stride = _pair(size), _pair(kernel), _pair(stride)
    if min(stride) < 1:
        raise ValueError(f"stride={stride} must be at least 1.")
    if padding == "SAME":
        total = [max((-(-n // s) - 1) * s + k - n, 0) for n, k, s in zip(size, kernel, stride, strict=True)]
        vertical, horizontal = ((t // 2, t - t // 2) for t in total)
    elif padding == "VALID":
        vertical, horizontal = (0, 0), (0, 0)
    elif isinstance(padding, str):
        raise ValueError(f'padding={padding!r} must be "SAME", "VALID" or ((top, bottom), (left, right)).')
    else:
        vertical, horizontal = (_pair(p) for p in padding)
    pads = vertical, horizontal
    if min(map(min, pads)) < 0:
        raise ValueError(f"padding={pads} must not be negative: crop the map instead.")
    geo = _Geometry(size, kernel, stride, pads)
    if min(_out_size(geo)) < 1:
        raise ValueError(f"A kernel of {kernel} does not fit into a map of {size} padded by {pads}.")
    return geo


def _out_size(geo: _Geometry) -> Pair:
    a, b = ((n + sum(p) - k) // s + 1 for n, k, s, p in zip(*geo, strict=True))
    return a, b


def _default_size(out, kernel, stride: int | Pair, padding: Padding) -> Pair:
    if padding == "SAME":
        a, b = (o * s for o, s in zip(out, _pair(stride), strict=True))
    else:
        pads = ((0, 0), (0, 0)) if padding == "VALID" else padding
        sizes = zip(out, kernel, _pair(stride), pads, strict=True)
        a, b = ((o - 1) * s + k - sum(p) for o, k, s, p in sizes)
    return a, b


# ---- elsewhere than on CPU: the library's own convolution and derivatives


def _plain_conv(geo: _Geometry, x, w):
    return lax.conv_general_dilated(x, w, geo.stride, geo.pads, dimension_numbers=_ORDER)


def _plain_tconv(geo: _Geometry, g, w):
    pads = [(k - 1 - lo, n + lo - 1 - (o - 1) * s) for n, k, s, (lo, _), o in zip(*geo, _out_size(geo), strict=True)]
    return lax.conv_general_dilated(
        g, w[::-1, ::-1], (1, 1), pads, lhs_dilation=geo.stride, dimension_numbers=("NHWC", "HWOI", "NHWC")
    )


# ---- on CPU: three bilinear maps


def _dense(x, w, stride=(1, 1), pads=((0, 0), (0, 0)), dilation=(1, 1)):
    return lax.conv_general_dilated(x, w, stride, pads, rhs_dilation=dilation, dimension_numbers=_ORDER)


def _fit(x, pads):
    """Pads the two middle axes with zeros, or crops them where a number is negative."""
    return lax.pad(x, jnp.zeros((), x.dtype), ((0, 0, 0), *((lo, hi, 0) for lo, hi in pads), (0, 0, 0)))


def _each(f: Callable, second: Lies = "whole", gives: Lies = "split") -> jax.custom_vjp:
    """`f(geo, a, b)` on every device's own images, `a` and perhaps b."""

    def on_all(geo: _Geometry, a, b):
        return each_device(lambda a, b: (f(geo, a, b),), a.shape[0], ("split", second), (gives,))(a, b)[0]

    return jax.custom_vjp(on_all, nondiff_argnums=(0,))


def _chunk(x, m: int, i):
    """Every m-th image from the i-th on."""
    return x if m == 1 else lax.dynamic_index_in_dim(x.reshape(-1, m, *x.shape[1:]), i, 1, keepdims=False)


def _conv_here(geo: _Geometry, x, w):
    """x [n, *size, c], w [*kernel, c, o] -> [n, *out, o]."""
    c, o = w.shape[2:]
    if c % 2 and c > 1 and _FEW_OUTPUTS <= o < 2 * _FEW_OUTPUTS:
        # The library is up to five times slower with so few outputs of an odd number of channels (3, most often).
        x, w = jnp.pad(x, ((0, 0), (0, 0), (0, 0), (0, 1))), jnp.pad(w, ((0, 0), (0, 0), (0, 1), (0, 0)))
    return _dense(x, w, geo.stride, geo.pads)


def _tconv_here(geo: _Geometry, g, w):
    """g [n, *out, o], w [*kernel, c, o] -> [n, *size, c], the gradient of `_conv` with respect to x.

    With stride s, the result's row s*q + r - pad is the sum over j of g[q - j] w[r + s*j]: one matrix product of g's
    pixels with all the taps, then sums of its shifted parts, a phase r beside the other. No zeros are inserted.
    """
    if geo.stride == (1, 1):
        sides = zip(geo.kernel, geo.pads, geo.size, g.shape[1:3], strict=True)
        pads = [(k - 1 - lo, n + lo - o) for k, (lo, _), n, o in sides]
        if min(map(min, pads)) < 0:
            g, pads = _fit(g, pads), ((0, 0), (0, 0))
        return _dense(g, w[::-1, ::-1].swapaxes(2, 3), pads=pads)
    n, (c, o) = g.shape[0], w.shape[2:]
    phases = [min(k, s) for k, s in zip(geo.kernel, geo.stride, strict=True)]  # that a tap reaches at all
    taps = [-(-k // p) for k, p in zip(geo.kernel, phases, strict=True)]  # of a phase
    ends = [(0, t * p - k) for t, p, k in zip(taps, phases, geo.kernel, strict=True)]
    w = jnp.pad(w, (*ends, (0, 0), (0, 0))).transpose(3, 0, 1, 2).reshape(o, -1)
    spread = functools.partial(_spread, geo, taps, phases, lax.optimization_barrier(w))
    kernel = w.size * w.dtype.itemsize
    # Each part reads the whole kernel: one that outgrows the cache is read as seldom as its own size allows.
    limit = kernel if kernel > 2 * _PRODUCT_BYTES else _PRODUCT_BYTES
    m = n_chunks(n, g[0].size // o * w.shape[1] * w.dtype.itemsize, limit)
    if m == 1:
        return spread(g)
    out = jnp.zeros((n // m, m, *geo.size, c), g.dtype)
    body = lambda i, out: lax.dynamic_update_index_in_dim(out, spread(_chunk(g, m, i)), i, 1)  # noqa: E731
    return lax.fori_loop(0, m, body, out).reshape(n, *geo.size, c)


def _spread(geo: _Geometry, taps, phases, w, g):
    """g [n, *out, o], w [o, taps x phases of both axes, c] -> [n, *size, c]."""
    n, a, b, o = g.shape
    (th, tw), (ph, pw), (sh, sw) = taps, phases, geo.stride
    y = lax.optimization_barrier(g.reshape(-1, o) @ w).reshape(n, a, b, th, ph, tw, pw, -1)
    y = sum(
        jnp.pad(y[:, :, :, i, :, j], ((0, 0), (i, th - 1 - i), (j, tw - 1 - j), (0, 0), (0, 0), (0, 0)))
        for i in range(th)
        for j in range(tw)
    )
    y = jnp.pad(y, ((0, 0), (0, 0), (0, 0), (0, sh - ph), (0, sw - pw), (0, 0))).transpose(0, 1, 3, 2, 4, 5)
    y = y.reshape(n, (a + th - 1) * sh, (b + tw - 1) * sw, -1)
    return _fit(y, [(-lo, k + lo - r) for (lo, _), k, r in zip(geo.pads, geo.size, y.shape[1:3], strict=True)])


def _kconv_here(geo: _Geometry, x, g):
    """x [n, *size, c], g [n, *out, o] -> [*kernel, c, o], the gradient of `_conv` with respect to w."""
    kh, kw = geo.kernel
    c, o = x.shape[3], g.shape[3]
    if geo.stride == (1, 1) and o < min(c, _FEW_OUTPUTS):
        # The kernel of the transposed convolution: the same sums with the many channels where the library wants them.
        (top, bottom), (left, right) = geo.pads
        rest = (kh - 1 - top, kh - 1 - bottom), (kw - 1 - left, kw - 1 - right)
        if min(map(min, rest)) >= 0:
            swapped = _Geometry(g.shape[1:3], geo.kernel, geo.stride, rest)
            return _kconv_here(swapped, g, x)[::-1, ::-1].swapaxes(2, 3)
    reach = [(o - 1) * s + 1 for o, s in zip(g.shape[1:3], geo.stride, strict=True)]  # rows one tap reads
    # The rows that the windows cover, no more: [-lo, reach + k - 1 - lo) of x.
    pads = [(lo, r + k - 1 - lo - n) for n, k, (lo, _), r in zip(geo.size, geo.kernel, geo.pads, reach, strict=True)]
    if kh * kw <= _FEW_TAPS:
        (sh, sw), (rh, rw) = geo.stride, reach
        x = _fit(x, pads)
        taps = [x[:, i : i + rh : sh, j : j + rw : sw] for i in range(kh) for j in range(kw)]
        return jnp.stack([jnp.einsum("nhwc,nhwo->co", t, g) for t in taps]).reshape(kh, kw, c, o)
    wide = jnp.promote_types(x.dtype, jnp.float32)
    m = n_chunks(g.shape[0], g[0].size * g.dtype.itemsize, _KERNEL_BYTES)
    if m == 1:
        return _tap_products(geo, pads, x, g).transpose(1, 2, 0, 3)
    body = lambda i, out: out + _tap_products(geo, pads, _chunk(x, m, i), _chunk(g, m, i)).astype(wide)  # noqa: E731
    out = lax.fori_loop(0, m, body, jnp.zeros((c, kh, kw, o), wide))
    return out.astype(x.dtype).transpose(1, 2, 0, 3)


def _tap_products(geo: _Geometry, pads, x, g):
    """x [n, *size, c], g [n, *out, o] -> [c, *kernel, o]: a convolution whose kernel is g and whose batch is c."""
    reach = [(o - 1) * s + 1 for o, s in zip(g.shape[1:3], geo.stride, strict=True)]
    if any(r > n for r, n in zip(reach, geo.size, strict=True)) or min(map(min, pads)) < 0:
        # A window wider than the unpadded map (or a negative padding) would send XLA to its naive loop.
        x, pads = _fit(x, pads), ((0, 0), (0, 0))
    # The barrier keeps XLA from folding the transposes into the convolution, which would leave the library path.
    x, g = lax.optimization_barrier((x.transpose(3, 1, 2, 0), g.transpose(1, 2, 0, 3)))
    return _dense(x, g, pads=pads, dilation=geo.stride)


_conv, _tconv, _kconv = _each(_conv_here), _each(_tconv_here), _each(_kconv_here, "split", "summed")
_conv.defvjp(
    lambda geo, x, w: (_conv(geo, x, w), (x, w)),
    lambda geo, res, ct: (_tconv(geo, ct, res[1]), _kconv(geo, res[0], ct)),
)
_tconv.defvjp(
    lambda geo, g, w: (_tconv(geo, g, w), (g, w)),
    lambda geo, res, ct: (_conv(geo, ct, res[1]), _kconv(geo, ct, res[0])),
)
_kconv.defvjp(
    lambda geo, x, g: (_kconv(geo, x, g), (x, g)),
    lambda geo, res, ct: (_tconv(geo, res[1], ct), _conv(geo, res[0], ct)),
)
