"""What a person sees while a run trains: a live bar on a terminal, plain lines elsewhere."""

import sys
import time

FAVOURITES = ("elbo", "rate", "distortion", "d/loss", "g/loss", "d/real_probability", "d/fake_probability", "loss")
"""Metrics worth a place in one line, most telling first; three are shown."""


def favourites(row: dict[str, float | int]) -> dict[str, float | int]:
    """The two or three metrics of a row that matter most."""
    return {k: row[k] for k in [k for k in FAVOURITES if k in row][: 4 if "d/loss" in row else 3]}


class Display:
    """A context manager with `update(row)` and `say(text)`.

    Args:
        start, steps: the first and the last step.
        quiet: print nothing but what `say` is given.
        line_seconds: at most one plain line per this time.
    """

    def __init__(self, start: int, steps: int, quiet: bool = False, line_seconds: float = 10.0):
        self.start, self.steps, self.quiet, self.line_seconds = start, steps, quiet, line_seconds
        self.bar = None
        self.last = -1e9
        self.began = time.perf_counter()

    def __enter__(self):
        if sys.stderr.isatty() and not self.quiet:
            from rich import progress as rp

            columns = (rp.BarColumn(bar_width=None), rp.MofNCompleteColumn(), rp.TextColumn("{task.fields[rate]}"))
            self.bar = rp.Progress(
                *columns, rp.TimeRemainingColumn(), rp.TextColumn("{task.description}"), transient=True,
                console=_stderr(), expand=True, speed_estimate_period=60.0,
            )  # fmt: skip
            self.task = self.bar.add_task("compiling", total=self.steps, completed=self.start, rate="")
            self.bar.start()
        return self

    def __exit__(self, *exc):
        if self.bar is not None:
            self.bar.stop()

    def update(self, row: dict[str, float | int]):
        text = "  ".join(f"{k} {v:.4g}" for k, v in favourites(row).items())
        rate = f"{row['images_per_s']:,.0f} images/s"
        if self.bar is not None:
            self.bar.update(self.task, completed=row["step"], description=text, rate=rate)
            return
        now = time.perf_counter()
        if self.quiet or (now - self.last < self.line_seconds and row["step"] < self.steps):
            return
        self.last = now
        done = max(row["step"] - self.start, 1)
        eta = (now - self.began) / done * (self.steps - row["step"])
        print(f"step {row['step']}/{self.steps}  {text}  {rate}  ETA {_clock(eta)}", file=sys.stderr, flush=True)

    def say(self, text: str):
        if self.bar is not None:
            self.bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)


def _stderr():
    from rich.console import Console

    return Console(stderr=True)


def _clock(seconds: float) -> str:
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"
