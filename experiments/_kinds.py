"""One picture of five kinds of data: held-out examples above, samples of a VAE or a GAN below.

Command:  genjax train gan_ring2d --run-dir runs/kinds/points
          genjax train vae_music --batch-size 16 --width 64 --z-dim 32 --steps 1200 --decay 1200 \\
                --run-dir runs/kinds/music
          genjax train vae_prose --batch-size 32 --steps 900 --warm-up 300 --run-dir runs/kinds/prose
          genjax train gan_speech --data spoken_digit --width 16 --critic 8 --batch-size 16 --steps 9500 \\
                --run-dir runs/kinds/speech
          genjax train vae_table --run-dir runs/kinds/table
          python experiments/_kinds.py runs/kinds experiments/results/kinds.png
Expect:   minutes for each on one core, half an hour for speech. Samples are drawn at random, not chosen: the first of
          seed 0.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np
from PIL import Image, ImageDraw, ImageFont

from genjax import runs, train, viz
from genjax.data import Examples, Spec
from genjax.domains import music, points, prose, table
from genjax.files import write_out
from genjax.metrics.speech import spectrograms
from genjax.report.pictures import spread
from genjax.runs import drawing
from genjax.runs.dataset import dataset_of_run

HEIGHT, GAP, NAMES, HEAD = 104, 14, 62, 22
"""Pixels: of a row, between panels, of the column with the rows' names, of the line with the kinds' names."""
WIDTHS = {"points": 104, "music": 196, "prose": 214, "speech": 132, "table": 200}
"""Width of each kind's panels, in the order of the picture."""
LETTERS, LINE = 12, 17
INK, SOFT = (40, 40, 40), (110, 110, 110)
N, POINTS = 16, 400
"""Samples drawn; of points so many."""


class Shown(NamedTuple):
    """One kind's column: examples by the names of the rows."""

    spec: Spec
    rows: dict[str, Examples]
    family: str
    """The family of the model: VAE or GAN."""


def panels(shown: Shown) -> list[np.ndarray]:
    """A picture (HEIGHT, width, 3) for each row."""
    kind, spec = shown.spec.domain, shown.spec
    if kind == "music":  # together, so that one height is one key
        rolls = np.concatenate([e.x[:1] for e in shown.rows.values()])
        return [_fitted(p, WIDTHS[kind]) for p in music.picture(rolls, spec)]
    return [_panel(kind, e, spec) for e in shown.rows.values()]


def _panel(kind: str, examples: Examples, spec: Spec) -> np.ndarray:
    width = WIDTHS[kind]
    if kind == "points":
        return _fitted(viz.dots(points.rows(examples.x), HEIGHT), width)
    if kind == "speech":
        return _fitted(viz.wave_cells(examples.x[:1], spectrograms(examples.x[:1])), width)
    if kind == "prose":
        return _written(prose.lines(examples, spec), width)
    rows = table.fields(jax.tree.map(lambda a: a[:6], examples), spec)
    return _written([" ".join(row[i] or "NA" for i in range(5)) for row in rows], width)


def _fitted(picture: np.ndarray, width: int) -> np.ndarray:
    """A picture (1, h, w, c) or (h, w, c) enlarged by whole numbers, in the middle of a panel."""
    pixels = picture.reshape(picture.shape[-3:])
    pixels = np.broadcast_to(pixels, (*pixels.shape[:2], 3))
    down, right = (max(1, most // size) for most, size in zip((HEIGHT, width), pixels.shape[:2], strict=True))
    pixels = pixels.repeat(down, 0).repeat(right, 1)[:HEIGHT, :width]
    out = np.full((HEIGHT, width, 3), 255, np.uint8)
    top, left = (HEIGHT - pixels.shape[0]) // 2, (width - pixels.shape[1]) // 2
    out[top : top + pixels.shape[0], left : left + pixels.shape[1]] = pixels
    return out


def _written(lines: Sequence[str], width: int) -> np.ndarray:
    """As many lines of text as there is room for."""
    sheet = Image.new("RGB", (width, HEIGHT), (255, 255, 255))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS)
    for i, line in enumerate(lines[: HEIGHT // LINE]):
        pen.text((2, (i + 0.5) * LINE), line, INK, font, "lm")
    return np.asarray(sheet)


def picture(columns: Sequence[Shown]) -> viz.Png:
    """All panels, with the names of rows and kinds."""
    names = list(columns[0].rows)
    width = NAMES + sum(WIDTHS[c.spec.domain] + GAP for c in columns)
    sheet = Image.new("RGB", (width, HEAD + len(names) * (HEIGHT + GAP)), (255, 255, 255))
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(LETTERS)
    for i, name in enumerate(names):
        pen.text((NAMES - 8, HEAD + i * (HEIGHT + GAP) + HEIGHT // 2), name, SOFT, font, "rm")
    left = NAMES
    for column in columns:
        pen.text((left, HEAD // 2), f"{column.spec.domain}, {column.family}", SOFT, font, "lm")
        for i, panel in enumerate(panels(column)):
            sheet.paste(Image.fromarray(panel), (left, HEAD + i * (HEIGHT + GAP)))
        left += WIDTHS[column.spec.domain] + GAP
    return viz.encode(np.asarray(sheet.quantize(64).convert("RGB")), {"Description": __doc__.splitlines()[0]})


def column(folder: Path) -> Shown:
    """Held-out examples, and samples of the run in a folder."""
    run = runs.open_run(folder)
    held_out = dataset_of_run(run).test
    if not isinstance(held_out, Examples):
        raise SystemExit(f"{folder}: the data have no test part.")
    n = POINTS if run.spec.domain == "points" else N
    real = spread(held_out._replace(y=None), n)
    return Shown(run.spec, {"held out": real, "samples": samples(run, n)}, run.experiment.model.family)


def samples(run: Any, n: int) -> Examples:
    """The first of seed 0."""
    z, y = drawing.noise_of(run.experiment, n), drawing.labels_of(n, run.experiment.model.n_classes)
    return drawing.generated(run.experiment, run.domain, run.spec, *train.evaluation(run.state), z, y).examples


def main() -> None:
    args = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    args.add_argument("runs", type=Path, help="a folder with a run for each kind")
    args.add_argument("out", type=Path)
    given = args.parse_args()
    write_out(given.out, picture([column(given.runs / kind) for kind in WIDTHS]).data)


if __name__ == "__main__":
    main()
