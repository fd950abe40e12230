"""What the same latents become throughout training: `samples/<step>.png`, of a population `samples/<member>/...`.

Of data that are no pictures it is `samples/<step>.txt`; the domain of the data says what is looked at.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax
import numpy as np

from genjax import rng
from genjax.data import Spec
from genjax.domains.contract import Domain, encode_glance
from genjax.files import failed_write, write_atomically
from genjax.runs import ownership
from genjax.runs.drawing import sampler, say_outside
from genjax.train.experiment import Experiment
from genjax.train.loop import Progress
from genjax.train.mesh import ONE_DEVICE, Place
from genjax.train.population import Roots
from genjax.train.state import evaluation
from genjax.types import Key

N_SAMPLES = 64
"""Samples of a grid."""


def grids(
    experiment: Experiment, domain: Domain, spec: Spec, key: Key | Roots, folder: Path, layout: Place = ONE_DEVICE,
    leader: bool = True, look: Callable[[int, Any], Any] | None = None, guard: Callable[[], None] = lambda: None,
) -> Callable[[Progress], None]:  # fmt: skip
    """`grid(progress)` writes a picture (or a text) of the run's samples, or one of each member's.

    On a `layout` all processes draw; the leader writes, and shows the samples to `look(step, x)`: as the transform's
    inverse gives them. Before each file it calls `guard`, which raises where nothing may be written.
    """
    model, sample = experiment.model, sampler(experiment, domain)

    def noise(root):
        own = rng.named(root, "samples")
        return model.noise(own, N_SAMPLES), jax.random.key_data(rng.named(own, domain.many))

    def draw(params, state, z):
        return sample(params, state, z[0], None, jax.random.wrap_key_data(z[1]))

    step = experiment.step
    z = layout.shared(step.stacked([noise(root) for root in step.roots(key)]))
    paths = [Path()] if step.n is None else [Path(member_folder(i)) for i in range(step.n)]
    drawn = layout.compiled(step.mapped(draw))
    said = False

    def grid(progress: Progress) -> None:
        nonlocal said
        made = np.asarray(drawn(*evaluation(progress.state), z))
        if not leader:
            return
        finished = [domain.finish(one, spec) for one in step.each(made)]
        outside = float(np.mean([f.outside for f in finished]))
        said = said or (progress.step > 0 and say_outside(outside, experiment, domain))
        for path, one in zip(paths, finished, strict=True):
            _write(folder / "samples" / path / f"{progress.step:08d}", domain.glance(one.examples, spec), guard)
        if look is not None:
            look(progress.step, made)

    return grid


def member_folder(i: int) -> str:
    """The folder of member i's pictures under `samples`."""
    return f"{i:03d}"


def _write(path: Path, seen: np.ndarray | str, guard: Callable[[], None]) -> None:
    suffix, content = encode_glance(seen)
    path = path.with_suffix(suffix)
    guard()
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
    except OSError as e:
        raise failed_write(path.parent, len(content), e) from e
    ownership.set_aside(path, content)
    write_atomically(path, content)
