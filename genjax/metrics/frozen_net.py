"""A net with fixed weights, from stored examples to features and logits, in batches of one size."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genjax import progress
from genjax.errors import UsageError
from genjax.metrics import weights
from genjax.types import Net


@dataclass(frozen=True, eq=False)
class FeatureNet:
    """A net with fixed weights.

    Attributes:
        name: `mnist`, ...: a Fréchet distance in its space is `fd_mnist`.
        sha256: identifies the weights; part of every number's fingerprint.
        n_features: dimensions d of the feature space.
        n_classes: classes of its logits.
        shape: of the examples it takes, (h, w, c) of images; None where it resizes any with 1 or 3 channels.
        outputs: `outputs(examples) -> (features, logits)` of one pass, see `features` and `logits`.
        dtype: of the examples it takes: uint8 images, int16 sound.
    """

    name: str
    sha256: str
    n_features: int
    n_classes: int
    shape: tuple[int, ...] | None
    outputs: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]
    dtype: str = "uint8"

    def features(self, x: np.ndarray) -> np.ndarray:
        """Stored examples (n, *shape) -> features (n, d) float32, in batches; float32 on every device.

        Raises:
            UsageError: examples of another dtype or shape.
        """
        return self.outputs(x)[0]

    def logits(self, x: np.ndarray) -> np.ndarray:
        """Stored examples (n, *shape) -> logits (n, n_classes) float32, in batches; errors as `features`."""
        return self.outputs(x)[1]


def signed(x):
    """Pixels 0..255 -> [-1, 1], what the small nets are trained on."""
    return x.astype(jnp.float32) / 127.5 - 1.0


def batched(
    net: Net, w: weights.Weights, batch: int, shape: tuple[int, ...] | None, name: str,
    prepare: Callable[[Any], Any] = signed, dtype: str = "uint8",
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """`outputs(examples) -> (features, logits)` of a net that gives both, `batch` examples at a time."""
    params, state = jax.device_put((w.params, w.state))
    many = "images" if shape is None or len(shape) == 3 else "recordings"

    @jax.jit
    def run(params, state, x):
        with jax.default_matmul_precision("highest"):
            return net.apply(params, state, prepare(x))[0]

    def outputs(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        x = _checked(x, shape, dtype, name, many)
        parts, n = [], len(x)
        for first in progress.counted(range(0, n, batch), f"{many} through the feature net", n, batch):
            part = x[first : first + batch]
            filled = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), part.dtype)])
            parts.append([np.asarray(v)[: len(part)] for v in run(params, state, filled)])
        features, logits = (np.concatenate(p) for p in zip(*parts, strict=True))
        return features, logits

    return outputs


def _checked(x: np.ndarray, shape: tuple[int, ...] | None, dtype: str, name: str, many: str) -> np.ndarray:
    x = np.asarray(x)
    axes, ends = ("(n, h, w, c)", "0..255") if many == "images" else ("(n, samples)", "-32768..32767")
    if x.dtype != dtype or x.ndim != (4 if shape is None else len(shape) + 1) or not len(x):
        raise UsageError(
            f"feature net {name}: takes {many} {axes} of {dtype} with n at least 1, "
            f"not {x.shape} of {x.dtype}. Round and clip a model's samples to {ends} first."
        )
    if x.shape[1:] != shape if shape else x.shape[3] not in (1, 3):
        takes = "x".join(map(str, shape)) if shape else "1 or 3 channels"
        raise UsageError(f"feature net {name}: takes {many} of {takes}, not {'x'.join(map(str, x.shape[1:]))}.")
    return x
