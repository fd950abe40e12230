"""Sessions of real runs in this process, without compiling anew each time."""

import importlib
import signal

import pytest

from genjax import cli
from genjax.cli import cache
from genjax.runs import setup
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


@pytest.fixture(scope="session")
def kept():
    """Experiments by configuration, and compiled chunks by experiment."""
    return {}


@pytest.fixture
def train_here(kept, monkeypatch):
    """`train_here(argv)` is `genjax` in this process; with `stop_after=k`, stopped by SIGTERM after k chunks of a step.

    A configuration's program is built and compiled once for all tests; everything else is done as ever.
    """
    build_anew, chunk_anew = setup.built, loop.make_chunk

    def built(build, cfg, spec):
        key = (build, spec, *(v for field, v in vars(cfg).items() if field != "steps"))
        if key not in kept:
            kept[key] = build_anew(build, cfg, spec)
        return kept[key]

    def chunk(step, source, capacity, *placed):
        key = (step, source.batch_size, capacity, *placed[:1])
        if key not in kept:
            kept[key] = chunk_anew(step, source, capacity, *placed)
        return kept[key]

    monkeypatch.setattr(cache, "enable", lambda on=True: None)
    monkeypatch.setattr(setup, "built", built)
    monkeypatch.setattr(loop, "make_chunk", chunk)

    def train(argv: list[str], stop_after: int | None = None) -> int:
        with monkeypatch.context() as m:
            if stop_after is not None:
                m.setattr(run_module, "Signals", lambda say: Stops(stop_after))
                m.setattr(loop, "TARGET_SECONDS", 0.0)
            return cli.main(argv)

    return train
