"""A run's folder and its life: from a recipe and its data to a folder that can be continued, opened and extracted.

A recipe uses `Experiment`, one of `Config`, `VaeConfig`, `BetaVaeConfig`, `GanConfig` and `ProseConfig`, and for fields
of its own `sweepable`, `structural` and `resumable`; a notebook `load` and `read_metrics`.
"""

from genjax.runs.base_config import BetaVaeConfig, Config, GanConfig, ProseConfig, VaeConfig
from genjax.runs.config import Options, check, resumable, structural, sweepable
from genjax.runs.extract import extract
from genjax.runs.members import Members, members_of
from genjax.runs.opening import Run, load, open_members, open_run
from genjax.runs.run import run
from genjax.runs.run_folder import read_metrics
from genjax.train.experiment import Experiment

__all__ = [
    "BetaVaeConfig",
    "Config",
    "Experiment",
    "GanConfig",
    "Members",
    "Options",
    "ProseConfig",
    "Run",
    "VaeConfig",
    "check",
    "extract",
    "load",
    "members_of",
    "open_members",
    "open_run",
    "read_metrics",
    "resumable",
    "run",
    "structural",
    "sweepable",
]
