"""Ctrl-C and the signals that ask a process to end, as a flag that the training loop looks at between chunks."""

import contextlib
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from types import FrameType, TracebackType
from typing import Any


def _those(*names: str) -> tuple[signal.Signals, ...]:
    """The signals of these names that the system has."""
    return tuple(getattr(signal, name) for name in names if hasattr(signal, name))


OPTIONAL = _those("SIGHUP", "SIGUSR1", "SIGUSR2", "SIGXCPU", "SIGBREAK")
"""A terminal that closes; what schedulers send before the time is over (Slurm, Grid Engine, LSF); the soft limit of CPU
time; Ctrl-Break on Windows. Left alone where the process was started with them ignored, as by `nohup`."""
HANDLED = (signal.SIGINT, signal.SIGTERM, *OPTIONAL)
ALARM = getattr(signal, "SIGALRM", None)  # not on Windows


class Signals:
    """While open, the first signal of `HANDLED` sets `received` instead of ending the process.

    The loop then saves, and the process leaves with 128 + its number. A Ctrl-C after the first signal stops at once
    (`KeyboardInterrupt`); any other one, as schedulers repeat theirs, changes nothing. SIGINT is taken even where a
    shell had it ignored for a background job. An interrupt that strikes where Python drops every exception (a
    destructor, the garbage collector's callbacks, frequent while JAX compiles) is raised again after it. Handlers are
    put back on leaving. Python delivers signals to the main thread only: opened on another thread, this does nothing.

    Args:
        on_message: called once, from the handler, with a sentence on what happens now.
        numbers: the signals to take.

    Example:
        >>> with Signals() as signals:
        ...     signal.raise_signal(signal.SIGTERM)
        ...     signals.received.name
        'SIGTERM'
    """

    def __init__(self, on_message: Callable[[str], Any] | None = None, numbers: Sequence[signal.Signals] = HANDLED):
        self.received: signal.Signals | None = None
        """The first signal that came, or None."""
        self._on_message, self._numbers = on_message, numbers
        self._previous: dict[signal.Signals, Any] = {}
        self._at_once = False
        self._hold: Callable[[], bool] | None = None
        self._late = False
        self._hook = sys.unraisablehook

    def __enter__(self) -> "Signals":
        if threading.current_thread() is threading.main_thread():
            for s in self._numbers:
                if not (s in OPTIONAL and signal.getsignal(s) is signal.SIG_IGN):
                    self._previous[s] = signal.signal(s, self._handle)
            if self._previous:
                self._hook, sys.unraisablehook = sys.unraisablehook, self._dropped
        return self

    def __exit__(self, kind: type[BaseException] | None, e: BaseException | None, tb: TracebackType | None) -> None:
        at_once, self._at_once = self._at_once, False
        if ALARM in self._previous:
            signal.setitimer(signal.ITIMER_REAL, 0)
        if self._previous:
            sys.unraisablehook = self._hook
        for s, handler in self._previous.items():
            # None: a handler installed from C, which Python cannot put back.
            signal.signal(s, signal.SIG_DFL if handler is None else handler)
        self._previous = {}
        if at_once and isinstance(e, Exception):
            # What the interrupt struck (an event loop, a save) may report it as a failure of its own.
            raise KeyboardInterrupt from e

    @contextlib.contextmanager
    def held(self, needed: Callable[[], bool] = lambda: True) -> Iterator[None]:
        """Meanwhile the second Ctrl-C waits (the third does not): for what must be done whole or not at all.

        Args:
            needed: asked as it comes whether it has to wait.
        """
        self._hold = needed
        try:
            yield
        finally:
            self._hold = None
            if self._late:
                self._strike()

    def _strike(self) -> None:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        self._at_once, self._late = True, False
        raise KeyboardInterrupt

    def _handle(self, number: int, frame: FrameType | None) -> None:
        if self.received is None:
            self.received = signal.Signals(number)
            if self._on_message is not None:
                # A print interrupted by this one refuses to be re-entered; the message is then the loop's to give.
                with contextlib.suppress(RuntimeError):
                    self._on_message(f"{self.received.name}: saving, then stopping. Ctrl-C (again) stops at once.")
        elif number == signal.SIGINT:
            if self._hold is not None and not self._late and self._hold():
                self._late = True
            else:
                self._strike()

    def _dropped(self, what: Any) -> None:
        if ALARM is not None and self._at_once and what.exc_type is KeyboardInterrupt:
            # Later, by an alarm: raised from here it would be dropped like the first.
            self._previous.setdefault(ALARM, signal.signal(ALARM, self._again))
            signal.setitimer(signal.ITIMER_REAL, 0.05)
        else:
            self._hook(what)

    def _again(self, number: int, frame: FrameType | None) -> None:
        if self._at_once:
            raise KeyboardInterrupt
