"""Randomness as a function of (seed, stream name, step).

Keys are typed, derived with `fold_in`, and never stored: a run can be resumed at any step because its randomness is
a function of that step. A new consumer takes a new name and shifts nobody.
"""

import functools
import zlib

import jax
import jax.extend.random
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Int, Integer, UInt32

from genjax.types import Key

N_ROUNDS = 8
"""Feistel rounds of `order`; four already pass the uniformity tests for the sizes tested."""


def named(key: Key, name: str) -> Key:
    """The key of the stream `name`: a stable function of (key, name).

    Example:
        >>> root = jax.random.key(0)
        >>> bool((jax.random.key_data(named(root, "init")) == jax.random.key_data(named(root, "data"))).all())
        False
    """
    return jax.random.fold_in(key, zlib.crc32(name.encode()))


def at_step(key: Key, *position: int | Int[Array, ""]) -> Key:
    """The key at a position of a stream: a step, or (step, repeat, microbatch), folded in from left to right."""
    for p in position:
        key = jax.random.fold_in(key, p)
    return key


def part(key: Key, i: int | Int[Array, ""], n: int, size: int) -> Key:
    """A key that draws for part i of n what `key` draws for the examples at i, i + n, i + 2 n, ... of all `size`.

    Whatever is drawn from it, or from keys split off or folded from it, with an axis of size / n (the first such one)
    is that part of the draw which `key` makes with an axis of `size`, to the bit. Draws without such an axis differ
    from part to part.

    Args:
        key: a typed key of any implementation.
        i: which part, 0 <= i < n; may be traced.
        n: parts, a divisor of `size`.
        size: examples of the whole.

    Example:
        >>> key = jax.random.key(0)
        >>> whole, odd = jax.random.normal(key, (6, 2)), jax.random.normal(part(key, 1, 2, 6), (3, 2))
        >>> bool((odd == whole[1::2]).all())
        True
    """
    words = jnp.append(jax.random.key_data(key), jnp.asarray(i, jnp.uint32))
    return jax.random.wrap_key_data(words, impl=_part_impl(jax.random.key_impl(key), words.shape[0], n, size))


@functools.cache
def _part_impl(base, n_words: int, n: int, size: int):
    """The implementation of the keys of `part`: those of `base` followed by the part's number."""

    def with_number(keys, words):
        data = jax.random.key_data(keys)
        return jnp.concatenate([data, jnp.broadcast_to(words[-1:], (*data.shape[:-1], 1))], -1)

    def base_of(words):
        return jax.random.wrap_key_data(words[:-1], impl=base)

    def random_bits(words, bit_width: int, shape: tuple[int, ...]):
        dtype = jnp.dtype(f"uint{bit_width}")
        if size // n not in shape:
            return jax.random.bits(jax.random.fold_in(base_of(words), words[-1]), shape, dtype)
        axis = shape.index(size // n)
        whole = jax.random.bits(base_of(words), (*shape[:axis], size, *shape[axis + 1 :]), dtype)
        grouped = whole.reshape(*shape[: axis + 1], n, *shape[axis + 1 :])
        return lax.dynamic_index_in_dim(grouped, words[-1], axis + 1, keepdims=False)

    def seed(number):
        raise TypeError("keys of `rng.part` are made from a key, not from a seed.")

    return jax.extend.random.define_prng_impl(
        key_shape=(n_words,),
        seed=seed,
        split=lambda words, shape: with_number(jax.random.split(base_of(words), shape), words),
        random_bits=random_bits,
        fold_in=lambda words, data: with_number(jax.random.fold_in(base_of(words), data), words),
        name=f"{base} part of {n} over {size}",
        tag="part",
    )


def order(key: Key, positions, n: int) -> Array | np.ndarray:
    """Which example stands at each position of the endless shuffled sequence of epochs.

    Epoch e is the positions e*n ... e*n + n - 1 and holds each of 0 ... n-1 once, in an order of its own. The
    permutation is a keyed bijection (a generalised Feistel network on Z_a x Z_b with a*b >= n, and cycle walking for
    the fewer than a values beyond n), evaluated only where asked: no array of length n is ever made. NumPy
    positions give NumPy indices, traced or JAX positions give JAX indices, the same integers.

    Args:
        key: the stream's key, by itself the identity of the shuffle.
        positions: non-negative integers of any shape below 2**32, or a pair `(epoch, offset)` with
            0 <= offset < n, for sequences longer than that (see `positions_of`).
        n: number of examples, 1 <= n < 2**31.

    Returns:
        Indices 0 <= i < n, int32, of the positions' shape.

    Source:
        Black & Rogaway 2002, Ciphers with Arbitrary Finite Domains (generalised Feistel, cycle walking).

    Example:
        >>> sorted(order(jax.random.key(0), np.arange(10), 10).tolist())
        [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]
    """
    if not 1 <= n < 2**31:
        raise ValueError(f"n={n}: order needs 1 <= n < 2**31.")
    pair = positions if isinstance(positions, tuple) else (positions // np.uint32(n), positions % np.uint32(n))
    on_host = all(isinstance(p, np.ndarray | np.generic | int) for p in pair)
    words = jax.random.key_data(key).reshape(-1)
    a = int(np.ceil(np.sqrt(n)))
    b = -(-n // a)
    if on_host:
        words = np.asarray(words)
        epoch, offset = (np.asarray(p, np.uint32) for p in pair)
        with np.errstate(over="ignore"):
            seed = _seed(np, words, epoch)
            i = _permute(np, seed, offset, a, b)
            while (i >= n).any():
                i = np.where(i >= n, _permute(np, seed, i, a, b), i)
        return np.asarray(i, np.int32)
    epoch, offset = (jnp.asarray(p).astype(jnp.uint32) for p in pair)
    seed = _seed(jnp, words, epoch)

    def walk(i):
        return jnp.where(i >= n, _permute(jnp, seed, i, a, b), i)

    i = _permute(jnp, seed, offset, a, b)
    return lax.while_loop(lambda i: (i >= n).any(), walk, i).astype(jnp.int32)


def positions_of(minibatch: int | Integer[Array, ""], batch_size: int, n: int):
    """The positions m*B ... m*B + B - 1 of minibatch m as `(epoch, offset)`, free of overflow for n*B < 2**32."""
    xp = np if isinstance(minibatch, int | np.generic) else jnp
    m = xp.asarray(minibatch).astype(xp.uint32)
    n_, b_ = xp.uint32(n), xp.uint32(batch_size)
    within = (m % n_) * b_ + xp.arange(batch_size, dtype=xp.uint32)
    return (m // n_) * b_ + within // n_, within % n_


def _mix(xp, h: UInt32[Array, "*s"] | np.ndarray | np.uint32):
    """Murmur3's 32-bit finaliser: a bijection with full avalanche."""
    h = (h ^ (h >> xp.uint32(16))) * xp.uint32(0x85EBCA6B)
    h = (h ^ (h >> xp.uint32(13))) * xp.uint32(0xC2B2AE35)
    return h ^ (h >> xp.uint32(16))


def _seed(xp, words, epoch):
    """Key words and epoch hashed to one word per position."""
    h = _mix(xp, epoch + xp.uint32(0x9E3779B9))
    for i in range(words.shape[0]):
        h = _mix(xp, h ^ words[i]) + xp.uint32(0x9E3779B9)
    return h


def _permute(xp, seed, i, a: int, b: int):
    """One pass of the generalised Feistel network over Z_a x Z_b."""
    a_, b_ = xp.uint32(a), xp.uint32(b)
    left, right = i % a_, i // a_
    for r in range(0, N_ROUNDS, 2):
        left = (left + _mix(xp, seed + _mix(xp, right + xp.uint32(0x27D4EB2F * (r + 1) % 2**32))) % a_) % a_
        right = (right + _mix(xp, seed + _mix(xp, left + xp.uint32(0x27D4EB2F * (r + 2) % 2**32))) % b_) % b_
    return left + a_ * right
