"""Long rows by name: a recipe trained for the time there is, given back as pieces, and taken up again from them."""

import json
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any, NamedTuple

from experiments.accelerator import children, pieces
from experiments.accelerator.context import Context


class Row(NamedTuple):
    """A run that takes long."""

    recipe: str
    data: str
    """A name that genjax knows, or that of an `.npz` of the kit."""
    flags: tuple[str, ...] = ()
    rows: int = 1000
    """Steps a logged row averages over."""


HELD_OUT = ("--validation", "5000", "--eval-every", "1000")
ROWS = {
    "iwae_b20": Row("iwae_mnist", "mnist", rows=5000),
    "iwae_b200": Row("iwae_mnist", "mnist", ("--batch-size", "200", "--lr", "0.003", "--steps", "984000"), 2000),
    "vae_mnist": Row("vae_mnist", "mnist", HELD_OUT, 100),
    "gan_mnist": Row("gan_mnist", "mnist", HELD_OUT, 100),
    "vae_fashion_mnist": Row("vae_fashion_mnist", "fashion_mnist", HELD_OUT, 100),
    "gan_fashion_mnist": Row("gan_fashion_mnist", "fashion_mnist", HELD_OUT, 100),
    "vae_digits": Row("vae_digits", "digits"),
}
"""By name: one line is a row."""
ENDING = 12.0
"""Seconds kept for the last checkpoint and the pieces."""


def measure(ctx: Context) -> None:
    """The part: each row that was asked for has an equal share of what is left.

    Raises:
        LookupError: none was asked for, or one that there is not.
    """
    if unknown := [name for name in ctx.rows if name not in ROWS]:
        raise LookupError(f"--row {unknown[0]}: there is no such row; there are {', '.join(ROWS)}")
    if not ctx.rows:
        raise LookupError(f"no row was asked for: --row {' or '.join(ROWS)}")
    for i, name in enumerate(ctx.rows):
        ctx.record.rows.pop(name, None)  # it goes on
        seconds = ctx.record.left() / (len(ctx.rows) - i)
        if ctx.record.wants(name):
            with ctx.record.failing(name):
                ctx.record.add(name, train(ctx, name, ROWS[name], seconds))


def train(ctx: Context, name: str, row: Row, seconds: float) -> dict[str, Any]:
    """Trains a row for so long, from its pieces where they are, and writes the pieces of what it is then."""
    with tempfile.TemporaryDirectory() as folder:
        run = Path(folder) / name
        for place in filter(None, (ctx.pieces, ctx.record.folder)):
            if pieces.pieces_of(place, name):
                pieces.join(place, name, run)
                break
        ended = trained(ctx, row, run, max(1.0, seconds - ENDING))
        made = pieces.split(run, ctx.record.folder, name)
        step = max((int(p.name) for p in (run / "checkpoints").iterdir() if p.name.isdecimal()), default=0)
        rows = (run / "metrics.jsonl").read_text().splitlines()
    return {"recipe": row.recipe, "flags": list(row.flags), "step": step, "ended": ended,
            "pieces": [p.name for p in made], "bytes": sum(p.stat().st_size for p in made),
            "last": json.loads(rows[-1]) if rows else {}}  # fmt: skip


def trained(ctx: Context, row: Row, run: Path, seconds: float) -> str:
    """Trains until the end or the time; how it ended.

    Raises:
        Gone: the training failed.
    """
    flags = [*row.flags, "--log-every", str(row.rows), "--save-every", "1000000000", "--sample-every", "1000000000"]
    words = ["-m", "genjax", "train", row.recipe, *flags, "--data", data_of(ctx, row), "--keep", "1"]
    command = [sys.executable, *words, "--run-dir", str(run), "--quiet", "--health", "False"]
    with tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, env=children.environment(), stdout=errors, stderr=errors)
        stopped = False
        try:
            code = process.wait(timeout=seconds)
        except subprocess.TimeoutExpired:
            stopped = True
            process.send_signal(signal.SIGTERM)  # it saves, and ends with 143
            code = wait(process)
        errors.seek(0)
        said = children.last_line(errors.read())
    if code == 0:
        return "finished"
    if stopped and code == 128 + signal.SIGTERM:
        return "out of time"
    raise children.Gone(said or f"exit code {code}")


def wait(process: subprocess.Popen) -> int:
    """The exit code of a process that was told to end.

    Raises:
        Gone: it does not; it is ended.
    """
    try:
        return process.wait(timeout=ENDING)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
        raise children.Gone(f"it had not saved {ENDING:.0f} s after it was told to stop") from None


def data_of(ctx: Context, row: Row) -> str:
    """What `--data` is for a row: the kit's file where there is one, else the name."""
    path = ctx.data / f"{row.data}.npz" if ctx.data else None
    return os.fspath(path) if path and path.is_file() else row.data
