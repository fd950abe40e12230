"""Feature nets: from images to the vectors that distances between sets of images are taken in.

Three small classifiers ship with genjax, trained by `experiments/_features.py`. A distance in the space of `mnist` is
called `fd_mnist`; FID is the name of the distance in that of `inception`, whose weights a user brings.
"""

import functools
from collections.abc import Callable
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genjax import nets, progress
from genjax.errors import UsageError
from genjax.metrics import weights
from genjax.types import Net

BATCH = 250
"""Images of one call of a small net. Fixed, so that an image's features do not depend on how many there are."""


class Shipped(NamedTuple):
    """A classifier inside the package."""

    sha256: str
    """Of its file, which is checked when it is loaded."""
    shape: tuple[int, int, int]
    width: int
    n_classes: int = 10


SHIPPED = {
    "digits": Shipped("ab1c5f4374b36de676a6b03a9c3096bf75ca8e5c52a0e29cc9d506d660edcb0b", (8, 8, 1), 16),
    "mnist": Shipped("49d2a8cb76ac5a2b2aab48ec3c80abbb58e3ac2ff4ef17df0c7c54ad6030cfc2", (28, 28, 1), 32),
    "fashion_mnist": Shipped("4e481feea30e3ac18a095c3ba389d4f07ff88ffde2a9bfdc8e1f9f39a0754598", (28, 28, 1), 32),
}
SAME_AS = {"fashion_mini": "fashion_mnist"}
"""Data sets whose images another set's net knows."""


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


def feature_net(name: str) -> FeatureNet:
    """The feature net of that name: digits, mnist, fashion_mnist (also for fashion_mini), or inception.

    Raises:
        UsageError: there is no such net, its file is damaged, or `inception` has not been imported.

    Example:
        >>> net = feature_net("digits")
        >>> net.n_features, net.features(np.zeros((3, 8, 8, 1), np.uint8)).shape
        (64, (3, 64))
    """
    name = SAME_AS.get(name, name)
    if name == "inception":
        from genjax.metrics.inception import inception_net

        return inception_net()
    if name not in SHIPPED:
        raise UsageError(f"feature net {name!r}: there is none of this name, only {', '.join(SHIPPED)}, inception.")
    return _shipped(name)


def shipped_file(name: str) -> Path:
    """The file of a net that ships with genjax."""
    return Path(str(resources.files("genjax.metrics"))) / "feature_files" / f"{name}.safetensors"


@functools.cache
def _shipped(name: str) -> FeatureNet:
    return from_file(name, shipped_file(name), SHIPPED[name].sha256)


def from_file(name: str, path: Path, sha256: str | None = None) -> FeatureNet:
    """The net `name` with the weights of a file.

    Raises:
        UsageError: the file is not the one with this SHA-256, or is none of weights.
    """
    known = SHIPPED[name]
    w = weights.read(path, sha256)
    net = nets.classifier(known.shape, known.n_classes, known.width)
    outputs = batched(net, w, BATCH, known.shape, name)
    return FeatureNet(name, w.sha256, 4 * known.width, known.n_classes, known.shape, outputs)


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
