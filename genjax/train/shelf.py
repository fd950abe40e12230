"""The folder of a run's checkpoints in the hands of the process that keeps it: what is there, what stays, what is said.

No jax and no Orbax. Where several processes save together, one of them keeps the folder; the others only look.
"""

import contextlib
import errno
from collections.abc import Callable, Mapping
from typing import Any, Literal

from etils import epath

from genjax.errors import RunFailure, UsageError
from genjax.train import seal, steps


class Shelf:
    """The steps of one folder, their metrics, and news about them to be told on the main thread.

    Args:
        folder: where the steps are.
        keep, keep_best, on_message: as `Checkpoints`.
        read_only: change nothing on disk.
    """

    def __init__(
        self,
        folder: epath.PathLike,
        keep: int,
        keep_best: Literal["min", "max"] | None,
        on_message: Callable[[str], Any],
        read_only: bool,
    ):
        if keep < 1:
            raise UsageError(f"keep={keep}: at least 1 checkpoint must be kept. Try keep=2.")
        if keep_best not in (None, "min", "max"):
            raise UsageError(f"keep_best={keep_best!r}: None, 'min' or 'max'.")
        self.folder = steps.resolved(folder)
        self.read_only = read_only
        self.metrics: dict[int, float | None] = {}
        """Of the sealed steps; the sealing thread writes to it."""
        self.news: list[str] = []
        self._keep, self._on_message = keep, on_message
        self._keep_best: Literal["min", "max"] | None = keep_best

    def open(self) -> None:
        """Make the folder, read the metrics, clear what interrupted saves left.

        Raises:
            UsageError: the folder cannot be made or written, or a newer genjax wrote to it.
        """
        try:
            self.folder.mkdir(parents=True, exist_ok=True)
            for step in steps.sealed(self.folder):
                with contextlib.suppress(seal.Damage):  # named when it is to be restored
                    self.metrics[step] = seal.read(self.folder / str(step))["metric"]
            for step in steps.sweep(self.folder):
                self.news.append(f"checkpoint {step} was interrupted before it was sealed; removed.")
        except OSError as e:
            if e.errno == errno.ENOSPC:
                raise RunFailure(f"{steps.fault(self.folder, 0.0, e)}.") from e
            raise UsageError(f"checkpoint folder {self.folder}: cannot be written ({e.strerror or e}).") from e
        if not seal.is_local(self.folder):
            self.news.append(f"{self.folder} is no local disk: sealed and verified there, but not fsynced by genjax.")

    def deliver(self) -> None:
        """Tell the news."""
        while self.news:
            self._on_message(self.news.pop(0))

    def tell(self, text: str) -> None:
        """Tell something at once."""
        self._on_message(text)

    def holds(self, step: int, state: str) -> bool:
        """Whether `step` is the newest sealed one with this digest; refuses to go back."""
        newest = max(steps.sealed(self.folder), default=-1)
        if step > newest:
            return False
        if step == newest:
            try:
                if seal.read(self.folder / str(step))["digest"] == state:
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
                done = f"; kept aside as {steps.set_aside(self.folder, step)}"
            except OSError as e:
                done = f"; it could not be renamed ({e.strerror})"
        self.news.append(steps.told(self.folder, step, damage) + done + ".")

    def add(self, step: int, body: Mapping[str, Any]) -> None:
        """Seal a step whose files are complete."""
        seal.write(self.folder / str(step), dict(body))
        self.metrics[step] = body["metric"]

    def retire(self) -> None:
        """Remove what is neither among the newest nor the best."""
        stay = steps.spared(self.metrics, self._keep, self._keep_best)
        try:
            for step in [s for s in self.metrics if s not in stay]:
                steps.discard(self.folder, step)
                del self.metrics[step]
        except OSError as e:
            self.news.append(f"old checkpoints in {self.folder} could not be removed ({e.strerror}).")
