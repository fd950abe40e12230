"""Shipped recipes' programs, built and compiled once for many tests: tracing them anew was half of a session's time."""

import dataclasses
import sys
from collections import OrderedDict
from typing import Any

import jax

from genjax import recipes
from genjax.runs import opening, setup
from genjax.train import loop

MOST = 16
"""Programs kept, the last used."""


class Programs(OrderedDict):
    """Experiments by recipe, data and configuration, and compiled chunks by step; everything else is done as ever."""

    def once(self, key: Any, make: Any) -> Any:
        if key not in self:
            self[key] = make()
        self.move_to_end(key)
        while len(self) > MOST:
            self.popitem(last=False)
        return self[key]

    def patch(self, monkeypatch: Any) -> None:
        """Puts the store into `runs` and `train` until the test ends."""
        build_anew, chunk_anew = opening.built, loop.make_chunk

        def built(build: Any, cfg: Any, spec: Any) -> Any:
            key = _key(build, cfg, spec)
            return build_anew(build, cfg, spec) if key is None else self.once(key, lambda: build_anew(build, cfg, spec))

        def make_chunk(step: Any, source: Any, capacity: int, *placed: Any) -> Any:
            transform = getattr(source, "transform", None)
            if transform is None or (placed and placed[0] is not loop.ONE_DEVICE):
                return chunk_anew(step, source, capacity, *placed)
            key = (step, transform, source.batch_size, source.capacity, capacity)
            return self.once(key, lambda: chunk_anew(step, source, capacity, *placed))

        monkeypatch.setattr(opening, "built", built)
        monkeypatch.setattr(setup, "built", built)
        monkeypatch.setattr(loop, "make_chunk", make_chunk)


def _key(build: Any, cfg: Any, spec: Any) -> Any:
    """What an experiment of a shipped recipe is made of; None of any other recipe."""
    code = getattr(sys.modules.get(build.__module__), "SOURCES", None)
    if code is None or not (recipes.folder() / code.entry).is_file():
        return None
    text = code.files[code.entry]
    if text != (recipes.folder() / code.entry).read_bytes():
        return None
    if any(isinstance(v, jax.core.Tracer) for v in vars(cfg).values()):  # a population's
        return None
    unread = [name for name in ("seed", "steps") if f"cfg.{name}".encode() not in text]
    fields = {k: v for k, v in dataclasses.asdict(cfg).items() if k not in unread}
    return code.sha256, build.__qualname__, type(cfg).__qualname__, repr(spec), repr(fields)
