"""What a run writes and shows while it trains: rows, sample grids, evaluations, checkpoints."""

from contextlib import ExitStack
from typing import Any

from genjax.checkpoint.checkpoints import Checkpoints
from genjax.health import Journal, Monitor
from genjax.metrics_log import MetricsLog, flat, over_members
from genjax.runs import run_folder, tensorboard
from genjax.runs.callback import Callback
from genjax.runs.display import Display
from genjax.runs.sample_grids import grids
from genjax.runs.setup import Setup
from genjax.runs.validation import Ledger
from genjax.train.distributed import say_once
from genjax.train.loop import Every, Progress
from genjax.train.resume import Resume


class Writers:
    """The writers of one session. What belongs to a step is on the disk before its checkpoint is begun.

    Args:
        setup: the run.
        checkpoints: where states go.
        callback: of whoever started the run.
        key: the root key, or the members' `Roots`.
        at: the step that the session begins at: what was written of later ones goes.
        resume: what it goes on with.
        stack: closes the files.
    """

    def __init__(
        self, setup: Setup, checkpoints: Checkpoints, callback: Callback, key: Any, at: int, resume: Resume,
        stack: ExitStack,
    ):  # fmt: skip
        self.setup, self.checkpoints, self.callback = setup, checkpoints, callback
        path, options, leader = setup.folder.path, setup.options, setup.group.leader
        self.row: dict[str, Any] = {}
        """The last one."""
        self.log = stack.enter_context(MetricsLog(path / run_folder.METRICS)) if leader else None
        if self.log is not None:
            self._cut_back(self.log, at - len(resume.pending))
        self.ledger = stack.enter_context(Ledger(setup.checks, path, at, leader))
        n = getattr(setup.members, "n", 0)
        self.display = stack.enter_context(
            Display(at, setup.cfg.steps, options.quiet, members=n, many=setup.domain.many)
        )
        self.board: tensorboard.Board | None = None
        if options.tensorboard and leader:
            self.board = tensorboard.Board(path / "tensorboard", at, self.display.say)
            stack.callback(self.board.close)
        self.journal = Journal(_monitor(setup, key, resume.health), self.log, self.display.say, self.row)
        self.grid = grids(
            setup.experiment, setup.domain, setup.dataset.spec, key, path, setup.layout, leader, self.journal.samples,
            setup.folder.guard,
        )  # fmt: skip

    def _cut_back(self, log: MetricsLog, logged: int) -> None:
        log.truncate_to(lambda s: s <= logged)
        self.row = (run_folder.read_rows(log.path) or [{}])[-1]
        if (end := self.row.get("step", 0)) < logged:
            say_once(f"{log.path} ends at step {end}: the rows after it, up to step {logged}, are gone.")

    def every(self) -> list[Every]:
        """What `fit` calls between chunks, in this order."""
        options = self.setup.options
        checks = [] if self.setup.checks is None else [Every(options.eval_every, self.check)]
        return [Every(options.sample_every, self.grid), *checks, Every(options.save_every, self.save)]

    def on_row(self, row: dict[str, Any]) -> None:
        """Sends a logged row to the disk, the display and the callback."""
        if self.log is None:  # another process's to write
            return
        self.setup.folder.guard()
        metric = self.setup.best.partition(":")[2]
        if not self.row and metric and not self.setup.checks and metric not in row:
            at, names = row["step"], ", ".join(row)
            say_once(f"keep_best: there is no metric {metric!r} at step {at}, only {names}.")
        self.row = row
        self.journal.row(row)
        self.display.update(over_members(row))
        if self.board is not None:
            self.board.row(row["step"], flat(row))
        self.callback(row)

    def save(self, progress: Progress) -> None:
        """A checkpoint is begun."""
        steps = self.setup.cfg.steps
        self.setup.folder.guard()
        if progress.step == steps and steps % self.setup.options.sample_every:
            self.grid(progress)
        if self.log is not None:
            self.log.sync()
        resume = progress.resume._replace(health=self.journal.stored())
        self.checkpoints.save(progress.step, progress.state, resume.to_json(), self._metric(progress.step))

    def check(self, progress: Progress) -> None:
        """An evaluation, and the checkpoint that may be the best."""
        self.setup.folder.guard()
        row = self.ledger.look(progress.step, progress.state)
        if self.setup.group.leader and not self.setup.options.quiet:
            said = ", ".join(f"{k} {v:.5g}" for k, v in over_members(row).items() if k != "step")
            self.display.say(f"step {progress.step}: {said}")
        self.save(progress)

    def _metric(self, step: int) -> float | None:
        """What the best checkpoint is ranked by: of this step's evaluation, or of the last row where none is made."""
        row = self.row if self.setup.checks is None else self.ledger.at(step)
        return over_members(row).get(self.setup.best.partition(":")[2]) if self.setup.best else None


def _monitor(setup: Setup, key: Any, stored: dict[str, Any] | None) -> Monitor | None:
    if not setup.options.health:
        return None
    options = setup.options
    return Monitor(
        setup.experiment, setup.dataset, key, setup.cfg.batch_size, options.log_every, options.sample_every,
        layout=setup.layout, group=setup.group, stored=stored, domain=setup.domain,
    )  # fmt: skip
