"""From a recipe and its members to a population that `fit` trains."""

import dataclasses
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp

from genjax.errors import UsageError
from genjax.runs.members import Members, with_traced
from genjax.train.experiment import Experiment
from genjax.train.population import Population, Roots
from genjax.train.state import TrainState


def populated(experiment: Experiment, members: Members, build: Callable[[Any], Experiment]) -> Experiment:
    """An experiment with the step of all members.

    Args:
        experiment: that of member 0.
        members: who they are.
        build: `build(cfg) -> Experiment`; called with each point's numbers, so that every value is checked by the
            constructors too, and with traced ones.

    Raises:
        UsageError: a constructor refuses a value, or the recipe decides something by a swept field.
    """
    if not members.sweep:
        return dataclasses.replace(experiment, step=Population(experiment.step, members.n))
    for point in members.points[1:]:
        build(dataclasses.replace(members.configs[0], **point))

    def step_of(values: dict[str, Any]) -> Any:
        return build(with_traced(members.configs[0], values)).step

    try:
        jax.eval_shape(lambda values: step_of(values) and None, jax.tree.map(lambda v: v[0], roots_of(members).values))
    except (jax.errors.ConcretizationTypeError, jax.errors.TracerIntegerConversionError) as e:
        fields = ", ".join(members.sweep)
        raise UsageError(
            f"--sweep: the recipe decides something by the value of {fields}, so it cannot be one program for all "
            "values. Mark such a field as structural, or compute with it in jnp."
        ) from e
    return dataclasses.replace(experiment, step=Population(experiment.step, members.n, step_of))


def roots_of(members: Members) -> Roots:
    """The members' seeds and swept numbers on the device."""
    seeds = jnp.asarray([c.seed for c in members.configs], jnp.int32)
    kind = {int: jnp.int32, float: jnp.float32}
    return Roots(seeds, {f: jnp.asarray(v, kind[type(v[0])]) for f, v in members.columns().items()})


def like_all(like: TrainState, n: int) -> TrainState:
    """Shapes of n members' states from those of one."""
    wide = jax.tree.map(lambda v: jax.ShapeDtypeStruct((n, *v.shape), v.dtype), like)
    return wide._replace(step=like.step)
