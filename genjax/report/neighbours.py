"""Generated images beside the training images that are nearest to them: is it a copy?"""

import numpy as np

from genjax import data
from genjax.data import Dataset, Examples
from genjax.errors import UsageError
from genjax.metrics.neighbours import nearest_neighbours
from genjax.metrics.spaces import PIXELS, Space, space_of
from genjax.report import words
from genjax.report.pictures import Figure, Row, spread

N_SHOWN, N_COMPARED = 10, 128
"""Images in a line; test images whose distances say what is far."""
N_VALUES, N_FEATURES = 2**26, 10_000
"""Training values that are searched at most, and training images whose features are; evenly spaced ones of a larger
set. MNIST is searched whole in pixels (2.5 s on two cores) and takes 2.5 s for the features of so many."""


def figure(samples: np.ndarray, dataset: Dataset) -> Figure | None:
    """A line of samples, and below it of each the nearest training image: in pixels, and in features where there are.

    Args:
        samples: uint8 (n, h, w, c).
        dataset: the run's. Its test part, else its validation part, says how far new real images are.

    Returns:
        None where the data are no images.
    """
    if not isinstance(dataset.train, Examples) or dataset.train.x.dtype != np.uint8:
        return None  # points in the plane
    train = spread(dataset.train, max(1, N_VALUES // int(np.prod(dataset.spec.shape)))).x
    unseen = dataset.test if dataset.test is not None else dataset.validation
    held = spread(unseen, N_COMPARED).x if unseen is not None else samples[:0]
    near = nearest_neighbours(np.concatenate([samples, held]), train)
    shown = samples[:N_SHOWN]
    rows = [Row("generated", shown), Row("nearest in pixels", train[near.index[: len(shown), 0]])]
    searched = {"pixels": len(train)}
    if (space := _space(dataset)) is not None:
        some = spread(dataset.train, min(N_FEATURES, len(train))).x
        index = nearest_neighbours(space.features(shown), space.features(some)).index[:, 0]
        rows.append(Row(f"nearest in features ({space.name})", some[index]))
        searched["features"] = len(some)
    distance = near.distance[:, 0]
    far = float(np.median(distance[len(samples) :])) if len(held) else 0.0
    ratio = float(np.median(distance[: len(samples)])) / far if far > 0 else None
    text = words.neighbours(searched, data.size(dataset.train), ratio)
    return Figure("neighbours", "Nearest training images", text, tuple(rows))


def _space(dataset: Dataset) -> Space | None:
    """The data set's own feature net; None where it has none, or none that can be read."""
    try:
        space = space_of("", dataset.spec.name, dataset.spec.shape)
    except UsageError:
        return None
    return None if space.name == PIXELS else space
