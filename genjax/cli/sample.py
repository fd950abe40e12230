"""`genjax sample`: samples drawn from a trained run, in the files that people use for such data."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genjax import headroom
from genjax.cli import cache
from genjax.cli.drawn import Drawn, npz, read_latents, write_folder
from genjax.cli.files import check_data, describe_run
from genjax.cli.flags import flag, parse_all
from genjax.domains import KINDS
from genjax.errors import RunFailure, UsageError
from genjax.figures import by
from genjax.files import write_out
from genjax.jsonfile import read_json
from genjax.trust import Access

DEFAULT_N = 64
MOST_PIXELS = 80_000_000
"""Pixels of the largest grid: Pillow and many viewers refuse larger pictures as an attack."""
MOST_FILES = 100_000
ONE = ("n", "seed", "temperature")
"""Flags that say which latents to draw; given latents leave no room for them."""


@dataclass(frozen=True)
class Sample:
    """Draw samples from a trained run.

    What the file's name ends in says what it is: .png or .pdf for a grid of images, and what other kinds of data have
    (a wrong name lists them). A file that ends in .npz holds the samples as numbers (of images `image`, of other data
    `x`) and all that they were drawn from: z, and label of a conditional run; run, digest, step, seed, temperature.
    With --latents they can be drawn again from it, by this run or another one. Samples with NaN or infinity in them are
    marked in a picture and never written elsewhere; the exit code is then 1. A folder (--out samples/) gets a file for
    each sample, in folders of their classes where the run is conditional: a data set that `--data samples/` reads.
    """

    run: str = flag(help="a run's folder", positional=True)
    out: str = flag(help="what to write: a file, or a new folder (with a / at its end)", metavar="FILE")
    n: int | None = flag(None, help=f"how many samples (default: {DEFAULT_N})", ge=1)
    seed: int | None = flag(None, help="same seed, same samples (default: 0)", ge=0)
    label: str | None = flag(
        None, help="class to draw, by its name or number, for class-conditional runs; all in turn without it"
    )
    temperature: float | None = flag(
        None, help="standard deviation of the latents; below 1 more typical samples, fewer kinds (default: 1)", gt=0
    )
    latents: str | None = flag(None, help="draw from the z of this .npz, or from this .npy", metavar="FILE")
    ncols: int | None = flag(None, help="columns of a grid; without it about a square", ge=1)
    scale: int | None = flag(
        None, help="draw every pixel as so many by so many; without it a grid enlarges small images", ge=1
    )
    member: int | None = flag(None, help="which member, of a run of several (--seeds, --sweep)")


def sample(argv: Sequence[str]) -> None:
    """`genjax sample RUN --out FILE|FOLDER/ [--n N] [--seed S] [--label L] ...`"""
    args, access = parse_all([Sample, Access], argv, "genjax sample", Sample.__doc__ or "")
    _check_flags(args)
    from genjax import runs
    from genjax.domains.contract import How

    run = runs.open_run(args.run, member=args.member, trust=access.trust)
    domain, spec = run.domain, run.spec
    kind = _kind(args, domain)
    check_data(run, access)
    z, label = read_latents(args.latents, run) if args.latents else (None, None)
    n = len(z) if z is not None else DEFAULT_N if args.n is None else args.n
    scale = _scale(args, kind, n, domain.cell(spec))
    each = headroom.SAMPLE_COPIES * math.prod(spec.shape)
    headroom.refuse_beyond(f"--n={n}", each, n, f"{domain.many} of {by(spec.shape)}")
    cache.enable()
    seed, temperature = args.seed or 0, 1.0 if args.temperature is None else args.temperature
    drawn = draw(run, n, seed, _class(run, args.label), temperature, z, label)
    broken = f"{drawn.n_broken} of {domain.named(n)} hold NaN or infinity"
    if drawn.n_broken and kind not in domain.pictures:
        see = f" To see which: genjax sample {args.run} --out F.png" if ".png" in domain.pictures else ""
        raise RunFailure(f"{broken}; nothing was written, for no other program could tell which.{see}")
    about = f"{describe_run(run)} step {run.step}" + (f", seed {seed}" if z is None else "")
    how = How(about, args.ncols, scale)
    if kind == ".npz":
        of = {"run": run.name, "step": run.step, "digest": _digest(run)}
        of |= {"seed": seed, "temperature": temperature} if z is None else {}
        of |= {"classes": list(spec.classes)} if drawn.examples.y is not None and spec.classes else {}
        write_out(args.out, npz(drawn, domain, spec, of))
    elif kind == "folder":
        write_folder(args.out, drawn.examples, domain, spec, how)
    else:
        write_out(args.out, domain.save[kind](drawn.examples, spec, how))
    print(f"{domain.named(n)} of {describe_run(run)} at step {run.step}: {args.out}")
    if drawn.n_broken:
        raise RunFailure(f"{broken}; they are marked in {args.out}. The run has diverged.")


def draw(
    run: Any, n: int, seed: int = 0, label: int | None = None, temperature: float = 1.0, z: Any = None, y: Any = None
) -> Drawn:
    """n samples of a run, from latents of a seed or from given ones.

    Args:
        run: opened.
        n: how many.
        seed: same seed, same samples.
        label: the number of the class of all.
        temperature: of the noise; 1 is the model as it is.
        z: noise to draw from, (n, z) latents for most models; that of the seed without it.
        y: their labels.

    """
    from genjax import train
    from genjax.runs import drawing

    model = run.experiment.model
    if y is None or label is not None:
        y = drawing.labels_of(n, model.n_classes, label)
    if z is None:
        z = drawing.noise_of(run.experiment, n, seed, temperature)
    found = drawing.generated(run.experiment, run.domain, run.spec, *train.evaluation(run.state), z, y)
    return Drawn(found.examples, z, int((~found.finite).sum()))


def _class(run: Any, label: str | None) -> int | None:
    """The number of the class that `--label` means.

    Raises:
        UsageError: the run is unconditional, or has no such class.
    """
    from genjax import data

    n_classes = run.experiment.model.n_classes
    if label is not None and n_classes == 0:
        raise UsageError(f"--label={label}: {run.name} is not class-conditional; leave --label out.")
    return None if label is None else data.class_number(label, run.spec.classes, n_classes, run.name)


def _check_flags(args: Sample) -> None:
    """Refuse flags that do not go together, before the run is opened."""
    if args.latents is not None and (also := [f for f in ONE if getattr(args, f) is not None]):
        raise UsageError(f"--{also[0]}={getattr(args, also[0])}: the file of --latents says that. Leave one out.")
    folder = args.out.endswith(("/", os.sep)) or (args.out and Path(args.out).is_dir())
    if folder and Path(args.out).exists() and any(Path(args.out).iterdir()):
        raise UsageError(f"--out={args.out}: is there already and not an empty folder. Name a new one.")
    suffix, known = Path(args.out).suffix.lower(), KINDS.get(_stored_domain(args.run))
    if not folder and known and suffix not in known:
        raise UsageError(f"--out={args.out}: must end in {_or(known)}, or be a folder: {args.out}/")


def _stored_domain(run: str) -> str:
    """What kind of data a run is of, as its folder says: for an answer without the time that opening it takes."""
    try:
        return str(read_json(Path(run, "config.json"))["data"].get("domain", "image"))
    except (UsageError, KeyError, TypeError, AttributeError):
        return "image"


def _or(words: Sequence[str]) -> str:
    return f"{', '.join(words[:-1])} or {words[-1]}"


def _kind(args: Sample, domain: Any) -> str:
    """A suffix, or `folder`.

    Raises:
        UsageError: it is nothing that such data are written as, or a flag does not go with it.
    """
    suffix, known = Path(args.out).suffix.lower(), (*domain.save, ".npz")
    if args.out.endswith(("/", os.sep)) or (args.out and Path(args.out).is_dir()):
        kind = "folder"
        if not domain.each:
            raise UsageError(f"--out={args.out}: {domain.many} are not written one by one. Write {_or(known)}.")
    elif suffix in known:
        kind = suffix
    else:
        or_folder = f", or be a folder: {args.out}/" if domain.each else ""
        raise UsageError(f"--out={args.out}: must end in {_or(known)}{or_folder}")
    drawn = " or ".join(domain.pictures)
    if args.ncols is not None and kind not in domain.pictures:
        raise UsageError(f"--ncols={args.ncols}: only a grid{f' ({drawn})' if drawn else ''} has columns.")
    if args.scale is not None and kind not in (*domain.pictures, "folder"):
        raise UsageError(f"--scale={args.scale}: {kind} holds the samples as they are; leave --scale out.")
    return kind


def _scale(args: Sample, kind: str, n: int, cell: tuple[int, int] | None) -> int:
    """`--scale`, or what makes the images of a grid large enough to be seen; in a folder they are as they are.

    Raises:
        UsageError: no picture and no folder holds so much.
    """
    if kind == "folder" and n > MOST_FILES:
        raise UsageError(f"--n={n}: at most {MOST_FILES:,} files in a folder. Write .npz, which holds any number.")
    if cell is None:
        return 1
    in_a_picture = 1 if kind == "folder" else max(n, args.ncols or 0)
    pixels = in_a_picture * (cell[0] + 1) * (cell[1] + 1)
    if args.scale is None:
        from genjax.viz.images import enlargement

        seen = 1 if kind == "folder" else enlargement(cell[1])
        scale = seen if pixels * seen**2 <= MOST_PIXELS else 1
    else:
        scale = args.scale
    pixels *= scale**2
    if kind != ".npz" and pixels > MOST_PIXELS:
        hint = "a smaller --scale" if scale > 1 else "fewer of them, or .npz"
        raise UsageError(
            f"--out={args.out}: a picture of {pixels:,} pixels; at most {MOST_PIXELS:,} are legible. Take {hint}."
        )
    return scale


def _digest(run: Any) -> str:
    from genjax.train.leaves import tree_digest

    return tree_digest(run.state)
