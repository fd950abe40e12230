"""A move: whose parameters descend which loss, how, and how often."""

from dataclasses import dataclass
from typing import Any

import optax

from genjax.types import Objective


@dataclass(frozen=True)
class Move:
    """Descends `loss` in the parameters of one player, or of several together.

    Args:
        players: whose parameters move, a name or a tuple of names.
        loss: the objective; it sees the parameters of all players.
        tx: optax transformation; its state belongs to the move's name, and moves of one name share it. One that asks
            for the loss (a plateau, Polyak's step, a line search) gets it; see `genjax.train.optimizer`.
        name: default: the players joined by "+".
        every: run on the steps divisible by this (lazy regularisation); its metrics are NaN on the others.
        repeat: times a step, each on a minibatch of its own (critic steps).
        updates: name or names of the players whose returned net states are kept. Default: the movers.
        clip: global norm to which larger gradients are scaled down.
        skip_nonfinite: leave everything unchanged when the loss or a gradient is NaN or infinite.
        skip_above: the same when the gradient's global norm (before clipping) is above this.
        norms: report the global norms of gradient, update and parameters.

    Source:
        Skipping by gradient norm: Child 2021, Very Deep VAEs, its public code.
    """

    players: Any
    loss: Objective
    tx: optax.GradientTransformation
    name: str = ""
    every: int = 1
    repeat: int = 1
    updates: Any = None
    clip: float | int | None = None
    skip_nonfinite: bool = False
    skip_above: float | int | None = None
    norms: bool = False

    def __post_init__(self):
        movers = _names(self.players)
        object.__setattr__(self, "players", movers)
        object.__setattr__(self, "name", self.name or "+".join(movers))
        object.__setattr__(self, "updates", movers if self.updates is None else _names(self.updates))
        for what in ("every", "repeat"):
            if getattr(self, what) < 1:
                raise ValueError(f"Move {self.name!r}: {what}={getattr(self, what)} must be at least 1.")

    @property
    def guarded(self) -> bool:
        """Whether an update may be skipped."""
        return self.skip_nonfinite or self.skip_above is not None


def _names(players) -> tuple[str, ...]:
    return (players,) if isinstance(players, str) else tuple(players)
