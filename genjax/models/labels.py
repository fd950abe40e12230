"""Labels to sample with."""

import jax.numpy as jnp


def labels_for(n: int, n_classes: int, y=None):
    """`y` if given, else 0, 1, 2, ... in turn for a conditional model, else None."""
    if y is not None or n_classes == 0:
        return y
    return jnp.arange(n, dtype=jnp.int32) % n_classes
