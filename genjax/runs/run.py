"""A run: a recipe, its data, its folder. Trains, continues, and never loses what was sealed."""

import contextlib
import dataclasses
import shlex
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

import jax

from genjax import data, progress, recipes
from genjax.channels import never_failing, say
from genjax.checked import checked
from genjax.checkpoint.checkpoints import Checkpoints
from genjax.errors import DataFailure, RunFailure, UsageError
from genjax.health import Journal, Monitor, replayer
from genjax.metrics_log import MetricsLog, flat, numbers, over_members
from genjax.runs import data_files, ownership, recipe_code, run_folder, tensorboard
from genjax.runs.build_population import populated, roots_of
from genjax.runs.callback import Callback, OnRow
from genjax.runs.command import command, fresh_folder
from genjax.runs.config import Options, kinds
from genjax.runs.dataset import as_stored, dataset_to_train, refuse_other, where
from genjax.runs.display import Display
from genjax.runs.members import Members
from genjax.runs.notes import facts_of, likelihood_note, penalty_note
from genjax.runs.opening import built
from genjax.runs.options import best_by, in_force, shown
from genjax.runs.sample_grids import grids
from genjax.runs.validation import Ledger, Validation, validation
from genjax.runs.width import in_32_bits
from genjax.train import distributed, mesh, optimizer
from genjax.train.distributed import say_once
from genjax.train.experiment import Experiment
from genjax.train.loop import Every, Progress, fit
from genjax.train.population import shares
from genjax.train.signals import Signals
from genjax.train.watch import Diverged, said


@in_32_bits
def run(
    file: str,
    build: Callable[..., Experiment],
    cfg: Any,
    options: Options | None = None,
    members: Members | None = None,
    on_row: OnRow | None = None,
) -> int:
    """Trains a recipe in a folder, or continues the run that is there.

    Args:
        file: the recipe's `__file__`.
        build: its `build(cfg, spec) -> Experiment`.
        cfg: its `Config`.
        options: how the run is carried out.
        members: a population to train as one program, instead of `cfg` alone.
        on_row: called with each logged row (member i's loss is `loss/i`); what it raises ends the run, saved.

    Returns:
        0 when the run is at its last step; 1 when it is, but its TensorBoard files are not whole; 128 + n when
        signal n stopped it (130, 143), with its state saved.

    Raises:
        UsageError: the configuration, the data or the folder will not do; nothing was written.
        RunFailure: the run failed; the last good checkpoint is named.
    """
    group, given, callback = distributed.group(), options or Options(), Callback(on_row)
    options, held = in_force(given, group.share(lambda: run_folder.options_of(given.run_dir)))
    name, recipe = Path(file).stem, recipe_code.sources_of(file, build)
    with contextlib.nullcontext() if options.quiet else progress.shown("data"):
        dataset = dataset_to_train(cfg, options.data_dir)
    cfg = cfg if members is None else members.configs[0]
    experiment = built(build, cfg, dataset.spec)
    experiment.step.check(cfg.batch_size)
    layout = mesh.layout(options.mesh)
    shards = 1 if layout is None else layout.mesh.shape["fsdp"]
    n, known = 1 if members is None else members.n, recipes.shipped(recipe) is not None
    optimizer.check(experiment.step, experiment.model, n, shards, tried=known)
    if layout is not None:
        if members is not None:
            raise UsageError(f"mesh={layout}: a population of {members.n} trains on one device. Leave --mesh out.")
        layout.check_batch(cfg.batch_size)
    if members is None:
        devices = None if layout is None else layout.mesh
        source = data.make_source(dataset.train, cfg.batch_size, experiment.transform, devices)
    else:
        experiment = populated(experiment, members, lambda c: built(build, c, dataset.spec))
        source = shares(dataset.train, cfg.batch_size, experiment.transform, members.n)
    tensorboard.check(options.tensorboard)
    here = run_folder.RunFolder(options.run_dir or fresh_folder(name, cfg.seed, members))
    folder = run_folder.RunFolder(group.share(lambda: str(here.path)))
    wanted: dict[str, Any] = {
        "experiment": name,
        "config": dataclasses.asdict(cfg),
        "data": dataclasses.asdict(dataset.spec),
        "where": where(cfg.data, options.data_dir, folder.path),
        "code": recipe_code.described(recipe),
        **({} if members is None else {"population": members.stored()}),
    }
    run_only = {f for f, kind in kinds(type(cfg)).items() if kind == "run_only"}
    if group.leader:
        stored = folder.config
        refuse_other(folder.path, stored, dataset, cfg.data)
        folder.check(wanted if stored is None else as_stored(stored, wanted), run_only)
        recipe_code.check(folder.path, stored, recipe, options.changed_code)
        ownership.refuse_overlap(folder.path, cfg.data)
    checks = validation(experiment, dataset, layout) if options.eval_every else None
    options, best, best_note = best_by(options, checks, held)
    wanted["options"] = {**dataclasses.asdict(options), "changed_code": False}
    group.require_same({**wanted["config"], **wanted["data"], **wanted["options"], "recipe": recipe.sha256})

    def claim() -> tuple[bool, list[str]]:
        stored = folder.config
        changed = recipe_code.check(folder.path, stored, recipe, options.changed_code)
        new = folder.claim(wanted if stored is None else as_stored(stored, wanted), run_only)
        recipe_code.keep(folder.path, recipe)
        if new:
            data_files.write(folder.path, dataset, cfg.data)
        recipe_code.note_trained(recipe, file)
        return new, changed

    say_once(f"run folder: {folder.path}")
    chosen = likelihood_note(cfg, experiment.model, dataset.spec)
    idle = penalty_note((cfg,) if members is None else members.configs)
    for note in (shown(held), best_note, *dataset.notes, chosen, idle):
        if note:
            say_once(note)
    with ExitStack() as stack:
        stack.enter_context(never_failing())
        signals = stack.enter_context(Signals(say))
        if group.leader:
            stack.enter_context(folder)
        new, changed = group.share(claim)
        where_saved, mark = folder.path / run_folder.CHECKPOINTS, folder.mark
        checkpoints = stack.enter_context(
            Checkpoints(where_saved, options.keep, best or None, say_once, mark=mark, on_seal=folder.note_seal)
        )
        this = _Run(
            recipe_code.word(recipe, file), cfg, options, folder, experiment, source, checkpoints, signals, best,
            layout, group, members, dataset, checks, callback,
        )  # fmt: skip
        try:
            return this.go(new, changed)
        except RunFailure as e:
            folder.guard()  # where the folder was moved, that is why
            raise RunFailure(f"{e}{this.last_good(e)}") from e
        except jax.errors.JaxRuntimeError as e:
            if "RESOURCE_EXHAUSTED" not in str(e):
                raise
            failure = RunFailure(f"out of memory: {str(e).splitlines()[0]} Try a smaller model or batch_size.")
            raise RunFailure(f"{failure}{this.last_good(failure)}") from e


@dataclasses.dataclass
class _Run:
    """A run whose folder is held."""

    name: str
    """Of the recipe as a command line has it."""
    cfg: Any
    options: Options
    folder: run_folder.RunFolder
    experiment: Experiment
    source: Any
    checkpoints: Checkpoints
    signals: Signals
    best: str
    """`min:loss`: what the best checkpoint is ranked by; empty for nothing."""
    layout: mesh.Layout | None
    group: distributed.Group
    members: Members | None = None
    dataset: data.Dataset | None = None
    """What the monitor takes real images from."""
    checks: Validation | None = None
    callback: Callback = dataclasses.field(default_factory=Callback)
    stopped: int = 0
    """The signal that any process received and all have agreed to stop for."""
    row: dict[str, Any] = dataclasses.field(default_factory=dict)
    ledger: Ledger | None = None
    board: tensorboard.Board | None = None

    def go(self, new: bool, changed: list[str]) -> int:
        """From the newest sealed step to the last one, or to a signal; the exit code.

        Args:
            new: whether the folder is.
            changed: what of the recipe's code is not as it was.
        """
        key = jax.random.key(self.cfg.seed) if self.members is None else roots_of(self.members)
        step, model = self.experiment.step, self.experiment.model
        init: Any = step.init if self.layout is None else partial(self.layout.init, step)
        state = init(model, key)
        restored = self.checkpoints.restore(state)
        extra: dict[str, Any] = {"pending": [], "seconds": 0.0}
        if restored is not None:
            state = restored.tree
            extra |= checked(restored.extra, run_folder.EXTRA, f"checkpoint {restored.step}")
        at = int(state.step)
        if at >= self.cfg.steps and not changed:
            if self.group.leader:
                self._say_environment(run_folder.read_manifest(self.folder.path))
            say_once(f"finished: the run is at step {at} of {self.cfg.steps}. A larger --steps continues it.")
            return 0
        if self.group.leader:
            self._manifest(new, at, changed)
        pending = numbers(extra["pending"])
        failed = {int(i): why for i, why in extra.get("failed", {}).items() if i.isdecimal()}
        with ExitStack() as stack:
            log = stack.enter_context(MetricsLog(self.folder.path / run_folder.METRICS)) if self.group.leader else None
            if log is not None:
                logged = at - len(pending)
                log.truncate_to(lambda s: s <= logged)
                self.row = (run_folder.read_rows(log.path) or [{}])[-1]
                if (end := self.row.get("step", 0)) < logged:
                    say_once(f"{log.path} ends at step {end}: the rows after it, up to step {logged}, are gone.")
            self.ledger = stack.enter_context(Ledger(self.checks, self.folder.path, at, log is not None))
            members = getattr(self.members, "n", 0)
            display = stack.enter_context(Display(at, self.cfg.steps, self.options.quiet, members=members))
            if self.options.tensorboard and log is not None:
                self.board = tensorboard.Board(self.folder.path / "tensorboard", at, display.say)
                stack.callback(self.board.close)
            monitor = self._monitor(key, extra.get("health"))
            journal = Journal(monitor, log, display.say, self.row)
            last = self._train(state, key, pending, extra["seconds"], failed, journal, display)
        return self._leave(last)

    def _train(self, state, key, pending, seconds, failed, journal: Journal, display: Display) -> Progress:
        """Trains and saves. What belongs to a step, rows and grid, is on the disk before its checkpoint is begun."""
        where, guard, metric = self.folder.path, self.folder.guard, self.best.partition(":")[2]
        grid = grids(self.experiment, key, where, self.layout, self.group.leader, journal.images, guard)
        steps, sample_every, log = self.cfg.steps, self.options.sample_every, journal.log

        def on_row(row):
            if log is None:  # another process's to write
                return
            guard()
            if not self.row and metric and not self.checks and metric not in row:
                at, names = row["step"], ", ".join(row)
                say_once(f"keep_best: there is no metric {metric!r} at step {at}, only {names}.")
            self.row = row
            journal.row(row)
            display.update(over_members(row))
            if self.board is not None:
                self.board.row(row["step"], flat(row))
            self.callback(row)

        def save(progress: Progress):
            guard()
            if progress.step == steps and steps % sample_every:
                grid(progress)
            if log is not None:
                log.sync()
            extra = {"pending": run_folder.to_json(progress.pending), "seconds": progress.seconds}
            extra |= {"failed": run_folder.to_json(progress.failed)} if progress.failed else {}
            extra |= journal.stored()
            self.checkpoints.save(progress.step, progress.state, extra, self._metric(progress.step))

        def check(progress: Progress):
            """An evaluation, and the checkpoint that may be the best."""
            assert self.ledger is not None
            guard()
            row = self.ledger.look(progress.step, progress.state)
            if self.group.leader and not self.options.quiet:
                said = ", ".join(f"{k} {v:.5g}" for k, v in over_members(row).items() if k != "step")
                display.say(f"step {progress.step}: {said}")
            save(progress)

        every = [Every(sample_every, grid), Every(self.options.save_every, save)]
        if self.checks is not None:
            every.insert(1, Every(self.options.eval_every, check))
        start = int(state.step)
        if start == 0:
            grid(Progress(0, state, [], 0.0))
        try:
            fitted = fit(
                self.experiment.step, state, self.source, key, steps=steps, log_every=self.options.log_every,
                on_row=on_row, every=every, stop=lambda: self.signals.received or self.callback.stop,
                layout=self.layout, agree=self._agree, pending=pending, seconds=seconds, failed=failed,
                monitor=journal.monitor,
            )  # fmt: skip
        except DataFailure as e:  # no step is lost of those that had their data
            if (held := getattr(e, "fitted", None)) and held.state.step > start and self.group.size == 1:
                save(held.progress)
                self.checkpoints.wait()
            raise
        except Diverged as e:
            alone = self.layout is None and self.members is None
            since = (self.checkpoints.sealed() or [0])[-1]
            journal.failure(str(e), partial(self._replayer, key) if alone else None, since)
            raise
        last = fitted.progress
        if last.step < steps or steps % self.options.save_every:
            save(last)
        self.checkpoints.wait()
        guard()
        journal.end(last.step)
        return last

    def _monitor(self, key, stored) -> Monitor | None:
        if not self.options.health or self.dataset is None:
            return None
        size, log_every, sample_every = self.cfg.batch_size, self.options.log_every, self.options.sample_every
        return Monitor(
            self.experiment, self.dataset, key, size, log_every, sample_every, layout=self.layout, group=self.group,
            stored=stored,
        )  # fmt: skip

    def _replayer(self, key):
        """Goes over the steps since the last checkpoint again, of a single run on one device."""
        step, model = self.experiment.step, self.experiment.model
        like = jax.eval_shape(lambda key: step.init(model, key), key)

        def restored():
            found = self.checkpoints.restore(like)
            return step.init(model, key) if found is None else found.tree

        return replayer(step, self.source, key, restored)

    def _agree(self, n: int, signal: int) -> tuple[int, int]:
        n, self.stopped = self.group.agree(n, int(signal))
        return n, self.stopped

    def _leave(self, last: Progress) -> int:
        steps, where = self.cfg.steps, shlex.quote(str(self.folder.path))
        self.callback.settle(last.step, steps)
        if last.step < steps:
            again = command(self.name, self.cfg, self.options, self.members)
            each = f" in each of {self.group.size} processes" if self.group.size > 1 else ""
            say_once(f"saved at step {last.step} of {steps}. To continue{each}: {again} --run-dir {where}")
            return 128 + self.stopped
        if last.failed:
            say_once(f"{len(last.failed)} of {self.experiment.step.n} members have failed: {said(last.failed)}")
        say_once(f"done: step {last.step}, {last.seconds:.0f} s of training. A page to look at: genjax report {where}")
        if self.board is not None and self.board.failed:
            say_once(f"TensorBoard's files lack rows that {run_folder.METRICS} has: {self.board.failed}.")
            return 1
        return 0

    def _metric(self, step: int) -> float | None:
        """What the best checkpoint is ranked by: of this step's evaluation, or of the last row where none is made."""
        row = self.row if self.checks is None or self.ledger is None else self.ledger.at(step)
        return over_members(row).get(self.best.partition(":")[2]) if self.best else None

    def last_good(self, e: RunFailure) -> str:
        """A line that names the last good checkpoint, empty where the failure tells of it already.

        A save that failed meanwhile is told too: where a disk is full, it is what filled it.
        """
        try:
            self.checkpoints.wait()
        except RunFailure as save:
            return f"\n{save}"
        if any(f"{word} checkpoint" in str(e) for word in ("last good", "no earlier", "no intact")):
            return ""
        if good := self.checkpoints.sealed():
            return f"\nLast good checkpoint: step {good[-1]} in {self.checkpoints.folder}."
        return "\nNo checkpoint was saved yet."

    def _manifest(self, new: bool, at: int, recipe: list[str]):
        """Writes where the run runs, and with which code; says what may keep it from being the same to the bit."""
        path = self.folder.path / run_folder.MANIFEST
        there = {} if new else run_folder.read_manifest(path.parent)
        here = self._here()
        self.folder.guard()
        if not there:
            run_folder.write_json(path, here)
            return
        if at:
            say_once(f"continuing from step {at}.")
        changed = self._say_environment(there) if at else []
        if recipe:
            say_once(f"with another recipe than before: {', '.join(recipe)}.")
        sessions = [*there.get("continued", []), {"started": here["started"], "step": at, "changed": changed}]
        sessions[-1] |= {"recipe": recipe} if recipe else {}
        self.folder.guard()
        run_folder.write_json(path, {**there, "continued": sessions})

    def _here(self) -> dict[str, Any]:
        again = command(self.name, self.cfg, self.options, self.members)
        words = [*shlex.split(again), "--run-dir", str(self.folder.path)]
        about = (self.folder.config or {}).get("data")
        return run_folder.manifest(words, about, str(self.layout or "")) | facts_of(self.experiment.model)

    def _say_environment(self, there: Any) -> list[str]:
        """What of the environment, genjax's own code included, is not what the run began with."""
        changed = run_folder.environment_differences(there or {}, self._here()) if there else []
        if changed:
            say_once("\n  ".join(["bit-exact resumption is not promised, the environment changed:", *changed]))
        return changed
