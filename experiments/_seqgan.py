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
from collections.abc import Sequence
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
HELD_OUT, N_HELD_OUT = 1_000_003, 2000
"""Seed and number of sequences of the oracle that no one trains on."""
AT_ONCE, CURVE, BEST = 500, 4, 20
"""Sequences that are drawn at once; how many times so many score a point of the curve, and the best of them."""


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
    """Nats a token under the oracle, and how new the samples are.

    The floor of the first is that of the training sequences, which are the oracle's own; of the others that of
    `N_HELD_OUT` more sequences of the oracle.
    """
    each, others = oracle.nats_per_token(samples), sequences(oracle, N_HELD_OUT, HELD_OUT)
    half = {"nats_per_token": float(1.96 * each.std() / len(each) ** 0.5)}
    numbers = {"nats_per_token": float(each.mean())} | newness(samples, known)
    floor = {"nats_per_token": float(oracle.nats_per_token(known).mean())} | newness(others, known)
    return Measured(name=name, origin=origin, n=len(each), numbers=numbers, half=half, floor=floor, better=BETTER)


def newness(x: np.ndarray, known: np.ndarray) -> dict[str, float]:
    """Shares of copies of training sequences, of different sequences, and of n-grams that training sequences have."""
    pairs = novelty(x, known, 2)
    more = {"seen_2grams": pairs.seen, "seen_4grams": novelty(x, known, 4).seen}
    return {"copies": pairs.copies, "distinct": pairs.distinct} | more


def learner(oracle: Oracle, sd: float = 0.1) -> models.LanguageModel:
    """A generator of the oracle's own architecture, all of whose weights are drawn from N(0, sd)."""

    def init(key):
        shapes = {name: a.shape for name, a in sorted(oracle.params.items())}
        keys = jax.random.split(key, len(shapes))
        return {n: sd * jax.random.normal(k, shape) for k, (n, shape) in zip(keys, shapes.items(), strict=True)}, {}

    def apply(params, state, z, *, train=False, key=None, y=None):
        return {"params": params, "zero": jnp.zeros((z.shape[0], oracle.params["bi"].shape[0]))}, state

    return models.LanguageModel(Net(init, apply), distributions.autoregressive(CHAIN))


def mle(
    oracle: Oracle, known: np.ndarray, epochs: int, every: int, seed: int, out: Path, temperatures: Sequence[float] = ()
) -> None:
    """Trains the published baseline; prints its score as it goes, keeps the samples that score best and the curve.

    Args:
        oracle: the truth.
        known: sequences to train on.
        epochs: passes over them.
        every: epochs between two points of the curve.
        seed: of the weights and of all draws.
        out: file of the numbers at temperature 1; others stand beside it, `mle-0_0.5.json`.
        temperatures: others at which the best model is scored, too.
    """
    model, key, batch = learner(oracle), jax.random.key(seed), 64
    clip = 5.0 * LENGTH  # the loss here is a sum over tokens
    step = train.make_step(train.Move("vae", objectives.beta_vae(model), optax.adam(0.01), clip=clip))
    source = data.make_source(data.Examples(known), batch, data.to_integers())
    held_out = jnp.asarray(sequences(oracle, N_HELD_OUT, HELD_OUT)[:1000], jnp.int32)

    @partial(jax.jit, static_argnums=2)
    def block(params, key, temperature):
        return model.draw(params, {"vae": {"decoder": {}}}, model.noise(key, AT_ONCE, temperature), key)

    def drawn(params, name: str, times: int, temperature: float = 1.0) -> np.ndarray:
        keys = jax.random.split(rng.named(key, name), times)
        return np.concatenate([np.asarray(block(params, k, temperature)) for k in keys])

    @jax.jit
    def nats(params):
        p, _ = model.of(params, {"vae": {"decoder": {}}}, held_out.shape[0])
        return -p.log_prob(held_out).mean() / LENGTH

    state, resume, best, curve, spent = step.init(model, key), Resume(), None, [], 0.0
    per_epoch, after = len(known) // batch, range(every, epochs + 1, every)
    for epoch in after:
        began = time.perf_counter()
        steps = epoch * per_epoch
        fitted = train.fit(step, state, source, key, steps=steps, log_every=every * per_epoch, resume=resume)
        state, resume = fitted.state, fitted.resume
        spent += time.perf_counter() - began
        params = train.evaluation(state)[0]
        nll = float(oracle.nats_per_token(drawn(params, "curve", CURVE)).mean())
        row = {"epoch": epoch, "train": -fitted.rows[-1]["elbo"] / LENGTH, "held_out": float(nats(params))}
        curve.append(row | {"nats_per_token": nll, "seconds": round(spent, 1)})
        print(json.dumps(curve[-1]), flush=True)
        if nll == min(c["nats_per_token"] for c in curve):
            best = jax.tree.map(np.asarray, params)
    said = f"python -m experiments._seqgan mle ORACLE.npz runs/seqgan.npz --epochs {epochs} --every {every}"
    said = " ".join([said, *(["--temperature", *(f"{t:g}" for t in temperatures)] if temperatures else [])])
    origin, name = of_script(said, seed, spent), "LSTM of the oracle's shape, MLE"
    found = score(oracle, drawn(best, "best", BEST), known, origin, name)
    print(json.dumps(found["numbers"]))
    write_out(out, json.dumps(found | {"curve": curve}, indent=1).encode())
    for t in temperatures:
        found = score(oracle, drawn(best, "best", BEST, t), known, origin, f"{name}, temperature {t:g}")
        print(json.dumps({"temperature": t} | found["numbers"]))
        write_out(out.with_stem(f"{out.stem}_{t:g}"), json.dumps(found, indent=1).encode())


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
    parser.add_argument("--every", type=int, default=10, help="epochs between two points of mle's curve")
    parser.add_argument("--temperature", type=float, nargs="*", default=[], help="others than 1 at which mle is scored")
    parser.add_argument("--out", type=Path, help="the numbers, for `_records`")
    args = parser.parse_args()
    oracle = load_oracle(args.oracle)
    read = lambda path: np.load(path)["x"]  # noqa: E731
    if args.what == "draw":
        draw(oracle, args.file, args.n, args.seed)
    elif args.what == "mle":
        out = args.out or args.file.with_name(f"mle-{args.seed}.json")
        mle(oracle, read(args.file), args.epochs, args.every, args.seed, out, args.temperature)
    else:
        origin = of_run(args.run)
        found = score(oracle, read(args.file), read(args.train), origin, args.name or origin["command"].split()[2])
        print(json.dumps(found["numbers"]))
        if args.out:
            write_out(args.out, json.dumps(found, indent=1).encode())


if __name__ == "__main__":
    main()
