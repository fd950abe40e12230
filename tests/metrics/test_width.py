"""64-bit mode changes no metric by more than rounding, and breaks none."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from quick import few

from genjax import distributions, metrics

R = np.random.default_rng(0)
X, Y = R.standard_normal((120, 16), np.float32), 1.2 * R.standard_normal((100, 16), np.float32)
IMAGES, OTHERS = R.integers(0, 255, (60, 8, 8, 1), np.uint8), R.integers(0, 200, (50, 8, 8, 1), np.uint8)
LABELS = np.arange(100) % 3


def net():
    return metrics.feature_net("digits")


def key():
    return jax.random.key(0)


FUNCTIONS = {
    "frechet_distance": lambda: metrics.frechet_distance(X, Y),
    "frechet_infinity": lambda: metrics.frechet_infinity(X, Y, key(), 5),
    "frechet_per_class": lambda: metrics.frechet_per_class(X[:100], LABELS, Y, LABELS).mean,
    "kernel_distance": lambda: metrics.kernel_distance(X, Y),
    "kernel_distance_subsets": lambda: metrics.kernel_distance_subsets(X, Y, key(), 5, 40),
    "prdc": lambda: metrics.prdc(X, Y),
    "mind": lambda: metrics.mind(X, Y, key()),
    "sliced_wasserstein": lambda: metrics.sliced_wasserstein(X, Y, key()),
    "inception_score": lambda: metrics.inception_score(Y, 5, key()),
    "nearest_neighbours": lambda: metrics.nearest_neighbours(X, Y, 3).distance,
    "authenticity": lambda: metrics.authenticity(X, Y).share,
    "held_out_gap": lambda: metrics.held_out_gap(lambda x: x[:, 0], X, Y)[:5],
    "sharpness": lambda: metrics.sharpness(OTHERS, IMAGES),
    "radial_spectrum": lambda: metrics.radial_spectrum(IMAGES).power,
    "features": lambda: net().features(IMAGES),
    "class_accuracy": lambda: metrics.class_accuracy(IMAGES, np.arange(60) % 10, net().logits).accuracy,
    "mode_coverage": lambda: metrics.mode_coverage(X, Y[:4], 1.0)[:4],
    "stacked_coverage": lambda: metrics.stacked_coverage(np.repeat(IMAGES, 3, 3), net().logits)[:3],
    "half_samples": lambda: metrics.half_samples(lambda i: {"a": float(X[i].mean())}, 120, key())["a"],
    "active_units": lambda: metrics.active_units(jnp.asarray(X)),
    "aggregate_posterior": lambda: metrics.aggregate_posterior(
        distributions.Normal(jnp.asarray(X), jnp.zeros((120, 16), jnp.float32)), key()
    ),
    "kl_per_dimension": lambda: metrics.kl_per_dimension(distributions.Normal(jnp.asarray(X), jnp.zeros_like(X))),
}


@pytest.mark.parametrize("name", few(FUNCTIONS, next(iter(FUNCTIONS))))
def test_a_metric_in_64_bit_mode_is_that_of_32(name):
    with jax.debug_key_reuse(False):
        narrow = FUNCTIONS[name]()
        with jax.enable_x64(True):
            wide = FUNCTIONS[name]()
    for a, b in zip(jax.tree.leaves(narrow), jax.tree.leaves(wide), strict=True):
        np.testing.assert_allclose(np.asarray(b), np.asarray(a), rtol=1e-5, atol=1e-6)
