"""A function of batches over a whole data set: every example once, in batches of one shape, so one compilation."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import jax
import numpy as np
from jaxtyping import Array

from genjax import data, progress
from genjax.types import Batch, Key

Columns: TypeAlias = Callable[[Batch], Mapping[str, Array]]
"""A compiled function of a batch: named arrays, each with the example axis first."""


def in_batches(
    function: Columns, part: data.Examples | data.Lazy, batch_size: int
) -> Iterator[tuple[Batch, dict[str, np.ndarray]]]:
    """Yields each batch of `part` in stored order with `function` of its examples, padding left out.

    Args:
        function: compiled, of raw batches. Draws take their key from `batch.id`: from that of each example (as `fixed`
            and `iw_log_likelihood` do), and the results do not depend on the batch size.
        part: examples, or a set read on demand.
        batch_size: examples at once, at least 1. The last batch is filled up with zeros, mask 0.
    """
    with progress.part("examples", 0, data.size(part)) as here:
        for batch in data.once(part, batch_size):
            n = int(np.asarray(batch.mask).sum())
            yield batch, {name: np.asarray(values)[:n] for name, values in function(batch).items()}
            here[1] += n
            progress.look()


def over(function: Columns, part: data.Examples | data.Lazy, batch_size: int) -> dict[str, np.ndarray]:
    """`function` of every example of `part` in stored order, an (n, ...) array for each name; see `in_batches`.

    Example:
        >>> part = data.Examples(np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1))
        >>> over(lambda batch: {"pixel": batch.x[:, 0, 0, 0]}, part, 2)["pixel"].tolist()
        [0, 1, 2]
    """
    parts = [columns for _, columns in in_batches(function, part, batch_size)]
    return {name: np.concatenate([p[name] for p in parts]) for name in parts[0]}


def fixed(transform: data.Transform, key: Key) -> Callable[[Batch], Batch]:
    """`transform` with the draw of each example a function of (key, its id): a test set binarised once and for all.

    However the set is cut into batches, an example becomes the same. Batches need `id`, as `data.once` gives it.

    Raises:
        ValueError: a batch without.
    """

    def one(key: Key, x: Any, event_mask: Any) -> Any:
        x, event_mask = jax.tree.map(lambda a: a[None], (x, event_mask))
        seen = transform(key, Batch(x, event_mask=event_mask))
        return jax.tree.map(lambda a: a[0], (seen.x, seen.event_mask))

    def apply(batch: Batch) -> Batch:
        if batch.id is None:
            raise ValueError("fixed: the batch has no id to draw by. Batches of `data.once` have one.")
        x, event_mask = jax.vmap(one)(by_id(key, batch.id), batch.x, batch.event_mask)
        return batch._replace(x=x, event_mask=event_mask)

    return apply


def by_id(key: Key, id: Array) -> Any:
    """A key for each example, (batch,) keys, that its id alone determines."""
    return jax.vmap(jax.random.fold_in, (None, 0))(key, id)
