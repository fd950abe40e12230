"""Measuring a run: its checkpoints against real data, as records in the run's `eval.json`."""

from genjax.measure.eval_file import read_eval

__all__ = ["read_eval"]
