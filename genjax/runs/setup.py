"""A run before its folder is taken: the recipe's program, its data, and every refusal that writes nothing."""

import contextlib
import dataclasses
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genjax import data, progress, recipes
from genjax.domains.contract import Domain
from genjax.errors import UsageError
from genjax.runs import data_files, ownership, recipe_code, run_folder, tensorboard
from genjax.runs.build_population import populated
from genjax.runs.command import fresh_folder
from genjax.runs.config import Options, resumable_fields
from genjax.runs.dataset import as_stored, dataset_to_train, refuse_other, where
from genjax.runs.domain import domain_of
from genjax.runs.members import Members
from genjax.runs.notes import Watched, likelihood_note, penalty_note
from genjax.runs.opening import built
from genjax.runs.options import best_by, describe_held, in_force
from genjax.runs.validation import Validation, validation
from genjax.sources import Sources
from genjax.train import distributed, mesh, optimizer
from genjax.train.experiment import Experiment
from genjax.train.population import shares


@dataclass(frozen=True, eq=False)
class Setup:
    """What is trained, how, and in which folder."""

    file: str
    """The recipe's."""
    recipe: Sources
    cfg: Any
    """The configuration, or that of member 0."""
    members: Members | None
    options: Options
    group: distributed.Group
    dataset: data.Dataset
    experiment: Experiment
    source: Any
    layout: mesh.Place
    folder: run_folder.RunFolder
    wanted: dict[str, Any]
    """What `config.json` is to say."""
    checks: Validation | None
    """The evaluations on the validation part; None where none are asked for."""
    best: str
    """`min:loss`: what the best checkpoint is ranked by; empty for nothing."""
    notes: tuple[str, ...]
    """Sentences to be said at the start."""

    @property
    def domain(self) -> Domain:
        """The domain of the data."""
        return domain_of(self.dataset.spec, self.cfg)

    @property
    def name(self) -> str:
        """The recipe as a command line has it."""
        return recipe_code.word(self.recipe, self.file)

    def claim(self) -> tuple[bool, list[str]]:
        """Makes the folder this run's: whether it is new, and what of the recipe changed. For who holds it."""
        path, stored = self.folder.path, self.folder.config
        changed = recipe_code.check(path, stored, self.recipe, self.options.changed_code)
        wanted = self.wanted if stored is None else as_stored(stored, self.wanted)
        if stored is not None:  # of a run without a sealed checkpoint the configuration may differ too
            changed += run_folder.differences(stored, wanted, resumable_fields(self.cfg))
            if changed and not run_folder.has_begun(path, stored):
                ownership.set_samples_aside(path)
        new = self.folder.claim(wanted, resumable_fields(self.cfg))
        recipe_code.keep(path, self.recipe)
        if new:
            data_files.write(path, self.dataset, self.cfg.data)
        recipe_code.note_trained(self.recipe, self.file)
        return new, changed


def prepared(file: str, build: Callable[..., Experiment], cfg: Any, given: Options, members: Members | None) -> Setup:
    """Everything of a run but its folder's contents; nothing is written.

    Raises:
        UsageError: the configuration, the data or the folder will not do.
    """
    group = distributed.group()
    options, held = in_force(given, group.share(lambda: run_folder.options_of(given.run_dir)))
    recipe = recipe_code.sources_of(file, build)
    with contextlib.nullcontext() if options.quiet else progress.status_line("data"):
        dataset = dataset_to_train(cfg, options.data_dir, recipe_code.word(recipe, file))
    cfg = cfg if members is None else members.configs[0]
    known = recipes.shipped(recipe) is not None
    watched = Watched(build)
    experiment, source, layout = _program(watched, cfg, options, dataset, members, known)
    tensorboard.check(options.tensorboard)
    here = run_folder.RunFolder(options.run_dir or fresh_folder(Path(file).stem, cfg.seed, members))
    folder = run_folder.RunFolder(group.share(lambda: str(here.path)))
    wanted = _wanted(file, cfg, options, dataset, folder, recipe, members)
    if group.leader:
        _refuse_folder(folder, wanted, dataset, cfg, recipe, options)
    domain = domain_of(dataset.spec, cfg)
    checks = validation(experiment, dataset, layout, domain) if options.eval_every else None
    options, best, best_note = best_by(options, checks, held)
    wanted["options"] = {**dataclasses.asdict(options), "changed_code": False}
    group.require_same({**wanted["config"], **wanted["data"], **wanted["options"], "recipe": recipe.sha256})
    chosen = likelihood_note(cfg, experiment.model, dataset.spec, domain)
    configs = (cfg,) if members is None else members.configs
    idle = penalty_note(configs), watched.note(configs)
    notes = tuple(note for note in (describe_held(held), best_note, *dataset.notes, chosen, *idle) if note)
    return Setup(file, recipe, cfg, members, options, group, dataset, experiment, source, layout, folder, wanted,
                 checks, best, notes)  # fmt: skip


def _program(
    build: Callable[..., Experiment], cfg: Any, options: Options, dataset: data.Dataset, members: Members | None,
    known: bool,
) -> tuple[Experiment, Any, mesh.Place]:  # fmt: skip
    """The experiment, of all members where there are several; its batches; and where both lie."""
    experiment = built(build, cfg, dataset.spec)
    experiment.step.check(cfg.batch_size)
    layout = mesh.layout(options.mesh)
    n = 1 if members is None else members.n
    optimizer.check(experiment.step, experiment.model, n, layout.shards, tried=known)
    if members is None:
        layout.check_batch(cfg.batch_size)
        source = data.make_source(dataset.train, cfg.batch_size, experiment.transform, layout.mesh)
        return experiment, source, layout
    if layout.mesh is not None:
        raise UsageError(f"mesh={layout}: a population of {members.n} trains on one device. Leave --mesh out.")
    experiment = populated(experiment, members, lambda c: built(build, c, dataset.spec))
    return experiment, shares(dataset.train, cfg.batch_size, experiment.transform, members.n), layout


def _wanted(
    file: str, cfg: Any, options: Options, dataset: data.Dataset, folder: run_folder.RunFolder, recipe: Sources,
    members: Members | None,
) -> dict[str, Any]:  # fmt: skip
    return {
        "experiment": Path(file).stem,
        "config": dataclasses.asdict(cfg),
        "data": dataclasses.asdict(dataset.spec),
        "where": where(cfg.data, options.data_dir, folder.path),
        "code": recipe_code.described(recipe),
        **({} if members is None else {"population": members.stored()}),
    }


def _refuse_folder(
    folder: run_folder.RunFolder, wanted: dict[str, Any], dataset: data.Dataset, cfg: Any, recipe: Sources,
    options: Options,
) -> None:  # fmt: skip
    """Refuse a folder that is another run's, or no run's."""
    stored = folder.config
    refuse_other(folder.path, stored, dataset, cfg.data)
    folder.check(wanted if stored is None else as_stored(stored, wanted), resumable_fields(cfg))
    recipe_code.check(folder.path, stored, recipe, options.changed_code)
    ownership.refuse_overlap(folder.path, cfg.data)
