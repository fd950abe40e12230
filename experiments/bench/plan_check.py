"""`genjax plan --device cpu` against measurement: training steps on one core, predicted and timed.

Command:  python experiments/bench/plan_check.py [--rounds 5] [--cores 1] [--json F]
Prints:   the rates measured of this CPU, then for each workload the milliseconds of a step that the plan predicts from
          them, those that the compiled chunk of `train.fit` takes, and their ratio (measured over predicted); ends
          with 1 where a ratio lies outside 1/1.5 ... 1.5.

Rates and steps are measured in this one process. On one core the clock is the process's CPU time, which other work on
the machine disturbs least; on more it is wall time, and the machine should be idle. A step's time is the median of the
rounds; the rates are measured before them and after, and each the better of the two.
"""

import argparse
import dataclasses
import json
import os
import statistics
import sys
import time

TOLERANCE = 1.5
WORKLOADS = {
    "vae_digits": ((28, 28, 1), 64),
    "gan_mnist": ((28, 28, 1), 8),
    "gan_fashion_mnist": ((28, 28, 1), 8),
    "vae_mnist": ((28, 28, 1), 6),
}
"""Recipe -> shape of an image, steps of a chunk."""


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cores", type=int, default=1)
    parser.add_argument("--json", default="")
    return parser.parse_args()


def built(name: str):
    """(experiment, spec, batch size) of a workload, at the recipe's own sizes."""
    from genjax import data, recipes

    shape, _ = WORKLOADS[name]
    recipe = recipes.load(name)
    cfg = recipe.Config()
    spec = data.Spec(name, shape, 0, 4096, "")
    return recipe.build(cfg, spec), spec, cfg.batch_size


def chunk_of(name: str):
    """A function that runs one chunk of steps in the compiled loop of `train.fit`, and returns when it is done."""
    import jax
    import numpy as np

    from genjax import data
    from genjax.train.loop import make_chunk

    experiment, spec, batch_size = built(name)
    n = WORKLOADS[name][1]
    images = np.random.default_rng(0).integers(0, 256, (spec.n_train, *spec.shape), np.uint8)
    source = data.make_source(data.Examples(images), batch_size, experiment.transform)
    key = jax.random.key(0)
    chunk = make_chunk(experiment.step, source, 64)
    held = source.window(key, 0, n, experiment.step.n_batches)
    state = experiment.step.init(experiment.model, key)

    def run():
        nonlocal state
        state, metrics = chunk(state, held, key, np.int32(n))
        jax.block_until_ready(metrics)

    run()
    return run


def better(a, b):
    """The faster rate of two measurements, figure by figure."""
    up = {f: max(getattr(a, f), getattr(b, f)) for f in ("conv", "shuffle", "vector", "transcendental", "random")}
    table = tuple((size, max(x, y)) for (size, x), (_, y) in zip(a.bandwidth, b.bandwidth, strict=True))
    matrix = {"float32": max(a.matrix["float32"], b.matrix["float32"])}
    return dataclasses.replace(a, **up, bandwidth=table, matrix=matrix, overhead=min(a.overhead, b.overhead))


def main() -> int:
    args = arguments()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    clock = time.process_time if args.cores == 1 else time.perf_counter
    from genjax.plan import calibrate, plan

    before = calibrate.cpu(clock)
    runs = {name: chunk_of(name) for name in WORKLOADS}
    seconds = {name: [] for name in WORKLOADS}
    for _ in range(args.rounds):
        for name, run in runs.items():
            start = clock()
            run()
            seconds[name].append((clock() - start) / WORKLOADS[name][1])
    cpu = better(before, calibrate.cpu(clock))
    giga = ", ".join(f"{f} {getattr(cpu, f) / 1e9:.3g}" for f in ("conv", "vector", "transcendental", "random"))
    memory = ", ".join(f"{rate / 1e9:.3g} to {size / 1e6:.0f} MB" for size, rate in cpu.bandwidth)
    print(f"{args.cores} core(s), Gop/s: matrix {cpu.matrix['float32'] / 1e9:.3g}, {giga}; GB/s: {memory}")
    rows, bad = [], 0
    for name in WORKLOADS:
        made = plan(*built(name), cpu)
        measured = statistics.median(seconds[name])
        ratio = measured / made.predicted
        bad += not 1 / TOLERANCE <= ratio <= TOLERANCE
        ms = {"predicted": made.predicted, "measured": measured}
        ms |= {"least": min(seconds[name]), "most": max(seconds[name])}
        ms = {k: round(1e3 * v, 3) for k, v in ms.items()}
        rows.append({"workload": name, "ratio": ratio, "gflop": made.work.flops / 1e9, "ms": ms})
        print(
            f"{name:18s} predicted {ms['predicted']:8.2f} ms   measured {ms['measured']:8.2f} ms "
            f"[{ms['least']:.2f} - {ms['most']:.2f}]   ratio {ratio:.2f}"
        )
    if args.json:
        with open(args.json, "w", encoding="utf-8") as f:
            json.dump(rows, f, indent=1)
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
