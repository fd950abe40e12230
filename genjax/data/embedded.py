"""The two small real sets inside the package (licences: `embedded_files/LICENSES.md`)."""

from importlib import resources

import numpy as np

from genjax.data.examples import Dataset, Examples, dataset

DIGITS_TRAIN = 1500
DIGITS = tuple("0123456789")
CLOTHES = (
    "T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot",
)  # fmt: skip
"""Zalando's names of the classes of Fashion-MNIST."""


def load_embedded(name: str) -> Dataset:
    """`digits` or `fashion_mini`.

    digits: the first 1,500 are for training, the last 297 for testing, in stored order. Its values 0..16 become
    round(v * 255 / 16), halves to even, so that white is 255.

    Example:
        >>> d = load_embedded("digits")
        >>> d.spec.shape, d.spec.n_classes, d.spec.n_train, int(d.train.x.max())
        ((8, 8, 1), 10, 1500, 255)
    """
    file = {"digits": "digits8x8.npz", "fashion_mini": "fashion_mnist_mini.npz"}[name]
    with (resources.files("genjax.data") / "embedded_files" / file).open("rb") as f, np.load(f) as arrays:
        a = dict(arrays)
    if name == "digits":
        image = np.rint(a["image"] * (255.0 / 16.0)).astype(np.uint8)
        label = a["label"].astype(np.int32)
        train, test = (Examples(image[s], label[s]) for s in (slice(DIGITS_TRAIN), slice(DIGITS_TRAIN, None)))
    else:
        train, test = (Examples(a[f"{s}_image"], a[f"{s}_label"].astype(np.int32)) for s in ("train", "test"))
    return dataset(name, train, test, DIGITS if name == "digits" else CLOTHES)
