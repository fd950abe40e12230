"""Tables judged by another package, SDMetrics, whose quality score published numbers are; and the ctgan package.

Command:  genjax train vae_table --data adult.csv --batch-size 500 --steps 6000 --run-dir runs/a
          genjax sample runs/a --n 32561 --out runs/a.csv
          python -m experiments._tables score adult.csv runs/a.csv --run runs/a --out runs/a.json
          python -m experiments._tables peer adult.csv tvae --epochs 300 --out runs/tvae.json
Needs:    pip install sdmetrics; for `peer` also ctgan, which needs torch. It runs on one thread.
Protocol: as published (SDGym): rows as many as the training table has, against that table. Since 0.28 SDMetrics leaves
          pairs of columns out that hardly depend on each other in the real table; `quality_all_pairs` has all, as the
          versions had that published numbers are from.
Source:   Xu et al. 2019, Modeling Tabular Data using Conditional GAN; Patki et al. 2016, The Synthetic Data Vault.
"""

import argparse
import importlib
import json
import time
import warnings
from pathlib import Path
from typing import Any

import numpy as np

from experiments._records import Measured, of_run, of_script
from genjax.files import write_out


def read(path: Path) -> Any:
    """A table; texts are categories."""
    return importlib.import_module("pandas").read_csv(path, skipinitialspace=True)


def score(real: Any, fake: Any) -> dict[str, float]:
    """SDMetrics' quality score and its two halves; with its thresholds of dependence and without."""
    reports: Any = importlib.import_module("sdmetrics.reports.single_table")
    is_text = {c: real[c].dtype.kind not in "iufb" for c in real}
    columns = {c: {"sdtype": "categorical" if is_text[c] else "numerical"} for c in real}
    found = {}
    for ending, threshold in (("", None), ("_all_pairs", 0.0)):
        report = reports.QualityReport()
        if threshold is not None:
            report.real_correlation_threshold = report.real_association_threshold = threshold
        report.generate(real, fake, {"columns": columns}, verbose=False)
        shapes, trends = report.get_properties()["Score"]
        found[f"quality{ending}"] = float(report.get_score())
        if not ending:
            found["shapes"] = float(shapes)
        found[f"trends{ending}"] = float(trends)
    return found


def peer(real: Any, which: str, epochs: int, seed: int) -> tuple[Any, dict[str, float], float]:
    """Rows of the ctgan package's model with its defaults, CPU seconds and seconds of its fit."""
    ctgan, torch = importlib.import_module("ctgan"), importlib.import_module("torch")
    torch.set_num_threads(1)
    torch.manual_seed(seed)
    np.random.seed(seed)  # noqa: NPY002, the package draws from it
    model = {"tvae": ctgan.TVAE, "ctgan": ctgan.CTGAN}[which](epochs=epochs, enable_gpu=False)
    began, cpu = time.perf_counter(), time.process_time()
    model.fit(real, [c for c in real if real[c].dtype.kind not in "iufb"])
    spent, cpu = time.perf_counter() - began, time.process_time() - cpu
    return model.sample(len(real)), {"cpu_seconds": cpu}, spent


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("score", "peer"))
    parser.add_argument("real", type=Path)
    parser.add_argument("which", help="a .csv of samples for score; tvae or ctgan for peer")
    parser.add_argument("--run", type=Path, help="the run that drew the samples")
    parser.add_argument("--cpu-seconds", type=float, help="that training took, as the shell's `time` has them")
    parser.add_argument("--epochs", type=int, default=300)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, required=True, help="the numbers, for `_records`")
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    real = read(args.real)
    if args.what == "score":
        fake, origin = read(Path(args.which)), of_run(args.run)
        more = {} if args.cpu_seconds is None else {"cpu_seconds": args.cpu_seconds}
        name = origin["command"].split()[2]
    else:
        fake, more, spent = peer(real, args.which, args.epochs, args.seed)
        command = f"python -m experiments._tables peer adult.csv {args.which} --epochs {args.epochs}"
        origin, name = of_script(command, args.seed, spent), f"ctgan's {args.which.upper()}, {args.epochs} epochs"
    numbers = score(real, fake) | more
    better = {k: "lower" if k == "cpu_seconds" else "higher" for k in numbers}
    found = Measured(name=name, origin=origin, n=len(fake), numbers=numbers, half={}, floor={}, better=better)
    print(json.dumps(numbers))
    write_out(args.out, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
