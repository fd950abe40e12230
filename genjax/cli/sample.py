"""`genjax sample`: images drawn from a trained run."""

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from genjax import room
from genjax.cli import cache
from genjax.cli.drawn import Drawn, grid, npz, read_latents, write_folder
from genjax.cli.files import by, check_data, named
from genjax.cli.flags import flag, parse_all
from genjax.errors import RunFailure, UsageError
from genjax.files import write_out
from genjax.trust import Access

DEFAULT_N = 64
PICTURES = (".png", ".pdf")
MOST_PIXELS = 80_000_000
"""Pixels of the largest grid: Pillow and many viewers refuse larger pictures as an attack."""
MOST_FILES = 100_000
ONE = ("n", "seed", "temperature")
"""Flags that say which latents to draw; given latents leave no room for them."""


@dataclass(frozen=True)
class Sample:
    """Draw images from a trained run.

    A file that ends in .png or .pdf is a grid of them. A file that ends in .npz holds their pixels (image) and all that
    they were drawn from: z, and label of a conditional run; run, digest, step, seed, temperature. With --latents they
    can be drawn again from it, by this run or another one. Images with NaN or infinity in them are hatched in a picture
    and never written elsewhere; the exit code is then 1. A folder (--out samples/) gets a PNG for each image, in
    folders of their classes where the run is conditional: a data set that `--data samples/` reads.
    """

    run: str = flag(help="a run's folder", positional=True)
    out: str = flag(help="what to write: a .png, .pdf or .npz, or a new folder (with a / at its end)", metavar="FILE")
    n: int | None = flag(None, help=f"how many images (default: {DEFAULT_N})", ge=1)
    seed: int | None = flag(None, help="same seed, same images (default: 0)", ge=0)
    label: str | None = flag(
        None, help="class to draw, by its name or number, for class-conditional runs; all in turn without it"
    )
    temperature: float | None = flag(
        None, help="standard deviation of the latents; below 1 more typical images, fewer kinds (default: 1)", gt=0
    )
    latents: str | None = flag(None, help="draw from the z of this .npz, or from this .npy", metavar="FILE")
    ncols: int | None = flag(None, help="columns of the grid; without it about a square", ge=1)
    scale: int = flag(1, help="draw every pixel as so many by so many", ge=1)
    member: int | None = flag(None, help="which member, of a run of several (--seeds, --sweep)")


def sample(argv: Sequence[str]) -> None:
    """`genjax sample RUN --out F.png|F.pdf|F.npz|FOLDER/ [--n N] [--seed S] [--label L] ...`"""
    args, access = parse_all([Sample, Access], argv, "genjax sample", Sample.__doc__ or "")
    kind = _kind(args)
    from genjax import runs

    run = runs.open_run(args.run, member=args.member, trust=access.trust)
    check_data(run, access)
    points = run.spec.points
    if points and kind != ".npz":
        raise UsageError(f"--out={args.out}: {run.name} draws points in the plane, which are no pictures. Write .npz.")
    z, label = read_latents(args.latents, run) if args.latents else (None, None)
    n = len(z) if z is not None else DEFAULT_N if args.n is None else args.n
    _check_size(args, kind, n, run.spec.shape)
    room.refuse_beyond(f"--n={n}", room.IMAGE_COPIES * math.prod(run.spec.shape), n, f"images of {by(run.spec.shape)}")
    cache.enable()
    seed, temperature = args.seed or 0, 1.0 if args.temperature is None else args.temperature
    drawn = draw(run, n, seed, _class(run, args.label), temperature, z, label)
    what = "points" if points else "images"
    broken = f"{drawn.n_broken} of {n} {what} hold NaN or infinity"
    if drawn.n_broken and kind not in PICTURES:
        see = "" if points else f" To see which: genjax sample {args.run} --out F.png"
        raise RunFailure(f"{broken}; nothing was written, for no other program could tell which.{see}")
    about = f"{named(run)} step {run.step}" + (f", seed {seed}" if z is None else "")
    if kind == ".npz":
        of = {"run": run.name, "step": run.step, "digest": _digest(run)}
        of |= {"seed": seed, "temperature": temperature} if z is None else {}
        of |= {"classes": list(run.spec.classes)} if drawn.label is not None and run.spec.classes else {}
        write_out(args.out, npz(drawn, of))
    elif kind == "folder":
        write_folder(args.out, drawn, args.scale, about, run.spec.classes)
    else:
        write_out(args.out, grid(drawn.image, kind, args.ncols, args.scale, about))
    print(f"{n} {what if n > 1 else what[:-1]} of {named(run)} at step {run.step}: {args.out}")
    if drawn.n_broken:
        raise RunFailure(f"{broken}; they are hatched in {args.out}. The run has diverged.")


def draw(
    run: Any, n: int, seed: int = 0, label: int | None = None, temperature: float = 1.0, z: Any = None, y: Any = None
) -> Drawn:
    """n images of a run, from latents of a seed or from given ones.

    Args:
        run: opened.
        n: how many.
        seed: same seed, same images.
        label: the number of the class of all.
        temperature: of the noise; 1 is the model as it is.
        z: noise to draw from, (n, z) latents for most models; that of the seed without it.
        y: their labels.

    """
    import numpy as np

    from genjax import train
    from genjax.runs import drawing

    model = run.experiment.model
    if y is None or label is not None:
        y = drawing.labels_of(n, model.n_classes, label)
    if z is None:
        z = drawing.noise_of(run.experiment, n, seed, temperature)
    weights = train.evaluation(run.state)
    if run.spec.points:
        x = drawing.generated_points(run.experiment, *weights, z, y)
        finite = np.isfinite(x).reshape(len(x), -1).all(1)
    else:
        x, finite = drawing.generated_and_finite(run.experiment, *weights, z, y)
    return Drawn(x, y, z, int((~finite).sum()))


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


def _kind(args: Sample) -> str:
    """`.png`, `.pdf`, `.npz` or `folder`.

    Raises:
        UsageError: it is none of these, or a flag does not go with it.
    """
    suffix = Path(args.out).suffix.lower()
    if args.out.endswith(("/", os.sep)) or (args.out and Path(args.out).is_dir()):
        kind = "folder"
    elif suffix in (*PICTURES, ".npz"):
        kind = suffix
    else:
        raise UsageError(f"--out={args.out}: must end in .png, .pdf or .npz, or be a folder: {args.out}/")
    if args.ncols is not None and kind not in PICTURES:
        raise UsageError(f"--ncols={args.ncols}: only a grid (.png, .pdf) has columns.")
    if args.scale != 1 and kind == ".npz":
        raise UsageError(f"--scale={args.scale}: an .npz holds the pixels as they are; leave --scale out.")
    if args.latents is not None and (also := [f for f in ONE if getattr(args, f) is not None]):
        raise UsageError(f"--{also[0]}={getattr(args, also[0])}: the file of --latents says that. Leave one out.")
    if kind == "folder" and Path(args.out).exists() and any(Path(args.out).iterdir()):
        raise UsageError(f"--out={args.out}: is there already and not an empty folder. Name a new one.")
    return kind


def _check_size(args: Sample, kind: str, n: int, shape: Sequence[int]) -> None:
    """Refuse what no picture and no folder holds, before anything is drawn."""
    h, w, _ = shape
    if kind == "folder" and n > MOST_FILES:
        raise UsageError(f"--n={n}: at most {MOST_FILES:,} files in a folder. Write .npz, which holds any number.")
    in_a_picture = 1 if kind == "folder" else max(n, args.ncols or 0)
    pixels = in_a_picture * (h + 1) * (w + 1) * args.scale**2
    if kind != ".npz" and pixels > MOST_PIXELS:
        hint = "a smaller --scale" if args.scale > 1 else "fewer images, or .npz"
        raise UsageError(
            f"--out={args.out}: a picture of {pixels:,} pixels; at most {MOST_PIXELS:,} are legible. Take {hint}."
        )


def _digest(run: Any) -> str:
    from genjax.train.leaves import tree_digest

    return tree_digest(run.state)
