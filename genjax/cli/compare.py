"""`genjax compare`: runs measured alike, side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genjax import figures
from genjax.cli import cache
from genjax.cli.flags import flag, parse_all
from genjax.cli.measure import CHECKPOINTS, with_interval
from genjax.cli.show import table
from genjax.errors import RunFailure, UsageError
from genjax.files import refuse_part_of_a_run
from genjax.trust import Access


@dataclass(frozen=True)
class Compare:
    """Measured runs side by side: a table, and a self-contained page. Runs that differ in their seed alone become one
    side, with an interval over seeds.

    A run of several (--seeds, --sweep) stands for all its measured members, a side for each point of the sweep;
    RUN#3 or RUN#0,2 are members by number, RUN#beta=4 those at a swept value.

    A record that --record wrote stands for the runs that it is of, whose folders may be gone: for their numbers, not
    their pictures.
    """

    run: tuple[str, ...] = flag(
        help="folders of runs that `genjax eval` has measured alike, or records, .json", positional=True
    )
    out: str | None = flag(None, help="page to write; without it compare.html beside the first run's folder")
    checkpoint: str = flag("last", help="last, or best (on validation)")
    record: str | None = flag(None, help="also write the numbers over seeds as a record, .json, for `genjax results`")


def compare(argv: Sequence[str]) -> None:
    """`genjax compare RUN RUN ... [--out F.html] [--record F.json]`."""
    args, access = parse_all([Compare, Access], argv, "genjax compare", Compare.__doc__ or "")
    if not args.run:
        raise UsageError("compare: name the runs: genjax compare RUN RUN ...")
    if args.checkpoint not in CHECKPOINTS[1:]:
        raise UsageError(f"--checkpoint={args.checkpoint}: must be last or best.")
    if args.record is not None and Path(args.record).suffix != ".json":
        raise UsageError(f"--record={args.record}: write a file that ends in .json.")
    from genjax.report import refuse_no_page, versus, versus_page
    from genjax.report.sources import selected
    from genjax.runs.ownership import refuse_foreign_page

    beside = next((p for p in (Path(selected(run)[0]) for run in args.run) if p.is_dir()), Path("compare.html"))
    out = args.out or str(beside.resolve().parent / "compare.html")
    if args.out is None:
        refuse_foreign_page(Path(out))
    refuse_no_page(out)
    for named, name in ((args.out, "--out"), (args.record, "--record")):
        if named is not None:
            refuse_part_of_a_run(named, name)

    sides = versus.sides(args.run, args.checkpoint)
    rows = versus.rows(sides)
    cache.enable()
    print(table(compared(sides, rows)))
    print("".join(f"{note}\n" for note in versus.notes(sides)), end="", flush=True)  # before what a full disk could end
    failed = []
    try:
        versus_page.write(sides, rows, args.checkpoint, out, access)
        print(out)
    except RunFailure as e:
        failed.append(str(e))
    if args.record is not None:
        try:
            versus.write_record(args.run, args.record)
        except RunFailure as e:
            failed.append(str(e))
    if failed:
        raise RunFailure("\n".join(failed))


def compared(sides: Sequence[Any], rows: Sequence[Any]) -> list[tuple[str, ...]]:
    """A row a metric, a column a side; `*` marks the one that is ahead of all others beyond their intervals."""
    shown: list[tuple[str, ...]] = [("metric", *(s.name for s in sides), "floor", "n")]
    for row in rows:
        there = next(r for r in row.records if r is not None)
        cells = ["-" if r is None else with_interval(r) + " *" * (i == row.best) for i, r in enumerate(row.records)]
        floor = "" if row.floor is None else figures.figure(row.floor)
        shown.append((row.metric, *cells, floor, str(there.protocol.n)))
    return shown
