"""What the same latents look like throughout training: `samples/<step>.png`, of a population `samples/<member>/...`."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genjax import rng, viz
from genjax.files import failed_write, write_atomically
from genjax.runs import ownership
from genjax.runs.drawing import outside, say_outside
from genjax.train.experiment import Experiment
from genjax.train.loop import Progress
from genjax.train.mesh import Layout
from genjax.train.population import Population, Roots, population
from genjax.train.state import evaluation
from genjax.types import Key

N_SAMPLES = 64
"""Images of a grid."""


def grids(
    experiment: Experiment, key: Key | Roots, folder: Path, layout: Layout | None = None, leader: bool = True,
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

    if isinstance(experiment.step, Population):
        assert isinstance(key, Roots)
        n = experiment.step.n
        each = [noise(jax.random.key(seed)) for seed in np.asarray(key.seed).tolist()]
        z = jax.tree.map(lambda *v: jnp.stack(v), *each)
        draw = population(draw, n)
        paths = [Path(member_folder(i)) for i in range(n)]
    else:
        z, paths = noise(key), [Path()]
    if layout is None:
        drawn = jax.jit(draw)
    else:
        z = jax.tree.map(lambda v: layout.place(v, layout.everywhere), z)
        drawn = jax.jit(lambda params, state, z: layout.gather(draw(params, state, z)))

    said = False

    def grid(progress: Progress) -> None:
        nonlocal said
        images = np.asarray(drawn(*evaluation(progress.state), z))
        if not leader:
            return
        said = said or (progress.step > 0 and say_outside(outside(images), experiment))
        for path, one in zip(
            paths, images if len(paths) > 1 else images.reshape(1, N_SAMPLES, *images.shape[-3:]), strict=True
        ):
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
