"""The report: a run, or several side by side, as one HTML page that loads nothing and works from disk."""

import os
from collections.abc import Sequence
from pathlib import Path

from genjax.errors import UsageError
from genjax.files import refuse_part_of_a_run, write_out
from genjax.trust import Access

__all__ = ["place", "refuse_no_page", "write"]

N_ALONE, N_BESIDE = 64, 25
"""Images of each sample grid in the report on one run, and in a column of a comparison."""


def place(runs: Sequence[str | os.PathLike], member: int | None = None) -> Path:
    """The page's default place: in a single run (`report.html`, a member's `report-member0.html`); for several runs,
    the folder that holds them all, else the current one.

    Example:
        >>> str(place(["runs/a"])), str(place(["runs/a"], 3)), str(place(["runs/a", "runs/b"]))
        ('runs/a/report.html', 'runs/a/report-member3.html', 'runs/report.html')
    """
    name = "report.html" if member is None else f"report-member{member}.html"
    parents = {Path(r).resolve().parent for r in runs}
    beside = Path(runs[0]).parent if len(parents) == 1 else Path()
    return (Path(runs[0]) if len(runs) == 1 else beside) / name


def refuse_no_page(out: str | os.PathLike) -> None:
    """Raises `UsageError` for a file name that is not HTML's, such as `page.pdf`."""
    if Path(out).suffix.lower() not in ("", ".html", ".htm"):
        raise UsageError(f"--out={os.fspath(out)}: a page is HTML, so its name must end in .html.")


def write(
    runs: Sequence[str | os.PathLike],
    out: str | os.PathLike | None = None,
    member: int | None = None,
    access: Access = Access(),
) -> Path:
    """Writes the page and says where it is.

    A run that is unfinished, has no checkpoint or lacks its data set still gets a page, which says so.

    Args:
        runs: folders of one or more runs.
        out: file to write; by default `place(runs, member)`.
        member: of runs of several members, this one alone.
        access: how the runs are opened, and where their data lie now.

    Raises:
        UsageError: no runs, a folder that is not a run's, no such member, an unwritable `out`; or without `out` the
            page's place is taken by a file that genjax did not write.
        RunFailure: the disk is full; a page that was there is as it was.
    """
    if not runs:
        raise UsageError("report: name at least one run: genjax report RUN [RUN ...].")
    from genjax.report import facts, page
    from genjax.runs.ownership import refuse_foreign_page

    paths = [os.fspath(run) for run in runs]
    if out is None:
        refuse_foreign_page(place(paths, member))
    else:
        refuse_no_page(out)
        refuse_part_of_a_run(out)
    n_tiles = N_ALONE if len(paths) == 1 else N_BESIDE
    text = page.page([facts.read(path, n_tiles, member, access) for path in paths])
    target = Path(out) if out is not None else place(paths, member)
    write_out(target, text.encode(errors="replace"))
    return target
