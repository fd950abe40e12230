"""The batch of a step as a function of (key, step) alone: nothing of a data iterator needs saving.

Minibatch m = step * n_batches + j takes positions m*B ... m*B + B - 1 of the endless sequence of epochs that
`rng.order` shuffles under the stream "order" of the run's root key; transforms draw from the stream "transform" at m.
"""

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from genjax import headroom, rng
from genjax.data.examples import Examples, Lazy, guarded, size, take
from genjax.data.transforms import Transform, to_unit
from genjax.errors import UsageError
from genjax.figures import by
from genjax.types import Batch, Key

WINDOW_BYTES = 64 * 2**20
"""Stored bytes of a streamed window, at most (one minibatch a step), from which its capacity follows."""
MAX_CAPACITY = 256
LAST_MINIBATCH = 2**31 - 1


@dataclass(frozen=True)
class Source:
    """Batches of a data set, each a function of (key, step); key is the run's root key.

    Attributes:
        batch_size: examples of a minibatch.
        n: examples of the set.
        capacity: most steps of one window; None where any number goes (resident data).
        window: `window(key, start_step, n_steps, n_batches) -> data`: what the compiled chunk needs of the steps
            start_step ... start_step + n_steps - 1, of the same shapes whatever n_steps. Called on the host.
        batches: `batches(data, key, step, i, n_batches) -> Batch` of a step, transformed, every array with a leading
            axis n_batches; i is the step's place in its window (step - start_step). Traced or not.
        transform: what `batches` applies, so that a model's range can be held against it; None where that is not known.
    """

    batch_size: int
    n: int
    capacity: int | None
    window: Callable[[Key, int, int, int], Any]
    batches: Callable[..., Batch]
    transform: Transform | None = None

    def batch(self, key: Key, step: int) -> Batch:
        """The transformed minibatch of one step, to look at in a notebook."""
        # Compiled, as in a run: the same bits.
        stacked = jax.jit(self.batches, static_argnums=4)(self.window(key, step, 1, 1), key, step, 0, 1)
        return jax.tree.map(lambda a: a[0], stacked)


class Window(NamedTuple):
    """Raw minibatches of the steps of a window, padded with zeros to the capacity."""

    x: Any
    """[capacity, n_batches, batch, *event], of the stored dtype."""
    y: Any
    """int32 [capacity, n_batches, batch] or None."""
    event_mask: Any
    """bool [capacity, n_batches, batch, *leading event axes] or None."""
    id: Any
    """int32 [capacity, n_batches, batch]."""


def make_source(
    part: Examples | Lazy, batch_size: int, transform: Transform | None = None, mesh: Mesh | None = None
) -> Source:
    """A source over a part of a data set: resident where it is in memory, streamed where it is read on demand.

    On a mesh, the examples of a minibatch are split over all devices; batch_size counts them all.
    """
    transform = to_unit() if transform is None else transform
    if isinstance(part, Lazy):
        return streamed(part, batch_size, transform, mesh)
    return resident(part, batch_size, transform, mesh)


def resident(examples: Examples, batch_size: int, transform: Transform, mesh: Mesh | None = None) -> Source:
    """Examples put on the device once, as they are stored, and gathered inside the compiled loop.

    On a mesh every device holds them all, and gathers its own share of a minibatch.

    Raises:
        UsageError: where batch_size is not in 1 ... n; a transform of pixels, and data that have none.

    Example:
        >>> examples = Examples(np.arange(12, dtype=np.uint8).reshape(3, 2, 2, 1))
        >>> source = resident(examples, 2, to_unit())
        >>> source.batch(jax.random.key(0), step=5).x.shape
        (2, 2, 2, 1)
    """
    n = size(examples)
    _check(batch_size, n)
    _check_transform(examples.x.shape[1:], examples.x.dtype, transform)
    held = tuple(examples)
    on_device = jax.device_put(held) if mesh is None else jax.tree.map(_everywhere(mesh), held)

    def window(key: Key, start_step: int, n_steps: int, n_batches: int) -> tuple:
        return on_device

    def batches(data: tuple, key: Key, step, i, n_batches: int) -> Batch:
        order = rng.named(key, "order")
        m = _minibatches(step, n_batches)
        idx = rng.order(order, jax.vmap(lambda j: rng.positions_of(j, batch_size, n))(m), n)
        if mesh is not None:
            # First whole, then split: the order is a loop, which split would ask all devices at every turn.
            idx = jax.lax.with_sharding_constraint(idx, NamedSharding(mesh, P()))
            idx = jax.lax.with_sharding_constraint(idx, _examples(mesh, 1))
        picked = Window(*(None if a is None else a[idx] for a in data), id=idx)
        return _transformed(transform, key, m, picked)

    return Source(batch_size, n, None, window, batches, transform)


def streamed(
    examples: Lazy, batch_size: int, transform: Transform, mesh: Mesh | None = None, *,
    capacity: int | None = None, n_threads: int = 2,
) -> Source:  # fmt: skip
    """Examples decoded on demand, ahead of time, by grain: the same batches as `resident`, in its order, bit for bit.

    Windows asked for one after the other come from one prefetching iterator over minibatch numbers; a window
    elsewhere (a resumed run, another key) starts a new one there.

    Args:
        examples: where they are read.
        batch_size: examples of a minibatch.
        transform: applied on the device, inside the compiled step.
        mesh: where the examples of a minibatch are split over all devices; each process reads those of its own.
        capacity: steps of a window; None for as many as `WINDOW_BYTES` holds, at most `MAX_CAPACITY`.
        n_threads: threads that decode, each a minibatch at a time.

    Raises:
        UsageError: where batch_size is not in 1 ... n, or memory does not hold the minibatches in flight. An example
            that cannot be read is a `DataFailure`, when its minibatch is asked for.
    """
    examples, n = guarded(examples), examples.n
    _check(batch_size, n)
    _check_transform(examples.shape, np.dtype(examples.dtype), transform)
    bytes_a_step = batch_size * examples.n_bytes
    capacity = capacity or max(1, min(MAX_CAPACITY, WINDOW_BYTES // bytes_a_step))
    mine = np.arange(batch_size) if mesh is None else _own(mesh, batch_size)
    depth = max(n_threads, min(32, WINDOW_BYTES // bytes_a_step))
    held = (depth + n_threads + 2 * capacity) * (bytes_a_step // batch_size) * len(mine)
    what = f"batch_size={batch_size} of examples of {by(examples.shape)}, read on demand"
    headroom.check(held, what, "Give a smaller --batch-size, or make the examples smaller (--image-size of images).")
    ahead = _Ahead(examples, batch_size, mine, n_threads, depth)

    def window(key: Key, start_step: int, n_steps: int, n_batches: int) -> Window:
        if not 1 <= n_steps <= capacity:
            raise ValueError(f"n_steps={n_steps} must lie in 1 ... {capacity}, this source's capacity.")
        got = ahead.minibatches(key, int(start_step) * n_batches, n_steps * n_batches)

        def stacked(rows: list) -> jax.Array | None:
            if rows[0] is None:
                return None
            out = np.zeros((capacity * n_batches, *rows[0].shape), rows[0].dtype)
            np.stack(rows, out=out[: len(rows)])
            out = out.reshape(capacity, n_batches, *rows[0].shape)
            return jax.device_put(out) if mesh is None else _assembled(out, mine, batch_size, _examples(mesh, 2))

        return Window(*(stacked([row[k] for row in got]) for k in range(4)))

    def batches(data: Window, key: Key, step, i, n_batches: int) -> Batch:
        at = jax.tree.map(lambda a: jax.lax.dynamic_index_in_dim(a, i, keepdims=False), data)
        return _transformed(transform, key, _minibatches(step, n_batches), at)

    return Source(batch_size, n, capacity, window, batches, transform)


class _Ahead:
    """Minibatches by number, decoded ahead: results depend on the arguments alone, speed on what came before."""

    def __init__(self, examples: Lazy, batch_size: int, mine: np.ndarray, n_threads: int, depth: int):
        self.examples, self.batch_size, self.n_threads, self.depth = examples, batch_size, n_threads, depth
        self.mine = mine
        """Which examples of a minibatch are read here."""
        self.lock = threading.Lock()
        self.at: tuple[bytes, int] | None = None
        """The key and the number of the next minibatch of the open iterator."""
        self.iterator: Any = None

    def minibatches(self, key: Key, start: int, count: int) -> list[Window]:
        words = np.asarray(jax.random.key_data(key)).tobytes()  # nothing computed on the device, which is busy
        with self.lock:
            if self.at != (words, start):
                self._open(rng.named(key, "order"), start)
            self.at = None  # until all went well
            got = [next(self.iterator) for _ in range(count)]
            self.at = (words, start + count)
        return got

    def _open(self, order: Key, start: int) -> None:
        import grain  # takes more than a second, and only streamed data needs it

        def read(m: int) -> Window:
            epoch, offset = rng.positions_of(int(m), self.batch_size, self.examples.n)
            ids = np.asarray(rng.order(order, (epoch[self.mine], offset[self.mine]), self.examples.n))
            return Window(*self.examples.read(ids), id=ids)

        if self.iterator is not None:
            self.iterator.close()
        ahead = grain.ReadOptions(num_threads=self.n_threads, prefetch_buffer_size=self.depth)
        numbers = grain.MapDataset.range(start, LAST_MINIBATCH)
        self.iterator = iter(numbers.map(read).to_iter_dataset(ahead))


def once(part: Examples | Lazy, batch_size: int) -> Iterator[Batch]:
    """Every example once, in stored order, raw: the last batch is filled up with mask 0 examples of zeros.

    Example:
        >>> [b.mask.tolist() for b in once(Examples(np.zeros((3, 2, 2, 1), np.uint8)), 2)]
        [[True, True], [True, False]]
    """
    n = size(part)
    for start in range(0, n, batch_size):
        ids = np.arange(start, min(start + batch_size, n), dtype=np.int32)
        fill = batch_size - len(ids)
        x, y, event_mask, id_ = (None if a is None else _filled(a, fill) for a in (*take(part, ids), ids))
        yield Batch(x, y, jnp.arange(batch_size) < len(ids), event_mask, id_)


def _filled(a: np.ndarray, fill: int) -> jax.Array:
    return jnp.asarray(np.concatenate([a, np.zeros((fill, *a.shape[1:]), a.dtype)]))


def _examples(mesh: Mesh, axis: int) -> NamedSharding:
    return NamedSharding(mesh, P(*[None] * axis, mesh.axis_names))


def _everywhere(mesh: Mesh) -> Callable[[np.ndarray], jax.Array]:
    """Puts an array that every process has on every device; `device_put` would first compare the processes' copies."""
    whole = NamedSharding(mesh, P())
    return lambda a: jax.make_array_from_callback(a.shape, whole, lambda index: a[index])


def _own(mesh: Mesh, batch_size: int) -> np.ndarray:
    """Which examples of a minibatch are on this process's devices, ascending."""
    places = _examples(mesh, 0).addressable_devices_indices_map((batch_size,))
    return np.unique(np.concatenate([np.arange(batch_size)[index] for index in places.values()]))


def _assembled(out: np.ndarray, mine: np.ndarray, batch_size: int, sharding: NamedSharding) -> jax.Array:
    """A window's global array [capacity, n_batches, batch, ...] of which this process holds the examples `mine`."""

    def part(index):
        first = np.searchsorted(mine, index[2].start or 0)
        return out[:, :, first : first + (index[2].stop or batch_size) - (index[2].start or 0)]

    return jax.make_array_from_callback((*out.shape[:2], batch_size, *out.shape[3:]), sharding, part)


def _minibatches(step, n_batches: int) -> jax.Array:
    """Numbers of the step's minibatches, int32 [n_batches]; beyond 2**31 they wrap, and `rng` reads them unsigned."""
    return jnp.asarray(step, jnp.int32) * jnp.int32(n_batches) + jnp.arange(n_batches, dtype=jnp.int32)


def _transformed(transform: Transform, key: Key, m, raw: Window) -> Batch:
    """Each minibatch through the transform, with a key of its own."""
    stream = rng.named(key, "transform")
    keys = jax.vmap(lambda i: rng.at_step(stream, i))(m)
    return jax.vmap(transform.apply)(keys, Batch(raw.x, raw.y, None, raw.event_mask, raw.id))


def _check_transform(shape: tuple[int, ...], dtype: np.dtype, transform: Transform) -> None:
    """Raises `UsageError` for a transform of pixels, where examples are not stored as such."""
    if transform.values == 256 and dtype != np.uint8:
        raise UsageError(
            f"{transform.name or 'The transform'} takes pixels, and these data are {dtype} of {by(shape)}.\n"
            "Use a transform of their kind (data.to_plane() for points in the plane), or give images."
        )


def _check(batch_size: int, n: int) -> None:
    if not 1 <= batch_size <= n:
        raise UsageError(
            f"batch_size={batch_size} must lie in 1 ... {n}, the number of training examples. "
            f"Try batch_size={max(1, min(n, 128) if batch_size > n else 1)}."
        )
    if n * batch_size >= 2**32:
        raise UsageError(f"batch_size={batch_size} times {n} examples must stay below 2**32. Try a smaller batch_size.")
