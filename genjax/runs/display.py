"""What a person sees while a run trains: a live bar on a terminal, plain lines elsewhere."""

import os
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from genjax import channels
from genjax.metrics_log import plain_names

FAVOURITES = ("elbo", "rate", "distortion", "d/loss", "g/loss", "d/real_probability", "d/fake_probability", "loss")
"""Metrics worth a place in one line, most informative first."""
CLOCK = ("step", "seconds", "examples_per_s", "failed")
"""What a row holds besides metrics."""
SHORTEST_BAR, LONGEST_BAR = 5, 40
FULL, EMPTY = "━", "┈"


def favourites(row: Mapping[str, float | int]) -> dict[str, float | int]:
    """The three metrics of a row that matter most, four of a game; the first ones where none is known.

    Example:
        >>> favourites({"step": 7, "critic/loss": 1.0, "vae/rate": 2.0, "vae/elbo": -3.0})
        {'vae/elbo': -3.0, 'vae/rate': 2.0, 'critic/loss': 1.0}
    """
    metrics = [k for k in row if k not in CLOCK]
    found = favourite_of(metrics)
    return {k: row[k] for k in list(found or metrics)[: 4 if "d/loss" in found.values() else 3]}


def favourite_of(names: Iterable[str]) -> dict[str, str]:
    """Those of some metrics that matter most, most informative first, each with the favourite that it is.

    Example:
        >>> favourite_of(["critic/loss", "vae/rate", "vae/elbo"])
        {'vae/elbo': 'elbo', 'vae/rate': 'rate', 'critic/loss': 'loss'}
    """
    found: dict[str, str] = {}
    plainly = plain_names(names)
    for favourite in FAVOURITES:
        for name, plain in plainly.items():
            if f"/{plain}".endswith(f"/{favourite}"):
                found.setdefault(name, favourite)
    return found


def one_line(step: int, steps: int, eta: str, words: Sequence[str], width: int, ascii_only: bool = False) -> str:
    """Step, bar, time left and those of `words` that a line of `width` characters has room for, the first ones first.

    Example:
        >>> one_line(250, 1000, "0:10", ["elbo -95.31", "rate 20.1"], 48, ascii_only=True)
        '250/1000 #..... ETA 0:10  elbo -95.31  rate 20.1'
    """
    head, tail = f"{step}/{steps}", f" ETA {eta}" if eta else ""
    if len(head + tail) > width:
        return head[:width]
    room = width - len(head + tail)
    said = ""
    for word in words:
        if len(said) + 2 + len(word) <= room - 1 - SHORTEST_BAR:
            said += f"  {word}"
    bar = min(room - len(said) - 1, LONGEST_BAR)
    if bar < SHORTEST_BAR:
        return head + tail
    done = min(bar * step // max(steps, 1), bar)
    full, empty = ("#", ".") if ascii_only else (FULL, EMPTY)
    return f"{head} {full * done}{empty * (bar - done)}{tail}{said}"


class Display:
    """A context manager with `update(row)` and `say(text)`.

    Args:
        start, steps: the first and the last step.
        quiet: print nothing but what `say` is given.
        line_seconds: at most one plain line per this time.
        members: how many of a population, whose mean the rows are; 0 for a single run.
        many: what examples are called.
    """

    def __init__(
        self, start: int, steps: int, quiet: bool = False, line_seconds: float = 10.0, members: int = 0,
        many: str = "examples",
    ):  # fmt: skip
        self.start, self.steps, self.quiet, self.line_seconds, self.members = start, steps, quiet, line_seconds, members
        self.many = many
        self.bar: Any = None
        self.last = -1e9
        self.began = time.perf_counter()

    def __enter__(self):
        if not self.quiet and _draws(sys.stderr):
            self.bar = _bar(self.start, self.steps)
            self.bar.start()
        return self

    def __exit__(self, *exc):
        if self.bar is not None:
            self.bar.stop()

    def update(self, row: Mapping[str, float | int]):
        words = [f"{k} {v:.4g}" for k, v in favourites(row).items()]
        words += [f"mean of {self.members}"] if self.members else []
        rate = f"{row['examples_per_s']:,.0f} {self.many}/s"
        if self.bar is not None:
            self.bar.update(self.bar.task_ids[0], completed=row["step"], words=[*words, rate])
            return
        now = time.perf_counter()
        if self.quiet or (now - self.last < self.line_seconds and row["step"] < self.steps):
            return
        self.last = now
        done = max(row["step"] - self.start, 1)
        eta = (now - self.began) / done * (self.steps - row["step"])
        channels.say(f"step {row['step']}/{self.steps}  {'  '.join(words)}  {rate}  ETA {_clock(eta)}")

    def say(self, text: str):
        if self.bar is not None:
            self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            channels.say(text)


def _draws(stream: Any) -> bool:
    """Whether a stream is a terminal on which a line can be drawn over."""
    try:
        return stream.isatty() and os.environ.get("TERM", "") not in ("dumb", "unknown")
    except (AttributeError, ValueError, OSError):  # closed
        return False


def _bar(start: int, steps: int) -> Any:
    """A progress bar of one column, which knows how wide the terminal is."""
    from rich import progress as rp
    from rich.console import Console
    from rich.text import Text

    console = Console(stderr=True)

    class Line(rp.ProgressColumn):
        def render(self, task):
            left, done = task.time_remaining, task.completed - start
            if left is None and done > 0:  # one row says no speed yet: since the beginning, compiling included
                left = (task.elapsed or 0.0) / done * (steps - task.completed)
            at = int(task.completed), steps, "" if left is None else _clock(left), task.fields["words"]
            text = Text(one_line(*at, console.width - 1, console.options.ascii_only), no_wrap=True, overflow="crop")
            text.highlight_regex(f"{FULL}+", "bar.complete")
            text.highlight_regex(f"{EMPTY}+", "bar.back")
            return text

    bar = rp.Progress(Line(), transient=True, console=console, speed_estimate_period=60.0)
    bar.add_task("", total=steps, completed=start, words=["compiling"])
    return bar


def _clock(seconds: float) -> str:
    """`1:02:03`, below an hour `2:03`."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
