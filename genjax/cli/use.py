"""Commands that look at a run as a whole: `report`, `digest`, `extract`."""

import shlex
from collections.abc import Sequence
from dataclasses import dataclass

from genjax.cli import cache
from genjax.cli.flags import flag, parse, parse_all
from genjax.errors import UsageError
from genjax.trust import Access


@dataclass(frozen=True)
class Report:
    """One self-contained HTML page: of a run, or of several side by side."""

    run: tuple[str, ...] = flag(help="folders of one or more runs", positional=True)
    out: str | None = flag(None, help="file to write; without it report.html in the run, or beside several runs")
    member: int | None = flag(None, help="a page of this member alone, of a run of several (--seeds, --sweep)")


def report(argv: Sequence[str]) -> None:
    """`genjax report RUN [RUN ...] [--out F.html]`."""
    args, access = parse_all([Report, Access], argv, "genjax report", Report.__doc__ or "")
    if not args.run:
        raise UsageError("report: name at least one run: genjax report RUN [RUN ...].")
    from genjax.report import write

    cache.enable()
    print(write(args.run, args.out, args.member, access))


@dataclass(frozen=True)
class Digest:
    """SHA-256 over every leaf of the last checkpoint's state, on the last line."""

    run: str = flag(help="a run's folder", positional=True)
    member: int | None = flag(None, help="this member's state, of a run of several (--seeds, --sweep)")


def digest(argv: Sequence[str]) -> None:
    """`genjax digest RUN [--member I]`: no model is built, only the checkpoint is read."""
    args = parse(Digest, argv, "genjax digest")
    from genjax.checkpoint import checkpoints
    from genjax.runs import run_folder
    from genjax.runs.extract import leaves_of
    from genjax.train import leaves

    mark, where = run_folder.mark_of(args.run), f"{args.run.rstrip('/')}/{run_folder.CHECKPOINTS}"
    run_folder.refuse_vanished(args.run, run_folder.read_config(args.run) or {})
    step, named, _ = checkpoints.read_leaves(where, mark=mark)
    if args.member is not None:
        named = leaves_of(named, args.member, args.run)
    print(f"step {step}, {len(named)} leaves")
    print(leaves.digest(named))


@dataclass(frozen=True)
class Extract:
    """Make a run of its own of one member of a run of several, as if it had been trained alone."""

    run: str = flag(help="the folder of a run of several", positional=True)
    out: str = flag(help="the new run's folder, which must be new or empty")
    member: int | None = flag(None, help="which member")


def extract(argv: Sequence[str]) -> None:
    """`genjax extract RUN --member I --out DIR`."""
    args, access = parse_all([Extract, Access], argv, "genjax extract", Extract.__doc__ or "")
    from genjax import runs

    made = runs.extract(args.run, args.member, args.out, access)
    print(f"{made.what} at step {made.step}: {args.out}")
    print(f"To continue it: {made.command} --run-dir {shlex.quote(args.out)}")
