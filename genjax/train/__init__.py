"""Training: the step builder, the loop, and what makes a run a folder that can be resumed."""

from genjax.metrics.interval import interval
from genjax.train.config import Options, check, run_only, structure, value
from genjax.train.evalfile import read_eval
from genjax.train.experiment import Experiment
from genjax.train.extract import extract
from genjax.train.loop import Every, Fitted, Progress, fit
from genjax.train.members import Members, members_of
from genjax.train.opened import Run, load, open_members, open_run
from genjax.train.population import Population, Roots, Shares, member_of, population, shares
from genjax.train.record import read_metrics
from genjax.train.run import run
from genjax.train.state import Average, Ema, Player, TrainState, evaluation
from genjax.train.step import Move, Step, make_step

__all__ = [
    "Average",
    "Ema",
    "Every",
    "Experiment",
    "Fitted",
    "Members",
    "Move",
    "Options",
    "Player",
    "Population",
    "Progress",
    "Roots",
    "Run",
    "Shares",
    "Step",
    "TrainState",
    "check",
    "evaluation",
    "extract",
    "fit",
    "interval",
    "load",
    "make_step",
    "member_of",
    "members_of",
    "open_members",
    "open_run",
    "population",
    "read_eval",
    "read_metrics",
    "run",
    "run_only",
    "shares",
    "structure",
    "value",
]
