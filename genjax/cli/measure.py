"""`genjax eval`: a run measured."""

import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genjax import figures, room
from genjax.cli import cache
from genjax.cli.files import by
from genjax.cli.flags import flag, parse_all
from genjax.cli.measuring import failed, measured
from genjax.cli.show import table
from genjax.errors import RunFailure, UsageError
from genjax.trust import Access

CHECKPOINTS = ("both", "last", "best")
FEATURES = 4 * 2048
"""Bytes of an image's features at most, Inception's."""
MOST_IMPORTANCE = 1_000_000
"""Samples of an image's likelihood: more would take days, and change nothing that its interval does not hide."""


@dataclass(frozen=True)
class Eval:
    """Measure a run and write eval.json in its folder: each number with its protocol, interval and floor."""

    run: str = flag(help="a run's folder", positional=True)
    metrics: str = flag("", help="which, comma-separated; without it all that apply and are not costly")
    n: int | None = flag(None, help="images to draw; without it as many as the reference has, at most 10,000")
    seed: int = flag(0, help="of the evaluation's own draws: same seed, same numbers")
    split: str = flag("", help="reference: test (default), validation or train")
    checkpoint: str = flag("both", help="last, best (on validation, where the run keeps it), or both")
    features: str = flag("", help="feature net to compare images in, or pixels; without it the data set's own net")
    weights: str = flag("average", help="average (where the run keeps a moving average) or trained")
    temperature: float = flag(1.0, help="standard deviation of the latents")
    n_importance: int = flag(5000, help="importance samples of each image's likelihood, for --metrics nll")
    member: int | None = flag(None, help="which member, of a run of several (--seeds, --sweep)")


def evaluate(argv: Sequence[str]) -> None:
    """`genjax eval RUN [--metrics M,...] [--n N] [--seed S] ...`; a report page that the run has is made anew."""
    args, access = parse_all([Eval, Access], argv, "genjax eval", Eval.__doc__ or "")
    _check(args)
    from genjax import train
    from genjax.metrics.spaces import space_of
    from genjax.train import evalfile
    from genjax.train.dataset import dataset_of_run
    from genjax.train.evaluate import Request
    from genjax.train.real import real_of

    last = train.open_run(args.run, member=args.member, trust=access.trust)
    evalfile.read_eval(args.run)  # a damaged one is refused before anything is measured
    best = evalfile.best_of(args.run)
    if best is None and args.checkpoint == "best":
        raise UsageError(
            f"--checkpoint=best: {args.run} has no checkpoint chosen on validation. "
            "Train with --validation N --eval-every STEPS."
        )
    room.refuse_beyond(
        f"--n={args.n}", room.IMAGE_COPIES * (math.prod(last.spec.shape) + FEATURES), args.n or 0,
        f"images of {by(last.spec.shape)} and their features",
    )  # fmt: skip
    real = real_of(dataset_of_run(last, access), args.split, args.n)
    space = space_of(args.features, real.name, last.spec.shape)
    cache.enable()
    request = Request(args.metrics, args.seed, args.weights, args.temperature, args.n_importance)
    at_best = None
    if best is not None and args.checkpoint != "last":
        chosen = last if best[0] == last.step else train.open_run(args.run, best[0], args.member, access.trust)
        at_best = (chosen, best[1])
    taken = measured(args.run, last, at_best, args.checkpoint, real, space, request, _session([*sys.argv[:1], *argv]))
    print(records_table(taken.records))
    if taken.unwritten is not None:
        raise RunFailure(f"the numbers above are not in {evalfile.EVAL}. {taken.unwritten}")
    print(f"{len(taken.records)} records: {os.path.join(args.run, evalfile.EVAL)}")
    from genjax.report import place, write  # here: matplotlib takes long to import

    for member in dict.fromkeys((None, args.member)):
        if place([args.run], member).exists():
            print(f"made anew: {write([args.run], member=member, access=access)}")
    if (failure := failed([taken], args.run)) is not None:
        raise failure


def _session(command: Sequence[str]) -> dict[str, Any]:
    """When, where, and (to be filled) how long."""
    from genjax.train import record

    here = record.manifest(list(command))
    device = {k: here[k] for k in ("device_kind", "cpu_count", "jax", "jaxlib", "numpy", "python")}
    return {"when": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "seconds": {}, **device}


def _check(args: Eval) -> None:
    if args.checkpoint not in CHECKPOINTS:
        raise UsageError(f"--checkpoint={args.checkpoint}: must be one of {', '.join(CHECKPOINTS)}.")
    if args.weights not in ("average", "trained"):
        raise UsageError(f"--weights={args.weights}: must be average or trained.")
    if not 0 <= args.seed < 2**31:
        raise UsageError(f"--seed={args.seed}: must be at least 0, and below 2**31.")
    if not (math.isfinite(args.temperature) and args.temperature > 0):
        raise UsageError(f"--temperature={args.temperature}: must be above 0.")
    if not 1 <= args.n_importance < 2**31:
        raise UsageError(f"--n-importance={args.n_importance}: must be at least 1.")
    if args.n_importance > MOST_IMPORTANCE:
        raise UsageError(
            f"--n-importance={args.n_importance}: every image would be decoded so often, which takes days.\n"
            f"5,000 are usual, and {MOST_IMPORTANCE:,} the most."
        )


def records_table(records: Sequence[Any]) -> str:
    """Records as plain text: metric, checkpoint, value with half its 95 % interval, floor, N and reference."""
    rows = [("metric", "checkpoint", "value", "floor", "n", "reference")]
    for r in records:
        p = r.protocol
        floor = "" if r.floor is None else figures.figure(r.floor)
        rows.append((p.metric, f"{p.checkpoint} (step {r.subject.step})", said(r), floor, str(p.n),
                     f"{p.reference} {p.split}, {p.n_reference}"))  # fmt: skip
    return table(rows)


def said(r: Any) -> str:
    """`1.234 +- 0.050`: value and half its 95 % interval."""
    return figures.with_half(r.value, r.half, "+-")
