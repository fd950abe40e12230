"""Points in the plane with known modes: narrow Gaussians on a ring or a grid, for `metrics.mode_coverage`."""

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from genjax.data.examples import Dataset, Examples, dataset

N_TRAIN, N_TEST, SEED = 50_000, 10_000, 0
REACH = 0.75
"""The centres lie between -REACH and REACH along each axis: inside the range of a tanh."""


class Mixture(NamedTuple):
    """Equally likely normal distributions of one standard deviation in every direction."""

    centers: Float64[np.ndarray, "k 2"]
    sd: float

    def draw(self, n: int, seed: int) -> Examples:
        """n points, (n, 1, 1, 2) float32, labelled by mode, the same for a seed."""
        # The legacy generator's streams are frozen by NumPy's own policy; those of `default_rng` may change.
        random = np.random.RandomState(seed)
        label = random.randint(len(self.centers), size=n)
        points = self.centers[label] + self.sd * random.standard_normal((n, 2))
        return Examples(points.astype(np.float32).reshape(n, 1, 1, 2), label.astype(np.int32))


def ring(n_modes: int = 8, sd: float = 0.01, radius: float = REACH) -> Mixture:
    """Normals evenly spaced on a circle; `sd` in units of the radius.

    Source:
        Metz et al. 2017, Unrolled Generative Adversarial Networks: eight of them, standard deviation a hundredth of the
        radius.

    Example:
        >>> ring(4).centers.round(6).tolist()
        [[0.75, 0.0], [0.0, 0.75], [-0.75, 0.0], [-0.0, -0.75]]
    """
    angle = 2 * np.pi * np.arange(n_modes) / n_modes
    return Mixture(radius * np.stack([np.cos(angle), np.sin(angle)], axis=1), radius * sd)


def grid(side: int = 5, sd: float = 0.025, reach: float = REACH) -> Mixture:
    """Normals on a square of side x side points; `sd` in units of their spacing.

    Source:
        Lin et al. 2018, PacGAN: 25 of them two apart, standard deviation 0.05.

    Example:
        >>> mixture = grid(5)
        >>> len(mixture.centers), mixture.centers[0].tolist(), mixture.centers[1].tolist()
        (25, [-0.75, -0.75], [-0.75, -0.375])
    """
    at = np.linspace(-reach, reach, side)
    centers = np.stack(np.meshgrid(at, at, indexing="ij"), axis=-1).reshape(-1, 2)
    return Mixture(centers, 2 * reach / max(1, side - 1) * sd)


MIXTURES = {"ring": ring, "grid": grid}


def load_synthetic(name: str) -> Dataset:
    """`ring` or `grid` as published, scaled: 50,000 points for training and 10,000 for testing.

    Example:
        >>> d = load_synthetic("ring")
        >>> d.spec.shape, d.spec.n_classes, d.spec.n_train, d.train.x.dtype.name
        ((1, 1, 2), 8, 50000, 'float32')
    """
    mixture = MIXTURES[name]()
    train, test = mixture.draw(N_TRAIN, SEED), mixture.draw(N_TEST, SEED + 1)
    classes = [str(i) for i in range(len(mixture.centers))]
    return dataset(name, train, test, classes, domain="points", n_values=0)
