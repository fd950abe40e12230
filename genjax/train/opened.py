"""A run opened for use: its newest sealed state, the model and step its recipe builds. Neither data nor lock."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax

from genjax import data, sources
from genjax.checked import checked
from genjax.errors import UsageError
from genjax.train import code, record
from genjax.train.checkpoint import Checkpoints
from genjax.train.distributed import say_once
from genjax.train.experiment import Experiment
from genjax.train.members import Members, read_members
from genjax.train.populated import like_all
from genjax.train.population import member_of
from genjax.train.state import TrainState
from genjax.train.width import in_32_bits


class Run(NamedTuple):
    """A run's folder, opened for use."""

    path: Path
    name: str
    config: Any
    experiment: Experiment
    state: TrainState
    spec: data.Spec
    step: int
    members: Members | None = None
    """The population that this member is of."""
    member: int | None = None
    extra: dict[str, Any] = {}  # noqa: RUF012  (never mutated: NamedTuple default)
    """What the checkpoint holds besides the state."""
    recipe_sha256: str = ""
    """Of the recipe's files; empty where an older genjax kept no copy."""
    trained_by: str = ""
    """SHA-256 of the sources of the genjax that trained."""


@in_32_bits
def open_run(path: str | Path, step: int | None = None, member: int | None = None, trust: bool = False) -> Run:
    """Opens a run at its newest sealed checkpoint, or at `step`; needs neither its data nor its lock.

    It executes the run's own copy of its recipe, see `genjax.train.code`.

    Args:
        path: the run's folder.
        step: this checkpoint and no other.
        member: which member of a population; it comes as the run of its own that it equals.
        trust: execute the recipe although it neither ships with genjax nor was trained here by this user.

    Raises:
        UsageError: no run is there, it has no checkpoint yet, or its recipe is not whole or not trusted; or it is a
            population and no member of it was named, or one that has failed.
    """
    path = Path(path)
    if not path.is_dir():
        raise UsageError(f"RUN={path}: there is no such folder.")
    stored = record.read_config(path)
    if stored is None:
        raise UsageError(f"RUN={path}: not a run's folder, it has no {record.CONFIG}.")
    checked(stored, record.WHOLE, path / record.CONFIG)
    recipe = code.recipe_of(path, stored, trust)
    cfg = _config(recipe.Config, stored["config"], path)
    members = read_members(cfg, stored.get("population"))
    i = 0 if members is None else members.check(member, path)
    if members is not None:
        cfg = members.configs[i]
    elif member is not None:
        raise UsageError(f"--member={member}: {path} is a single run; leave --member out.")
    spec = data.spec_of(stored["data"])
    experiment = built(recipe.build, cfg, spec)
    like = jax.eval_shape(lambda key: experiment.step.init(experiment.model, key), jax.random.key(0))
    if members is not None:
        like = like_all(like, members.n)
    with Checkpoints(path / "checkpoints", read_only=True, on_message=say_once) as checkpoints:
        restored = checkpoints.restore(like, step)
    if restored is None:
        raise UsageError(f"RUN={path}: it has no finished checkpoint yet. Train it first, or a little longer.")
    name, step, state, extra = stored["experiment"], restored.step, restored.tree, restored.extra
    checked(extra, record.EXTRA, f"checkpoint {step} of {path}")
    if members is not None:
        if why := extra.get("failed", {}).get(str(i)):
            raise UsageError(f"--member={i}: {members.name(i)} of {path} has failed: {why}")
        state = member_of(state, i)
    recipe_sha256, trained_by = code.identity(stored)
    if trained_by and trained_by != sources.genjax_sha256():
        say_once(
            f"genjax: {path} was trained by another genjax (its sources differ): its model may compute otherwise now."
        )
    return Run(path, name, cfg, experiment, state, spec, step, members, member, extra, recipe_sha256, trained_by)


def load(path: str | Path, member: int | None = None, trust: bool = False) -> tuple[Any, TrainState, Any]:
    """`(model, state, config)` of a run, for notebooks; see `open_run`."""
    opened = open_run(path, member=member, trust=trust)
    return opened.experiment.model, opened.state, opened.config


def built(build: Callable[..., Experiment], cfg: Any, spec: data.Spec) -> Experiment:
    """Constructors' refusals are the configuration's."""
    try:
        return build(cfg, spec)
    except UsageError:
        raise
    except ValueError as e:
        raise UsageError(str(e)) from e


def _config(kind: type, stored: dict[str, Any], path: Path) -> Any:
    known = {f.name for f in dataclasses.fields(kind)}
    if unknown := sorted(set(stored) - known):
        raise UsageError(f"RUN={path}: its recipe no longer has the fields {', '.join(unknown)}.")
    fields = {f.name: f for f in dataclasses.fields(kind)}
    return kind(**{k: tuple(v) if isinstance(fields[k].default, tuple) else v for k, v in stored.items()})
