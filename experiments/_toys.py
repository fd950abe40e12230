"""Turns finished runs on points in the plane (`ring`, `grid`) into a committed record, results/toys/RECIPE_DATA.json.

Command:  python experiments/_toys.py RUN [RUN ...]     one run per seed, of one recipe and one data set.
          python experiments/_toys.py --table           the records as the README's table.

What is measured of 10,000 samples, with the averaged weights, drawn with the key named "toys" of seed 0:
  modes  modes hit: those that have a sample within three standard deviations, and are the nearest to it.
  good   share of samples within three standard deviations of their nearest mode.
  kl     KL(histogram of the samples' nearest modes || uniform), nats.
A VAE's samples are draws from p(x | z), as the model has it; `mean_modes` and so on are of the means of p(x | z), which
`genjax sample` shows. `floor` has the same numbers of the 10,000 test points.
"""

import dataclasses
import json
import sys
from pathlib import Path

import jax
import numpy as np

from genjax import data, metrics, rng, train
from genjax.data.synthetic import MIXTURES
from genjax.train import record
from genjax.train.checkpoint import digest, read_leaves
from genjax.train.drawing import draw_points
from genjax.train.run import command

N = 10_000
RESULTS = Path(__file__).parent / "results" / "toys"


def samples(run: train.Run) -> dict[str, np.ndarray]:
    """N points of a run; of a VAE also the means that they are drawn around."""
    key = rng.named(jax.random.key(0), "toys")
    drawn, mean = draw_points(run.experiment.model, *train.evaluation(run.state), N, key)
    return {"": drawn} if mean is None else {"": drawn, "mean_": mean}


def measure(points: np.ndarray, mixture: data.Mixture) -> dict[str, float]:
    """The numbers of one set of points, see the head of this file."""
    found = metrics.mode_coverage(points, mixture.centers, mixture.sd)
    return {"modes": float(found.hit), "good": found.good, "kl": found.kl}


def table() -> str:
    """All records in Markdown: means over seeds, from the least to the greatest."""
    lines = ["| recipe | data | modes hit | good samples | KL, nats | seconds each | command |", "|" + "---|" * 7]
    floors = {}
    for path in sorted(RESULTS.glob("*.json")):
        r = json.loads(path.read_text(encoding="utf-8"))
        m, floors[r["data"]["name"]] = r["metrics"], (r["floor"], r["n_modes"])
        modes = f"{m['modes']['mean']:.1f} of {r['n_modes']} ({m['modes']['least']:.0f} to {m['modes']['most']:.0f})"
        good = f"{m['good']['mean']:.2f} ({m['good']['least']:.2f} to {m['good']['most']:.2f})"
        kl = f"{m['kl']['mean']:.3f} ({m['kl']['least']:.3f} to {m['kl']['most']:.3f})"
        cells = [f"`{r['experiment']}`", r["data"]["name"], modes, good, kl, f"{r['seconds']:.0f}", f"`{r['command']}`"]
        lines.append(f"| {' | '.join(cells)} |")
    for name, (floor, k) in floors.items():
        modes, good, kl = f"{floor['modes']:.0f} of {k}", f"{floor['good']:.2f}", f"{floor['kl']:.3f}"
        lines.append(f"| test points | {name} | {modes} | {good} | {kl} | | |")
    return "\n".join(lines)


def main(paths: list[str]) -> int:
    """Measure each run, write the record, print it."""
    runs = [train.open_run(p) for p in paths]
    kinds = {(r.name, r.config.data) for r in runs}
    if len(kinds) != 1 or runs[0].config.data not in MIXTURES:
        said = ", ".join(f"{name} on {what}" for name, what in sorted(kinds))
        raise SystemExit(f"runs of one recipe on ring or grid, please; these are {said}.")
    name, what = kinds.pop()
    mixture, each = MIXTURES[what](), []
    for run in runs:
        drawn = samples(run)
        each.append({f"{k}{m}": v for k, x in drawn.items() for m, v in measure(x, mixture).items()})
    test = data.load(what).test
    assert isinstance(test, data.Images)
    manifests = [record.read_json(r.path / record.MANIFEST) for r in runs]
    first, rows = manifests[0], [record.read_rows(r.path / record.METRICS)[-1] for r in runs]
    values = {k: [m[k] for m in each] for k in each[0]}
    out = {
        "experiment": name,
        "command": command(name, dataclasses.replace(runs[0].config, seed=0)),
        "seeds": [r.config.seed for r in runs],
        "steps": runs[0].step,
        "device": f"{first['cpu_count']} cores, {first['cpu']}",
        "seconds": round(float(np.mean([r["seconds"] for r in rows])), 1),
        "metrics": {k: {"mean": float(np.mean(v)), "least": min(v), "most": max(v)} for k, v in values.items()},
        "per_seed": each,
        "floor": measure(test.image, mixture),
        "n": N,
        "n_modes": len(mixture.centers),
        "data": {"name": runs[0].spec.name, "fingerprint": runs[0].spec.fingerprint},
        "digest": [digest(read_leaves(r.path / "checkpoints")[1]) for r in runs],
        "versions": {k: first[k] for k in ("python", "jax", "jaxlib", "flax", "optax", "numpy")},
        "commit": [m["commit"] for m in manifests],
        "measured_by": "python experiments/_toys.py RUN [RUN ...]",
    }
    RESULTS.mkdir(parents=True, exist_ok=True)
    path = RESULTS / f"{name}_{what}.json"
    path.write_text(json.dumps(record.to_json(out), indent=1) + "\n", encoding="utf-8")
    print(json.dumps({"metrics": out["metrics"], "floor": out["floor"]}, indent=1), f"\n{path}")
    return 0


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    if sys.argv[1:] == ["--table"]:
        raise SystemExit(print(table()))
    raise SystemExit(main(sys.argv[1:]))
