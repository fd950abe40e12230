"""A classifier as a bundle of pure functions."""

from dataclasses import dataclass
from typing import Any

from jaxtyping import Array, Float

from genjax.types import Key, Net, Params, State, masked


@dataclass(frozen=True)
class Classifier:
    """p(y | x) = softmax of logits that are linear in features of x. The one player is `"classifier"`.

    Args:
        net: (batch, ...) data -> (features (batch, d), logits (batch, n_classes)).
        n_classes: number of classes.
    """

    net: Net
    n_classes: int

    def init(self, key: Key) -> tuple[Params, State]:
        params, state = self.net.init(key)
        return {"classifier": params}, {"classifier": state}

    def outputs(
        self, params: Params, state: State, x: Any, *, train: bool = False, key: Key | None = None, event_mask=None
    ) -> tuple[tuple[Float[Array, "batch d"], Float[Array, "batch k"]], State]:
        """Features and logits of x, and the net's state, from those of the player `"classifier"`."""
        return self.net.apply(params, state, x, train=train, key=key, **masked(event_mask))
