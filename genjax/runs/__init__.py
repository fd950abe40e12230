"""A run's folder and its life: from a recipe and its data to a folder that can be continued, opened and extracted.

A recipe uses `Experiment`, `value`, `structure`, `run_only`, `check` and `run`; a notebook `load` and `read_metrics`.
"""

from genjax.runs.config import Options, check, run_only, structure, value
from genjax.runs.extract import extract
from genjax.runs.members import Members, members_of
from genjax.runs.opening import Run, load, open_members, open_run
from genjax.runs.run import run
from genjax.runs.run_folder import read_metrics
from genjax.train.experiment import Experiment

__all__ = [
    "Experiment",
    "Members",
    "Options",
    "Run",
    "check",
    "extract",
    "load",
    "members_of",
    "open_members",
    "open_run",
    "read_metrics",
    "run",
    "run_only",
    "structure",
    "value",
]
