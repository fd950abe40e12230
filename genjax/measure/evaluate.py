"""A run measured: records of its last and its best checkpoint."""

import dataclasses
import functools
import hashlib
import json
import time
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np

import genjax
from genjax import data, progress, rng, sources
from genjax.domains.contract import Finished
from genjax.errors import RunFailure, UsageError
from genjax.measure.references import Real
from genjax.metrics.measured import N_IMPORTANCE, Estimate, Measured
from genjax.metrics.protocol import NO_LABELS, Protocol, Record, Subject
from genjax.metrics.resampling import HALVES, half_samples, of_mean
from genjax.metrics.spaces import Kind, Space
from genjax.metrics.table import METRICS, Metric, chosen, sampled
from genjax.runs.config import resumable_fields
from genjax.runs.drawing import SHARES, at_once, generated, labels_of, noise_of
from genjax.runs.manifest import checkout
from genjax.runs.opening import Run
from genjax.train.leaves import tree_digest
from genjax.train.state import TrainState, evaluation
from genjax.types import Key, Params, State

MOST_OPERATIONS = 5e12
"""Most operations of a metric that was not named: minutes on a core or two."""
SEEN = "the recipe's transform, drawn once per example (key: test of seed 0)"
"""What was done to the values that a model's likelihood is of."""


@dataclass(frozen=True)
class Request:
    """What to measure and how.

    Args:
        metrics: names of `METRICS`, comma-separated; empty for all that apply by default.
        seed: of the evaluation's draws: samples, latents, halves.
        weights: `average` (where the run keeps one) or `trained`.
        temperature: standard deviation of the latents.
        n_importance: importance samples of each example's likelihood.
    """

    metrics: str = ""
    seed: int = 0
    weights: str = "average"
    temperature: float | int = 1.0
    n_importance: int = N_IMPORTANCE


class Outcome(NamedTuple):
    """A metric measured, or why it was not."""

    name: str
    """Its name, as `--metrics` takes it."""
    records: list[Record]
    seconds: float
    notes: tuple[str, ...] = ()
    """What cannot be had of it, and why: a line each."""
    failure: Exception | None = None
    """Why there are no records, where there should be."""


def evaluate(run: Run, real: Real, space: Space, request: Request) -> list[Record]:
    """The records of a run's last checkpoint; see `outcomes`.

    Raises:
        UsageError: a metric does not exist or does not apply.
        Exception: the first that a metric raised.
    """
    records: list[Record] = []
    for outcome in outcomes(run, real, space, request):
        if outcome.failure is not None:
            raise outcome.failure
        for note in outcome.notes:
            warnings.warn(note, stacklevel=2)
        records += outcome.records
    return records


def outcomes(
    run: Run, real: Real, space: Space, request: Request, checkpoint: str = "last", chosen_by: str = ""
) -> Iterator[Outcome]:
    """Each metric of one checkpoint as soon as it is measured; one that fails keeps no other from being measured.

    The same arguments give the same records, to the bit on one machine. A part that cannot be had of few samples (an
    interval, a floor, a metric that nobody named) is named in a note with its reason, and the rest is measured.

    Args:
        run: opened at the checkpoint.
        real: what it is measured against; kept for the next checkpoint, so that its own side is computed once.
        space: where samples are compared.
        request: what to measure.
        checkpoint: `last` or `best`.
        chosen_by: what the best is the best of.

    Raises:
        UsageError: a metric does not exist or does not apply; before anything is measured.
    """
    params, state = weights_of(run.state, request.weights)
    experiment = run.experiment
    measured = Measured(
        experiment.model, params, state, experiment.score, experiment.transform, real.some(),
        experiment.model.n_classes > 0,
    )  # fmt: skip
    if real.held_out:
        measured = measured._replace(trained=real.trained(data.size(measured.part)))
    domain = run.domain
    table = {**METRICS, **domain.metrics_of(run.spec)}
    picked = chosen(request.metrics, measured, space, table, domain.kinds, domain.many)
    too_few = {name: why for name, metric in picked.items() if (why := _too_few(metric, real, domain.many))}
    if not request.metrics:
        costly = {k: _too_costly(k, m, real, space, domain.many) for k, m in picked.items() if k not in too_few}
        too_few |= {k: why for k, why in costly.items() if why}
    if request.metrics and too_few:
        name, why = next(iter(too_few.items()))
        raise UsageError(f"--metrics={name}: {why}, so it cannot be measured. Raise --n, or leave it out.")
    picked = {name: sampled(metric, request.n_importance) for name, metric in picked.items()}
    return _each(run, real, space, request, measured, picked, too_few, checkpoint, chosen_by)


def _too_few(metric: Metric, real: Real, many: str) -> str:
    """Why there are too few samples for a metric; empty where there are enough."""
    size = data.size(real.training if metric.against == "training" else real.reference)
    if metric.kind in ("model", "modes") or min(real.n, size) >= metric.least:
        return ""
    return f"it takes {metric.least} {many} on either side, and there are {real.n} generated and {size} real ones"


def _too_costly(name: str, metric: Metric, real: Real, space: Space, many: str) -> str:
    """Why a metric takes too long to be measured unasked; empty where it takes a few minutes at most."""
    if metric.operations is None or space.sha256:
        return ""  # the features of nets are few
    size, d = data.size(real.reference), int(np.prod(real.reference.x.shape[1:]))
    cost = 2 * metric.operations(size, real.n, d) + metric.n_resamples * metric.operations(size, real.n // 2, d)
    if cost < MOST_OPERATIONS:
        return ""
    return (
        f"in the {d:,} dimensions of {space.name} {real.n:,} {many} take {cost:.0e} operations, half an hour or more; "
        f"kd says much the same, and --metrics {name} measures it nevertheless"
    )


def _each(
    run: Run, real: Real, space: Space, request: Request, measured: Measured, picked: Mapping[str, Metric],
    too_few: Mapping[str, str], checkpoint: str, chosen_by: str,
) -> Iterator[Outcome]:  # fmt: skip
    of = Protocol("", real.n, real.split, real.name, "", 0, checkpoint=checkpoint, weights=request.weights,
                  temperature=float(request.temperature), labels=NO_LABELS)  # fmt: skip
    subject, key = subject_of(run, request, chosen_by), rng.named(jax.random.key(request.seed), "eval")
    labels = real.labels(measured.model.n_classes)
    samples = Samples(lambda: _drawn(run, measured.params, measured.state, real, request, labels), space, labels)
    for i, (name, metric) in enumerate(picked.items(), 1):
        began, mine = time.perf_counter(), rng.named(key, name)
        if name in too_few:
            yield Outcome(name, [], 0.0, (f"{name}: left out: {too_few[name]}.",))
            continue
        records: list[Record] = []
        failure, notes = None, []
        with warnings.catch_warnings(record=True) as caught, progress.part(f"metric {i} of {len(picked)}, {name}"):
            warnings.simplefilter("always")
            try:
                if metric.kind == "model":
                    records = _of_model(metric, measured, real, of, subject, mine)
                else:
                    seen, many = _seen(of, run, labels), run.domain.many
                    records = _of_samples(metric, samples, real, seen, subject, mine, notes, many)
            except UsageError as e:
                if request.metrics:
                    failure = e
                else:
                    notes = [f"left out: {e}"]
            except Exception as e:
                failure = e
        notes += [f"{r.protocol.metric} is {r.value}, which is no finite number." for r in records if
                  not np.isfinite(r.value)]  # fmt: skip
        notes += sorted({str(w.message) for w in caught if issubclass(w.category, UserWarning)})
        yield Outcome(name, records, time.perf_counter() - began, tuple(f"{name}: {n}" for n in notes), failure)


class Samples:
    """A checkpoint's samples in a space: drawn when first asked for, and what is made of them is made once.

    Args:
        drawn: draws them, and says which are finite.
        space: where they are compared.
        labels: what a conditional model was asked for.
    """

    def __init__(self, drawn: Callable[[], Finished], space: Space, labels: np.ndarray | None = None):
        self._drawn, self.space, self.labels = functools.cache(drawn), space, labels
        self._rows = functools.cache(lambda kind: space.rows(kind, self._drawn().examples))

    def rows(self, kind: Kind) -> Any:
        """What metrics of a kind see of the samples.

        Raises:
            RunFailure: some are not finite. No number is made of what stands in their place.
        """
        finite = self._drawn().finite
        if bad := int((~finite).sum()):
            raise RunFailure(f"{bad:,} of {len(finite):,} samples of the model hold NaN or infinity; no number is made "
                             "of those.")  # fmt: skip
        return self._rows(kind)


def _drawn(run: Run, params: Params, state: State, real: Real, request: Request, labels: np.ndarray | None) -> Finished:
    """Samples with the labels that they were asked for, and which are finite."""
    experiment, domain = run.experiment, run.domain
    if domain.drawn == "whole":
        key = rng.named(jax.random.key(request.seed), domain.many)
        x = at_once(experiment.model, params, state, real.n, key, request.temperature, labels)
        return domain.finish(x if domain.as_is else np.asarray(experiment.transform.inverse(x)), run.spec)
    z = noise_of(experiment, real.n, request.seed, request.temperature)
    label = labels if labels is not None else labels_of(real.n, experiment.model.n_classes)
    return generated(experiment, domain, run.spec, params, state, z, label)


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
    """SHA-256 of a configuration without its seed and its resumable fields: equal for the seeds of one experiment.

    The data count by their fingerprint, wherever they lie.
    """
    left_out = {"seed", *resumable_fields(run.config)}
    fields = {k: v for k, v in dataclasses.asdict(run.config).items() if k not in left_out}
    fields["data"] = run.spec.fingerprint
    return hashlib.sha256(json.dumps([run.name, fields], sort_keys=True).encode()).hexdigest()


def _seen(of: Protocol, run: Run, labels: np.ndarray | None) -> Protocol:
    if run.experiment.model.n_classes:
        of = dataclasses.replace(of, labels="in turn" if labels is None else SHARES)
    return dataclasses.replace(of, **run.domain.measured(run.spec, run.config))


def _of_model(metric: Metric, measured: Measured, real: Real, of: Protocol, subject: Subject, key: Key) -> list[Record]:
    n = data.size(measured.part)
    sha256 = real.kept(("seen", measured.conditional, n), measured.sha256)
    of = dataclasses.replace(
        of,
        n=n,
        reference_sha256=sha256,
        n_reference=n,
        temperature=1.0,
        quantisation=SEEN,
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


def _of_samples(
    metric: Metric, samples: Samples, real: Real, of: Protocol, subject: Subject, key: Key, notes: list[str], many: str
) -> list[Record]:
    """Records of a metric of samples; what they lack goes to `notes`. `many` is what they are called."""
    space, kind = samples.space, metric.kind
    assert kind != "model"

    def real_rows(which: str, part: data.Examples | data.Lazy) -> Any:
        return real.kept((which, space.name, kind), lambda: space.rows(kind, part))

    trained_on, fake = metric.against == "training", samples.rows(kind)
    if kind == "modes":
        against: Any = space.modes
    else:
        side = ("training", real.training) if trained_on else ("reference", real.reference)
        against = metric.prepare(real_rows(*side))
    fresh = rng.named(key, "draws")

    def measure(x: Any, by: Callable[..., Any] = metric.of) -> dict[str, Estimate]:
        return {k: estimate(v, f"Student's t over the generated {many}") for k, v in by(against, x, fresh).items()}

    found, floors, halves = measure(fake), {}, {}
    beside = real.stand_ins(trained_on, samples.labels)
    if isinstance(beside, str):
        notes.append(f"no floor: {beside}.")
    else:
        at = ("floor", space.name, repr(metric.settings), tuple(found), jax.random.key_data(fresh).tobytes())
        others = "some" if trained_on else "others"
        try:
            floors = real.kept(at, lambda: measure(real_rows(others, beside), metric.floor or metric.of))
        except UsageError as e:
            notes.append(f"no floor: {e}")
    if metric.n_resamples:
        if metric.of_subsets is not None:
            of_half = metric.of_subsets(against, fake)
        else:
            of_half = lambda i: {k: v.value for k, v in measure(jax.tree.map(lambda a: a[i], fake)).items()}  # noqa: E731
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # of halves that are too small, where the whole is not
                halves = half_samples(of_half, real.n, rng.named(key, "halves"), metric.n_resamples)
        except UsageError as e:
            notes.append(f"no interval: it comes from halves of the {real.n} generated {many}, and {e}")
    if trained_on:
        size, sha256 = data.size(real.training), real.kept("fingerprint", lambda: data.fingerprint(real.training))
        of = dataclasses.replace(of, split="train", reference_sha256=sha256, n_reference=size)
    else:
        of = dataclasses.replace(of, reference_sha256=real.sha256(), n_reference=data.size(real.reference))
    if kind == "modes":
        assert space.modes is not None
        of = dataclasses.replace(of, features=space.modes.features, features_sha256=space.modes.features_sha256)
    elif kind != "examples":
        of = dataclasses.replace(of, features=space.name, features_sha256=space.sha256)
    method = f"{metric.n_resamples} {HALVES} of the generated {many}"
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
