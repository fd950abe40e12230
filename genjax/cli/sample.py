"""`genjax sample`: images drawn from a trained run."""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from genjax.cli import cache
from genjax.cli.files import check_range, named, suffix_of
from genjax.cli.flags import flag, parse
from genjax.errors import UsageError
from genjax.files import write_out


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
    suffix = suffix_of(args.out, (".png", ".npz"))
    check_range("n", args.n, 1)
    check_range("seed", args.seed, 0)
    import numpy as np

    from genjax import train, viz

    run = train.open_run(args.run, member=args.member)
    cache.enable()
    image, label = draw(run, args.n, args.seed, args.label)
    if suffix == ".png":
        write_out(args.out, viz.encode(viz.grid(image)).data)
    else:
        arrays: dict[str, Any] = {"image": image} | ({} if label is None else {"label": label})
        buffer = io.BytesIO()
        np.savez_compressed(buffer, **arrays)
        write_out(args.out, buffer.getvalue())
    print(f"{args.n} images of {named(run)} at step {run.step}: {args.out}")


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
