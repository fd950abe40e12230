"""Images drawn from a model: the same for `genjax sample` and for what measures them."""

import math

import jax
import numpy as np
from jaxtyping import UInt8

from genjax import rng, viz
from genjax.train.experiment import Experiment
from genjax.types import Params, State

CHUNK = 64
"""Images drawn at once. Fixed, so that the first n images of a seed do not depend on how many are asked."""


def draw(
    experiment: Experiment, params: Params, state: State, n: int, seed: int = 0, label: int | None = None,
    temperature: float | int = 1.0,
) -> tuple[UInt8[np.ndarray, "n h w c"], np.ndarray | None]:  # fmt: skip
    """n images of a model and their labels (n,), None for an unconditional one; rounded to 0 ... 255.

    Args:
        experiment: model and transform.
        params: over players.
        state: net states, likewise.
        n: how many.
        seed: same seed, same images, whatever n.
        label: the class of all; without it a conditional model draws its classes in turn.
        temperature: standard deviation of the latents; 1 is the prior.
    """
    model, n_classes = experiment.model, experiment.model.n_classes
    key = rng.named(jax.random.key(seed), "sample")

    @jax.jit
    def chunk(params, state, key, y):
        if temperature == 1:
            drawn = model.sample(params, state, key, CHUNK, y)
        else:
            drawn = model.generate(params, state, temperature * jax.random.normal(key, (CHUNK, model.z_dim)), y)
        return experiment.transform.inverse(drawn)

    padded = math.ceil(n / CHUNK) * CHUNK
    labels = None
    if n_classes:
        in_turn = np.arange(padded, dtype=np.int32) % n_classes
        labels = in_turn if label is None else np.full_like(in_turn, label)
    images = []
    for first in range(0, padded, CHUNK):
        y = None if labels is None else labels[first : first + CHUNK]
        images.append(viz.to_uint8(chunk(params, state, rng.at_step(key, first), y)))
    return np.concatenate(images)[:n], None if labels is None else labels[:n]
