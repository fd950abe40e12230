"""Feature nets: from stored examples to the vectors that distances between sets of them are taken in.

Four small classifiers ship with genjax, three of images and one of spoken digits, trained by
`experiments/_features.py`. A distance in the space of `mnist` is called `fd_mnist`; FID is the name of the distance in
that of `inception`, whose weights a user brings.
"""

import functools
from importlib import resources
from pathlib import Path
from typing import NamedTuple

from genjax import nets
from genjax.errors import UsageError
from genjax.metrics import speech, weights
from genjax.metrics.frozen_net import FeatureNet, batched, signed
from genjax.metrics.inception import inception_net

BATCH = 250
"""Images of one call of a small net. Fixed, so that an image's features do not depend on how many there are."""


class Shipped(NamedTuple):
    """A classifier inside the package."""

    sha256: str
    """SHA-256 of its file, checked when it is loaded."""
    shape: tuple[int, ...]
    """The shape of a stored example: (h, w, c) of an image, (samples,) of sound."""
    width: int
    n_classes: int = 10

    @property
    def is_sound(self) -> bool:
        """Whether it takes sound; its net sees spectrograms."""
        return len(self.shape) == 1


SHIPPED = {
    "digits": Shipped("ab1c5f4374b36de676a6b03a9c3096bf75ca8e5c52a0e29cc9d506d660edcb0b", (8, 8, 1), 16),
    "mnist": Shipped("49d2a8cb76ac5a2b2aab48ec3c80abbb58e3ac2ff4ef17df0c7c54ad6030cfc2", (28, 28, 1), 32),
    "fashion_mnist": Shipped("4e481feea30e3ac18a095c3ba389d4f07ff88ffde2a9bfdc8e1f9f39a0754598", (28, 28, 1), 32),
    "spoken_digit": Shipped("56bc0ad72af2056f4d952791b8f9d3f2ad94ff65968803fec015b9e538dfef2c", (8192,), 16),
}
SAME_AS = {"fashion_mini": "fashion_mnist"}
"""Data sets whose images another set's net knows."""


def feature_net(name: str) -> FeatureNet:
    """The feature net of that name: digits, mnist, fashion_mnist (also for fashion_mini), spoken_digit, or inception.

    Raises:
        UsageError: there is no such net, its file is damaged, or `inception` has not been imported.

    Example:
        >>> import numpy as np
        >>> net = feature_net("digits")
        >>> net.n_features, net.features(np.zeros((3, 8, 8, 1), np.uint8)).shape
        (64, (3, 64))
    """
    name = SAME_AS.get(name, name)
    if name == "inception":
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
    sees, prepare, dtype = (speech.MAP, speech.mel_map, "int16") if known.is_sound else (known.shape, signed, "uint8")
    net = nets.classifier(sees, known.n_classes, known.width)
    outputs = batched(net, w, BATCH, known.shape, name, prepare, dtype)
    return FeatureNet(name, w.sha256, 4 * known.width, known.n_classes, known.shape, outputs, dtype)
