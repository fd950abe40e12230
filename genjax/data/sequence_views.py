"""Random views of sequences for training: a piece of each, and music in another key."""

import jax
import jax.numpy as jnp

from genjax.types import Batch, Key


def cropped(key: Key, batch: Batch, steps: int) -> Batch:
    """So many steps after one another of each sequence: all of a shorter one, else from any place where it is there.

    Args:
        key: of the places.
        batch: x (batch, t, ...), with its event mask (batch, t) or None where all steps count.
        steps: at least 1; sequences of as many or fewer stay as they are.

    Example:
        >>> b = Batch(jnp.arange(6).reshape(1, 6), event_mask=jnp.array([[True] * 4 + [False] * 2]))
        >>> cropped(jax.random.key(0), b, 4).x.tolist()
        [[0, 1, 2, 3]]
    """
    n, t = batch.x.shape[:2]
    if steps >= t:
        return batch
    mask = jnp.ones((n, t), bool) if batch.event_mask is None else batch.event_mask.astype(bool)
    spare = jnp.maximum(mask.sum(1) - steps, 0)
    first = jnp.floor(jax.random.uniform(key, (n,)) * (spare + 1)).astype(jnp.int32)
    first = jnp.minimum(first, spare)

    def cut(row, at):
        return jax.lax.dynamic_slice_in_dim(row, at, steps, 0)

    return batch._replace(x=jax.vmap(cut)(batch.x, first), event_mask=jax.vmap(cut)(mask, first))


def transposed(key: Key, batch: Batch, most: int) -> Batch:
    """Rolls x (batch, t, keys) moved up or down by as many as `most` semitones; notes that leave the keys are lost.

    Example:
        >>> x = jnp.zeros((1, 1, 5)).at[0, 0, 2].set(1.0)
        >>> float(transposed(jax.random.key(0), Batch(x), 2).x.sum())
        1.0
    """
    if most == 0:
        return batch
    wide = jnp.pad(batch.x, [(0, 0), (0, 0), (most, most)])
    up = jax.random.randint(key, (batch.x.shape[0],), 0, 2 * most + 1)
    moved = jax.vmap(lambda row, at: jax.lax.dynamic_slice_in_dim(row, at, batch.x.shape[2], 1))(wide, up)
    return batch._replace(x=moved)
