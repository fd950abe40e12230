"""Sessions of real runs in this process, without compiling anew each time."""

import importlib
import signal

import pytest

from genjax import cli
from genjax.cli import cache
from genjax.train import loop
from genjax.train.signals import Signals

run_module = importlib.import_module("genjax.runs.run")  # as an attribute it is the function


class Stops(Signals):
    """A SIGTERM that is seen when the loop asks for the `after`-th time, from 0."""

    def __init__(self, after: int):
        self.left = after
        super().__init__()

    @property
    def received(self):
        self.left -= 1
        return signal.SIGTERM if self.left < 0 else None

    @received.setter
    def received(self, value):
        pass


@pytest.fixture
def train_here(monkeypatch):
    """`train_here(argv)` is `genjax` in this process; with `stop_after=k` stopped by SIGTERM after k chunks."""
    monkeypatch.setattr(cache, "enable", lambda on=True: None)

    def train(argv: list[str], stop_after: int | None = None) -> int:
        with monkeypatch.context() as m:
            if stop_after is not None:
                m.setattr(run_module, "Signals", lambda say: Stops(stop_after))
                m.setattr(loop, "TARGET_SECONDS", 0.0)
            return cli.main(argv)

    return train
