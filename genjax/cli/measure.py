"""`genjax eval`: a run measured."""

import dataclasses
import math
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genjax import channels, figures, headroom
from genjax.cli import cache
from genjax.cli.flags import flag, parse_all
from genjax.cli.measuring import failed, measure_checkpoints
from genjax.cli.show import table
from genjax.errors import RunFailure, UsageError
from genjax.figures import by
from genjax.trust import Access

CHECKPOINTS = ("both", "last", "best")
FEATURES = 4 * 2048
"""Bytes of a sample's features at most, Inception's."""
MOST_IMPORTANCE = 1_000_000
"""Samples of an example's likelihood: more would take days, and change nothing that its interval does not hide."""


@dataclass(frozen=True)
class Eval:
    """Measure a run and write eval.json in its folder: each number with its protocol, interval and floor.

    `--member all` measures every member of a run of several that has not failed; each one's numbers are in eval.json as
    soon as it is done. `genjax compare RUN` and `genjax report RUN` then show them against what was swept.
    """

    run: str = flag(help="a run's folder", positional=True)
    metrics: str = flag("", help="which, comma-separated; without it all that apply and are not costly")
    n: int | None = flag(None, help="samples to draw; without it as many as the reference has, at most 10,000")
    seed: int = flag(0, help="of the evaluation's own draws: same seed, same numbers", ge=0)
    split: str = flag("", help="reference: test (default), validation or train")
    checkpoint: str = flag("both", help="last, best (on validation, where the run keeps it), or both")
    features: str = flag(
        "", help="space to compare samples in: of images a feature net, or pixels; by default the data's own"
    )
    weights: str = flag("average", help="average (where the run keeps a moving average) or trained")
    temperature: float = flag(1.0, help="standard deviation of the latents", gt=0)
    n_importance: int = flag(5000, help="importance samples of each example's likelihood: nll, nll_bits, iw_nats", ge=1)
    member: str | None = flag(None, help="which member of a run of several (--seeds, --sweep): its number, or all")


def evaluate(argv: Sequence[str]) -> None:
    """`genjax eval RUN [--metrics M,...] [--n N] [--member all] ...`; regenerates an existing report page."""
    args, access = parse_all([Eval, Access], argv, "genjax eval", Eval.__doc__ or "")
    _check(args)
    from genjax.measure import eval_file
    from genjax.measure.evaluate import Request
    from genjax.measure.references import real_of
    from genjax.report import collapse
    from genjax.runs.dataset import dataset_of_run

    opened = _opened(args, access, None)
    eval_file.read_eval(args.run)  # a damaged one is refused before anything is measured
    best = eval_file.best_of(args.run)
    if best is None and args.checkpoint == "best":
        raise UsageError(
            f"--checkpoint=best: {args.run} has no checkpoint chosen on validation. "
            "Train with --validation N --eval-every STEPS."
        )
    spec, domain = opened[0].spec, opened[0].domain
    headroom.refuse_beyond(
        f"--n={args.n}", headroom.SAMPLE_COPIES * (math.prod(spec.shape) + FEATURES), args.n or 0,
        f"{domain.many} of {by(spec.shape)} and their features",
    )  # fmt: skip
    real = real_of(dataset_of_run(opened[0], access), args.split, args.n)
    if not args.split and not real.held_out:
        channels.say(f"{real.name} has no test part: these numbers are of the {domain.many} that it was trained on.")
    space = domain.space(args.features, dataclasses.replace(spec, name=real.name))
    cache.enable()
    request = Request(args.metrics, args.seed, args.weights, args.temperature, args.n_importance)
    at_best = {}
    if best is not None and args.checkpoint != "last":
        chosen = opened if best[0] == opened[0].step else _opened(args, access, best[0])
        at_best = {run.member: (run, best[1]) for run in chosen}
    takens = []
    for run in opened:
        if len(opened) > 1:
            channels.say(f"{run.members.name(run.member)}:")
        session = _session([*sys.argv[:1], *argv])
        taken = measure_checkpoints(
            args.run, run, at_best.get(run.member), args.checkpoint, real, space, request, session
        )
        takens.append(taken)
        if len(opened) == 1 or taken.unwritten is not None:
            print(records_table(taken.records), flush=True)
        if taken.unwritten is not None:
            raise RunFailure(f"the numbers above are not in {eval_file.EVAL}. {taken.unwritten}")
    n_records = sum(len(taken.records) for taken in takens)
    if len(opened) > 1 and n_records:
        print(_over_members(args.run, "last" if args.checkpoint == "both" else args.checkpoint))
    for finding in collapse.findings_from([r for taken in takens for r in taken.records]):
        who = "".join(f" of {opened[0].members.name(m)}" for m in finding.members)
        print(f"health{who}: {finding.says} Try {finding.try_}.")
    print(f"{n_records} records: {os.path.join(args.run, eval_file.EVAL)}")
    from genjax.report import place, write  # here: matplotlib takes long to import
    from genjax.runs.ownership import is_page

    for member in dict.fromkeys((None, *(run.member for run in opened))):
        if is_page(place([args.run], member)):
            print(f"regenerated: {write([args.run], member=member, access=access)}")
    if (failure := failed(takens, args.run)) is not None:
        raise failure


def _opened(args: Eval, access: Access, step: int | None) -> list[Any]:
    """The run, its member, or all its members that have not failed; the others are named.

    Raises:
        UsageError: as `open_run`, or there is no such member, or all have failed.
    """
    from genjax import runs

    if args.member != "all":
        member = None if args.member is None else int(args.member)
        return [runs.open_run(args.run, step, member, access.trust)]
    opened, failed = runs.open_members(args.run, step, access.trust)
    if step is None:
        for why in failed.values():
            channels.say(f"genjax: {why} It is left out.")
    if not opened:
        raise UsageError(
            f"RUN={args.run}: all of its {len(failed)} members have failed, so there is nothing to measure."
        )
    return opened


def _session(command: Sequence[str]) -> dict[str, Any]:
    """When, where, and (to be filled) how long."""
    from genjax.runs import run_folder

    here = run_folder.manifest(list(command))
    device = {k: here[k] for k in ("device_kind", "cpu_count", "jax", "jaxlib", "numpy", "python")}
    return {"when": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "seconds": {}, **device}


def _over_members(run: str, checkpoint: str) -> str:
    """A row for each metric, a column for each point of the sweep; why not, where members were not measured alike."""
    from genjax.cli.compare import compared
    from genjax.report import versus

    try:
        sides = versus.sides([run], checkpoint)
        return table(compared(sides, versus.rows(sides)))
    except UsageError as e:  # of numbers that are older than these
        return f"The members cannot be shown side by side. {e}"


def _check(args: Eval) -> None:
    if args.checkpoint not in CHECKPOINTS:
        raise UsageError(f"--checkpoint={args.checkpoint}: must be one of {', '.join(CHECKPOINTS)}.")
    if args.weights not in ("average", "trained"):
        raise UsageError(f"--weights={args.weights}: must be average or trained.")
    if args.n_importance > MOST_IMPORTANCE:
        raise UsageError(
            f"--n-importance={args.n_importance}: every example would be decoded so often, which takes days.\n"
            f"5,000 are usual, and {MOST_IMPORTANCE:,} the most."
        )
    if args.member not in (None, "all") and not args.member.isdecimal():
        raise UsageError(f"--member={args.member}: must be a member's number, or all.")


def records_table(records: Sequence[Any]) -> str:
    """Records as plain text: metric, checkpoint, value with half its 95 % interval, floor, N and reference."""
    rows = [("metric", "checkpoint", "value", "floor", "n", "reference")]
    for r in records:
        p = r.protocol
        floor = "" if r.floor is None else figures.figure(r.floor)
        rows.append((p.metric, f"{p.checkpoint} (step {r.subject.step})", with_interval(r), floor, str(p.n),
                     f"{p.reference} {p.split}, {p.n_reference}"))  # fmt: skip
    return table(rows)


def with_interval(r: Any) -> str:
    """`1.234 +- 0.050`: a value and the half-width of its 95 % interval."""
    return figures.with_half(r.value, r.half, "+-")
