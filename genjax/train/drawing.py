"""Images drawn from a model: the same for `genjax sample` and for what measures them."""

import math
from typing import Any

import jax
import numpy as np
from jaxtyping import Float32, UInt8

from genjax import rng, viz
from genjax.models import VAE
from genjax.models.labels import labels_for
from genjax.train.experiment import Experiment
from genjax.types import Key, Params, State

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


def draw_points(
    model: Any, params: Params, state: State, n: int, key: Key, temperature: float | int = 1.0
) -> Float32[np.ndarray, "n h w c"]:
    """n points of a model of such, in its own range.

    A VAE's are draws from p(x | z): in the plane its noise can be told from the data's. A conditional model draws its
    classes in turn.

    Args:
        model: a VAE, or one with `generate`.
        params: over players.
        state: net states, likewise.
        n: how many.
        key: same key, same points.
        temperature: standard deviation of the latents; 1 is the prior.
    """
    k_z, k_x = jax.random.split(key)
    y = labels_for(n, model.n_classes)

    @jax.jit
    def made(params, state, k_z, k_x):
        z = temperature * jax.random.normal(k_z, (n, model.z_dim))
        if not isinstance(model, VAE):
            return model.generate(params, state, z, y)
        return model.decode(params["vae"], state["vae"], z, y)[0].sample(k_x)

    return np.asarray(made(params, state, k_z, k_x))
