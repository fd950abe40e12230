"""Samples drawn from a model: the same for `genjax sample` and for what measures them."""

import functools
from collections.abc import Callable
from typing import Any

import jax
import numpy as np
from jaxtyping import Int32

from genjax import progress, rng
from genjax.data import Examples, Spec
from genjax.domains.contract import Domain, Finished
from genjax.train.distributed import say_once
from genjax.train.experiment import Experiment
from genjax.types import Key, Params, State

CLIPPED = 0.1
"""Share of the values of samples that may lie far outside of what can be stored."""
CHUNK = 64
"""Samples drawn at once. Fixed, so that the first n of a seed do not depend on how many are asked."""


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


def sampler(experiment: Experiment, domain: Domain) -> Callable[..., Any]:
    """`f(params, state, noise, y, key) -> x`: what the transform's inverse makes of samples, to be finished.

    The key is for the noise of p(x | z), which a domain may leave out of its samples.
    """
    model, inverse = experiment.model, experiment.transform.inverse

    def sample(params, state, noise, y, key):
        mean = domain.drawn == "mean"
        x = model.generate(params, state, noise, y) if mean else model.draw(params, state, noise, key, y)
        return x if domain.as_is else inverse(x)

    return sample


def generated(
    experiment: Experiment, domain: Domain, spec: Spec, params: Params, state: State, z: Any, label: Any = None
) -> Finished:
    """The samples of noise z as they are stored; of a conditional model with their labels (n,).

    What is not finite is marked as the domain does it. Noise of p(x | z), where the domain has it in its samples, is of
    a fixed key: the same z gives the same samples.
    """
    key, sample = rng.named(jax.random.key(0), domain.many), _sampler(experiment, domain)
    parts, n = [], length(z)
    for first in progress.counted(range(0, n, CHUNK), f"{domain.many} drawn", n, CHUNK):
        y = None if label is None else _filled(np.asarray(label[first : first + CHUNK], np.int32))
        made = np.asarray(sample(params, state, _part(z, first), y, rng.at_step(key, first)))
        parts.append(domain.finish(made[: n - first], spec))
    outside = float(np.mean([part.outside for part in parts]))
    say_outside(outside, experiment, domain)
    x, masks = np.concatenate([p.examples.x for p in parts]), [p.examples.event_mask for p in parts]
    event_mask = None if masks[0] is None else np.concatenate(masks)
    y = None if label is None else np.asarray(label, np.int32)
    return Finished(Examples(x, y, event_mask), np.concatenate([p.finite for p in parts]), outside)


def say_outside(share: float, experiment: Experiment, domain: Domain) -> bool:
    """Says, where it is so, that samples are cut off; whether it did."""
    if share <= CLIPPED:
        return False
    name = experiment.transform.name or "the transform"
    say_once(
        f"{share:.0%} of the values drawn lie far outside {domain.limits or 'the range of the data'} and are clipped. "
        f"The model's last layer does not give the range that the inverse of {name} takes, or it has not learned it "
        "yet."
    )
    return True


SHARES = "by the shares of the reference"
"""How a class-conditional model is asked for what is measured, as a protocol says it."""


def by_shares(n: int, labels: np.ndarray, n_classes: int) -> Int32[np.ndarray, " n"]:
    """The labels of n samples, with every class as often as `labels` have it, in an order that mixes them.

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
    """The labels of n samples: all of one class, or the classes in turn; None for an unconditional model."""
    if not n_classes:
        return None
    in_turn = np.arange(n, dtype=np.int32) % n_classes
    return in_turn if label is None else np.full_like(in_turn, label)


def draw(
    experiment: Experiment, domain: Domain, spec: Spec, params: Params, state: State, n: int, seed: int = 0,
    label: int | np.ndarray | None = None, temperature: float | int = 1.0,
) -> Finished:  # fmt: skip
    """n samples of a model, with the labels that they were asked for.

    Args:
        experiment: model and transform.
        domain: of the data.
        spec: of the data.
        params: over players.
        state: net states, likewise.
        n: how many.
        seed: same seed, same samples, whatever n.
        label: the class of all, or of each (n,); without it a conditional model draws its classes in turn.
        temperature: of the noise; 1 is the model as it is.
    """
    labels = label if isinstance(label, np.ndarray) else labels_of(n, experiment.model.n_classes, label)
    z = noise_of(experiment, n, seed, temperature)
    return generated(experiment, domain, spec, params, state, z, labels)


@functools.lru_cache(16)
def _sampler(experiment: Experiment, domain: Domain) -> Callable[..., Any]:
    """The compiled program from noise to samples: one for all who draw from an experiment."""
    return jax.jit(sampler(experiment, domain))


@functools.lru_cache(16)
def _noise(experiment: Experiment, temperature: float) -> Callable[[Key], Any]:
    """The compiled program of a chunk's noise."""
    return jax.jit(lambda key: experiment.model.noise(key, CHUNK, temperature))


def _part(z: Any, first: int) -> Any:
    return jax.tree.map(lambda v: _filled(v[first : first + CHUNK]), z)


def _filled(x: np.ndarray) -> np.ndarray:
    """A part of a chunk as a whole one, so that there is one program for all."""
    return np.concatenate([x, np.zeros((CHUNK - len(x), *x.shape[1:]), x.dtype)]) if len(x) < CHUNK else x


def at_once(
    model: Any, params: Params, state: State, n: int, key: Key, temperature: float | int = 1.0, label: Any = None
) -> Any:
    """n draws of a model in its own range, all in one program: for examples that are tiny.

    A VAE's are draws from p(x | z): its noise can be told from the data's.

    Args:
        model: what draws them.
        params: over players.
        state: net states, likewise.
        n: how many.
        key: same key, same samples.
        temperature: of the noise; 1 is the model as it is.
        label: (n,) of a conditional model; in turn without it.
    """
    return np.asarray(_drawn(model, params, state, n, *jax.random.split(key), temperature, label))


@functools.partial(jax.jit, static_argnames=("model", "n", "temperature"))
def _drawn(model, params, state, n, k_z, k_x, temperature, label):
    return model.draw(params, state, model.noise(k_z, n, temperature), k_x, label)
