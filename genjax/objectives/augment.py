"""Augmentations that a discriminator sees its data through."""

from collections.abc import Callable, Sequence
from typing import Any

import jax
import jax.numpy as jnp

from genjax.types import Augmentation, Key, PerExample, Running, State, UsageError

MOST = 0.8
"""Above this share the generator begins to learn the augmentations themselves."""


def ada(changes: Sequence[Callable[[Key, Any], Any]], target: float = 0.6, n: int = 500_000) -> Augmentation:
    """Adaptive discriminator augmentation: each change with probability p, and p follows how sure the discriminator is.

    p rises while the mean sign of its logits on real data is above the target, which says that it knows them by heart,
    and falls below it; it stays in [0, 0.8]. The logits must be those of single examples (`losses.nonsaturating`, say).

    Args:
        changes: `change(key, x) -> x` of a single example, differentiable in x; applied in order, independently. They
            leave it as it is as often as they make any other version of it, or the generator learns them.
        target: mean sign of the logits of real data that is aimed at, -1 to 1.
        n: examples over which p can go from 0 to 1.

    Source:
        Karras et al. 2020, Training Generative Adversarial Networks with Limited Data (target 0.6, 500k images; it
        adjusts p every four batches, here at every update by a quarter of that).
    """
    if not -1.0 < target < 1.0 or n < 1:
        raise UsageError(f"target={target}, n={n}: the target must lie between -1 and 1, n be at least 1.")

    def one(key: Key, x: Any, p):
        for i, change in enumerate(changes):
            k_whether, k_change = jax.random.split(jax.random.fold_in(key, i))
            x = jnp.where(jax.random.bernoulli(k_whether, p), change(k_change, x), x)
        return x

    def apply(keys, x, state: State):
        return jax.vmap(one, (0, 0, None))(keys, x, state["ada"]["p"])

    def observe(real_logits: PerExample) -> dict[str, Any]:
        return {"ada": {"sign": jnp.sign(real_logits)}}

    def update(state: State, observed: State, n_examples: int) -> State:
        return {"p": jnp.clip(state["p"] + jnp.sign(observed["sign"] - target) * (n_examples / n), 0.0, MOST)}

    return Augmentation(apply, {"ada": Running(lambda key: {"p": jnp.zeros((), jnp.float32)}, update)}, observe)


def mirror(key: Key, x):
    """An image (h, w, c), as it is or from right to left."""
    return jnp.where(jax.random.bernoulli(key), x[:, ::-1], x)


def quarter_turn(key: Key, x):
    """A square image turned by 0, 90, 180 or 270 degrees, each equally often; one that is not square by 0 or 180."""
    turns = [lambda x, k=k: jnp.rot90(x, k) for k in (range(4) if x.shape[0] == x.shape[1] else (0, 2))]
    return jax.lax.switch(jax.random.randint(key, (), 0, len(turns)), turns, x)


def translate(key: Key, x, most: float = 0.125):
    """An image moved by up to a share of its sides; its edge is mirrored in."""
    h, w = (max(1, round(most * side)) for side in x.shape[:2])
    at = jax.random.randint(key, (2,), 0, jnp.array([2 * h + 1, 2 * w + 1]))
    padded = jnp.pad(x, ((h, h), (w, w), (0, 0)), mode="reflect")
    return jax.lax.dynamic_slice(padded, (at[0], at[1], 0), x.shape)


def brightness(key: Key, x, sd: float = 0.2):
    """An image with a normal number added to all of it, in units of x."""
    return x + sd * jax.random.normal(key, ())


def contrast(key: Key, x, sd: float = 0.35):
    """An image whose distances to its mean are multiplied by a log-normal number."""
    centre = x.mean()
    return centre + (x - centre) * jnp.exp(sd * jax.random.normal(key, ()))
