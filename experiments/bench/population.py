"""N seeds as one program against N runs one after the other: wall and CPU time of whole `genjax train` processes.

Command:  taskset -c 0 python experiments/bench/population.py [--share 0.25] [--counts 1,2,4,8,16] [RECIPE ...]
Prints:   a table a recipe. Everything counts: Python's start, imports, compilation, training, checkpoints, pictures.
          Each side begins with an empty compile cache. The runs one after the other share theirs, so that all but the
          first find their program compiled; so the first is what N runs cost cold, the others what they cost warm. A
          population is started twice, cold and warm; its warm time stands against runs that are all warm.
"""

import argparse
import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from genjax import recipes

RECIPES = {
    "vae_digits": [],
    "gan_digits": [],
    "gan_fashion_mnist": ["--data", "digits", "--width", "16", "--batch-size", "64"],
}
"""Flags beside the defaults."""


class Cost(NamedTuple):
    """Seconds."""

    wall: float
    cpu: float


def train(name: str, run: Path, cache: Path, *flags: str) -> Cost:
    """A process that trains, from its start to its end."""
    command = [sys.executable, "-m", "genjax", "train", name, *RECIPES[name], *flags, "--run-dir", str(run), "--quiet"]
    env = os.environ | {"JAX_COMPILATION_CACHE_DIR": str(cache)}
    began, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(command, env=env, check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return Cost(time.perf_counter() - began, cpu)


def compare(name: str, counts: list[int], share: float, folder: Path) -> None:
    """Prints a row for each N."""
    steps = str(max(1, round(share * recipes.load(name).Config().steps)))
    singles = [
        train(name, folder / f"single{i}", folder / "single-cache", "--steps", steps, "--seed", str(i))
        for i in range(max(2, *counts))
    ]
    for n in counts:
        cache = folder / f"cache{n}"
        flags = ("--steps", steps, "--seeds", str(n))
        cold, warm = (train(name, folder / f"{state}{n}", cache, *flags) for state in ("cold", "warm"))
        each = [Cost(*(sum(c[i] for c in singles[:n]) for i in range(2)))]
        each.append(Cost(*(n * sum(c[i] for c in singles[1:]) / len(singles[1:]) for i in range(2))))
        cells = []
        for one_by_one, together in zip(each, (cold, warm), strict=True):
            cells += [f"{one_by_one.wall:.1f}", f"{together.wall:.1f}", f"{one_by_one.wall / together.wall:.2f}",
                      f"{one_by_one.cpu / together.cpu:.2f}"]  # fmt: skip
        print("  ".join(f"{c:>12}" for c in (name, steps, str(n), *cells)), flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="*", default=list(RECIPES), help=f"of {', '.join(RECIPES)}")
    parser.add_argument("--counts", default="1,2,4,8,16", help="numbers of seeds")
    parser.add_argument("--share", type=float, default=0.25, help="of the recipe's default steps")
    args = parser.parse_args()
    head = ["recipe", "steps", "N"]
    for state in ("cold", "warm"):
        head += [f"{state} N runs", f"{state} one", "wall ratio", "cpu ratio"]
    print("  ".join(f"{c:>12}" for c in head), flush=True)
    for name in args.recipe:
        with tempfile.TemporaryDirectory() as folder:
            compare(name, [int(n) for n in args.counts.split(",")], args.share, Path(folder))


if __name__ == "__main__":
    main()
