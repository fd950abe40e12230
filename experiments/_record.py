"""Turns finished runs of one recipe into its committed record, experiments/results/NAME.json.

Command:  python experiments/_record.py RUN [RUN ...]     one run per seed; needs the data the runs were trained on.

What is measured, with the averaged generator where there is one:
  VAE  test_elbo, test_rate, test_distortion: nats per test image, one sample of z each; the test set binarised or
       dequantised once, with the key named "test" of seed 0.
  GAN  spread: mean pixel distance of pairs among 1,000 generated images over that among 1,000 test images (about 1
       is as varied as the data, near 0 is collapse); real_logit, fake_logit: the discriminator's means on test and
       generated images. Distances in feature space are `genjax eval`'s.
Where a set has no test part, its training part takes its place and `split` says so.
"""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np

from genjax import data, metrics, rng, train
from genjax.models import VAE
from genjax.train import record
from genjax.train.checkpoint import digest, read_leaves
from genjax.train.run import command
from genjax.types import Batch

N_PAIRS = 1000
BATCH = 100
RESULTS = Path(__file__).parent / "results"


def spread(images: np.ndarray) -> float:
    """Mean L2 distance over all pairs of `images` (n, h, w, c), in pixels."""
    x = images.reshape(len(images), -1).astype(np.float64)
    square = (x**2).sum(1)
    distance = np.sqrt(np.maximum(square[:, None] + square[None] - 2 * x @ x.T, 0.0))
    return float(distance.sum() / (len(x) * (len(x) - 1)))


def scores(run: train.Run, images: data.Images | data.Records) -> dict[str, np.ndarray]:
    """Every column of the run's score over `images`, with keys that depend on the batch's number only."""
    params, state = train.evaluation(run.state)
    key = rng.named(jax.random.key(0), "test")
    score = jax.jit(run.experiment.score)

    def of_batch(batch: Batch):
        k_data, k_score = jax.random.split(rng.at_step(key, int(np.asarray(batch.id)[0]) // BATCH))
        return score(params, state, run.experiment.transform(k_data, batch), k_score)

    return metrics.over(of_batch, images, BATCH)


def measure(run: train.Run, images: data.Images | data.Records) -> dict[str, float]:
    """The numbers of one run, see the head of this file."""
    columns = scores(run, images)
    if isinstance(run.experiment.model, VAE):
        return {f"test_{k}": float(columns[k].mean(dtype=np.float64)) for k in ("elbo", "rate", "distortion")}
    params, state = train.evaluation(run.state)
    model, inverse = run.experiment.model, run.experiment.transform.inverse
    x = jax.jit(lambda p, s, k: model.sample(p, s, k, N_PAIRS))(params, state, rng.named(jax.random.key(0), "fakes"))
    fakes = np.asarray(inverse(x))
    y = None if model.n_classes == 0 else np.arange(N_PAIRS) % model.n_classes
    out = jax.jit(run.experiment.score)(params, state, Batch(x, y), jax.random.key(0))
    real = data.take(images, np.arange(min(N_PAIRS, data.size(images)))).image
    return {
        "spread": spread(fakes) / spread(np.asarray(real)),
        "real_logit": float(columns["logit"].mean(dtype=np.float64)),
        "fake_logit": float(np.asarray(out["logit"]).mean(dtype=np.float64)),
    }


def over_seeds(values: list[float]) -> float | dict[str, float]:
    """Mean and standard deviation; the number itself for one seed."""
    if len(values) == 1:
        return values[0]
    return {"mean": float(np.mean(values)), "sd": float(np.std(values, ddof=1))}


def main(paths: list[str]) -> int:
    """Measure each run, write the record, print it."""
    runs = [train.open_run(p) for p in paths]
    names = {r.name for r in runs}
    if len(names) != 1:
        raise SystemExit(f"runs of one recipe, please; these are of {', '.join(sorted(names))}.")
    each, manifests, rows = [], [], []
    for run in runs:
        options = record.read_json(run.path / record.CONFIG)["options"]
        dataset = data.load(run.config.data, data_dir=options["data_dir"], image_size=run.config.image_size or None)
        each.append(measure(run, dataset.train if dataset.test is None else dataset.test))
        manifests.append(record.read_json(run.path / record.MANIFEST))
        rows.append(record.read_rows(run.path / record.METRICS)[-1])
    first = manifests[0]
    device = f"{first['cpu_count']} cores, {first['cpu']}" if first["device_kind"] == "cpu" else first["device_kind"]
    out = {
        "experiment": runs[0].name,
        "command": command(runs[0].name, dataclasses.replace(runs[0].config, seed=0)),
        "seeds": [r.config.seed for r in runs],
        "steps": runs[0].step,
        "device": device,
        "seconds": round(float(np.mean([r["seconds"] for r in rows])), 1),
        "metrics": {k: over_seeds([m[k] for m in each]) for k in each[0]},
        "per_seed": each,
        "last_row": rows,
        "split": "train" if dataset.test is None else "test",
        "data": {"name": runs[0].spec.name, "fingerprint": runs[0].spec.fingerprint},
        "digest": [digest(read_leaves(r.path / "checkpoints")[1]) for r in runs],
        "versions": {k: first[k] for k in ("python", "jax", "jaxlib", "flax", "optax", "numpy")},
        "commit": [m["commit"] for m in manifests],
        "measured_by": "python experiments/_record.py RUN [RUN ...]",
    }
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{out['experiment']}.json"
    path.write_text(json.dumps(record.to_json(out), indent=1) + "\n", encoding="utf-8")
    print(json.dumps(out["metrics"], indent=1), f"\n{path}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    raise SystemExit(main(sys.argv[1:]))
