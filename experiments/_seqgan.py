"""SeqGAN's synthetic test bed: texts whose true distribution is known, so that samples have an absolute score.

Command:  python -m experiments._seqgan draw ORACLE.npz runs/seqgan.npz        10,000 sequences to train on
          python -m experiments._seqgan mle ORACLE.npz runs/seqgan.npz         the published baseline, 120 epochs
          genjax train vae_prose --data runs/seqgan.npz --run-dir runs/s
          genjax sample runs/s --n 10000 --out runs/s.npz
          python -m experiments._seqgan score ORACLE.npz runs/s.npz --train runs/seqgan.npz --run runs/s
Expect:   5.747 +- 0.017 nats a token for the oracle's own samples, 11.42 for uniform tokens; see experiments/README.md.
Protocol: as published: 10,000 sequences of 20 tokens out of 5,000 to train on; the score is the oracle's mean negative
          log-likelihood of 10,000 generated ones. A generator that copies its training sequences would score the floor,
          so how new they are stands beside it, and the same of other sequences of the oracle.
MLE:      the oracle's own architecture (an LSTM of 32 units, weights from N(0, 0.1)), Adam at 0.01, batches of 64,
          gradients clipped at 5 for the mean over tokens. The published number is the best of its pre-training.
Source:   Yu et al. 2017, SeqGAN: Sequence Generative Adversarial Nets with Policy Gradient. The oracle's parameters
          (`save/target_params.pkl` of its code, as an .npz of 15 arrays) are not part of genjax.
"""

import argparse
import json
import time
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax

from experiments._records import Measured, of_run, of_script
from genjax import data, distributions, models, objectives, rng, train
from genjax.data.archive import constants
from genjax.files import write_out
from genjax.metrics.ngrams import novelty
from genjax.metrics.oracle import CHAIN, LENGTH, Oracle, load_oracle
from genjax.train import Resume
from genjax.types import Net

BETTER = {"nats_per_token": "lower", "copies": "nearest", "seen_2grams": "nearest", "seen_4grams": "nearest"}
HELD_OUT = 1_000_003
"""Seed of sequences of the oracle that no one trains on."""
AT_ONCE = 1000
"""Sequences that are drawn at once."""


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


def score(oracle: Oracle, samples: np.ndarray, known: np.ndarray, origin: dict[str, Any], name: str) -> Measured:
    """Nats a token under the oracle, and how new the samples are; the floor is that of held-out sequences."""
    each, floors = oracle.nats_per_token(samples), sequences(oracle, len(samples), HELD_OUT)
    of = lambda x: {  # noqa: E731
        "nats_per_token": float(oracle.nats_per_token(x).mean()),
        "copies": (new := novelty(x, known, 2)).copies,
        "distinct": new.distinct,
        "seen_2grams": new.seen,
        "seen_4grams": novelty(x, known, 4).seen,
    }
    half = {"nats_per_token": float(1.96 * each.std() / len(each) ** 0.5)}
    return Measured(
        name=name, origin=origin, n=len(each), numbers=of(samples), half=half, floor=of(floors), better=BETTER
    )


def learner(oracle: Oracle, sd: float = 0.1) -> models.LanguageModel:
    """A generator of the oracle's own architecture, all of whose weights are drawn from N(0, sd)."""

    def init(key):
        shapes = {name: a.shape for name, a in sorted(oracle.params.items())}
        keys = jax.random.split(key, len(shapes))
        return {n: sd * jax.random.normal(k, shape) for k, (n, shape) in zip(keys, shapes.items(), strict=True)}, {}

    def apply(params, state, z, *, train=False, key=None, y=None):
        return {"params": params, "zero": jnp.zeros((z.shape[0], oracle.params["bi"].shape[0]))}, state

    return models.LanguageModel(Net(init, apply), distributions.autoregressive(CHAIN))


def mle(oracle: Oracle, known: np.ndarray, epochs: int, every: int, seed: int, out: Path) -> None:
    """Trains the published baseline; prints its score as it goes, keeps the samples that score best and the curve."""
    model, key, batch = learner(oracle), jax.random.key(seed), 64
    clip = 5.0 * LENGTH  # the loss here is a sum over tokens
    step = train.make_step(train.Move("vae", objectives.beta_vae(model), optax.adam(0.01), clip=clip))
    source = data.make_source(data.Examples(known), batch, data.to_integers())
    held_out = jnp.asarray(sequences(oracle, 1000, HELD_OUT), jnp.int32)

    @partial(jax.jit, static_argnums=2)
    def drawn(params, key, n):
        return model.sample(params, {"vae": {"decoder": {}}}, key, n)

    @jax.jit
    def nats(params):
        p, _ = model.of(params, {"vae": {"decoder": {}}}, held_out.shape[0])
        return -p.log_prob(held_out).mean() / LENGTH

    state, resume, found, curve, spent = step.init(model, key), Resume(), None, [], 0.0
    said = f"python -m experiments._seqgan mle ORACLE.npz runs/seqgan.npz --epochs {epochs} --every {every}"
    for epoch in range(every, epochs + 1, every):
        began, per_epoch = time.perf_counter(), len(known) // batch
        fitted = train.fit(
            step, state, source, key, steps=epoch * per_epoch, log_every=every * per_epoch, resume=resume
        )
        state, resume = fitted.state, fitted.resume
        spent += time.perf_counter() - began
        params = train.evaluation(state)[0]
        keys = jax.random.split(rng.named(key, "samples"), 10)
        x = np.concatenate([np.asarray(drawn(params, k, AT_ONCE)) for k in keys])
        nll = float(oracle.nats_per_token(x).mean())
        row = {"epoch": epoch, "train": -fitted.rows[-1]["elbo"] / LENGTH, "held_out": float(nats(params))}
        curve.append(row | {"nats_per_token": nll, "seconds": round(spent, 1)})
        print(json.dumps(curve[-1]), flush=True)
        if nll == min(c["nats_per_token"] for c in curve):
            found = score(oracle, x, known, of_script(said, seed, spent), "LSTM of the oracle's shape, MLE")
        write_out(out, json.dumps((found or {}) | {"curve": curve}, indent=1).encode())


def main() -> None:
    """The command line."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("draw", "mle", "score"))
    parser.add_argument("oracle", type=Path)
    parser.add_argument("file", type=Path, help="written by draw; to train on for mle; of samples for score")
    parser.add_argument("--n", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--train", type=Path, help="the training sequences")
    parser.add_argument("--run", type=Path, help="the run that drew the samples")
    parser.add_argument("--name", default="", help="of the column in a table; without it the recipe's")
    parser.add_argument("--epochs", type=int, default=120)
    parser.add_argument("--every", type=int, default=10, help="epochs between two scores of mle")
    parser.add_argument("--out", type=Path, help="the numbers, for `_records`")
    args = parser.parse_args()
    oracle = load_oracle(args.oracle)
    read = lambda path: np.load(path)["x"]  # noqa: E731
    if args.what == "draw":
        draw(oracle, args.file, args.n, args.seed)
    elif args.what == "mle":
        out = args.out or args.file.with_name(f"mle-{args.seed}.json")
        mle(oracle, read(args.file), args.epochs, args.every, args.seed, out)
    else:
        origin = of_run(args.run)
        found = score(oracle, read(args.file), read(args.train), origin, args.name or origin["command"].split()[2])
        print(json.dumps(found["numbers"]))
        if args.out:
            write_out(args.out, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
