"""The space in which images are compared: a feature net's, or that of the pixels."""

from genjax.errors import UsageError
from genjax.metrics.features import SAME_AS, SHIPPED, feature_net
from genjax.metrics.table import Space, pixels

PIXELS = "pixels"


def space_of(name: str, dataset: str, shape: tuple[int, int, int]) -> Space:
    """The space that `--features` names.

    Args:
        name: a feature net, or `pixels`; empty for the data set's own net, and for pixels where it has none.
        dataset: the data set's name.
        shape: (h, w, c) of its images.

    Raises:
        UsageError: there is no such net, or it takes images of another shape.
    """
    own = SHIPPED.get(SAME_AS.get(dataset, dataset))
    if name == PIXELS or (not name and (own is None or own.shape != tuple(shape))):
        return pixels()
    net = feature_net(name or dataset)
    if net.shape is not None and tuple(net.shape) != tuple(shape):
        takes, has = ("x".join(map(str, s)) for s in (net.shape, shape))
        raise UsageError(f"--features={name}: takes images of {takes}, {dataset} has {has}. Try --features pixels.")
    return Space(net.name, net.sha256, net.features, net.logits)
