"""Training: the step builder, the loop, and what makes a run a folder that can be resumed."""

from genjax.train.config import Options, check, run_only, structure, value
from genjax.train.experiment import Experiment
from genjax.train.loop import Every, Fitted, Progress, fit
from genjax.train.record import read_metrics
from genjax.train.run import Run, load, open_run, run
from genjax.train.state import Average, Ema, Player, TrainState, evaluation
from genjax.train.step import Move, Step, make_step

__all__ = [
    "Average",
    "Ema",
    "Every",
    "Experiment",
    "Fitted",
    "Move",
    "Options",
    "Player",
    "Progress",
    "Run",
    "Step",
    "TrainState",
    "check",
    "evaluation",
    "fit",
    "load",
    "make_step",
    "open_run",
    "read_metrics",
    "run",
    "run_only",
    "structure",
    "value",
]
