"""A run measured: records of its last and its best checkpoint."""

import dataclasses
import functools
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
from genjax import data, rng, sources
from genjax.metrics.measured import N_IMPORTANCE, Estimate, Measured
from genjax.metrics.protocol import Protocol, Record, Subject
from genjax.metrics.resampling import HALVES, half_samples, of_mean
from genjax.metrics.spaces import Space
from genjax.metrics.table import Metric, chosen, nll, of_points
from genjax.train.config import kinds
from genjax.train.drawing import draw, draw_points
from genjax.train.experiment import Experiment
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
        n_importance: importance samples of each example's likelihood.
    """

    metrics: str = ""
    seed: int = 0
    weights: str = "average"
    temperature: float | int = 1.0
    n_importance: int = N_IMPORTANCE


def evaluate(
    run: Run,
    real: Real,
    space: Space,
    request: Request,
    checkpoint: str = "last",
    chosen_by: str = "",
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
    measured = Measured(
        experiment.model, params, state, experiment.score, experiment.transform, real.some(),
        experiment.model.n_classes > 0,
    )  # fmt: skip
    if real.held_out:
        measured = measured._replace(trained=real.trained(data.size(measured.part)))
    picked = chosen(request.metrics, measured, space)
    if "nll" in picked:
        picked["nll"] = nll(request.n_importance)
    samples = Samples(lambda: _drawn(experiment, params, state, real, request), space)
    key, records = rng.named(jax.random.key(request.seed), "eval"), []
    for name, metric in picked.items():
        began = time.perf_counter()
        mine = rng.named(key, name)
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            if metric.kind == "model":
                records += _of_model(metric, measured, real, of, subject, mine)
            else:
                records += _of_samples(metric, samples, real, _seen(of, run, real), subject, mine)
        for text in sorted({str(w.message) for w in caught if issubclass(w.category, UserWarning)}):
            warnings.warn(f"{name}: {text}", stacklevel=2)
        on_metric(name, time.perf_counter() - began)
    return records


class Samples:
    """A checkpoint's samples in a space: drawn when first asked for, and what is made of them is made once."""

    def __init__(self, drawn: Callable[[], data.Images], space: Space):
        self._drawn, self.space = functools.cache(drawn), space
        self.rows = functools.cache(lambda kind: space.rows(kind, self._drawn()))


def _drawn(experiment: Experiment, params: Params, state: State, real: Real, request: Request) -> data.Images:
    """Samples with the labels that they were asked for."""
    if of_points(real.reference):
        key = rng.named(jax.random.key(request.seed), "points")
        return data.Images(draw_points(experiment.model, params, state, real.n, key, request.temperature))
    return data.Images(*draw(experiment, params, state, real.n, request.seed, None, request.temperature))


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
    return Subject(run.name, config_sha256(run), seed, run.step, tree_digest(run.state), ema,
                   request.seed, chosen_by, run.member, genjax.__version__,
                   f"{commit}{'+' * bool(dirty)}" if commit else "",
                   run.recipe_sha256, run.trained_by, sources.genjax_sha256())  # fmt: skip


def config_sha256(run: Run) -> str:
    """Of a recipe's configuration without its seed and its run-only fields: equal for the seeds of one experiment.

    The data count by their fingerprint, wherever they lie.
    """
    kind = kinds(type(run.config))
    fields = {k: v for k, v in dataclasses.asdict(run.config).items() if kind[k] != "run_only" and k != "seed"}
    fields["data"] = run.spec.fingerprint
    return hashlib.sha256(json.dumps([run.name, fields], sort_keys=True).encode()).hexdigest()


def _seen(of: Protocol, run: Run, real: Real) -> Protocol:
    if of_points(real.reference):
        return of
    size = getattr(run.config, "image_size", 0)
    return dataclasses.replace(
        of, quantisation="uint8, rounded", resize=f"to {size} pixels, cut to a square" if size else "none"
    )


def _of_model(metric: Metric, measured: Measured, real: Real, of: Protocol, subject: Subject, key: Key) -> list[Record]:
    n = data.size(measured.part)
    sha256 = real.kept(("seen", measured.conditional, n), measured.sha256)
    of = dataclasses.replace(
        of,
        n=n,
        reference_sha256=sha256,
        n_reference=n,
        temperature=1.0,
        quantisation="the recipe's transform, drawn once per example (key: test of seed 0)",
    )
    return [
        _record(metric, name, estimate(values, "Student's t over examples"), None, of, subject)
        for name, values in metric.of(measured, key).items()
    ]


def estimate(values: Any, method: str) -> Estimate:
    """The mean of a number for each example, and Student's interval; a number of its own has none."""
    if isinstance(values, Estimate):
        return values
    each = np.atleast_1d(np.asarray(values, np.float64))
    return Estimate(float(each.mean()), of_mean(each), method)


def _of_samples(metric: Metric, samples: Samples, real: Real, of: Protocol, subject: Subject, key: Key) -> list[Record]:
    space, kind = samples.space, metric.kind
    assert kind != "model"

    def real_rows(which: str, part: data.Images | data.Records) -> Any:
        return real.kept((which, space.name, kind), lambda: space.rows(kind, part))

    trained_on = metric.against == "training"
    if kind == "modes":
        against: Any = space.modes
    else:
        side = ("training", real.training) if trained_on else ("reference", real.reference)
        against = metric.prepare(real_rows(*side))
    fake, fresh = samples.rows(kind), rng.named(key, "draws")

    def measure(x: Any, by: Callable[..., Any] = metric.of) -> dict[str, Estimate]:
        return {k: estimate(v, "Student's t over the generated images") for k, v in by(against, x, fresh).items()}

    found, floors, halves = measure(fake), {}, {}
    beside = real.stand_ins(trained_on)
    if beside is not None:
        at = ("floor", space.name, repr(metric.settings), tuple(found), jax.random.key_data(fresh).tobytes())
        others = "some" if trained_on else "others"
        floors = real.kept(at, lambda: measure(real_rows(others, beside), metric.floor or metric.of))
    if metric.n_resamples:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of halves that are too small, where the whole is not
            if metric.of_subsets is not None:
                of_half = metric.of_subsets(against, fake)
            else:
                of_half = lambda i: {k: v.value for k, v in measure(jax.tree.map(lambda a: a[i], fake)).items()}  # noqa: E731
            halves = half_samples(of_half, real.n, rng.named(key, "halves"), metric.n_resamples)
    if trained_on:
        size, sha256 = data.size(real.training), real.kept("fingerprint", lambda: data.fingerprint(real.training))
        of = dataclasses.replace(of, split="train", reference_sha256=sha256, n_reference=size)
    else:
        of = dataclasses.replace(of, reference_sha256=real.sha256(), n_reference=data.size(real.reference))
    if kind == "modes":
        assert space.modes is not None
        of = dataclasses.replace(of, features=space.modes.features, features_sha256=space.modes.features_sha256)
    elif kind != "images":
        of = dataclasses.replace(of, features=space.name, features_sha256=space.sha256)
    method = f"{metric.n_resamples} {HALVES} of the generated {'points' if of_points(real.reference) else 'images'}"
    return [
        _record(
            metric, name, v if np.isfinite(v.half) else Estimate(v.value, halves.get(name, float("nan")), method),
            floors[name].value if name in floors else None, of, subject, space.name,
        )
        for name, v in found.items()
    ]  # fmt: skip


def _record(
    metric: Metric, name: str, found: Estimate, floor: float | None, of: Protocol, subject: Subject, space: str = ""
) -> Record:
    better = metric.better.get(name.removesuffix("_{}"), "")
    settings = tuple(sorted(metric.settings.items()))
    protocol = dataclasses.replace(of, metric=name.format(space), settings=settings, definition=metric.definition)
    bounds = (found.value - found.half, found.value + found.half) if np.isfinite(found.half) else None
    return Record(
        protocol, subject, found.value, bounds, floor=floor, better=better, method=found.method if bounds else ""
    )


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
