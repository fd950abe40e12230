"""Shifts and flips of raw pixels."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from genjax import data
from genjax.types import Batch


def pixels(n=200):
    x = np.zeros((n, 5, 6, 2), np.uint8)
    x[:, 2, 3] = 255
    return Batch(jnp.asarray(x), jnp.arange(n))


def test_every_shift_occurs_and_is_whole():
    batch = pixels()
    moved = np.asarray(data.shift(1)(jax.random.key(0), batch).x)
    assert moved.dtype == np.uint8
    places = {tuple(np.argwhere(image[..., 0])[0]) for image in moved}
    assert places == {(2 + i, 3 + j) for i in (-1, 0, 1) for j in (-1, 0, 1)}
    assert (moved.astype(int).sum((1, 2, 3)) == 510).all()


def test_zeros_enter_at_the_edges():
    batch = Batch(jnp.full((64, 4, 4, 1), 7, jnp.uint8))
    moved = np.asarray(data.shift(2)(jax.random.key(1), batch).x)
    rows = (moved[..., 0] > 0).any(2).sum(1)
    assert set(rows.tolist()) == {2, 3, 4}


def test_flip_mirrors_about_half_and_keeps_labels():
    batch = pixels()
    out = data.flip()(jax.random.key(0), batch)
    x = np.asarray(out.x)
    mirrored = x[:, 2, 2, 0] == 255
    assert (mirrored ^ (x[:, 2, 3, 0] == 255)).all()
    assert 70 < mirrored.sum() < 130
    assert out.y is batch.y


def test_they_keep_pixels_and_compose():
    transform = data.compose(data.shift(1), data.flip(), data.to_signed())
    x = transform(jax.random.key(0), pixels()).x
    assert x.dtype == jnp.float32
    assert set(np.unique(transform.inverse(x)).tolist()) == {0.0, 255.0}
    with pytest.raises(ValueError, match="most=-1"):
        data.shift(-1)
