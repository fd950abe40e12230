"""The Inception-v3 that the Frechet inception distance is defined by: TensorFlow's graph of 2015-12-05, as a table.

Names are those of the PyTorch weights file in use everywhere, so that its arrays find their places. The graph differs
from the Inception-v3 of torchvision and of the paper: its mean pooling leaves the zeros at the edges out of the mean,
its last block pools by the maximum, it has 1008 classes, and it resizes as TensorFlow 1 did, inside the network.
"""

import math
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Num

from genjax import rng
from genjax.nets.conv import conv
from genjax.types import Key, Net, Params, State

SIZE = 299
"""Height and width that images are resized to."""
N_FEATURES, N_CLASSES = 2048, 1008
EPS = 1e-3
"""Added to the variances of batch norm."""


class Layer(NamedTuple):
    """A convolution without bias, batch norm with fixed statistics, ReLU."""

    name: str
    n_out: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1
    padding: str = "SAME"


Item: TypeAlias = "Layer | str | tuple[Layer, Layer]"
"""What a branch does next: a layer, a pooling (`mean`, `max`, `half`), or two layers side by side."""
Chain: TypeAlias = tuple[Item, ...]

_ONE, _THREE, _FIVE, _ROW3, _COLUMN3, _ROW7, _COLUMN7 = (1, 1), (3, 3), (5, 5), (1, 3), (3, 1), (1, 7), (7, 1)


def _a(n: int) -> tuple[Chain, ...]:
    return (
        (Layer("branch1x1", 64),),
        (Layer("branch5x5_1", 48), Layer("branch5x5_2", 64, _FIVE)),
        (Layer("branch3x3dbl_1", 64), Layer("branch3x3dbl_2", 96, _THREE), Layer("branch3x3dbl_3", 96, _THREE)),
        ("mean", Layer("branch_pool", n)),
    )


def _b() -> tuple[Chain, ...]:
    return (
        (Layer("branch3x3", 384, _THREE, 2, "VALID"),),
        (
            Layer("branch3x3dbl_1", 64),
            Layer("branch3x3dbl_2", 96, _THREE),
            Layer("branch3x3dbl_3", 96, _THREE, 2, "VALID"),
        ),
        ("half",),
    )


def _c(n: int) -> tuple[Chain, ...]:
    return (
        (Layer("branch1x1", 192),),
        (Layer("branch7x7_1", n), Layer("branch7x7_2", n, _ROW7), Layer("branch7x7_3", 192, _COLUMN7)),
        (
            Layer("branch7x7dbl_1", n),
            Layer("branch7x7dbl_2", n, _COLUMN7),
            Layer("branch7x7dbl_3", n, _ROW7),
            Layer("branch7x7dbl_4", n, _COLUMN7),
            Layer("branch7x7dbl_5", 192, _ROW7),
        ),
        ("mean", Layer("branch_pool", 192)),
    )


def _d() -> tuple[Chain, ...]:
    return (
        (Layer("branch3x3_1", 192), Layer("branch3x3_2", 320, _THREE, 2, "VALID")),
        (
            Layer("branch7x7x3_1", 192),
            Layer("branch7x7x3_2", 192, _ROW7),
            Layer("branch7x7x3_3", 192, _COLUMN7),
            Layer("branch7x7x3_4", 192, _THREE, 2, "VALID"),
        ),
        ("half",),
    )


def _e(pool: str) -> tuple[Chain, ...]:
    def both(name: str) -> tuple[Layer, Layer]:
        return Layer(f"{name}a", 384, _ROW3), Layer(f"{name}b", 384, _COLUMN3)

    return (
        (Layer("branch1x1", 320),),
        (Layer("branch3x3_1", 384), both("branch3x3_2")),
        (Layer("branch3x3dbl_1", 448), Layer("branch3x3dbl_2", 384, _THREE), both("branch3x3dbl_3")),
        (pool, Layer("branch_pool", 192)),
    )


STEM: Chain = (
    Layer("Conv2d_1a_3x3", 32, _THREE, 2, "VALID"),
    Layer("Conv2d_2a_3x3", 32, _THREE, 1, "VALID"),
    Layer("Conv2d_2b_3x3", 64, _THREE),
    "half",
    Layer("Conv2d_3b_1x1", 80),
    Layer("Conv2d_4a_3x3", 192, _THREE, 1, "VALID"),
    "half",
)
BLOCKS: dict[str, tuple[Chain, ...]] = {
    "Mixed_5b": _a(32), "Mixed_5c": _a(64), "Mixed_5d": _a(64), "Mixed_6a": _b(),
    "Mixed_6b": _c(128), "Mixed_6c": _c(160), "Mixed_6d": _c(160), "Mixed_6e": _c(192),
    "Mixed_7a": _d(), "Mixed_7b": _e("mean"), "Mixed_7c": _e("max"),
}  # fmt: skip


def inception_v3() -> Net:
    """Images [batch, h, w, 3] of pixels 0..255 -> (features [batch, 2048], logits [batch, 1008]).

    Features are the last map's mean over places; the logits are linear in them, without the bias, as the inception
    score has them. A fixed function of its arrays: `train`, `key` and `y` change nothing. `init` draws He's normal
    kernels and unit statistics, which is good for tests only.

    Parameters: `{block: {layer: {kernel, scale, bias}}, "fc": {kernel}}`, the stem's layers standing at the top.
    State: `{block: {layer: {mean, var}}}`.

    Source:
        Szegedy et al. 2016, Rethinking the Inception Architecture for Computer Vision; Heusel et al. 2017, GANs
        Trained by a Two Time-Scale Update Rule (which fixed this graph for the distance).
    """

    def init(key: Key) -> tuple[Params, State]:
        params: Params = {"fc": {"kernel": _he(key, "fc", (N_FEATURES, N_CLASSES))}}
        state: State = {}
        for path, layer, n_in in layers():
            p, s = params, state
            for part in path[:-1]:
                p, s = p.setdefault(part, {}), s.setdefault(part, {})
            n = layer.n_out
            kernel = _he(key, "/".join(path), (*layer.kernel, n_in, n))
            p[path[-1]] = {"kernel": kernel, "scale": jnp.ones(n), "bias": jnp.zeros(n)}
            s[path[-1]] = {"mean": jnp.zeros(n), "var": jnp.ones(n)}
        return params, state

    def apply(params: Params, state: State, x: Num[Array, "batch h w c"], train=False, key=None, y=None):
        del train, key, y
        h = (resize(x.astype(jnp.float32), (SIZE, SIZE)) - 128.0) / 128.0
        h = _chain(params, state, STEM, h)
        for name, chains in BLOCKS.items():
            h = jnp.concatenate([_chain(params[name], state[name], chain, h) for chain in chains], -1)
        features = h.mean((1, 2))
        return (features, features @ params["fc"]["kernel"]), state

    return Net(init, apply)


def layers() -> Iterator[tuple[tuple[str, ...], Layer, int]]:
    """Every layer with its path and its channels in, in the order of the table."""
    n = yield from _layers_of((), STEM, 3)
    for name, chains in BLOCKS.items():
        out = 0
        for chain in chains:
            out += yield from _layers_of((name,), chain, n)
        n = out


def _layers_of(path: tuple[str, ...], chain: Chain, n: int):
    """The layers of a chain on n channels; returns the channels it gives."""
    for item in chain:
        if isinstance(item, str):
            continue
        side_by_side = (item,) if isinstance(item, Layer) else item
        for layer in side_by_side:
            yield (*path, layer.name), layer, n
        n = sum(layer.n_out for layer in side_by_side)
    return n


def _chain(params: Params, state: State, chain: Chain, x):
    for item in chain:
        if isinstance(item, str):
            x = _POOLS[item](x)
        elif isinstance(item, Layer):
            x = _layer(params[item.name], state[item.name], item, x)
        else:
            x = jnp.concatenate([_layer(params[i.name], state[i.name], i, x) for i in item], -1)
    return x


def _layer(p: Params, s: State, layer: Layer, x):
    h = conv(x, p["kernel"], layer.stride, "VALID" if layer.padding == "VALID" else "SAME")
    h = (h - s["mean"].reshape(1, 1, 1, -1)) * (p["scale"] * lax.rsqrt(s["var"] + EPS)).reshape(1, 1, 1, -1)
    return jax.nn.relu(h + p["bias"].reshape(1, 1, 1, -1))


def _max_pool(x, stride: int, padding: str):
    return lax.reduce_window(x, -jnp.inf, lax.max, (1, 3, 3, 1), (1, stride, stride, 1), padding)


def _mean_pool(x):
    """Mean over 3x3 places, of those that are inside the map."""
    total = lax.reduce_window(x, 0.0, lax.add, (1, 3, 3, 1), (1, 1, 1, 1), "SAME")
    rows, columns = (np.minimum(np.arange(n) + 2, n) - np.maximum(np.arange(n) - 1, 0) for n in x.shape[1:3])
    return total / (rows[:, None] * columns[None]).reshape(1, *x.shape[1:3], 1).astype(np.float32)


_POOLS = {
    "mean": _mean_pool,
    "max": lambda x: _max_pool(x, 1, "SAME"),
    "half": lambda x: _max_pool(x, 2, "VALID"),
}


def _he(key: Key, name: str, shape: tuple[int, ...]) -> Array:
    std = math.sqrt(2.0 / math.prod(shape[:-1]))
    return std * jax.random.normal(rng.named(key, name), shape)


def resize(x: Float[Array, "batch h w c"], size: tuple[int, int]) -> Float[Array, "batch h2 w2 c"]:
    """Bilinear resizing as TensorFlow 1 did it: align_corners=False, and pixels without half a pixel's offset.

    Output row i reads the input at i * h / h2: the first rows agree, the last ones repeat the input's last. No
    antialiasing. Where the size stays, nothing changes.

    Example:
        >>> resize(jnp.arange(2.0).reshape(1, 1, 2, 1), (1, 4))[0, 0, :, 0].tolist()
        [0.0, 0.5, 1.0, 1.0]
    """
    (top, bottom, down), (left, right, across) = (_taps(n, m) for n, m in zip(x.shape[1:3], size, strict=True))
    # Along rows first, then between them, in the graph's order of operations.
    x = x[:, :, left] + (x[:, :, right] - x[:, :, left]) * across.reshape(1, 1, -1, 1)
    return x[:, top] + (x[:, bottom] - x[:, top]) * down.reshape(1, -1, 1, 1)


def _taps(n: int, m: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """For each of m outputs over n inputs, the two inputs it reads and the second's weight; float32, as the graph."""
    at = np.arange(m, dtype=np.float32) * (np.float32(n) / np.float32(m))
    low = np.floor(at).astype(np.int32)
    return low, np.minimum(low + 1, n - 1), at - low.astype(np.float32)
