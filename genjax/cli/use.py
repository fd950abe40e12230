"""Commands that use finished or unfinished runs: `sample`, `score`, `report`, `digest`, `extract`."""

import csv
import io
import json
import math
import os
import shlex
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

from genjax.cli import cache
from genjax.cli.flags import flag, parse
from genjax.errors import UsageError

CHUNK = 64
"""Images scored at once. Fixed, so that what is said of an image does not depend on how many there are."""


@dataclass(frozen=True)
class Sample:
    """Draw images from a trained run: a grid as PNG, or the pixels as npz (`image`, and `label` if conditional)."""

    run: str = flag(help="a run's folder", positional=True)
    out: str = flag(help="file to write, .png or .npz")
    n: int = flag(64, help="how many images, at least 1")
    seed: int = flag(0, help="same seed, same images")
    label: int | None = flag(None, help="class to draw, for class-conditional runs; all in turn without it")
    member: int | None = flag(None, help="which member, of a run of several (--seeds, --sweep)")


def sample(argv: Sequence[str]) -> None:
    """`genjax sample RUN --n N --out F.png|F.npz [--seed S] [--label L]`."""
    args = parse(Sample, argv, "genjax sample")
    suffix = _suffix(args.out, (".png", ".npz"))
    _in_range("n", args.n, 1)
    _in_range("seed", args.seed, 0)
    import numpy as np

    from genjax import train, viz

    run = train.open_run(args.run, member=args.member)
    cache.enable()
    image, label = draw(run, args.n, args.seed, args.label)
    if suffix == ".png":
        _writing(args.out, lambda path: viz.save_grid(path, image))
    else:
        arrays: dict[str, Any] = {"image": image} | ({} if label is None else {"label": label})
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        _writing(args.out, lambda path: _replace(path, buffer.getvalue()))
    print(f"{args.n} images of {_named(run)} at step {run.step}: {args.out}")


def draw(run: Any, n: int, seed: int = 0, label: int | None = None) -> tuple[Any, Any]:
    """n images (n, h, w, c) uint8 of a run and their labels (n,), None for an unconditional model.

    Raises:
        UsageError: a label for an unconditional run, or one out of range.
    """
    from genjax import train
    from genjax.train import drawing

    n_classes = run.experiment.model.n_classes
    if label is not None and n_classes == 0:
        raise UsageError(f"--label={label}: {run.name} is not class-conditional; leave --label out.")
    if label is not None and not 0 <= label < n_classes:
        raise UsageError(f"--label={label}: {run.name} has classes 0 to {n_classes - 1}.")
    return drawing.draw(run.experiment, *train.evaluation(run.state), n, seed, label)


@dataclass(frozen=True)
class Score:
    """What a trained run says about images: a GAN's logit and probability of being real, a VAE's ELBO and latents."""

    run: str = flag(help="a run's folder", positional=True)
    images: str = flag(help="an image, a folder, an .npz, or the name of a data set", positional=True)
    out: str = flag(help="file to write, .csv or .json")
    data_dir: str | None = flag(None, help="TFDS folder, where IMAGES is the name of a TFDS set")
    image_size: int | None = flag(None, help="resize and crop the images of a folder to this size first")
    seed: int = flag(0, help="for the random part of a score (a VAE's latent sample)")
    member: int | None = flag(None, help="which member, of a run of several (--seeds, --sweep)")


def score(argv: Sequence[str]) -> None:
    """`genjax score RUN IMAGES --out F.csv|F.json`."""
    args = parse(Score, argv, "genjax score")
    suffix = _suffix(args.out, (".csv", ".json"))
    _in_range("seed", args.seed, 0)
    from genjax import train

    run = train.open_run(args.run, member=args.member)
    parts = _load(run, args.images, args.data_dir, args.image_size)
    cache.enable()
    rows = [row for part in parts for row in score_rows(run, part, args.seed)]
    text = _csv(rows) if suffix == ".csv" else json.dumps([_finite(r) for r in rows], indent=1) + "\n"
    _writing(args.out, lambda path: _replace(path, text.encode()))
    bad = sum(any(isinstance(v, float) and not math.isfinite(v) for v in row.values()) for row in rows)
    said = f" ({bad} with a score that is not finite)" if bad else ""
    print(f"{len(rows)} images scored by {_named(run)} at step {run.step}{said}: {args.out}")


class Part(NamedTuple):
    """Images to score."""

    images: Any
    """`data.Images` or `data.Records`."""
    name: str = ""
    """`train` or `test` of a data set that has both."""
    files: Sequence[str] = ()
    """The file of each image, where each has one."""


def _load(run: Any, what: str, data_dir: str | None, image_size: int | None) -> list[Part]:
    """The parts of what is to be scored, images of the run's shape.

    Raises:
        UsageError: it cannot be read, or is of another shape.
    """
    import numpy as np

    from genjax import data
    from genjax.data import folder

    path = Path(what)
    if path.is_file() and path.suffix.lower() in folder.SUFFIXES:
        image = folder.decode(path, 3 if run.spec.shape[-1] == 3 else 1, image_size)
        parts, shape = [Part(data.Images(np.asarray(image)[None]), files=[path.name])], image.shape
    else:
        loaded = data.load(what, data_dir=data_dir, image_size=image_size)
        shape = loaded.spec.shape
        files = [str(f.relative_to(path)) for f in folder.find_images(path)[0]] if _is_folder(path, loaded) else ()
        parts = [Part(loaded.train, "train" if loaded.test else "", files)]
        parts += [Part(loaded.test, "test")] if loaded.test else []
    if tuple(shape) != tuple(run.spec.shape):
        h, w, _ = run.spec.shape
        hint = f" Try --image-size {h}." if h == w and image_size is None else ""
        theirs, ours = _by(shape), _by(run.spec.shape)
        raise UsageError(f"IMAGES={what}: images of {theirs}, but {run.name} was trained on {ours}.{hint}")
    return parts


def _is_folder(path: Path, loaded: Any) -> bool:
    """Whether this is what `data.load` read, and not a data set of that name."""
    return path.is_dir() and loaded.test is None and loaded.spec.name == path.resolve().name


def score_rows(run: Any, part: Part, seed: int = 0) -> Iterator[dict[str, Any]]:
    """One row for each image: part, index, file and label where there are such, and the run's scores.

    Raises:
        UsageError: the run is class-conditional and the images have no labels, or others than its own.
    """
    import jax
    import numpy as np

    from genjax import metrics, rng, train

    params, state = train.evaluation(run.state)
    key = rng.named(jax.random.key(seed), "score")
    n_classes = run.experiment.model.n_classes

    @jax.jit
    def chunk(params, state, batch, key):
        batch = run.experiment.transform(rng.named(key, "transform"), batch)
        return run.experiment.score(params, state, batch, rng.named(key, "score"))

    def scores(batch):
        if n_classes and (batch.y is None or np.asarray(batch.y).max() >= n_classes):
            raise UsageError(f"IMAGES: {run.name} needs each image's class, 0 to {n_classes - 1}. Try class folders.")
        seen = batch if n_classes else batch._replace(y=None)
        return chunk(params, state, seen, rng.at_step(key, int(batch.id[0])))

    for batch, columns in metrics.in_batches(scores, part.images, CHUNK):
        ids, label = np.asarray(batch.id), None if batch.y is None else np.asarray(batch.y)
        for j in range(int(np.asarray(batch.mask).sum())):
            row: dict[str, Any] = {"part": part.name} if part.name else {}
            row["index"] = int(ids[j])
            if part.files:
                row["file"] = part.files[ids[j]]
            if label is not None:
                row["label"] = int(label[j])
            for name, values in columns.items():
                row |= _columns(name, values[j])
            yield row


def _columns(name: str, value: Any) -> dict[str, float]:
    """A number as one column, a vector as name_0, name_1, ..."""
    if value.ndim == 0:
        return {name: float(value)}
    return {f"{name}_{i}": float(v) for i, v in enumerate(value.ravel())}


def _csv(rows: list[dict[str, Any]]) -> str:
    buffer = io.StringIO()
    writer = csv.DictWriter(buffer, list(rows[0]) if rows else ["index"], lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return buffer.getvalue()


def _finite(row: dict[str, Any]) -> dict[str, Any]:
    """JSON knows no NaN: null."""
    return {k: None if isinstance(v, float) and not math.isfinite(v) else v for k, v in row.items()}


@dataclass(frozen=True)
class Report:
    """One self-contained HTML page: of a run, or of several side by side."""

    run: tuple[str, ...] = flag(help="folders of one or more runs", positional=True)
    out: str | None = flag(None, help="file to write; without it report.html in the run, or beside several runs")
    member: int | None = flag(None, help="a page of this member alone, of a run of several (--seeds, --sweep)")
    data_dir: str | None = flag(None, help="TFDS folder; without it the one that each run was trained from")


def report(argv: Sequence[str]) -> None:
    """`genjax report RUN [RUN ...] [--out F.html]`."""
    args = parse(Report, argv, "genjax report")
    if not args.run:
        raise UsageError("report: name at least one run: genjax report RUN [RUN ...].")
    from genjax.report import write

    cache.enable()
    print(write(args.run, args.out, args.member, args.data_dir))


@dataclass(frozen=True)
class Digest:
    """SHA-256 over every leaf of the last checkpoint's state, on the last line."""

    run: str = flag(help="a run's folder", positional=True)
    member: int | None = flag(None, help="this member's state, of a run of several (--seeds, --sweep)")


def digest(argv: Sequence[str]) -> None:
    """`genjax digest RUN [--member I]`: no model is built, only the checkpoint is read."""
    args = parse(Digest, argv, "genjax digest")
    from genjax.train import checkpoint, leaves
    from genjax.train.extract import leaves_of

    step, named, _ = checkpoint.read_leaves(f"{args.run.rstrip('/')}/checkpoints")
    if args.member is not None:
        named = leaves_of(named, args.member, args.run)
    print(f"step {step}, {len(named)} leaves")
    print(leaves.digest(named))


def _named(run: Any) -> str:
    return run.name if run.member is None else f"{run.name}, {run.members.name(run.member)},"


@dataclass(frozen=True)
class Extract:
    """Make a run of its own of one member of a run of several, as if it had been trained alone."""

    run: str = flag(help="the folder of a run of several", positional=True)
    out: str = flag(help="the new run's folder, which must be new or empty")
    member: int | None = flag(None, help="which member")


def extract(argv: Sequence[str]) -> None:
    """`genjax extract RUN --member I --out DIR`."""
    args = parse(Extract, argv, "genjax extract")
    from genjax import train

    made = train.extract(args.run, args.member, args.out)
    print(f"{made.what} at step {made.step}: {args.out}")
    print(f"To continue it: {made.command} --run-dir {shlex.quote(args.out)}")


def _suffix(out: str, allowed: Sequence[str]) -> str:
    """The suffix of a file to be written, which must be one of `allowed`."""
    suffix = Path(out).suffix.lower()
    if suffix not in allowed:
        raise UsageError(f"--out={out}: write a file that ends in {' or '.join(allowed)}.")
    return suffix


def _in_range(name: str, value: int, least: int) -> None:
    if not least <= value < 2**31:  # 32 bits on the device
        raise UsageError(f"--{name}={value}: must be at least {least}{', and below 2**31' * (value > least)}.")


def _by(shape: Sequence[int]) -> str:
    return "x".join(str(s) for s in shape)


def _writing(out: str, write: Any) -> None:
    """`write(path)`; a folder that is not there is made, what the system refuses is said in one line."""
    try:
        Path(out).parent.mkdir(parents=True, exist_ok=True)
        write(out)
    except OSError as e:
        raise UsageError(f"--out={out}: cannot be written ({e.strerror or e}).") from None


def _replace(path: str, content: bytes) -> None:
    """Write whole or not at all."""
    partial = f"{path}.partial"
    Path(partial).write_bytes(content)
    os.replace(partial, path)
