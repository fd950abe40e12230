"""What a run carries from step to step, and the exponential moving average of its weights."""

from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from genjax.errors import UsageError
from genjax.types import Params, State


class Average(NamedTuple):
    """Moving averages of a player's parameters and of its float statistics."""

    params: Params
    state: State


class Player(NamedTuple):
    """One player: its parameters, its net state and perhaps a moving average."""

    params: Params
    state: State
    ema: Average | None = None


class TrainState(NamedTuple):
    """The state of a run at one step. With the seed and the configuration it determines all that follows."""

    step: Int[Array, ""]
    """Steps done; a scalar even for a population, so that `lax.cond` stays a branch."""
    players: dict[str, Player]
    opt: dict[str, Any]
    """Optax state of each move's name."""


@dataclass(frozen=True)
class Ema:
    """An exponential moving average with its half-life given in examples, so that the batch size does not change it.

    Args:
        half_life: examples after which a weight's share has halved, > 0.
        ramp_up: at most this share of the examples seen so far is the half-life, so that the first, poor weights
            are forgotten quickly; None for no ramp.

    Source:
        Karras et al. 2020, Analyzing and Improving the Image Quality of StyleGAN (half-life of 10k images);
        the ramp is that of StyleGAN2-ADA's public code (Karras et al. 2020, Training GANs with Limited Data).
    """

    half_life: float | int = 10_000.0
    ramp_up: float | int | None = 0.05

    def __post_init__(self):
        if not self.half_life > 0:
            raise ValueError(f"half_life={self.half_life} must be positive (examples).")
        if self.ramp_up is not None and not self.ramp_up > 0:
            raise ValueError(f"ramp_up={self.ramp_up} must be positive or None.")

    def decay(self, step: Int[Array, ""], examples_per_step: int) -> Float[Array, ""]:
        """The weight of the old average after `step` (from 1) steps, 0 <= decay < 1."""
        seen = step.astype(jnp.float32) * examples_per_step
        half_life = self.half_life if self.ramp_up is None else jnp.minimum(self.half_life, self.ramp_up * seen)
        return 0.5 ** (examples_per_step / jnp.maximum(half_life, 1e-8))

    def update(self, old: Average, player: Player, step: Int[Array, ""], examples_per_step: int) -> Average:
        """The average after a step; integer statistics are copied."""
        decay = self.decay(step, examples_per_step)

        def mix(average, new):
            if not jnp.issubdtype(new.dtype, jnp.floating):
                return new
            return (average + (1.0 - decay) * (new.astype(jnp.float32) - average)).astype(average.dtype)

        return jax.tree.map(mix, old, Average(player.params, player.state))


def evaluation(state: TrainState) -> tuple[Params, State]:
    """Parameters and net states to evaluate and sample with, over players: the moving average where there is one."""
    refuse_used(state)
    best = {name: player.ema or player for name, player in state.players.items()}
    return {n: p.params for n, p in best.items()}, {n: p.state for n, p in best.items()}


def is_used(tree: Any) -> bool:
    """Whether an array of a tree has been given away to a compiled program."""
    return any(
        isinstance(leaf, jax.Array) and not isinstance(leaf, jax.core.Tracer) and leaf.is_deleted()
        for leaf in jax.tree.leaves(tree)
    )


def refuse_used(tree: Any) -> None:
    """Refuse a state that training has used up.

    Raises:
        UsageError: an array of it was donated: its memory holds the state that came after it.
    """
    if is_used(tree):
        raise UsageError(
            "this state was donated to `train.fit` (or to a compiled step) and is used up: its memory went to the "
            "state that came back. Go on with that one: `fitted.state` of `fitted = train.fit(...)`."
        )
