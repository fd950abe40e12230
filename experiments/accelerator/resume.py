"""Exact resume with deterministic operations: a run that is stopped and continued has the digest of the whole.

Command:  python -m experiments.accelerator.resume RECIPE FOLDER=STEPS [FOLDER=STEPS ...]
          trains each folder to its steps in turn, and prints {"digest", "images_per_s"} of the last
"""

import json
import os
import sys
import tempfile
from pathlib import Path
from typing import Any

from experiments.accelerator import children
from experiments.accelerator.context import Context

DETERMINISTIC = "--xla_gpu_deterministic_ops=true"
RECIPES = ("gan_digits", "vae_digits")
SECONDS = 120.0
"""That one process may take at most."""


def measure(ctx: Context) -> None:
    """The part: digests, and what determinism costs."""
    for recipe in RECIPES:
        ctx.record.measure(f"resume {recipe}", lambda recipe=recipe: compare(ctx, recipe))


def compare(ctx: Context, recipe: str) -> dict[str, Any]:
    """Digests of a run and of one that was stopped and continued, and the speed with and without determinism."""
    steps = ctx.sizes.steps
    flags = os.environ.get("XLA_FLAGS", "")
    exact = f"{flags} {DETERMINISTIC}".strip() if ctx.stamp["platform"] == "cuda" else flags
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)

        def train(flags: str, **to: int) -> dict[str, Any]:
            words = [f"{folder / run}={steps}" for run, steps in to.items()]
            left = max(10.0, min(SECONDS, ctx.record.left() + 10.0))
            said = children.run(["-m", "experiments.accelerator.resume", recipe, *words], left, XLA_FLAGS=flags)
            return json.loads(said.splitlines()[-1])

        whole = train(exact, stopped=steps // 2, whole=steps)
        continued = train(exact, stopped=steps)
        free = train(flags, free=steps) if exact != flags else whole
    row = {
        "steps": steps,
        "flags": exact,
        "digest": whole["digest"],
        "exact": whole["digest"] == continued["digest"],
        "deterministic_images_per_s": whole["images_per_s"],
        "free_images_per_s": free["images_per_s"],
        "cost": round(free["images_per_s"] / whole["images_per_s"], 3),
    }
    if not row["exact"]:
        row["failed"] = f"digest {continued['digest'][:12]} after a stop, {row['digest'][:12]} without one"
    return row


def main(recipe: str, *wanted: str) -> None:
    """Trains runs, and says the last one's digest and its speed."""
    from genjax import cli, runs
    from genjax.train import leaves

    run = ""
    for words in wanted:
        run, _, steps = words.rpartition("=")
        every = str(max(1, int(steps) // 4))
        flags = ["--quiet", "--health", "False", "--log-every", every, "--save-every", "1000000"]
        if code := cli.main(["train", recipe, "--steps", steps, "--run-dir", run, *flags, "--sample-every", "1000000"]):
            raise SystemExit(code)
    _, state, _ = runs.load(run)
    speed = float(runs.read_metrics(run)["examples_per_s"][-1])
    print(json.dumps({"digest": leaves.tree_digest(state), "images_per_s": speed}))


if __name__ == "__main__":
    main(*sys.argv[1:])
