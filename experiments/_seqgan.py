"""SeqGAN's synthetic test bed: texts whose true distribution is known, so that samples have an absolute score.

Command:  python experiments/_seqgan.py draw ORACLE.npz runs/seqgan.npz        10,000 sequences to train on
          genjax train vae_prose --data runs/seqgan.npz --run-dir runs/s
          genjax sample runs/s --n 10000 --out runs/s.npz
          python experiments/_seqgan.py score ORACLE.npz runs/s.npz --train runs/seqgan.npz
Expect:   5.747 +- 0.017 nats a token for the oracle's own samples, 11.42 for uniform tokens; see experiments/README.md.
Protocol: as published: 10,000 sequences of 20 tokens out of 5,000 to train on; the score is the oracle's mean negative
          log-likelihood of 10,000 generated ones. A generator that copies its training sequences would score the floor,
          so how new they are stands beside it, and the same of other sequences of the oracle.
Source:   Yu et al. 2017, SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient. The oracle's parameters
          (`save/target_params.pkl` of its code, as an .npz of 15 arrays) are not part of genjax.
"""

import argparse
import json
from pathlib import Path

import jax
import numpy as np

from genjax import data, rng
from genjax.data.archive import constants
from genjax.metrics.ngrams import novelty
from genjax.metrics.oracle import LENGTH, Oracle, load_oracle


def draw(oracle: Oracle, out: Path, n: int, seed: int) -> None:
    """Write n sequences as a data set of prose whose symbols are numbers."""
    x = sequences(oracle, n, seed)
    about = {"unit": "number", "cut": "windows", "alphabet": "", "end": -1}
    spec = data.Spec(
        out.stem, (LENGTH,), 0, n, "", domain="prose", dtype="uint16", n_values=oracle.n_values, about=about
    )
    np.savez_compressed(out, x=x, **constants(spec))


def sequences(oracle: Oracle, n: int, seed: int) -> np.ndarray:
    """n sequences of the oracle; those of a seed are the same on every machine."""
    return oracle.sample(rng.named(jax.random.key(seed), "seqgan"), n).astype(np.uint16)


def score(oracle: Oracle, samples: np.ndarray, train: np.ndarray | None) -> dict[str, float | int]:
    """Nats a token under the oracle, with the half-width of its 95 % interval, and how new the samples are."""
    each = oracle.nats_per_token(samples)
    found = {"n": len(each), "nats_per_token": float(each.mean()), "half": float(1.96 * each.std() / len(each) ** 0.5)}
    if train is not None:
        others = sequences(oracle, len(samples), 1_000_003)
        for name, x in (("samples", samples), ("oracle", others)):
            new = novelty(x, train, 2)
            found |= {f"{name}_copies": new.copies, f"{name}_distinct": new.distinct, f"{name}_seen_2grams": new.seen}
            found[f"{name}_seen_4grams"] = novelty(x, train, 4).seen
    return found


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draw", "score"))
    parser.add_argument("oracle", type=Path)
    parser.add_argument("file", type=Path, help="written by draw; of samples for score")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=Path, help="the training sequences")
    args = parser.parse_args()
    oracle = load_oracle(args.oracle)
    if args.what == "draw":
        draw(oracle, args.file, args.n, args.seed)
        return
    read = lambda path: np.load(path)["x"]  # noqa: E731
    print(json.dumps(score(oracle, read(args.file), None if args.train is None else read(args.train))))


if __name__ == "__main__":
    main()
