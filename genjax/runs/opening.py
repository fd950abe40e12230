"""A run opened for use: its newest sealed state, the model and step its recipe builds. Neither data nor lock."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genjax import data, rng, sources
from genjax.checked import checked
from genjax.checkpoint.checkpoints import Checkpoints, Restored
from genjax.domains.contract import Domain
from genjax.errors import UsageError
from genjax.runs import recipe_code, run_folder
from genjax.runs.build_population import like_all
from genjax.runs.domain import domain_of
from genjax.runs.drawing import sampler
from genjax.runs.members import Members, read_members
from genjax.runs.width import in_32_bits
from genjax.train.distributed import say_once
from genjax.train.experiment import Experiment
from genjax.train.population import member_of
from genjax.train.resume import Resume
from genjax.train.state import TrainState, evaluation
from genjax.types import Batch


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
    resume: Resume = Resume()
    """What the checkpoint holds besides the state."""
    recipe_sha256: str = ""
    """SHA-256 of the recipe's files; empty where an older genjax kept no copy."""
    trained_by: str = ""
    """SHA-256 of the sources of the genjax that trained."""

    @property
    def domain(self) -> Domain:
        """What kind of data it is of."""
        return domain_of(self.spec, self.config)


@in_32_bits()
def open_run(path: str | Path, step: int | None = None, member: int | None = None, trust: bool = False) -> Run:
    """Opens a run at its newest sealed checkpoint, or at `step`; needs neither its data nor its lock.

    It executes the run's own copy of its recipe, see `genjax.runs.recipe_code`.

    Args:
        path: the run's folder.
        step: this checkpoint and no other.
        member: which member of a population; it comes as the run of its own that it equals.
        trust: execute the recipe although it neither ships with genjax nor was trained here by this user.

    Raises:
        UsageError: no run is there, it has no checkpoint yet, or its recipe is not whole or not trusted; or it is a
            population and no member of it was named, or one that has failed.
    """
    folder = _Folder.read(Path(path), trust)
    if folder.members is None and member is not None:
        raise UsageError(f"--member={member}: {path} is a single run; leave --member out.")
    i = 0 if folder.members is None else folder.members.check(member, path)
    restored, resume = folder.restored(step)
    if why := folder.failed(resume).get(i):
        raise UsageError(f"--member={i}: {why}")
    return folder.run(restored, resume, None if folder.members is None else i)


@in_32_bits()
def open_members(path: str | Path, step: int | None = None, trust: bool = False) -> tuple[list[Run], dict[int, str]]:
    """Every member of a population that has not failed, and why each of the others has; the checkpoint is read once.

    Members whose models are one program share one `Experiment`, so that what is compiled for one serves all.

    Args:
        path: the run's folder.
        step: as `open_run`.
        trust: as `open_run`.

    Raises:
        UsageError: as `open_run`, or it is a single run.
    """
    folder = _Folder.read(Path(path), trust)
    if folder.members is None:
        raise UsageError(f"--member=all: {path} is a single run; leave --member out.")
    restored, resume = folder.restored(step)
    failed = folder.failed(resume)
    restored = restored._replace(tree=jax.device_get(restored.tree))
    known: dict[str, Experiment] = {}
    runs = []
    for i in (i for i in range(folder.members.n) if i not in failed):
        run = folder.run(restored, resume, i)
        runs.append(run._replace(experiment=known.setdefault(program(run), run.experiment)))
    return runs, failed


class _Folder(NamedTuple):
    """A run's folder as its `config.json` describes it, before its state is read."""

    path: Path
    stored: dict[str, Any]
    recipe: Any
    config: Any
    """The configuration of the run, or of member 0."""
    members: Members | None
    spec: data.Spec
    mark: run_folder.Mark | None

    @classmethod
    def read(cls, path: Path, trust: bool) -> "_Folder":
        if not path.is_dir():
            raise UsageError(f"RUN={path}: there is no such folder.")
        stored, mark = run_folder.read_config(path), run_folder.mark_of(path)
        if stored is None:
            raise UsageError(f"RUN={path}: not a run's folder, it has no {run_folder.CONFIG}.")
        checked(stored, run_folder.WHOLE, path / run_folder.CONFIG)
        run_folder.refuse_vanished(path, stored)
        recipe = recipe_code.recipe_of(path, stored, trust)
        cfg = _config(recipe.Config, stored["config"], path)
        members = read_members(cfg, stored.get("population"))
        return cls(path, stored, recipe, cfg, members, data.spec_of(stored["data"]), mark)

    def restored(self, step: int | None) -> tuple[Restored, Resume]:
        """The newest sealed checkpoint, or that of `step`: of all members together."""
        with recipe_code.executing(self.path):
            experiment = built(self.recipe.build, self.config, self.spec)
        like = jax.eval_shape(lambda key: experiment.step.init(experiment.model, key), jax.random.key(0))
        if self.members is not None:
            like = like_all(like, self.members.n)
        where = self.path / run_folder.CHECKPOINTS
        with Checkpoints(where, read_only=True, on_message=say_once, mark=self.mark) as checkpoints:
            restored = checkpoints.restore(like, step)
        if restored is None:
            raise UsageError(f"RUN={self.path}: it has no finished checkpoint yet. Train it first, or a little longer.")
        resume = Resume.from_json(restored.extra, f"checkpoint {restored.step} of {self.path}")
        self._say_code(restored)
        return restored, resume

    def _say_code(self, restored: Restored) -> None:
        """Say where the code that computes now is not the code that trained this checkpoint."""
        known, now = self.stored.get("code"), sources.genjax_sha256()
        of = recipe_code.sound(restored.code) or known
        if of is None or known is None:
            return
        if of["genjax"] != now:
            say_once(
                f"genjax: {self.path} was trained by another genjax (its sources differ): its model may compute "
                "otherwise now."
            )
        if of["recipe"] != known["recipe"]:
            say_once(
                f"genjax: checkpoint {restored.step} of {self.path} was trained by its recipe as it was before "
                f"{', '.join(sources.changes(of['recipe'], known['recipe']))}."
            )

    def failed(self, resume: Resume) -> dict[int, str]:
        """Why each failed member of a population failed, in a sentence."""
        if self.members is None:
            return {}
        there = {i: why for i in range(self.members.n) if (why := resume.failed.get(i))}
        return {i: f"{self.members.name(i)} of {self.path} has failed: {why}" for i, why in there.items()}

    def run(self, restored: Restored, resume: Resume, member: int | None) -> Run:
        """The single run, or a member as the run of its own that it equals."""
        cfg, state = self.config, restored.tree
        if member is not None:
            assert self.members is not None
            cfg, state = self.members.configs[member], member_of(state, member)
        with recipe_code.executing(self.path):
            experiment = built(self.recipe.build, cfg, self.spec)
        recipe_sha256, trained_by = recipe_code.identity(
            {"code": recipe_code.sound(restored.code) or self.stored.get("code")}
        )
        return Run(self.path, self.stored["experiment"], cfg, experiment, state, self.spec, restored.step,
                   self.members, member, resume, recipe_sha256, trained_by)  # fmt: skip


@in_32_bits()
def program(run: Run) -> str:
    """What a run's model computes, as a text: of one program where two members differ in their weights alone.

    It holds the score, the samples of latents, and the transform with its inverse, down to their constants.
    """
    experiment, spec, key = run.experiment, run.spec, jax.random.key(0)
    params, state = jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape, v.dtype), evaluation(run.state))
    n_classes = experiment.model.n_classes
    x = jax.ShapeDtypeStruct((2, *spec.shape), np.dtype(spec.dtype))
    y = jax.ShapeDtypeStruct((2,), np.int32) if n_classes else None
    mask = jnp.ones((2, *spec.shape[: spec.masked]), bool) if spec.masked else None
    z = jax.eval_shape(lambda key: experiment.model.noise(key, 2), key)

    def scored(params, state, x, y, key):
        batch = Batch(x, y, jnp.ones(2, bool), mask, jnp.arange(2, dtype=jnp.uint32))
        seen = experiment.transform(rng.named(key, "transform"), batch)
        return experiment.score(params, state, seen, rng.named(key, "score"))

    parts = (
        jax.jit(scored).lower(params, state, x, y, key),
        jax.jit(sampler(experiment, run.domain)).lower(params, state, z, y, key),
    )
    return "\n".join([f"{experiment.transform.levels} levels", *(part.as_text() for part in parts)])


def load(path: str | Path, member: int | None = None, trust: bool = False) -> tuple[Any, TrainState, Any]:
    """`(model, state, config)` of a run, for notebooks; see `open_run`."""
    opened = open_run(path, member=member, trust=trust)
    return opened.experiment.model, opened.state, opened.config


def built(build: Callable[..., Experiment], cfg: Any, spec: data.Spec) -> Experiment:
    """Builds the experiment; reports a constructor's ValueError as a usage error."""
    try:
        experiment = build(cfg, spec)
        if not isinstance(experiment, Experiment):
            raise UsageError(f"build returned {type(experiment).__name__}, and must return a `runs.Experiment`.")
        data.check_values(experiment.transform, spec.n_values, spec.name)
        return experiment
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
