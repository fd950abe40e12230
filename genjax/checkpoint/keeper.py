"""The folder of a run's checkpoints in the hands of the process that keeps it: what is there, what stays, what is said.

No jax and no Orbax. Where several processes save together, one of them keeps the folder; the others only look.

The folder is held open (`open_folder`): on Linux, and where one process saves, all goes through the open folder, so
that nothing ever lands in another one at its path, however long a save takes. Elsewhere (other systems, several
processes, object stores) it is written by path, and looked at before a save begins and before it is sealed: what a
save in flight writes in between may land in a folder that took the path meanwhile, under `*.orbax-checkpoint-tmp` and
without a seal.
"""

import contextlib
import errno
from collections.abc import Callable, Mapping
from typing import Any

from etils import epath

from genjax.checkpoint import folders, seal
from genjax.checkpoint.marks import Mark
from genjax.checkpoint.open_folder import Held, last_good
from genjax.errors import RunFailure, UsageError


class Keeper:
    """The steps of one folder, their metrics, and news about them to be told on the main thread.

    Args:
        folder: where the steps are.
        keep, keep_best, on_message, mark: as `Checkpoints`.
        read_only: change nothing on disk.
        alone: whether one process writes here.
    """

    def __init__(
        self,
        folder: epath.PathLike,
        keep: int,
        keep_best: str | None,
        on_message: Callable[[str], Any],
        read_only: bool,
        mark: Mark | None = None,
        alone: bool = True,
    ):
        if keep < 1:
            raise UsageError(f"keep={keep}: at least 1 checkpoint must be kept. Try keep=2.")
        if keep_best is not None and keep_best.partition(":")[0] not in ("min", "max"):
            raise UsageError(f"keep_best={keep_best!r}: None, 'min' or 'max', or one of them with a name: 'min:loss'.")
        self.folder = folders.resolved(folder)
        self.at = self.folder
        """The folder by the path that is written through; `folder` is what it is called."""
        self.read_only, self.mark = read_only, mark
        self.metrics: dict[int, folders.Metric | None] = {}
        """The metric of each sealed step; the sealing thread writes to it."""
        self.news: list[str] = []
        self._keep, self._keep_best, self._on_message, self._alone = keep, keep_best, on_message, alone
        self._held: Held | None = None

    def open(self) -> None:
        """Make the folder, read the metrics, clear what interrupted saves left.

        Raises:
            UsageError: the folder cannot be made or written, a newer genjax wrote to it, or a checkpoint in it is of
                another run.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            if seal.is_local(self.folder):
                self._held = Held(self.folder)
                self.at = epath.Path(self._held.at) if self._alone else self.folder
            folders.check_marks(self.at, self.mark, self.folder)
            for step in folders.sealed(self.at):
                with contextlib.suppress(seal.Damage):  # named when it is to be restored
                    self.metrics[step] = folders.metric_of(seal.read(self.at / str(step)))
            cleared, news = folders.sweep(self.at, self.mark)
            self.news += [f"checkpoint {s} was interrupted before it was sealed; removed." for s in cleared] + news
        except UsageError:
            self.close()
            raise
        except OSError as e:
            self.close()
            if e.errno == errno.ENOSPC:
                raise RunFailure(f"{folders.fault(self.folder, 0.0, e)}.") from e
            raise UsageError(f"checkpoint folder {self.folder}: cannot be written ({e.strerror or e}).") from e
        if not seal.is_local(self.folder):
            self.news.append(f"{self.folder} is no local disk: sealed and verified there, but not fsynced by genjax.")

    def check(self) -> None:
        """Refuse to go on where the folder is no longer the one that was opened.

        Raises:
            RunFailure: it was moved or replaced; the last good checkpoint is named.
        """
        if self._held is not None and not self._held.is_here():
            looked = self.at != self.folder
            self._held.check(last_good(max(folders.sealed(self.at), default=None)) if looked else "")

    def reaches(self) -> bool:
        """Whether what is written now lands in the folder that was opened."""
        return self.at != self.folder or self.stands()

    def stands(self) -> bool:
        """Whether the path still leads to the folder that was opened."""
        return self._held is None or self._held.is_here()

    def clear(self) -> None:
        """Remove what a failed save left."""
        if self.reaches():
            self.news += folders.sweep(self.at, self.mark)[1]

    def begin(self, step: int) -> None:
        """Note that a save of `step` begins."""
        self.news += folders.begin(self.at, step, self.mark)

    def close(self) -> None:
        """Let go of the folder. Safe to repeat."""
        if self._held is not None:
            self._held.close()
            self._held, self.at = None, self.folder

    def deliver(self) -> None:
        """Tell the news."""
        while self.news:
            self._on_message(self.news.pop(0))

    def tell(self, text: str) -> None:
        """Tell something at once."""
        self._on_message(text)

    def holds(self, step: int, state: str) -> bool:
        """Whether `step` is the newest sealed one with this digest; refuses to go back."""
        newest = max(folders.sealed(self.at), default=-1)
        if step > newest:
            return False
        if step == newest:
            try:
                if seal.read(self.at / str(step))["digest"] == state:
                    return True
            except seal.Damage as damage:
                self.set_aside(step, damage)
                return False
        raise ValueError(
            f"step {step} cannot be saved in {self.folder}: step {newest} is sealed there already, and a run goes "
            "forward. Use another run folder."
        )

    def set_aside(self, step: int, damage: seal.Damage) -> None:
        """Say what is wrong with a step, and rename it out of the way."""
        done = ""
        if not self.read_only:
            self.metrics.pop(step, None)
            try:
                done = f"; kept aside as {folders.set_aside(self.at, step)}"
            except OSError as e:
                done = f"; it could not be renamed ({e.strerror})"
        self.news.append(folders.describe_damage(self.folder, step, damage) + done + ".")

    def add(self, step: int, body: Mapping[str, Any]) -> None:
        """Seal a step whose files are complete."""
        self.check()
        seal.write(self.at / str(step), dict(body))
        self.metrics[step] = folders.metric_of(body)
        with contextlib.suppress(OSError):  # the next save says anew what is under way
            folders.end(self.at)

    def retire(self) -> None:
        """Remove what is neither among the newest nor the best."""
        stay = folders.spared(self.metrics, self._keep, self._keep_best)
        try:
            for step in [s for s in self.metrics if s not in stay]:
                news = folders.discard(self.at, step, self.mark)
                self.news += [news] if news else []
                del self.metrics[step]
        except OSError as e:
            self.news.append(f"old checkpoints in {self.folder} could not be removed ({e.strerror}).")
