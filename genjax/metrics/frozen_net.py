"""A net with fixed weights, from images to features and logits, in batches of one size."""

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
        shape: (h, w, c) of the images it takes; None where it resizes any with 1 or 3 channels.
        outputs: `outputs(images) -> (features, logits)` of one pass, see `features` and `logits`.
    """

    name: str
    sha256: str
    n_features: int
    n_classes: int
    shape: tuple[int, int, int] | None
    outputs: Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]

    def features(self, images: np.ndarray) -> np.ndarray:
        """Images (n, h, w, c) uint8 -> features (n, d) float32, in batches; float32 on every device.

        Raises:
            UsageError: images of another dtype or shape.
        """
        return self.outputs(images)[0]

    def logits(self, images: np.ndarray) -> np.ndarray:
        """Images (n, h, w, c) uint8 -> logits (n, n_classes) float32, in batches; errors as `features`."""
        return self.outputs(images)[1]


def signed(x):
    """Pixels 0..255 -> [-1, 1], what the small nets are trained on."""
    return x.astype(jnp.float32) / 127.5 - 1.0


def batched(
    net: Net, w: weights.Weights, batch: int, shape: tuple[int, int, int] | None, name: str,
    prepare: Callable[[Any], Any] = signed,
) -> Callable[[np.ndarray], tuple[np.ndarray, np.ndarray]]:  # fmt: skip
    """`outputs(images) -> (features, logits)` of a net that gives both, `batch` images at a time."""
    params, state = jax.device_put((w.params, w.state))

    @jax.jit
    def run(params, state, x):
        with jax.default_matmul_precision("highest"):
            return net.apply(params, state, prepare(x))[0]

    def outputs(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        images = _checked(images, shape, name)
        parts, n = [], len(images)
        for first in progress.counted(range(0, n, batch), "images through the feature net", n, batch):
            part = images[first : first + batch]
            filled = np.concatenate([part, np.zeros((batch - len(part), *part.shape[1:]), np.uint8)])
            parts.append([np.asarray(v)[: len(part)] for v in run(params, state, filled)])
        features, logits = (np.concatenate(p) for p in zip(*parts, strict=True))
        return features, logits

    return outputs


def _checked(images: np.ndarray, shape: tuple[int, int, int] | None, name: str) -> np.ndarray:
    images = np.asarray(images)
    if images.dtype != np.uint8 or images.ndim != 4 or not len(images):
        raise UsageError(
            f"feature net {name}: takes images (n, h, w, c) of uint8 with n at least 1, "
            f"not {images.shape} of {images.dtype}. Round and clip a model's samples to 0..255 first."
        )
    if images.shape[1:] != shape if shape else images.shape[3] not in (1, 3):
        takes = "x".join(map(str, shape)) if shape else "1 or 3 channels"
        raise UsageError(f"feature net {name}: takes images of {takes}, not {'x'.join(map(str, images.shape[1:]))}.")
    return images
