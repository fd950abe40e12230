"""How a run does on its validation part while it trains, cheaply; the best checkpoint is chosen by it, never by a test.

An evaluation is a function of the state alone: the same images, the same latents and the same draws at every step and
for every seed. So it changes nothing of a run, and a resumed run repeats it to the bit.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genjax import data, domains, rng
from genjax.domains.contract import Domain
from genjax.errors import UsageError
from genjax.metrics.kernel import kernel_distance
from genjax.metrics.measured import BATCH, Measured
from genjax.metrics_log import MetricsLog
from genjax.runs.drawing import by_shares, sampler
from genjax.train.experiment import Experiment
from genjax.train.mesh import ONE_DEVICE, Place
from genjax.train.state import TrainState, evaluation

VALIDATION = "validation.jsonl"
"""A row for each evaluation, beside `metrics.jsonl`; no clock is in it."""
PREFIX = "val/"
MOST = 1000
"""Examples looked at, at most."""
BOUND = ("elbo", "rate", "distortion")


@dataclass(frozen=True, eq=False)
class Validation:
    """An evaluation of a state.

    Attributes:
        names: of its numbers.
        best: `max:NAME` or `min:NAME`, what the best checkpoint is the best of.
        measure: `measure(state) -> {name: number}`; of a population lists over members. All processes call it together.
    """

    names: tuple[str, ...]
    best: str
    measure: Callable[[TrainState], dict[str, Any]]


class Ledger:
    """The evaluations of a run as its folder keeps them. A context manager; it writes where it is the leader's.

    Args:
        checks: what is evaluated; None where nothing is.
        folder: the run's.
        at: the step that the run goes on from: rows of later ones go.
        writes: whether this process keeps the file.
    """

    def __init__(self, checks: Validation | None, folder: Path, at: int, writes: bool):
        self._checks = checks
        self._row: dict[str, Any] = {}
        self._log: MetricsLog | None = None
        path = folder / VALIDATION
        if writes and (checks is not None or path.exists()):
            self._log = MetricsLog(path)
            self._log.truncate_to(lambda s: s <= at)

    def look(self, step: int, state: TrainState) -> dict[str, Any]:
        """Evaluate the state after `step` steps; its row is on the disk when this returns."""
        assert self._checks is not None
        self._row = {"step": step, **self._checks.measure(state)}
        if self._log is not None:
            self._log.append(self._row)
            self._log.sync()
        return self._row

    def at(self, step: int) -> dict[str, Any]:
        """The row of `step`, if that was the last to be evaluated; else an empty one."""
        return self._row if self._row.get("step") == step else {}

    def __enter__(self) -> "Ledger":
        return self

    def __exit__(self, *exc: object) -> None:
        if self._log is not None:
            self._log.close()


def validation(
    experiment: Experiment, dataset: data.Dataset, layout: Place = ONE_DEVICE, domain: Domain | None = None
) -> Validation:
    """The bound on the likelihood where the model's score has one, else the unbiased kernel distance of its samples.

    At most 1,000 examples of the validation part: `val/elbo`, `val/rate`, `val/distortion` in nats per example, or
    `val/kd_NET` in the data set's own space (of images `val/kd_pixels` where it has none, `val/kd_plane` of points).

    Raises:
        UsageError: nothing was held out.
    """
    if dataset.validation is None:
        raise UsageError(
            f"eval_every: nothing of {dataset.spec.name} is held out to evaluate on. Try --validation "
            f"{max(1, dataset.spec.n_train // 10)}, so many of its {dataset.spec.n_train} training examples."
        )
    size = data.size(dataset.validation)
    pick = np.unique(np.linspace(0, size - 1, min(MOST, size)).astype(np.int64))
    part = data.take(dataset.validation, pick)
    like = jax.eval_shape(lambda k: experiment.step.one.init(experiment.model, k), jax.random.key(0))
    n_classes = experiment.model.n_classes
    params, net_state = evaluation(like)  # shapes alone: the weights come with each state
    measured = Measured(
        experiment.model, params, net_state, experiment.score, experiment.transform, part, n_classes > 0
    )  # fmt: skip
    if "elbo" in measured.columns():
        return Validation(tuple(PREFIX + k for k in BOUND), f"max:{PREFIX}elbo", _bound(experiment, measured, layout))
    asked = by_shares(len(pick), np.asarray(part.y), n_classes) if n_classes and part.y is not None else None
    domain = domain or domains.of(dataset.spec)
    space = domain.space("", dataset.spec)
    draw = _drawn(experiment, domain, len(pick), asked, layout)
    name, real = f"{PREFIX}kd_{space.name}", space.rows("features", part)

    def distance(x: np.ndarray) -> float:
        found = domain.finish(x, dataset.spec)
        return kernel_distance(real, space.rows("features", found.examples)) if found.finite.all() else float("nan")

    def measure(state: TrainState) -> dict[str, Any]:
        return {name: experiment.step.joined([distance(x) for x in draw(state)])}

    return Validation((name,), f"min:{name}", measure)


def _bound(experiment: Experiment, measured: Measured, layout: Place) -> Callable[[TrainState], dict[str, Any]]:
    key = rng.named(jax.random.key(0), "validation")
    batches = list(data.once(measured.part, BATCH))

    def score(params, state, batch):
        out = measured.score(params, state, measured.view(batch), rng.at_step(key, batch.id[0]))
        return jnp.stack([jnp.where(batch.mask, out[k], 0.0).sum() for k in BOUND])

    score_all = _compiled(experiment, score, layout)

    def measure(state: TrainState) -> dict[str, Any]:
        weights = evaluation(state)
        sums = np.sum([np.asarray(score_all(*weights, layout.shared(b)), np.float64) for b in batches], axis=0)
        means = experiment.step.each((sums / data.size(measured.part)).tolist())
        return {PREFIX + k: experiment.step.joined([m[i] for m in means]) for i, k in enumerate(BOUND)}

    return measure


def _drawn(
    experiment: Experiment, domain: Domain, n: int, asked: np.ndarray | None, layout: Place
) -> Callable[[TrainState], list[np.ndarray]]:
    """n samples of each member, or of the one run, from the same latents each time, to be finished.

    A conditional model is asked for the labels `asked` (n,), which have the shares of the examples compared with.
    """
    model, sample = experiment.model, sampler(experiment, domain)
    key = rng.named(jax.random.key(0), "validation")
    parts: list[Any] = [model.noise(rng.at_step(key, i), BATCH) for i in range(-(-n // BATCH))]
    if asked is not None:
        labels = np.resize(asked, (len(parts), BATCH)).astype(np.int32)  # what is too many is left out below
        parts = list(zip(parts, jnp.asarray(labels), strict=True))
    else:
        parts = [(part, None) for part in parts]
    keys = [jax.random.key_data(rng.at_step(rng.named(key, domain.many), i)) for i in range(len(parts))]
    latents = [layout.shared((*part, key)) for part, key in zip(parts, keys, strict=True)]

    def one(params, state, zyk):
        z, y, key = zyk
        return sample(params, state, z, y, jax.random.wrap_key_data(key))

    draw = _compiled(experiment, one, layout)

    def samples(state: TrainState) -> list[np.ndarray]:
        weights = evaluation(state)
        made = [np.asarray(draw(*weights, part)) for part in latents]
        return [np.concatenate(parts)[:n] for parts in zip(*map(experiment.step.each, made), strict=True)]

    return samples


def _compiled(experiment: Experiment, f: Callable[..., Any], layout: Place) -> Callable[..., Any]:
    """`f(params, state, x)` of one run, or of every member with x shared; whole on every device."""
    mapped = experiment.step.mapped
    return layout.compiled(lambda params, state, x: mapped(lambda p, s: f(p, s, x))(params, state))
