"""What each sample metric costs: seconds and memory for 10,000 real and 10,000 fake samples of given dimension.

Command:  python experiments/bench/metrics.py [METRIC ...] [--n 10000] [--dims 128 2048]
          python experiments/bench/metrics.py --against PYTHON [--rounds 3]     prdc, paired with the package `prdc`
Prints:   a table; every row is a process of its own. `first` is the first call, compilation and all, `again` the
          second, in wall time and in CPU time of all cores. `peak` is the largest memory of the process, the
          interpreter, jax and the samples included; `before` what it was when the samples were made.

PYTHON is an interpreter that has the package `prdc`. Both get the same samples, in turn; the ratio is taken round by
round (package / genjax, its second call) and the median, smallest and largest are printed with the largest difference
between the four numbers. On a machine that does other things the CPU times are the ones to compare.
"""

import argparse
import inspect
import json
import resource
import statistics
import subprocess
import sys
import time

import numpy as np


def samples(n: int, d: int, fake: bool) -> np.ndarray:
    """(n, d) float32 near a curved surface of 16 dimensions, as features of a net are; the fake ones a little off."""
    rng = np.random.default_rng(1 + fake)
    out = np.tanh(rng.standard_normal((n, 16)) @ np.random.default_rng(0).standard_normal((16, d)) / 4 + 0.05 * fake)
    out += (0.1 + 0.02 * fake) * rng.standard_normal((n, d))
    return out.astype(np.float32)


PACKAGE = """
import json, resource, sys, time
import numpy as np
from prdc import compute_prdc
{samples}
n, d = map(int, sys.argv[1:])
real, fake = samples(n, d, False), samples(n, d, True)
wall, cpu = time.perf_counter(), time.process_time()
found = compute_prdc(real, fake, nearest_k=5)
wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
values = [float(found[k]) for k in ("precision", "recall", "density", "coverage")]
print(json.dumps(dict(again=wall, again_cpu=cpu, peak=peak, value=values)))
"""


def metrics() -> dict:
    """Name -> what takes (real, fake)."""
    import jax

    from genjax import metrics as m

    key = jax.random.key(0)
    return {
        "frechet_distance": m.frechet_distance,
        "frechet_infinity": lambda r, f: m.frechet_infinity(r, f, key),
        "kernel_distance": m.kernel_distance,
        "kernel_distance_subsets": lambda r, f: m.kernel_distance_subsets(r, f, key, subset_size=min(1000, len(f))),
        "prdc": m.prdc,
        "sliced_wasserstein": lambda r, f: m.sliced_wasserstein(r, f, key),
        "mind": lambda r, f: m.mind(r, f, key),
        "inception_score": lambda r, f: m.inception_score(f),
    }


def measure(name: str, n: int, d: int) -> dict:
    """This process's times, memory and value."""
    metric, out = metrics()[name], {}
    real, fake = samples(n, d, False), samples(n, d, True)
    out["before"] = _peak_mib()
    for call in ("first", "again"):
        wall, cpu = time.perf_counter(), time.process_time()
        value = metric(real, fake)
        out |= {call: time.perf_counter() - wall, call + "_cpu": time.process_time() - cpu}
    return out | {"peak": _peak_mib(), "value": np.atleast_1d(value).tolist()}


def _peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def child(*command: str) -> dict:
    """What a process printed last."""
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(done.stderr[-2000:])
    return json.loads(done.stdout.splitlines()[-1])


def one(name: str, n: int, d: int) -> dict:
    return child(sys.executable, __file__, name, "--n", str(n), "--dims", str(d), "--here")


def table(names: list[str], n: int, dims: list[int]) -> None:
    """A row per metric and dimension."""
    print(f"| {n} + {n} samples | d | first, s | again, s | again, CPU s | peak, MiB | before, MiB | value |")
    print("|" + "---|" * 8)
    for d in dims:
        for name in names:
            r = one(name, n, d)
            value = ", ".join(f"{v:.6g}" for v in r["value"])
            print(
                f"| {name} | {d} | {r['first']:.2f} | {r['again']:.2f} | {r['again_cpu']:.2f} | {r['peak']:.0f} "
                f"| {r['before']:.0f} | {value} |",
                flush=True,
            )


def against(python: str, n: int, dims: list[int], rounds: int) -> None:
    """A row per dimension: how many times faster prdc is than the package."""
    code = PACKAGE.format(samples=inspect.getsource(samples))
    print(
        "| prdc | d | package, s | genjax, s | ratio | package, CPU s | genjax, CPU s | ratio "
        "| package, MiB | genjax, MiB | largest difference |\n|" + "---|" * 11
    )
    for d in dims:
        pairs = [(child(python, "-c", code, str(n), str(d)), one("prdc", n, d)) for _ in range(rounds)]
        cells = []
        for time_of in ("again", "again_cpu"):
            ratios = sorted(p[time_of] / g[time_of] for p, g in pairs)
            cells += [f"{statistics.median(r[time_of] for r in side):.2f}" for side in zip(*pairs, strict=True)]
            cells += [f"{statistics.median(ratios):.2f} ({ratios[0]:.2f} to {ratios[-1]:.2f})"]
        cells += [f"{max(r['peak'] for r in side):.0f}" for side in zip(*pairs, strict=True)]
        off = max(abs(a - b) for p, g in pairs for a, b in zip(p["value"], g["value"], strict=True))
        print(f"| {n} + {n} | {d} | {' | '.join(cells)} | {off:.1e} |", flush=True)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("metrics", nargs="*")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--dims", type=int, nargs="+", default=[128, 2048])
    parser.add_argument("--against", metavar="PYTHON", help="an interpreter with the package prdc")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--here", action="store_true", help="in this process, one row as JSON")
    args = parser.parse_args()
    if args.here:
        print(json.dumps(measure(args.metrics[0], args.n, args.dims[0])))
    elif args.against:
        against(args.against, args.n, args.dims, args.rounds)
    else:
        table(args.metrics or list(metrics()), args.n, args.dims)


if __name__ == "__main__":
    main()
