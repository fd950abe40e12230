"""What the health monitor costs: a recipe trained as shipped, with it and without, and the share of time that it kept.

Command:  python experiments/bench/health.py vae_digits gan_digits [--steps 6000] [--repeat 1] [--alone]

Prints a line of JSON for each recipe:
    share     seconds that the monitor took, compilation of its probe included, over the seconds of training
    probes    looks into the model; first_s what the first cost, with compilation, later_ms what the next ones do
    images_s  images a second of training without (but for --alone) and with it, the best of the repeats
Nothing is kept compiled between runs, as for a user's first run; the grids of samples are drawn as in a run.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import jax

from genjax import data, domains, recipes, train
from genjax.health import Monitor
from genjax.runs import sample_grids
from genjax.train.loop import Every


def trained(name: str, steps: int | None, watched: bool) -> tuple[float, float, Monitor | None]:
    """Seconds and images a second of one training, and its monitor."""
    jax.clear_caches()
    recipe = recipes.load(name)
    cfg = recipe.Config() if steps is None else replace(recipe.Config(), steps=steps)
    dataset, key = data.load(cfg.data), jax.random.key(cfg.seed)
    experiment = recipe.build(cfg, dataset.spec)
    source = data.make_source(dataset.train, cfg.batch_size, experiment.transform)
    state = experiment.step.init(experiment.model, key)
    with tempfile.TemporaryDirectory() as folder:
        start = time.perf_counter()
        monitor = Monitor(experiment, dataset, key, cfg.batch_size, 100, 500) if watched else None
        look, domain = None if monitor is None else monitor.samples, domains.of(dataset.spec)
        grid = sample_grids.grids(experiment, domain, dataset.spec, key, Path(folder), look=look)

        def on_row(row):
            if monitor is not None:
                for finding in monitor.row(row):
                    print(finding.line(row["step"]), file=sys.stderr)

        fitted = train.fit(
            experiment.step, state, source, key, steps=cfg.steps, on_row=on_row, every=(Every(500, grid),),
            hooks=train.Hooks(monitor=monitor),
        )  # fmt: skip
        seconds = time.perf_counter() - start
    late = [row["examples_per_s"] for row in fitted.rows[len(fitted.rows) // 2 :]]
    return seconds, sorted(late)[len(late) // 2], monitor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="+")
    parser.add_argument("--steps", type=int, help="default: the recipe's own")
    parser.add_argument("--repeat", type=int, default=1)
    parser.add_argument("--alone", action="store_true", help="not without the monitor")
    args = parser.parse_args()
    for name in args.recipes:
        without, within, shares = [], [], []
        for _ in range(args.repeat):
            if not args.alone:
                without.append(trained(name, args.steps, False)[1])
            seconds, speed, monitor = trained(name, args.steps, True)
            assert monitor is not None
            within.append(speed)
            shares.append(monitor.budget.spent / seconds)
        budget = monitor.budget
        print(
            json.dumps(
                {
                    "recipe": name,
                    "seconds": round(seconds, 1),
                    "share": [round(s, 4) for s in shares],
                    "probes": budget.probes,
                    "first_s": None if budget.first is None else round(budget.first, 2),
                    "later_ms": None if budget.probes < 2 else round(1e3 * budget.expected, 1),
                    "images_s": [round(max(v)) for v in (without, within) if v],
                    "load": [round(v, 1) for v in os.getloadavg()],
                }
            ),
            flush=True,
        )


if __name__ == "__main__":
    main()
