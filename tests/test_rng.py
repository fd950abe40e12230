import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.stats
from quick import few

from genjax import rng

STABLE = {
    "train": (2561911289, 2218184944),
    "order": (207560800, 2075697412),
    "at_step": (2743382686, 347703977),
    "order10": [4, 3, 2, 9, 8, 6, 0, 1, 5, 7],
    "order60000": [19548, 31204, 40896, 48533, 50650, 6354, 19873, 3224, 30606, 11711],
}

SIZES = [
    1,
    2,
    3,
    4,
    5,
    7,
    8,
    9,
    10,
    15,
    16,
    17,
    31,
    63,
    64,
    65,
    99,
    100,
    101,
    255,
    256,
    257,
    1000,
    1797,
    4095,
    6000,
    60_000,
]


def data(key):
    return tuple(np.asarray(jax.random.key_data(key)).tolist())


# Keys


def test_named_streams_are_stable():
    """These keys are part of the format of a run: if they change, no old run can be continued or repeated."""
    root = jax.random.key(0)
    assert data(rng.named(root, "train")) == STABLE["train"]
    assert data(rng.named(root, "order")) == STABLE["order"]
    assert data(rng.at_step(rng.named(root, "train"), 3, 1)) == STABLE["at_step"]


def test_named_streams_differ_by_name_and_by_key():
    roots = jax.random.key(0), jax.random.key(1)
    names = ("init", "train", "order", "transform", "samples", "eval", "")
    assert len({data(rng.named(root, name)) for root in roots for name in names}) == 14


def test_positions_of_a_stream_have_keys_of_their_own():
    root = jax.random.key(7)
    keys = {data(rng.at_step(root, s, r, m)) for s in range(6) for r in range(6) for m in range(6)}
    assert len(keys) == 216  # in particular (1, 2) is not (2, 1)


def test_at_step_folds_from_left_to_right_also_traced():
    root = jax.random.key(7)
    expected = jax.random.fold_in(jax.random.fold_in(root, 3), 5)
    assert data(rng.at_step(root, 3, 5)) == data(expected)
    assert data(jax.jit(rng.at_step)(root, jnp.int32(3), jnp.int32(5))) == data(expected)
    assert data(rng.at_step(root)) == data(root)


# The order of the data


@pytest.mark.parametrize("n", SIZES)
def test_every_epoch_holds_every_example_once(n):
    epochs = rng.order(jax.random.key(0), np.arange(3 * n), n).reshape(3, n)
    np.testing.assert_array_equal(np.sort(epochs, axis=1), np.broadcast_to(np.arange(n), (3, n)))
    assert epochs.dtype == np.int32


def test_every_size_up_to_300_is_a_bijection():
    key = jax.random.key(5)
    for n in range(1, 301):
        np.testing.assert_array_equal(np.sort(rng.order(key, np.arange(n), n)), np.arange(n))


@pytest.mark.parametrize("n", few([1, 2, 10, 257, 1797, 60_000], 1, 257, 60_000))
def test_numpy_jax_and_jit_give_the_same_integers(n):
    key = jax.random.key(3)
    positions = np.concatenate([np.arange(50), np.random.default_rng(0).integers(0, 2**31 - 1, 200)])
    host = rng.order(key, positions, n)
    assert isinstance(host, np.ndarray)
    device = rng.order(key, jnp.array(positions, jnp.uint32), n)
    assert isinstance(device, jax.Array)
    jitted = jax.jit(lambda k, p: rng.order(k, p, n))(key, jnp.array(positions, jnp.int32))
    for other in (device, jitted):
        assert other.dtype == jnp.int32
        np.testing.assert_array_equal(host, other)


def test_the_order_is_stable():
    """Part of the format of a run, as the named streams are."""
    assert rng.order(jax.random.key(0), np.arange(10), 10).tolist() == STABLE["order10"]
    assert rng.order(jax.random.key(1), np.arange(59_995, 60_005), 60_000).tolist() == STABLE["order60000"]


def test_one_position_at_a_time_is_the_same_order():
    key = jax.random.key(2)
    whole = rng.order(key, np.arange(40), 17)
    assert [int(rng.order(key, p, 17)) for p in range(40)] == whole.tolist()
    assert rng.order(key, np.arange(40).reshape(5, 8), 17).tolist() == whole.reshape(5, 8).tolist()


def test_epochs_and_keys_have_orders_of_their_own():
    n = 1000
    orders = [rng.order(jax.random.key(k), np.arange(e * n, (e + 1) * n), n) for k in range(4) for e in range(4)]
    # Two random permutations agree in Poisson(1) places; more than 12 has probability 1e-10 for a pair.
    agreements = [(orders[i] == orders[j]).sum() for i in range(16) for j in range(i)]
    assert max(agreements) <= 12
    assert 0.5 < np.mean(agreements) < 1.5


@pytest.mark.parametrize("n", [7, 10, 50])
def test_every_example_is_as_likely_at_every_place(n):
    """Chi-square of (place, example) counts over many epochs with a fixed key."""
    epochs = 200 * n
    orders = rng.order(jax.random.key(11), np.arange(epochs * n), n).reshape(epochs, n)
    counts = np.zeros((n, n))
    np.add.at(counts, (np.broadcast_to(np.arange(n), orders.shape), orders), 1)
    chi2 = np.square(counts - epochs / n).sum() / (epochs / n)
    # Rows and columns are fixed sums: (n - 1)^2 degrees of freedom, once scaled by (n - 1) / n.
    p = scipy.stats.chi2((n - 1) ** 2).sf(chi2 * (n - 1) / n)
    assert 1e-4 < p < 1 - 1e-4


def test_neighbours_in_the_order_are_unrelated():
    """Chi-square of the difference of successive examples, in 16 classes, and their serial correlation."""
    n = 60_000
    order = rng.order(jax.random.key(4), np.arange(n), n).astype(np.int64)
    classes = np.diff(order) % n * 16 // n
    p = scipy.stats.chisquare(np.bincount(classes, minlength=16)).pvalue
    assert 1e-4 < p < 1 - 1e-4
    correlation = np.corrcoef(order[:-1], order[1:])[0, 1]
    assert abs(correlation) < 5 / np.sqrt(n)
    assert abs(np.corrcoef(np.arange(n), order)[0, 1]) < 5 / np.sqrt(n)


def test_small_orders_reach_every_permutation():
    seen = {tuple(o) for o in rng.order(jax.random.key(9), np.arange(4 * 2000), 4).reshape(2000, 4).tolist()}
    assert len(seen) == 24


@pytest.mark.parametrize("n", [0, -1, 2**31])
def test_sizes_out_of_range_are_refused(n):
    with pytest.raises(ValueError, match=f"n={n}"):
        rng.order(jax.random.key(0), np.arange(3), n)


def test_the_largest_size_stays_in_range():
    n = 2**31 - 1
    i = rng.order(jax.random.key(0), np.arange(1000), n)
    assert ((i >= 0) & (i < n)).all()
    assert len(np.unique(i)) == 1000


# Minibatches


@pytest.mark.parametrize(
    ("batch_size", "n"), [(1, 1), (4, 10), (128, 60_000), (7, 7), (64, 1797), (100, 33), (4096, 2**20)]
)
def test_positions_equal_plain_integers_also_near_overflow(batch_size, n):
    for m in (0, 1, 2, n - 1, n, n + 1, 2**24, 2**31 - 1, 2**31, 2**32 - 1):
        expected = [divmod(m * batch_size + j, n) for j in range(batch_size)]
        if expected[-1][0] >= 2**32:
            continue
        for minibatch in (m, jnp.uint32(m)):
            epoch, offset = rng.positions_of(minibatch, batch_size, n)
            assert list(zip(epoch.tolist(), offset.tolist(), strict=True)) == expected


def test_minibatches_are_the_positions_in_sequence():
    key, batch_size, n = jax.random.key(6), 8, 30
    sequence = rng.order(key, np.arange(160), n).reshape(20, 8)
    for m in range(20):
        np.testing.assert_array_equal(rng.order(key, rng.positions_of(m, batch_size, n), n), sequence[m])
    traced = jax.jit(jax.vmap(lambda m: rng.order(key, rng.positions_of(m, batch_size, n), n)))(jnp.arange(20))
    np.testing.assert_array_equal(traced, sequence)


DRAWS = {
    "normal": lambda key, n: jax.random.normal(key, (n, 2, 3)),
    "uniform of a split": lambda key, n: jax.random.uniform(jax.random.split(key, 3)[1], (n,)),
    "bernoulli of a fold": lambda key, n: jax.random.bernoulli(jax.random.fold_in(key, 7), 0.3, (n, 5)),
    "integers": lambda key, n: jax.random.randint(key, (n,), 0, 1000),
    "categorical": lambda key, n: jax.random.categorical(key, jnp.zeros((n, 9))),
    "samples first": lambda key, n: jax.random.normal(rng.named(key, "z"), (5, n, 2)),
}


@pytest.mark.parametrize("impl", few(["threefry2x32", "rbg"], "threefry2x32"))
@pytest.mark.parametrize("name", DRAWS)
def test_the_parts_of_a_draw_are_the_whole_draw(name, impl):
    draw, n, size = DRAWS[name], 3, 12
    whole = np.asarray(draw(jax.random.key(2, impl=impl), size))
    axis = whole.shape.index(size)
    one = jax.jit(lambda i: draw(rng.part(jax.random.key(2, impl=impl), i, n, size), size // n))
    for i in range(n):
        np.testing.assert_array_equal(one(i), np.take(whole, np.arange(i, size, n), axis))


def test_draws_of_no_axis_of_examples_differ_from_part_to_part():
    keys = [rng.part(jax.random.key(0), i, 3, 12) for i in range(3)]
    for shape in ((), (7,), (3, 5)):
        assert len({np.asarray(jax.random.normal(k, shape)).tobytes() for k in map(jax.random.clone, keys)}) == 3
