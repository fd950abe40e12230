"""Numbers that scripts have measured, as a record that `genjax results` makes a table of.

Command:  python -m experiments._records experiments/results/NAME.json runs/a-0.json runs/a-1.json runs/b-0.json ...
          python -m experiments._records experiments/results/NAME.json --across-commits runs/a-0 runs/a-1 runs/b-0 ...
Reads:    a file for each seed of each column (`Measured`), as `_seqgan`, `_tables` and `_ngrams` write with --out; and
          records of `genjax compare --record`, whose columns come first as they are.
Writes:   a column for each name, in the order of the files: the mean over its seeds with Student's 95 % interval; of
          one seed the interval over samples, where the script knows it.
Commits:  `genjax compare` never averages seeds that unlike code has trained. --across-commits takes runs that `genjax
          eval` has measured, and does, for code that was shown to train to the same bits: the README says how. Each
          seed keeps its commit in the record.
"""

import argparse
import dataclasses
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import numpy as np

from genjax.files import write_out
from genjax.metrics import over_seeds
from genjax.metrics.interval import interval
from genjax.report.sources import Source, command_of, sources
from genjax.report.words import rank
from genjax.runs import run_folder
from genjax.runs.manifest import manifest

VERSIONS = ("python", "jax", "jaxlib", "flax", "optax", "numpy")


class Measured(TypedDict):
    """What is known of one seed."""

    name: str
    """Heads the column."""
    origin: dict[str, Any]
    """From `of_run` or `of_script`."""
    n: int
    """Samples."""
    numbers: dict[str, float]
    half: dict[str, float]
    """Half the 95 % interval over samples, of those numbers that have one."""
    floor: dict[str, float]
    """The same of real data in the place of samples, of those numbers that have one."""
    better: dict[str, str]
    """lower, higher or nearest (to the floor), of those numbers that have one."""
    curve: NotRequired[list[dict[str, float]]]
    """The numbers on the way, kept as they are."""


def of_run(run: Path) -> dict[str, Any]:
    """Where a genjax run's numbers are from: its command, machine, seed, time and commit."""
    config, about = run_folder.read_config(run) or {}, run_folder.read_manifest(run)
    rows = run_folder.read_rows(run / run_folder.METRICS)
    origin = _origin(command_of(about["command"], {}), about, config["config"]["seed"], float(rows[-1]["seconds"]))
    origin["each"]["step"] = int(rows[-1]["step"])
    return origin


def of_script(command: str, seed: int, seconds: float) -> dict[str, Any]:
    """The same of a script that trained a model itself."""
    return _origin(command, manifest(command.split()), seed, seconds)


def _origin(command: str, about: dict[str, Any], seed: int, seconds: float) -> dict[str, Any]:
    cores = about["cpu_count"]
    return {
        "command": command,
        "device": f"{cores} core{'s' * (cores != 1)}, {about['cpu']}",
        "versions": {k: about[k] for k in VERSIONS},
        "each": {"seed": seed, "seconds": round(seconds, 1), "commit": about["commit"]},
    }


def record(measured: Sequence[Measured]) -> dict[str, Any]:
    """What `genjax results` reads."""
    groups: dict[str, list[Measured]] = {}
    for m in measured:
        groups.setdefault(m["name"], []).append(m)
    runs = []
    for name, seeds in groups.items():
        origin = dict(seeds[0]["origin"])
        each = [m["origin"]["each"] for m in seeds]
        numbers = [_number(metric, seeds) for metric in seeds[0]["numbers"]]
        curves = {"curves": [m["curve"] for m in seeds if "curve" in m]}
        runs.append({"recipe": name, **origin, "each": each, "records": numbers} | (curves if curves["curves"] else {}))
    return {"runs": runs}


def _number(metric: str, seeds: Sequence[Measured]) -> dict[str, Any]:
    first, values = seeds[0], np.array([m["numbers"][metric] for m in seeds])
    mean, half = (float(v) for v in interval(values))
    own = first["half"].get(metric)
    floors = [m["floor"][metric] for m in seeds if metric in m["floor"]]
    return {
        "metric": metric,
        "value": mean,
        "over_seeds": [mean - half, mean + half] if len(seeds) > 1 else None,
        "over_samples": [mean - own, mean + own] if len(seeds) == 1 and own is not None else None,
        "floor": float(np.mean(floors)) if floors else None,
        "seeds": {str(m["origin"]["each"]["seed"]): m["numbers"][metric] for m in seeds},
        "better": first["better"].get(metric, ""),
        "protocol": {"metric": metric, "n": first["n"], "checkpoint": "last"},
    }


def across_commits(runs: Sequence[Path]) -> dict[str, Any]:
    """Measured runs, with a column for each recipe and configuration: seeds are averaged whatever code trained them.

    Raises:
        UsageError: a run was not measured, or seeds were measured by unlike code or in unlike ways.
    """
    groups: dict[tuple[str, str], list[Source]] = {}
    for source in (s for run in runs for s in sources(run)):
        about = source.records[0].subject
        groups.setdefault((about.recipe, about.config_sha256), []).append(source)
    made = []
    for (recipe, _), group in groups.items():
        first = group[0].records[0].subject
        code = {"recipe_sha256": first.recipe_sha256, "trained_by": first.trained_by}
        by_metric = [{r.protocol.metric: r for r in s.records if r.protocol.checkpoint == "last"} for s in group]
        numbers = []
        for metric in sorted(set.intersection(*map(set, by_metric)), key=rank):
            of_seeds = [of[metric] for of in by_metric]
            alike = [dataclasses.replace(r, subject=dataclasses.replace(r.subject, **code)) for r in of_seeds]
            numbers.append(over_seeds(alike).to_json())
        each = [e for s in group for e in s.origin["each"]]
        made.append({"recipe": Path(recipe).stem, **group[0].origin, "each": each, "records": numbers})
    return {"runs": made}


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("record", type=Path)
    parser.add_argument("files", type=Path, nargs="+", help="numbers and records; with --across-commits runs")
    parser.add_argument("--across-commits", action="store_true", help="average seeds that unlike code has trained")
    args = parser.parse_args()
    if args.across_commits:
        made = across_commits(args.files)
    else:
        files = [json.loads(f.read_text()) for f in args.files]
        made = record([m for m in files if "runs" not in m])
        made["runs"] = [run for m in files for run in m.get("runs", ())] + made["runs"]
    write_out(args.record, (json.dumps(made, indent=1) + "\n").encode(), "record")


if __name__ == "__main__":
    main()
