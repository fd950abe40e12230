"""Images drawn from a model: the same for `genjax sample` and for what measures them."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Bool, Float32, Int32, UInt8

from genjax import progress, rng, viz
from genjax.train.distributed import say_once
from genjax.train.experiment import Experiment
from genjax.types import Key, Params, State

SLACK, CLIPPED = 26, 0.1
"""Levels beyond white or black that a normal pixel's mean may stray, and the share of values that may stray farther."""
CHUNK = 64
"""Images drawn at once. Fixed, so that the first n images of a seed do not depend on how many are asked."""


def noise_of(experiment: Experiment, n: int, seed: int = 0, temperature: float | int = 1.0) -> Any:
    """The noise of n samples of a model: that of the first n of a seed, however many are asked for.

    Args:
        experiment: its model is what the noise is of.
        n: how many.
        seed: same seed, same noise.
        temperature: 1 for samples of the model as it is, below it likelier ones: the standard deviation of latents.
    """
    key, noise = rng.named(jax.random.key(seed), "sample"), _noise(experiment, float(temperature))
    drawn = [jax.tree.map(np.asarray, noise(rng.at_step(key, first))) for first in range(0, n, CHUNK)]
    return jax.tree.map(lambda *v: np.concatenate(v)[:n], *drawn)


def length(noise: Any) -> int:
    """How many samples a tree of noise is of."""
    return len(jax.tree.leaves(noise)[0])


def generated(
    experiment: Experiment, params: Params, state: State, z: Any, label: Any = None
) -> UInt8[np.ndarray, "n h w c"]:
    """The images of noise z, rounded to 0 ... 255; of a conditional model with their labels (n,). What is not finite is
    hatched, see `viz.to_uint8`; `generated_and_finite` says of which images that is true."""
    return generated_and_finite(experiment, params, state, z, label)[0]


def generated_and_finite(
    experiment: Experiment, params: Params, state: State, z: Any, label: Any = None
) -> tuple[UInt8[np.ndarray, "n h w c"], Bool[np.ndarray, " n"]]:
    """`generated`, and for each image whether all that the model gave is finite."""
    parts, finite, far, n = [], [], [], length(z)
    for first in progress.counted(range(0, n, CHUNK), "images drawn", n, CHUNK):
        y = None if label is None else _filled(np.asarray(label[first : first + CHUNK], np.int32))
        made = np.asarray(_image_of(experiment)(params, state, _part(z, first), y))[: n - first]
        finite.append(np.isfinite(made).reshape(len(made), -1).all(1))
        far.append(outside(made))
        parts.append(viz.to_uint8(made))
    say_outside(float(np.mean(far)), experiment)
    return np.concatenate(parts), np.concatenate(finite)


def outside(images: Any) -> float:
    """Share of the values that lie beyond 0 ... 255 by more than `SLACK`; what is not finite is another matter."""
    images = np.asarray(images)
    return float((((images < -SLACK) | (images > 255 + SLACK)) & np.isfinite(images)).mean())


def say_outside(share: float, experiment: Experiment) -> bool:
    """Says, where it is so, that pictures are cut off; whether it did."""
    if share <= CLIPPED:
        return False
    name = experiment.transform.name or "the transform"
    say_once(
        f"{share:.0%} of the values drawn lie far outside 0 ... 255 and are clipped. The model's last layer does not "
        f"give the range that the inverse of {name} takes, or it has not learned it yet."
    )
    return True


def generated_points(
    experiment: Experiment, params: Params, state: State, z: Any, label: Any = None
) -> Float32[np.ndarray, "n h w c"]:
    """The points of noise z, in the data's own range; a VAE's are draws from p(x | z), with noise of a fixed key."""
    key, point = rng.named(jax.random.key(0), "points"), _point_of(experiment)
    parts, n = [], length(z)
    for first in range(0, n, CHUNK):
        y = None if label is None else _filled(np.asarray(label[first : first + CHUNK], np.int32))
        made = point(params, state, _part(z, first), y, rng.at_step(key, first))
        parts.append(np.asarray(made)[: n - first])
    return np.concatenate(parts)


SHARES = "by the shares of the reference"
"""How a class-conditional model is asked for what is measured, as a protocol says it."""


def by_shares(n: int, labels: np.ndarray, n_classes: int) -> Int32[np.ndarray, " n"]:
    """The labels of n images, with every class as often as `labels` have it, in an order that mixes them.

    Shares are rounded by the largest remainder (of equal ones the lower class), and the order depends on n alone: the
    same labels give the same ones each time.

    Example:
        >>> by_shares(5, np.array([0, 0, 0, 2]), 3).tolist()
        [0, 0, 0, 2, 0]
    """
    count = np.bincount(labels, minlength=n_classes)
    quota, left = np.divmod(n * count, count.sum())
    quota[np.argsort(-left, kind="stable")[: n - quota.sum()]] += 1
    place = rng.order(rng.named(jax.random.key(0), "labels"), np.arange(n, dtype=np.uint32), n)
    return np.repeat(np.arange(len(quota), dtype=np.int32), quota)[np.asarray(place)]


def labels_of(n: int, n_classes: int, label: int | None = None) -> Int32[np.ndarray, " n"] | None:
    """The labels of n images: all of one class, or the classes in turn; None for an unconditional model."""
    if not n_classes:
        return None
    in_turn = np.arange(n, dtype=np.int32) % n_classes
    return in_turn if label is None else np.full_like(in_turn, label)


def draw(
    experiment: Experiment, params: Params, state: State, n: int, seed: int = 0, label: int | np.ndarray | None = None,
    temperature: float | int = 1.0,
) -> tuple[UInt8[np.ndarray, "n h w c"], np.ndarray | None]:  # fmt: skip
    """n images of a model and their labels (n,), None for an unconditional one; rounded to 0 ... 255.

    Args:
        experiment: model and transform.
        params: over players.
        state: net states, likewise.
        n: how many.
        seed: same seed, same images, whatever n.
        label: the class of all, or of each (n,); without it a conditional model draws its classes in turn.
        temperature: of the noise; 1 is the model as it is.
    """
    labels = label if isinstance(label, np.ndarray) else labels_of(n, experiment.model.n_classes, label)
    z = noise_of(experiment, n, seed, temperature)
    return generated(experiment, params, state, z, labels), labels


@functools.lru_cache(16)
def _image_of(experiment: Experiment) -> Callable[..., Any]:
    """The compiled program from latents to pixels: one for all who draw from an experiment."""

    def image(params, state, z, y):
        return experiment.transform.inverse(experiment.model.generate(params, state, z, y))

    return jax.jit(image)


@functools.lru_cache(16)
def _point_of(experiment: Experiment) -> Callable[..., Any]:
    """The compiled program from latents to points, likewise."""

    def point(params, state, z, y, key):
        return experiment.model.draw(params, state, z, key, y)

    return jax.jit(point)


@functools.lru_cache(16)
def _noise(experiment: Experiment, temperature: float) -> Callable[[Key], Any]:
    """The compiled program of a chunk's noise."""
    return jax.jit(lambda key: experiment.model.noise(key, CHUNK, temperature))


def _part(z: Any, first: int) -> Any:
    return jax.tree.map(lambda v: _filled(v[first : first + CHUNK]), z)


def _filled(x: np.ndarray) -> np.ndarray:
    """A part of a chunk as a whole one, so that there is one program for all."""
    return np.concatenate([x, np.zeros((CHUNK - len(x), *x.shape[1:]), x.dtype)]) if len(x) < CHUNK else x


def draw_points(
    model: Any, params: Params, state: State, n: int, key: Key, temperature: float | int = 1.0, label: Any = None
) -> Float32[np.ndarray, "n h w c"]:
    """n points of a model of such, in its own range.

    A VAE's are draws from p(x | z): in the plane its noise can be told from the data's.

    Args:
        model: what draws them.
        params: over players.
        state: net states, likewise.
        n: how many.
        key: same key, same points.
        temperature: of the noise; 1 is the model as it is.
        label: (n,) of a conditional model; in turn without it.
    """
    return np.asarray(_drawn(model, params, state, n, *jax.random.split(key), temperature, label))


@functools.partial(jax.jit, static_argnames=("model", "n", "temperature"))
def _drawn(model, params, state, n, k_z, k_x, temperature, label):
    return model.draw(params, state, model.noise(k_z, n, temperature), k_x, label)
