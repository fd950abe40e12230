"""A validation part, held out of the training part."""

import jax
import numpy as np

from genjax import rng
from genjax.data.examples import Dataset, Examples, Lazy, dataset, size, take
from genjax.errors import UsageError


def hold_out(whole: Dataset, n: int) -> Dataset:
    """The data set with n of its training examples as `validation`; as it is for n = 0.

    Which ones depends on the number of training examples and n alone (the key "validation" of seed 0), so that all
    seeds of a recipe choose by the same examples. `spec` is that of what is left for training.

    Args:
        whole: the data set.
        n: examples to hold out, at least 0 and fewer than there are.

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
            f"validation={n}: must be at least 0 and less than {total}, the training examples of {whole.spec.name}."
        )
    order = rng.order(rng.named(jax.random.key(0), "validation"), np.arange(total, dtype=np.uint32), total)
    held, left = np.sort(order[:n]), np.sort(order[n:])
    files = dict(whole.files)
    if "train" in files:
        files |= {n: tuple(files["train"][i] for i in of) for n, of in (("train", left), ("validation", held))}
    of = whole.spec
    return dataset(
        of.name, part(whole.train, left), whole.test, of.classes, part(whole.train, held),
        domain=of.domain, n_values=of.n_values, columns=of.columns, about=of.about,
        white=of.white, files=files, notes=whole.notes,
    )  # fmt: skip


def part(examples: Examples | Lazy, indices: np.ndarray) -> Examples | Lazy:
    """The examples at `indices`, in that order; they stay on demand where the set is read on demand."""
    if isinstance(examples, Examples):
        return take(examples, indices)
    y = None if examples.y is None else examples.y[indices]
    read = lambda i: examples.read(indices[np.asarray(i)])  # noqa: E731
    return Lazy(len(indices), examples.shape, read, y, examples.dtype, examples.masked)
