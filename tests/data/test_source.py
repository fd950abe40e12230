"""A batch is a function of (key, step): however windows are cut, traced or not, held or streamed."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import data, rng
from genjax.data import source as module
from genjax.errors import DataFailure, UsageError

N, B, LONGEST = 23, 4, 23
IMAGES = data.Examples(
    np.random.default_rng(0).integers(0, 256, (N, 3, 5, 2), np.uint8), np.arange(N, dtype=np.int32) % 3
)
KEY = jax.random.key(3)


MASKED = data.Examples(  # 23 sequences of 7 steps of 3 features, of all lengths
    np.random.default_rng(1).standard_normal((N, 7, 3)).astype(np.float32),
    np.arange(N, dtype=np.int32) % 2,
    np.arange(7) < np.random.default_rng(2).integers(1, 8, (N, 1)),
)
KEPT = data.Transform(lambda key, batch: batch, lambda x: x, name="kept")


def records(images=IMAGES, log=None):
    def read(indices):
        if log is not None:
            log.append(len(indices))
        return data.take(images, indices)

    return data.Lazy(data.size(images), images.x.shape[1:], read, dtype=images.x.dtype.name)


def both(transform=None, images=IMAGES, **options):
    transform = transform or data.binarize()
    return data.resident(images, B, transform), data.streamed(records(images), B, transform, **options)


@functools.cache
def chunk_of(source, n_batches):
    """The compiled loop over a window, its start and its length traced: one for all windows of a source."""

    @jax.jit
    def chunk(window, key, start, n):
        def body(i, out):
            batch = source.batches(window, key, start + i, i, n_batches)
            return jax.tree.map(lambda o, b: o.at[i].set(b), out, batch)

        like = jax.eval_shape(lambda: source.batches(window, key, start, 0, n_batches))
        return jax.lax.fori_loop(0, n, body, jax.tree.map(lambda a: jnp.zeros((LONGEST, *a.shape), a.dtype), like))

    return chunk


def run(source, windows, n_batches=2):
    """All batches of consecutive windows."""
    chunk, start, out = chunk_of(source, n_batches), 0, []
    for n in windows:
        got = chunk(source.window(KEY, start, n, n_batches), KEY, start, n)
        out.append(jax.tree.map(lambda a, n=n: np.asarray(a[:n]), got))
        start += n
    assert chunk._cache_size() == 1
    return jax.tree.map(lambda *a: np.concatenate(a), *out)


def assert_equal(a, b):
    assert jax.tree.structure(a) == jax.tree.structure(b)
    jax.tree.map(np.testing.assert_array_equal, a, b)


def test_batches_do_not_depend_on_windows_nor_on_residence():
    held, lazy = both()
    whole = run(held, [21])
    for windows in ([1] * 21, [3] * 7, [7] * 3, [1, 7, 3, 3, 7]):
        assert_equal(whole, run(held, windows))
        assert_equal(whole, run(lazy, windows))


def test_every_epoch_holds_each_example_once_in_an_order_of_its_own():
    ids = run(data.resident(IMAGES, B, data.to_unit()), [23]).id.reshape(-1)
    epochs = ids[: len(ids) // N * N].reshape(-1, N)
    assert len(epochs) >= 8
    assert (np.sort(epochs, axis=1) == np.arange(N)).all()
    assert len({tuple(e) for e in epochs.tolist()}) == len(epochs)


def test_a_batch_holds_the_examples_its_ids_name():
    for source in both(data.to_levels()):
        b = run(source, [6])
        np.testing.assert_array_equal(b.x, IMAGES.x[b.id])
        np.testing.assert_array_equal(b.y, IMAGES.y[b.id])
        assert (b.mask, b.event_mask) == (None, None)


@pytest.mark.slow
def test_the_step_divides_into_minibatches_of_one_sequence():
    source = data.resident(IMAGES, B, data.binarize())
    single, triple = run(source, [6], n_batches=1), run(source, [2], n_batches=3)
    assert_equal(jax.tree.map(lambda a: a[:, 0], single), jax.tree.map(lambda a: a.reshape(6, *a.shape[2:]), triple))


def test_order_is_rng_order_under_the_roots_stream():
    b = data.resident(IMAGES, B, data.to_unit()).batch(KEY, 40)
    want = rng.order(rng.named(KEY, "order"), np.arange(40 * B, 41 * B, dtype=np.uint32), N)
    np.testing.assert_array_equal(b.id, want)


def test_another_key_gives_another_order_and_the_same_key_the_same():
    for source in both():
        first, other, again = (source.batch(jax.random.key(k), 5) for k in (3, 4, 3))
        assert (first.id != other.id).any()
        assert_equal(first, again)


def test_event_masks_travel_with_their_examples():
    held, read = (run(source, (2, 5)) for source in both(KEPT, MASKED))
    for a, b in zip(held, read, strict=True):
        np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(held.event_mask, MASKED.event_mask[held.id])
    np.testing.assert_array_equal(held.x, MASKED.x[held.id])
    got = list(data.once(MASKED, B))
    mask = np.concatenate([b.mask for b in got])
    np.testing.assert_array_equal(np.concatenate([b.event_mask for b in got])[mask], MASKED.event_mask)
    assert not np.concatenate([b.event_mask for b in got])[~mask].any()
    some = data.take(MASKED, np.array([3, 0]))
    np.testing.assert_array_equal(some.event_mask, MASKED.event_mask[[3, 0]])
    np.testing.assert_array_equal(data.take(data.part(records(MASKED), np.arange(5, 9)), np.arange(2)).event_mask,
                                  MASKED.event_mask[5:7])  # fmt: skip


def test_unlabelled_images():
    for source in both(images=IMAGES._replace(y=None)):
        assert source.batch(KEY, 0).y is None


def test_steps_out_of_order_and_far_away():
    held, lazy = both()
    for step in (7, 2, 2, 3, 500_000_000):
        assert_equal(held.batch(KEY, step), lazy.batch(KEY, step))


def test_batch_is_the_batch_of_the_compiled_loop_and_compiles_once():
    for source in both(data.to_unit()):
        steps = run(source, [5], n_batches=1)
        for step in range(5):
            assert_equal(source.batch(KEY, step), jax.tree.map(lambda a, step=step: a[step, 0], steps))
        assert jax.jit(source.batches, static_argnums=4)._cache_size() == 1


def test_transforms_draw_anew_in_every_minibatch():
    grey = data.Examples(np.full((B, 8, 8, 1), 128, np.uint8))
    x = run(data.resident(grey, B, data.binarize()), [10], n_batches=2).x.reshape(20, -1)
    assert len({row.tobytes() for row in x}) == 20


def test_streaming_reads_ahead_and_carries_on_without_reopening():
    log = []
    source = data.streamed(records(log=log), B, data.to_unit(), capacity=4, n_threads=1)
    first = source.window(KEY, 0, 2, 1)
    assert first.x.shape == (4, 1, B, 3, 5, 2)
    assert not first.x[2:].any()
    for start in range(2, 10):
        source.window(KEY, start, 1, 1)
    assert set(log) == {B}
    assert len(log) <= 10 + 33  # each minibatch once, and the buffer


def test_the_capacity_follows_the_size_of_a_minibatch():
    assert both()[0].capacity is None
    assert both()[1].capacity == module.MAX_CAPACITY
    large = data.Lazy(100, (1024, 1024, 3), lambda i: pytest.fail("read"))
    assert data.streamed(large, 8, data.to_unit()).capacity == 2
    assert data.streamed(large, 80, data.to_unit()).capacity == 1
    with pytest.raises(ValueError, match="capacity"):
        data.streamed(large, 80, data.to_unit()).window(KEY, 0, 2, 1)


def test_an_unreadable_example_is_reported_and_the_next_window_works():
    broken = {"yes": True}

    def read(indices):
        if broken["yes"]:
            raise UsageError("b.png: cannot be read")
        return data.take(IMAGES, indices)

    source = data.streamed(data.Lazy(N, (3, 5, 2), read), B, data.to_unit())
    with pytest.raises(DataFailure, match=r"b\.png"):
        source.window(KEY, 0, 1, 1)
    broken["yes"] = False
    assert_equal(source.batch(KEY, 0), data.resident(IMAGES, B, data.to_unit()).batch(KEY, 0))


@pytest.mark.parametrize("batch_size", [0, -1, N + 1])
def test_a_batch_size_out_of_range_is_refused(batch_size):
    for part in (IMAGES, records()):
        with pytest.raises(UsageError, match=rf"batch_size={batch_size} must lie in 1 \.\.\. 23"):
            data.make_source(part, batch_size)


def test_make_source_chooses_and_scales_to_unit():
    assert data.make_source(IMAGES, B).capacity is None
    lazy = data.make_source(records(), B)
    assert lazy.capacity is not None
    assert 0 <= float(lazy.batch(KEY, 0).x.min()) <= float(lazy.batch(KEY, 0).x.max()) <= 1


def test_once_gives_every_example_once_in_order():
    for part in (IMAGES, records()):
        got = list(data.once(part, B))
        assert [b.x.shape for b in got] == [(B, 3, 5, 2)] * 6
        mask = np.concatenate([b.mask for b in got])
        assert mask.sum() == N
        np.testing.assert_array_equal(np.concatenate([b.x for b in got])[mask], IMAGES.x)
        np.testing.assert_array_equal(np.concatenate([b.y for b in got])[mask], IMAGES.y)
        np.testing.assert_array_equal(np.concatenate([b.id for b in got])[mask], np.arange(N))
        assert not np.asarray(got[-1].x[3:]).any()


@pytest.mark.slow
@pytest.mark.realdata
def test_real_records_stream_in_the_resident_order(tfds_dir):
    held, lazy = (data.load("mnist", data_dir=tfds_dir, stream=s).train for s in (False, True))
    held, lazy = (data.make_source(p, 128, data.dequantize()) for p in (held, lazy))
    for step in (0, 1, 700):
        assert_equal(held.batch(KEY, step), lazy.batch(KEY, step))


def test_a_streamed_folder_equals_the_held_one(tmp_path):
    from PIL import Image

    for i in range(9):
        Image.fromarray(np.random.default_rng(i).integers(0, 256, (8, 6, 3), np.uint8)).save(tmp_path / f"{i}.png")
    held, lazy = (data.make_source(data.load(tmp_path, stream=s).train, B) for s in (False, True))
    for step in range(4):
        assert_equal(held.batch(KEY, step), lazy.batch(KEY, step))
