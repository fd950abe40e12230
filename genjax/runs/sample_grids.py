"""What the same latents look like throughout training: `samples/<step>.png`, of a population `samples/<member>/...`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from genjax import rng, viz
from genjax.files import failed_write, write_atomically
from genjax.runs import ownership
from genjax.runs.drawing import outside, say_outside
from genjax.train.experiment import Experiment
from genjax.train.loop import Progress
from genjax.train.mesh import ONE_DEVICE, Place
from genjax.train.population import Roots
from genjax.train.state import evaluation
from genjax.types import Key

N_SAMPLES = 64
"""Images of a grid."""


def grids(
    experiment: Experiment, key: Key | Roots, folder: Path, layout: Place = ONE_DEVICE, leader: bool = True,
    look: Callable[[int, np.ndarray], Any] | None = None, guard: Callable[[], None] = lambda: None,
) -> Callable[[Progress], None]:  # fmt: skip
    """`grid(progress)` writes a picture of the run's samples, or one of each member's.

    On a `layout` all processes draw; the leader writes, and shows the images to `look(step, images)`. Before each
    picture it calls `guard`, which raises where nothing may be written.
    """
    model, inverse = experiment.model, experiment.transform.inverse

    def noise(root):
        return model.noise(rng.named(root, "samples"), N_SAMPLES)

    def draw(params, state, z):
        return inverse(model.generate(params, state, z))

    step = experiment.step
    z = layout.shared(step.stacked([noise(root) for root in step.roots(key)]))
    paths = [Path()] if step.n is None else [Path(member_folder(i)) for i in range(step.n)]
    drawn = layout.compiled(step.mapped(draw))
    said = False

    def grid(progress: Progress) -> None:
        nonlocal said
        images = np.asarray(drawn(*evaluation(progress.state), z))
        if not leader:
            return
        said = said or (progress.step > 0 and say_outside(outside(images), experiment))
        for path, one in zip(paths, step.each(images), strict=True):
            _write(folder / "samples" / path / f"{progress.step:08d}.png", one, guard)
        if look is not None:
            look(progress.step, images)

    return grid


def member_folder(i: int) -> str:
    """The folder of member i's pictures under `samples`."""
    return f"{i:03d}"


def _write(path: Path, images: Any, guard: Callable[[], None]) -> None:
    png = viz.encode(viz.grid(viz.to_uint8(images)), ownership.SOFTWARE).data
    guard()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise failed_write(path.parent, len(png), e) from e
    ownership.set_aside(path, png)
    write_atomically(path, png)
