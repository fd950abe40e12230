"""A validation part, held out of the training part."""

import jax
import numpy as np

from genjax import rng
from genjax.data.images import Dataset, Images, Records, dataset, size, take
from genjax.errors import UsageError


def hold_out(whole: Dataset, n: int) -> Dataset:
    """The data set with n of its training images as `validation`; as it is for n = 0.

    Which ones depends on the number of training images and n alone (the key "validation" of seed 0), so that all
    seeds of a recipe choose by the same images. `spec` is that of what is left for training.

    Args:
        whole: the data set.
        n: images to hold out, at least 0 and fewer than there are.

    Raises:
        UsageError: n is out of range, or the set has a validation part of its own.
    """
    if n == 0:
        return whole
    if whole.validation is not None:
        raise UsageError(
            f"validation={n}: {whole.spec.name} has a validation part of its own, of {size(whole.validation):,}. "
            "Leave --validation out."
        )
    total = size(whole.train)
    if not 0 < n < total:
        raise UsageError(
            f"validation={n}: must be at least 0 and less than {total}, the training images of {whole.spec.name}."
        )
    order = rng.order(rng.named(jax.random.key(0), "validation"), np.arange(total, dtype=np.uint32), total)
    held, left = np.sort(order[:n]), np.sort(order[n:])
    files = dict(whole.files)
    if "train" in files:
        files |= {n: tuple(files["train"][i] for i in of) for n, of in (("train", left), ("validation", held))}
    return dataset(
        whole.spec.name, part(whole.train, left), whole.test, whole.spec.classes, part(whole.train, held),
        white=whole.spec.white, files=files, notes=whole.notes,
    )  # fmt: skip


def part(images: Images | Records, indices: np.ndarray) -> Images | Records:
    """The examples at `indices`, in that order; they stay on demand where the set is read on demand."""
    if isinstance(images, Images):
        return take(images, indices)
    label = None if images.label is None else images.label[indices]
    return Records(len(indices), images.shape, lambda i: images.read(indices[np.asarray(i)]), label)
