"""A callback of one's own: it sees every logged row, and its failure is never the loss of a run."""

import inspect
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeAlias

from genjax.errors import RunFailure, UsageError
from genjax.metrics_log import flat

OnRow: TypeAlias = Callable[[dict[str, Any]], Any]
"""Called with a row of numbers: `step`, `seconds`, `examples_per_s`, metrics; member i's loss is `loss/i`."""
LAZY = (inspect.iscoroutinefunction, inspect.isgeneratorfunction, inspect.isasyncgenfunction)
STOP = 1
"""What stops the loop when a callback has failed, in the place of a signal's number."""


class Callback:
    """`on_row`, or nothing. Its first exception is kept and ends the training as a signal does, with the state saved.

    Args:
        on_row: what to call.

    Raises:
        UsageError: it cannot be called, or a call would run none of it, as of `async def` and of generators.
    """

    def __init__(self, on_row: OnRow | None = None):
        if on_row is not None and not callable(on_row):
            raise UsageError(f"on_row is a {type(on_row).__name__}. Give a function of a row.")
        if any(is_lazy(on_row) for is_lazy in LAZY):
            raise UsageError("on_row is `async` or a generator: a call would run none of it. Give a plain function.")
        self._on_row, self._step = on_row, 0
        self._error: BaseException | None = None

    def __call__(self, row: Mapping[str, Any]) -> None:
        if self._on_row is None or self._error is not None:
            return
        try:
            self._on_row(flat(row))
        except BaseException as e:  # KeyboardInterrupt and a task's cancellation too: nothing trained is lost
            self._error, self._step = e, row["step"]

    @property
    def stop(self) -> int:
        """The exit code to stop with; 0 unless the callback has failed."""
        return 0 if self._error is None else STOP

    def settle(self, saved: int, steps: int) -> None:
        """Raise what it raised, now that the run is saved.

        Raises:
            RunFailure: it names the exception and its line.
            BaseException: SystemExit, KeyboardInterrupt and their like, as the callback raised them.
        """
        e = self._error
        if e is None:
            return
        if not isinstance(e, Exception):
            raise e
        at = traceback.extract_tb(e.__traceback__)[-1]
        rest = "The run is complete" if saved >= steps else "Run it again to continue"
        raise RunFailure(
            f"on_row raised {type(e).__name__} at step {self._step}: {str(e) or 'no message'} "
            f"({Path(at.filename).name}, line {at.lineno}).\nSaved at step {saved} of {steps}. {rest}."
        ) from e
