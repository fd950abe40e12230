"""How long a recipe takes from the command line to the end of its first step, with and without compiled programs.

Command:  python experiments/bench/startup.py [RECIPE ...] [--rounds 3]
Prints:   seconds of wall clock and of CPU of the whole process, medians: `genjax --help`, then for each recipe
          `genjax train RECIPE --steps 1` with an empty compile cache (cold) and with that of the run before (warm).
"""

import argparse
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path


def timed(argv: Sequence[str], cache: str) -> tuple[float, float]:
    """Wall and CPU seconds of one `genjax` process whose compile cache is `cache`.

    Raises:
        SystemExit: it failed; its output is shown.
    """
    root = str(Path(__file__).resolve().parents[2])
    path = os.pathsep.join([root, *filter(None, [os.environ.get("PYTHONPATH")])])
    env = {**os.environ, "JAX_COMPILATION_CACHE_DIR": cache, "PYTHONPATH": path}
    before, start = resource.getrusage(resource.RUSAGE_CHILDREN), time.perf_counter()
    done = subprocess.run([sys.executable, "-m", "genjax", *argv], env=env, capture_output=True, text=True, check=False)
    wall, after = time.perf_counter() - start, resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise SystemExit(done.stdout + done.stderr)
    return wall, after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def first_step(recipe: str) -> tuple[tuple[float, float], tuple[float, float]]:
    """(cold, warm): wall and CPU seconds of a run of one step."""
    with tempfile.TemporaryDirectory() as folder:
        cold, warm = (
            timed(["train", recipe, "--steps", "1", "--run-dir", f"{folder}/run{i}"], f"{folder}/cache")
            for i in range(2)
        )
    return cold, warm


def report(what: str, times: list[tuple[float, float]]) -> None:
    """One line: medians, and the range of the wall clock."""
    wall, cpu = zip(*times, strict=True)
    span = f"[{min(wall):.2f}-{max(wall):.2f}]"
    print(f"{what:24s} wall {statistics.median(wall):6.2f} s {span}  cpu {statistics.median(cpu):6.2f} s", flush=True)


def main() -> None:
    """See the module's docstring."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipe", nargs="*", default=["vae_digits", "gan_digits"])
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()
    report("genjax --help", [timed(["--help"], "") for _ in range(args.rounds)])
    for recipe in args.recipe:
        both = [first_step(recipe) for _ in range(args.rounds)]
        report(f"{recipe} cold", [cold for cold, _ in both])
        report(f"{recipe} warm", [warm for _, warm in both])


if __name__ == "__main__":
    main()
