"""The baseline of texts: a model that counts n-grams, measured as `genjax eval` measures a run of prose.

Command:  python -m experiments._ngrams tiny_shakespeare --out runs/ngrams.json
Model:    interpolated n-grams of characters (Witten & Bell), of the order that is best on the validation part, or on
          the last tenth of the training part where there is none.
Protocol: the training part's lines of at most 64 symbols, as the recipes of prose read them; n samples against the test
          part. It has no other settings.
"""

import argparse
import json
import time
from pathlib import Path
from typing import TypeAlias

import jax
import numpy as np

from experiments._records import Measured, of_script
from genjax import data, domains
from genjax.data import Examples, Lazy
from genjax.files import write_out
from genjax.metrics.ngram_model import NgramModel, bits_per_symbol
from genjax.metrics.prose_metrics import prose_metrics, sequences
from genjax.runs import ProseConfig

ORDERS = range(3, 7)


Texts: TypeAlias = list[list[int]]


def texts(part: Examples) -> Texts:
    """The symbols of each text that count."""
    return [t.tolist() for t in sequences(part)]


def whole(part: Examples | Lazy | None) -> Examples:
    """A part that must be there."""
    if part is None:
        raise SystemExit("the data have no test part.")
    return data.take(part, np.arange(data.size(part)))


def bits(model: NgramModel, of: Texts) -> float:
    """Bits per symbol of texts."""
    return bits_per_symbol([model.log_prob(t) for t in of], [len(t) for t in of])


def fit_and_measure(name: str, n: int | None, seed: int, data_dir: str | None) -> Measured:
    """The model of the best order, fitted and measured."""
    began, cfg = time.perf_counter(), ProseConfig()
    options = {field: getattr(cfg, field) for field in ProseConfig.reads}
    found = data.load(name, data_dir=data_dir, options=options)
    spec, train, test = found.spec, whole(found.train), whole(found.test)
    known, tenth = texts(train), len(train.x) // 10
    fitted, held_out = known[:-tenth], known[-tenth:]
    if found.validation is not None:
        fitted, held_out = known, texts(whole(found.validation))
    of_order = {k: bits(NgramModel(fitted, k, spec.n_values), held_out) for k in ORDERS}
    order = min(of_order, key=lambda k: of_order[k])
    model = NgramModel(known, order, spec.n_values)
    spent = time.perf_counter() - began
    rng, length, end = np.random.default_rng(seed), spec.shape[0], int(spec.about["end"])
    n = n or min(data.size(test), 10_000)
    drawn = [model.sample(rng, length, end) for _ in range(n)]
    fake = domains.of(spec).finish(np.array([d + [0] * (length - len(d)) for d in drawn]), spec).examples
    key, numbers = jax.random.key(seed), {f"bits_per_{cfg.unit}": bits(model, texts(test))}
    metrics = prose_metrics(cfg.unit, lambda row: "")
    for metric, real in (("ngrams", test), ("novelty", train)):
        of = metrics[metric]
        prepared = real if of.prepare is None else of.prepare(real)
        numbers |= {k: float(v) for k, v in of.of(prepared, fake, key).items()}
    print({"order": order, "bits of each order": of_order})
    command = f"python -m experiments._ngrams {name}"
    better = {k: v for m in metrics.values() for k, v in m.better.items()}
    origin = of_script(command, seed, spent)
    return Measured(name=f"{order}-grams", origin=origin, n=n, numbers=numbers, half={}, floor={}, better=better)


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data")
    parser.add_argument("--n", type=int, help="samples; without it as `genjax eval`")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--data-dir")
    parser.add_argument("--out", type=Path, required=True, help="the numbers, for `_records`")
    args = parser.parse_args()
    found = fit_and_measure(args.data, args.n, args.seed, args.data_dir)
    print(json.dumps(found["numbers"]))
    write_out(args.out, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
