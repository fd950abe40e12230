"""Real data to measure a model against: the reference, and as many other real examples for the floor."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import jax
import numpy as np

from genjax import data, domains, rng
from genjax.errors import UsageError
from genjax.runs.drawing import by_shares

MOST_REFERENCE, DEFAULT_N = 50_000, 10_000
"""Most examples of a reference; most samples drawn where no number was given."""
SPLITS = ("test", "validation", "train")


@dataclass
class Real:
    """The real side of an evaluation; what is made of it is made once.

    Args:
        name: the data set's.
        split: which part the reference is.
        reference: examples to compare with.
        training: the part that the run was trained on.
        order: which examples of it are not in the reference, in random order.
        n: samples to draw from a model.
        many: what examples are called.
    """

    name: str
    split: str
    reference: data.Examples
    training: data.Examples | data.Lazy
    order: np.ndarray
    n: int
    many: str = "examples"
    _kept: dict[Any, Any] = field(default_factory=dict)

    @property
    def others(self) -> data.Examples:
        """Training examples, none of them in the reference, in the place of generated ones; fewer where there are."""
        return self.trained(self.n)

    def trained(self, n: int) -> data.Examples:
        """n training examples, none of them in the reference; fewer where there are."""
        return self.kept(("trained", n), lambda: data.take(self.training, np.sort(self.order[:n])))

    @property
    def has_floor(self) -> bool:
        """Whether there are as many other real examples as generated ones."""
        return len(self.order) >= self.n

    @property
    def held_out(self) -> bool:
        """Whether nothing was trained on the reference."""
        return self.split != "train"

    def some(self) -> data.Examples:
        """n examples of the reference, evenly spaced; all of them where it has no more."""
        size = data.size(self.reference)
        return data.take(
            self.reference, np.unique(np.linspace(0, size - 1, min(self.n, size)).round().astype(np.int64))
        )

    def stand_ins(self, trained_on: bool, labels: np.ndarray | None = None) -> data.Examples | str:
        """n real examples in the place of the generated ones, or why there are none.

        They are training examples; or, where these are compared with the training part, some that nothing was trained
        on.

        Args:
            trained_on: whether the training part is what is compared with.
            labels: (n,) what a conditional model was asked for: there are as many of each class.
        """
        if trained_on:
            size = data.size(self.reference)
            if not self.held_out:
                return "the reference is of the training part, so nothing is held out"
            return self.some() if size >= self.n else f"it takes {self.n} held-out {self.many}, and there are {size}"
        if not self.has_floor:
            return f"it takes {self.n} other real {self.many}, and there are {len(self.order)}"
        if labels is None or self.training.y is None:
            return self.others
        return self.kept("alike", lambda: self._alike(labels))

    def _alike(self, labels: np.ndarray) -> data.Examples | str:
        """The first others of each class."""
        assert self.training.y is not None
        of_others, picked = self.training.y[self.order], []
        for c, n in enumerate(np.bincount(labels)):
            there = self.order[of_others == c]
            if len(there) < n:
                return f"it takes {n} other real {self.many} of class {c}, and there are {len(there)}"
            picked.append(there[:n])
        return data.take(self.training, np.sort(np.concatenate(picked)))

    def labels(self, n_classes: int) -> np.ndarray | None:
        """What a conditional model is asked for: n labels by the shares of the reference; None for other models."""
        if not n_classes or self.reference.y is None:
            return None
        return by_shares(self.n, np.asarray(self.reference.y), n_classes)

    def kept(self, what: Any, make: Callable[[], Any]) -> Any:
        """`make()`, made once under the name `what`."""
        if what not in self._kept:
            self._kept[what] = make()
        return self._kept[what]

    def sha256(self) -> str:
        """SHA-256 of the reference's examples, sizes and masks included."""

        def make() -> str:
            digest = hashlib.sha256()
            for array in (self.reference.x, self.reference.event_mask):
                if array is not None:
                    digest.update(f"{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
            return digest.hexdigest()

        return self.kept("sha256", make)


def real_of(dataset: data.Dataset, split: str = "", n: int | None = None) -> Real:
    """Reference and other examples of a data set.

    The others come from the training part. Where the reference is the training part, it is one half of it and the
    others are from the other half; which ones are where depends on the set's size alone.

    Args:
        dataset: with its validation part, if it has one.
        split: `test`, `validation` or `train`; by default `test`, of a set without one `train`.
        n: samples that will be drawn; by default as many as the reference holds, at most 10,000.

    Raises:
        UsageError: the set has no such part, or n is out of range.
    """
    split = split or ("train" if dataset.test is None else "test")
    parts = {"test": dataset.test, "validation": dataset.validation, "train": dataset.train}
    if split not in parts:
        raise UsageError(f"--split={split}: must be one of {', '.join(SPLITS)}.")
    part = parts[split]
    if part is None:
        hint = " Train with --validation N." if split == "validation" else ""
        raise UsageError(f"--split={split}: {dataset.spec.name} has no {split} part.{hint}")
    order = _order(dataset.train, "floor")
    if split == "train":
        half = len(order) // 2
        reference, order = data.part(part, np.sort(order[:half])), order[half:]
    else:
        reference = part
    size = data.size(reference)
    if size > MOST_REFERENCE:
        reference, size = data.part(reference, np.sort(_order(reference, "reference")[:MOST_REFERENCE])), MOST_REFERENCE
    n = min(size, DEFAULT_N) if n is None else n
    if not 4 <= n < 2**31:
        raise UsageError(f"--n={n}: must be at least 4.")
    many = domains.words(dataset.spec.domain).many
    return Real(dataset.spec.name, split, data.take(reference, np.arange(size)), dataset.train, order, n, many)


def _order(part: data.Examples | data.Lazy, name: str) -> np.ndarray:
    total = data.size(part)
    return np.asarray(rng.order(rng.named(jax.random.key(0), name), np.arange(total, dtype=np.uint32), total))
