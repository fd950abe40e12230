"""Training: the step builder, the loop, populations and meshes. What keeps a run in a folder is in `genjax.runs`."""

from genjax.train.loop import Every, Fitted, Hooks, Progress, fit
from genjax.train.optimizer import only
from genjax.train.population import Population, Roots, Shares, member_of, population, shares
from genjax.train.resume import Resume
from genjax.train.state import Average, Ema, Player, TrainState, evaluation
from genjax.train.step import Move, Step, make_step

__all__ = [
    "Average",
    "Ema",
    "Every",
    "Fitted",
    "Hooks",
    "Move",
    "Player",
    "Population",
    "Progress",
    "Resume",
    "Roots",
    "Shares",
    "Step",
    "TrainState",
    "evaluation",
    "fit",
    "make_step",
    "member_of",
    "only",
    "population",
    "shares",
]
