"""Estimates what a step costs on a device that is not here, from the program itself. See `plan`."""

from genjax.plan.collectives import parse
from genjax.plan.planning import Memory, Paper, Plan, plan

__all__ = ["Memory", "Paper", "Plan", "parse", "plan"]
