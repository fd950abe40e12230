"""Generated samples beside the training examples that are nearest to them: is it a copy?"""

import jax
import numpy as np

from genjax import data
from genjax.data import Dataset, Examples
from genjax.domains.contract import Domain
from genjax.errors import UsageError
from genjax.metrics.neighbours import nearest_neighbours
from genjax.metrics.spaces import Space
from genjax.report import words
from genjax.report.pictures import Figure, Row, spread

N_SHOWN, N_COMPARED = 10, 128
"""Examples in a line; test examples whose distances say what is far."""
N_VALUES, N_FEATURES = 2**26, 10_000
"""Training values that are searched at most, and training examples whose features are; evenly spaced ones of a larger
set. MNIST is searched whole in pixels (2.5 s on two cores) and takes 2.5 s for the features of so many."""


def figure(samples: Examples, dataset: Dataset, domain: Domain) -> Figure | None:
    """A line of samples, and below it of each the nearest training example: in numbers, and in features if there are.

    Args:
        samples: as they are stored.
        dataset: the run's. Its test part, else its validation part, says how far new real examples are.
        domain: of the data.

    Returns:
        None where the data are not compared by their nearest, or not in memory.
    """
    if not isinstance(dataset.train, Examples) or "features" not in domain.kinds:
        return None
    spec = dataset.spec
    train = spread(dataset.train, max(1, N_VALUES // int(np.prod(spec.shape))))
    unseen = dataset.test if dataset.test is not None else dataset.validation
    compared = [samples, *([] if unseen is None else [spread(unseen, N_COMPARED)])]
    near = nearest_neighbours(
        np.concatenate([domain.vector(part, spec) for part in compared]), domain.vector(train, spec)
    )
    n, n_samples = min(N_SHOWN, len(samples.x)), len(samples.x)
    shown = _some(samples, slice(n))
    rows = [Row("generated", shown), Row(f"nearest in {domain.compared}", _some(train, near.index[:n, 0]))]
    searched = {domain.compared: len(train.x)}
    if (space := _space(dataset, domain)) is not None:
        some = spread(dataset.train, min(N_FEATURES, len(train.x)))
        index = nearest_neighbours(space.rows("features", shown), space.rows("features", some)).index[:, 0]
        rows.append(Row(f"nearest in features ({space.name})", _some(some, index)))
        searched["features"] = len(some.x)
    if domain.abreast == 1:  # each with its own nearest
        rows = [Row(row.label, _some(row.examples, slice(i, i + 1))) for i in range(n) for row in rows]
    distance = near.distance[:, 0]
    far = float(np.median(distance[n_samples:])) if len(distance) > n_samples else 0.0
    ratio = float(np.median(distance[:n_samples])) / far if far > 0 else None
    text = words.neighbours(searched, data.size(dataset.train), ratio, domain.compared)
    show = lambda examples, ncols, close: domain.show(examples, spec, ncols, close)  # noqa: E731
    return Figure("neighbours", "Nearest training images", text, tuple(rows), show)


def _some(examples: Examples, places: slice | np.ndarray) -> Examples:
    return jax.tree.map(lambda v: v[places], examples._replace(y=None))


def _space(dataset: Dataset, domain: Domain) -> Space | None:
    """The data set's own feature net; None where it has none, or none that can be read."""
    try:
        space = domain.space("", dataset.spec)
    except UsageError:
        return None
    return space if space.sha256 else None
