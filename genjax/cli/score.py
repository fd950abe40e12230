"""`genjax score`: what a trained run says about given examples."""

import csv
import functools
import io
import json
import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from genjax import channels
from genjax.cli import cache
from genjax.cli.files import check_data, check_range, describe_run, suffix_of
from genjax.cli.flags import flag, parse_all
from genjax.errors import UsageError, shown
from genjax.figures import by, figure
from genjax.files import write_out
from genjax.trust import Access

CHUNK = 64
"""Examples scored at once. Fixed, so that what is said of one does not depend on how many there are."""

RANKED = ("elbo_per_element", "elbo")
"""Columns that examples are ranked by, the first that there is: the bound itself only where all are of one size."""
LOWEST = 3
"""Examples that the command names."""


@dataclass(frozen=True)
class Score:
    """What a trained run says about examples: a GAN's logit and probability of being real, a VAE's ELBO, for each
    element where lengths differ, its rank (1 is the lowest) and latents.
    """

    run: str = flag(help="a run's folder", positional=True)
    given: str = flag(
        help="a file, a folder, or the name of a data set, of the run's kind", positional=True, metavar="DATA"
    )
    out: str = flag(help="file to write, .csv or .json")
    image_size: int | None = flag(None, help="resize and crop the images of a folder to this size first")
    seed: int = flag(0, help="for the random part of a score (a VAE's latent sample)")
    member: int | None = flag(None, help="which member, of a run of several (--seeds, --sweep)")


def score(argv: Sequence[str]) -> None:
    """`genjax score RUN DATA --out F.csv|F.json`."""
    args, access = parse_all([Score, Access], argv, "genjax score", Score.__doc__ or "")
    suffix = suffix_of(args.out, (".csv", ".json"))
    check_range("seed", args.seed, 0)
    from genjax import runs

    run = runs.open_run(args.run, member=args.member, trust=access.trust)
    check_data(run, access)
    parts = _load(run, args.given, access.data_dir, args.image_size)
    cache.enable()
    column, rows = ranked([row for part in parts for row in score_rows(run, part, args.seed)])
    text = _csv(rows) if suffix == ".csv" else json.dumps([_finite(r) for r in rows], indent=1) + "\n"
    # Bytes of a file's name that are no text are written as escapes: a table is UTF-8.
    write_out(args.out, text.encode("utf-8", "backslashreplace"))
    bad = sum(any(isinstance(v, float) and not math.isfinite(v) for v in row.values()) for row in rows)
    said = f" ({bad} with a score that is not finite)" if bad else ""
    print(f"{run.domain.named(len(rows))} scored by {describe_run(run)} at step {run.step}{said}: {args.out}")
    if column and len(rows) > 1:
        print(f"lowest {column}, most unlike what it has learnt: {_lowest(rows, column)}")


class Part(NamedTuple):
    """Examples to score."""

    examples: Any
    """`data.Examples` or `data.Lazy`."""
    name: str = ""
    """`train` or `test` of a data set that has both."""
    files: Sequence[str] = ()
    """The file of each example, where each has one."""
    classes: Sequence[str] = ()
    """The name of each class, where the examples have any."""


def _load(run: Any, what: str, data_dir: str | None, image_size: int | None) -> list[Part]:
    """The parts of what is to be scored, examples of the run's kind and shape.

    Raises:
        UsageError: it cannot be read, or is of another kind or shape.
    """
    from genjax import domains
    from genjax.runs.dataset import read

    loaded = read(run.config, what, data_dir, image_size, like=run.spec)
    for note in loaded.notes:
        channels.say(note)
    found, own, many = loaded.spec, run.spec, run.domain.many
    if found.domain != own.domain:
        theirs = domains.words(found.domain).many
        raise UsageError(f"DATA={shown(what)}: holds {theirs}, but {run.name} was trained on {many}.")
    if tuple(found.shape) != tuple(own.shape):
        resize = run.domain.resize(own) if image_size is None else ""
        hint = f" Try {resize}." if resize else ""
        theirs, ours = by(found.shape), by(own.shape)
        raise UsageError(f"DATA={shown(what)}: {many} of {theirs}, but {run.name} was trained on {ours}.{hint}")
    given = {name: getattr(loaded, name) for name in ("train", "validation", "test")}
    given = {name: examples for name, examples in given.items() if examples is not None}
    return [
        Part(examples, name if len(given) > 1 else "", loaded.files.get(name, ()), found.classes)
        for name, examples in given.items()
    ]


def score_rows(run: Any, part: Part, seed: int = 0) -> Iterator[dict[str, Any]]:
    """One row for each example: part, index, file and label where there are such, and the run's scores.

    Raises:
        UsageError: the run is class-conditional and the examples have no labels, or others than its own.
    """
    import jax
    import numpy as np

    from genjax import data, metrics, rng, train

    params, state = train.evaluation(run.state)
    key = rng.named(jax.random.key(seed), "score")
    n_classes, ours = run.experiment.model.n_classes, run.spec.classes
    chunk = _chunk_of(run.experiment)

    def scores(batch):
        seen = batch._replace(y=None)
        if n_classes:
            y = None if batch.y is None else data.matched(np.asarray(batch.y), part.classes, ours, "DATA")
            if y is None or y.max() >= n_classes:
                some = ", ".join(ours[:10]) if ours else f"0 to {n_classes - 1}"
                raise UsageError(f"DATA: {run.name} needs each {run.domain.one}'s class ({some}). Try class folders.")
            seen = batch._replace(y=y)
        return chunk(params, state, seen, rng.at_step(key, int(batch.id[0])))

    for batch, columns in metrics.in_batches(scores, part.examples, CHUNK):
        ids, label = np.asarray(batch.id), None if batch.y is None else np.asarray(batch.y)
        for j in range(int(np.asarray(batch.mask).sum())):
            row: dict[str, Any] = {"part": part.name} if part.name else {}
            row["index"] = int(ids[j])
            if part.files:
                row["file"] = part.files[ids[j]]
            if label is not None:
                row["label"] = int(label[j])
                if part.classes:
                    row["class"] = part.classes[int(label[j])]
            for name, values in columns.items():
                row |= _columns(name, values[j])
            yield row


def ranked(rows: list[dict[str, Any]]) -> tuple[str, list[dict[str, Any]]]:
    """The column that rows are ranked by, and the rows with their `rank`, 1 for the lowest; as they are without one.

    Example:
        >>> ranked([{"index": 0, "elbo": -9.0}, {"index": 1, "elbo": -20.0}])
        ('elbo', [{'rank': 2, 'index': 0, 'elbo': -9.0}, {'rank': 1, 'index': 1, 'elbo': -20.0}])
        >>> ranked([{"index": 0, "logit": 0.5}])
        ('', [{'index': 0, 'logit': 0.5}])
    """
    column = next((name for name in RANKED if rows and name in rows[0]), "")
    if not column:
        return "", rows
    places = sorted(range(len(rows)), key=lambda i: _low(rows[i][column]))
    ranks = dict(zip(places, range(1, len(rows) + 1), strict=True))
    return column, [{"rank": ranks[i], **row} for i, row in enumerate(rows)]


def _low(value: float) -> float:
    """What a score is sorted by: one that is not finite is the lowest."""
    return value if math.isfinite(value) else -math.inf


def _lowest(rows: list[dict[str, Any]], column: str) -> str:
    """The examples of the first ranks: their file or their part and index, and the score."""
    first = sorted(rows, key=lambda row: row["rank"])[:LOWEST]
    names = [shown(row["file"]) if "file" in row else f"{row.get('part', '')} {row['index']}".strip() for row in first]
    return ", ".join(f"{name} ({figure(row[column])})" for name, row in zip(names, first, strict=True))


@functools.lru_cache(16)
def _chunk_of(experiment: Any) -> Callable[..., Any]:
    """The compiled program of a chunk's scores: one for all parts, and for whoever scores again."""
    import jax

    from genjax import rng

    @jax.jit
    def chunk(params, state, batch, key):
        batch = experiment.transform(rng.named(key, "transform"), batch)
        return experiment.score(params, state, batch, rng.named(key, "score"))

    return chunk


def _columns(name: str, value: Any) -> dict[str, float | int]:
    """A number as one column, a vector as name_0, name_1, ..."""
    if value.ndim == 0:
        return {name: value.item()}
    return {f"{name}_{i}": v.item() for i, v in enumerate(value.ravel())}


def _csv(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else ["index"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN: null."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}
