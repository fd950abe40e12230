"""A run measured: records of its last and its best checkpoint."""

import dataclasses
import hashlib
import json
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np

import genjax
from genjax import data, rng
from genjax.metrics.protocol import Protocol, Record, Subject
from genjax.metrics.resampling import HALVES, half_samples, of_mean
from genjax.metrics.table import Measured, Metric, Space, chosen
from genjax.train.config import kinds
from genjax.train.drawing import draw
from genjax.train.leaves import tree_digest
from genjax.train.manifest import checkout
from genjax.train.opened import Run
from genjax.train.real import Real
from genjax.train.state import TrainState, evaluation
from genjax.types import Key, Params, State

WEIGHTS = ("average", "trained")


@dataclass(frozen=True)
class Request:
    """What to measure and how.

    Args:
        metrics: names of `METRICS`, comma-separated; empty for all that apply by default.
        seed: of the evaluation's draws: images, latents, halves.
        weights: `average` (where the run keeps one) or `trained`.
        temperature: standard deviation of the latents.
    """

    metrics: str = ""
    seed: int = 0
    weights: str = "average"
    temperature: float | int = 1.0


def evaluate(
    run: Run, real: Real, space: Space, request: Request, checkpoint: str = "last", chosen_by: str = "",
    on_metric: Callable[[str, float], Any] = lambda name, seconds: None,
) -> list[Record]:
    """The records of one checkpoint. The same arguments give the same records, to the bit on one machine.

    Args:
        run: opened at the checkpoint.
        real: what it is measured against; kept for the next checkpoint, so that its own side is computed once.
        space: where images are compared.
        request: what to measure.
        checkpoint: `last` or `best`.
        chosen_by: what the best is the best of.
        on_metric: told of each metric that is done and the seconds it took.

    Raises:
        UsageError: a metric does not exist or does not apply.
    """
    params, state = weights_of(run.state, request.weights)
    subject = subject_of(run, request, chosen_by)
    of = Protocol("", real.n, real.split, real.name, "", 0, checkpoint=checkpoint, weights=request.weights,
                  temperature=float(request.temperature))  # fmt: skip
    experiment = run.experiment
    size = data.size(real.reference)
    part = data.take(real.reference, np.unique(np.linspace(0, size - 1, min(real.n, size)).round().astype(np.int64)))
    conditional = experiment.model.n_classes > 0
    measured = Measured(experiment.model, params, state, experiment.score, experiment.transform, part, conditional)
    picked = chosen(request.metrics, measured, space)
    key, records, images = rng.named(jax.random.key(request.seed), "eval"), [], None
    for name, metric in picked.items():
        began = time.perf_counter()
        mine = rng.named(key, name)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if metric.space == "model":
                records += _of_model(metric, measured, real, of, subject, mine)
            else:
                if images is None:
                    images, _ = draw(experiment, params, state, real.n, request.seed, None, request.temperature)
                records += _of_images(metric, images, real, space, _resized(of, run), subject, mine)
        for text in sorted({str(w.message) for w in caught if issubclass(w.category, UserWarning)}):
            warnings.warn(f"{name}: {text}", stacklevel=2)
        on_metric(name, time.perf_counter() - began)
    return records


def weights_of(state: TrainState, weights: str) -> tuple[Params, State]:
    """Parameters and net states over players, `average` or `trained`."""
    if weights == "average":
        return evaluation(state)
    return {n: p.params for n, p in state.players.items()}, {n: p.state for n, p in state.players.items()}


def subject_of(run: Run, request: Request, chosen_by: str = "") -> Subject:
    """What is measured, for its records."""
    commit, dirty = checkout()
    ema = request.weights == "average" and any(p.ema is not None for p in run.state.players.values())
    seed = getattr(run.config, "seed", 0)
    return Subject(run.name, config_sha256(run.name, run.config), seed, run.step, tree_digest(run.state), ema,
                   request.seed, chosen_by, run.member, genjax.__version__,
                   f"{commit}{'+' * bool(dirty)}" if commit else "")  # fmt: skip


def config_sha256(name: str, cfg: Any) -> str:
    """Of a recipe's configuration without its seed and its run-only fields: equal for the seeds of one experiment."""
    kind = kinds(type(cfg))
    fields = {k: v for k, v in dataclasses.asdict(cfg).items() if kind[k] != "run_only" and k != "seed"}
    return hashlib.sha256(json.dumps([name, fields], sort_keys=True).encode()).hexdigest()


def _resized(of: Protocol, run: Run) -> Protocol:
    size = getattr(run.config, "image_size", 0)
    return dataclasses.replace(
        of, quantisation="uint8, rounded", resize=f"to {size} pixels, cut to a square" if size else "none"
    )


def _of_model(metric: Metric, measured: Measured, real: Real, of: Protocol, subject: Subject, key: Key) -> list[Record]:
    n = data.size(measured.part)
    sha256 = real.kept(("seen", measured.conditional, n), measured.sha256)
    of = dataclasses.replace(of, n=n, reference_sha256=sha256, n_reference=n, temperature=1.0,
                             quantisation="the recipe's transform, drawn once per example (key: test of seed 0)")
    out = []
    for name, values in metric.of(measured, key).items():
        each = np.atleast_1d(np.asarray(values, np.float64))
        half = of_mean(each) if len(each) > 1 else float("nan")
        out.append(_record(metric, name, float(each.mean()), half, "Student's t over examples", None, of, subject))
    return out


def _of_images(
    metric: Metric, images: np.ndarray, real: Real, space: Space, of: Protocol, subject: Subject, key: Key
) -> list[Record]:
    def rows(x: np.ndarray) -> np.ndarray:
        if metric.space == "images":
            return x
        made = space.features if metric.space == "features" or space.logits is None else space.logits
        return np.asarray(made(x))

    def real_rows(which: str, x: np.ndarray) -> np.ndarray:
        return real.kept((which, space.name, metric.space), lambda: rows(x))

    reference = metric.prepare(real_rows("reference", real.reference.image))
    fake, fresh = rows(images), rng.named(key, "draws")

    def measure(x: np.ndarray) -> dict[str, float]:
        return {k: float(v) for k, v in metric.of(reference, x, fresh).items()}

    values, floors, halves = measure(fake), {}, {}
    if real.has_floor:
        at = ("floor", space.name, repr(metric.settings), tuple(values), jax.random.key_data(fresh).tobytes())
        floors = real.kept(at, lambda: measure(real_rows("others", real.others.image)))
    if metric.n_resamples:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of halves that are too small, where the whole is not
            halves = half_samples(lambda i: measure(fake[i]), len(fake), rng.named(key, "halves"), metric.n_resamples)
    name_of, hash_of = ("", "") if metric.space == "images" else (space.name, space.sha256)
    of = dataclasses.replace(of, reference_sha256=real.sha256(), n_reference=data.size(real.reference),
                             features=name_of, features_sha256=hash_of)
    method = f"{metric.n_resamples} {HALVES} of the generated images"
    return [
        _record(metric, name, v, halves.get(name, float("nan")), method, floors.get(name), of, subject, space.name)
        for name, v in values.items()
    ]


def _record(
    metric: Metric, name: str, value: float, half: float, method: str, floor: float | None, of: Protocol,
    subject: Subject, space: str = "",
) -> Record:  # fmt: skip
    better = metric.better.get(name.removesuffix("_{}"), "")
    settings = tuple(sorted(metric.settings.items()))
    protocol = dataclasses.replace(of, metric=name.format(space), settings=settings, definition=metric.definition)
    bounds = (value - half, value + half) if np.isfinite(half) else None
    return Record(protocol, subject, value, bounds, floor=floor, better=better, method=method if bounds else "")


def merged(old: list[Record], new: list[Record]) -> list[Record]:
    """Records of a run's file, in a fixed order: new ones in the place of old ones of one protocol and member.

    Old records of a checkpoint that has since become another one go.
    """

    def of(r: Record) -> tuple[Any, ...]:
        return r.subject.member, r.protocol.checkpoint, r.protocol.weights

    now = {of(r): r.subject.state_sha256 for r in new}
    kept = [r for r in old if now.get(of(r), r.subject.state_sha256) == r.subject.state_sha256]

    def place(r: Record) -> tuple[Any, ...]:
        return -1 if r.subject.member is None else r.subject.member, r.protocol.metric, repr(r.protocol)

    by_place = {place(r): r for r in [*kept, *new]}
    return [by_place[k] for k in sorted(by_place)]
