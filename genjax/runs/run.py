"""A run: a recipe, its data, its folder. Trains, continues, and never loses what was sealed."""

import shlex
from collections.abc import Callable
from contextlib import ExitStack
from functools import partial
from typing import Any

import jax

from genjax.channels import never_failing, say
from genjax.checkpoint.checkpoints import Checkpoints
from genjax.errors import DataFailure, RunFailure
from genjax.health import replayer
from genjax.runs import manifest_file, run_folder
from genjax.runs.build_population import roots_of
from genjax.runs.callback import Callback, OnRow
from genjax.runs.command import command
from genjax.runs.config import Options
from genjax.runs.members import Members
from genjax.runs.setup import Setup, prepared
from genjax.runs.width import in_32_bits
from genjax.runs.writers import Writers
from genjax.train.distributed import say_once
from genjax.train.experiment import Experiment
from genjax.train.loop import Hooks, Progress, fit
from genjax.train.resume import Resume
from genjax.train.signals import Signals
from genjax.train.watch import Diverged, format_failures


@in_32_bits()
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
    callback = Callback(on_row)
    setup = prepared(file, build, cfg, options or Options(), members)
    for line in (f"run folder: {setup.folder.path}", *setup.notes):
        say_once(line)
    with ExitStack() as stack:
        stack.enter_context(never_failing())
        signals = stack.enter_context(Signals(say))
        if setup.group.leader:
            stack.enter_context(setup.folder)
        new, changed = setup.group.share(setup.claim)
        where, folder = setup.folder.path / run_folder.CHECKPOINTS, setup.folder
        checkpoints = stack.enter_context(
            Checkpoints(
                where, setup.options.keep, setup.best or None, say_once, mark=folder.mark, on_seal=folder.note_seal
            )
        )
        try:
            return _Session(setup, checkpoints, signals, callback).go(new, changed)
        except RunFailure as e:
            folder.guard()  # where the folder was moved, that is why
            raise RunFailure(f"{e}{_last_good(checkpoints, e)}") from e
        except jax.errors.JaxRuntimeError as e:
            if "RESOURCE_EXHAUSTED" not in str(e):
                raise
            failure = RunFailure(f"out of memory: {str(e).splitlines()[0]} Try a smaller model or batch_size.")
            raise RunFailure(f"{failure}{_last_good(checkpoints, failure)}") from e


class _Session:
    """A run whose folder is held, from its newest sealed step to the last one or to a signal."""

    def __init__(self, setup: Setup, checkpoints: Checkpoints, signals: Signals, callback: Callback):
        self.setup, self.checkpoints, self.signals, self.callback = setup, checkpoints, signals, callback
        self.key: Any = jax.random.key(setup.cfg.seed) if setup.members is None else roots_of(setup.members)
        self.stopped = 0
        """The signal that any process received and all have agreed to stop for."""

    def go(self, new: bool, changed: list[str]) -> int:
        """Trains; the exit code.

        Args:
            new: whether the folder is.
            changed: what of the recipe's code is not as it was.
        """
        setup, resume = self.setup, Resume()
        state = setup.layout.init(setup.experiment.step, setup.experiment.model, self.key)
        restored = self.checkpoints.restore(state)
        if restored is not None:
            state, resume = restored.tree, Resume.from_json(restored.extra, f"checkpoint {restored.step}")
        at, steps = int(state.step), setup.cfg.steps
        if at >= steps and not changed:
            if setup.group.leader:
                manifest_file.say_environment(setup, run_folder.read_manifest(setup.folder.path))
            say_once(f"finished: the run is at step {at} of {steps}. A larger --steps continues it.")
            return 0
        if setup.group.leader:
            manifest_file.note_session(setup, new, at, changed)
        with ExitStack() as stack:
            writers = Writers(setup, self.checkpoints, self.callback, self.key, at, resume, stack)
            last = self._train(state, resume, writers)
        return self._leave(last, writers)

    def _train(self, state: Any, resume: Resume, writers: Writers) -> Progress:
        setup, start = self.setup, int(state.step)
        hooks = Hooks(lambda: self.signals.received or self.callback.stop, self._agree, writers.journal.monitor)
        if start == 0:
            writers.grid(Progress(0, state, Resume()))
        try:
            fitted = fit(
                setup.experiment.step, state, setup.source, self.key, steps=setup.cfg.steps,
                log_every=setup.options.log_every, on_row=writers.on_row, every=writers.every(), resume=resume,
                hooks=hooks, layout=setup.layout,
            )  # fmt: skip
        except DataFailure as e:  # no step is lost of those that had their data
            if (held := getattr(e, "fitted", None)) and held.state.step > start and setup.group.size == 1:
                writers.save(held.progress)
                self.checkpoints.wait()
            raise
        except Diverged as e:
            alone = setup.layout.mesh is None and setup.members is None
            since = (self.checkpoints.sealed() or [0])[-1]
            writers.journal.failure(str(e), self._replayer if alone else None, since)
            raise
        last = fitted.progress
        if last.step < setup.cfg.steps or last.step % setup.options.save_every:
            writers.save(last)
        self.checkpoints.wait()
        setup.folder.guard()
        writers.journal.end(last.step)
        return last

    def _replayer(self) -> Callable[[int], Any]:
        """Goes over the steps since the last checkpoint again, of a single run on one device."""
        step, model = self.setup.experiment.step, self.setup.experiment.model
        like = jax.eval_shape(partial(step.init, model), self.key)

        def restored():
            found = self.checkpoints.restore(like)
            return step.init(model, self.key) if found is None else found.tree

        return replayer(step, self.setup.source, self.key, restored)

    def _agree(self, n: int, signal: int) -> tuple[int, int]:
        n, self.stopped = self.setup.group.agree(n, int(signal))
        return n, self.stopped

    def _leave(self, last: Progress, writers: Writers) -> int:
        setup, steps = self.setup, self.setup.cfg.steps
        where = shlex.quote(str(setup.folder.path))
        self.callback.settle(last.step, steps)
        if last.step < steps:
            again = command(setup.name, setup.cfg, setup.options, setup.members)
            each = f" in each of {setup.group.size} processes" if setup.group.size > 1 else ""
            say_once(f"saved at step {last.step} of {steps}. To continue{each}: {again} --run-dir {where}")
            return 128 + self.stopped
        if failed := last.resume.failed:
            say_once(f"{len(failed)} of {setup.experiment.step.n} members have failed: {format_failures(failed)}")
        spent = f"{last.resume.seconds:.0f} s of training"
        say_once(f"done: step {last.step}, {spent}. A page to look at: genjax report {where}")
        if writers.board is not None and writers.board.failed:
            say_once(f"TensorBoard's files lack rows that {run_folder.METRICS} has: {writers.board.failed}.")
            return 1
        return 0


def _last_good(checkpoints: Checkpoints, e: RunFailure) -> str:
    """A line that names the last good checkpoint, empty where the failure tells of it already.

    A save that failed meanwhile is told too: where a disk is full, it is what filled it.
    """
    try:
        checkpoints.wait()
    except RunFailure as save:
        return f"\n{save}"
    if any(f"{word} checkpoint" in str(e) for word in ("last good", "no earlier", "no intact")):
        return ""
    if good := checkpoints.sealed():
        return f"\nLast good checkpoint: step {good[-1]} in {checkpoints.folder}."
    return "\nNo checkpoint was saved yet."
