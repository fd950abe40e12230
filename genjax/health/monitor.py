"""The monitor of a run: looks at its metrics, its samples and, when there is time, into the model; says what is wrong.

It reads and never writes: a run's bits are the same with and without it. Its draws have keys of their own name.
"""

import copy
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from genjax import data, domains
from genjax.domains.contract import Domain
from genjax.health import diversity, first_nonfinite, judge, nearness, probes
from genjax.health.budget import Budget
from genjax.health.coverage import NAMES, Looked
from genjax.health.finding import Finding, folded, found
from genjax.health.messages import ALONE, Telling
from genjax.metrics_log import numbers
from genjax.models.labels import labels_for
from genjax.train.distributed import Group
from genjax.train.experiment import Experiment
from genjax.train.mesh import ONE_DEVICE, Place
from genjax.train.population import Roots
from genjax.train.state import TrainState
from genjax.train.watch import Watch
from genjax.types import Key

REPLAY_SECONDS = 60.0
"""After a failure at most so much time goes into doing its steps again, to name the parameter that was first."""


class Monitor:
    """Watches a run: `fit` and a run's writers show it their numbers, and it returns findings.

    Args:
        experiment: the run's.
        dataset: where its probes' real images come from.
        key: its root key; of a population the members' `Roots`.
        batch_size: of training, and so of a probe's parts.
        log_every, sample_every: steps between rows and between grids. A row of a last step that is no multiple is not
            judged; a grid is, apart from the others, for a run that goes on from there has not made it.
        layout: where the state lies, on many devices.
        group: the run's processes: all probe together, the leader judges.
        stored: `stored()` of the checkpoint that the run continues from.
        budget: how much time it may take.
        domain: of the data; by default that which their `Spec` names.
    """

    def __init__(
        self, experiment: Experiment, dataset: data.Dataset, key: Key | Roots, batch_size: int, log_every: int = 1,
        sample_every: int = 1, *, layout: Place = ONE_DEVICE, group: Group | None = None,
        stored: Mapping[str, Any] | None = None, budget: Budget | None = None, domain: Domain | None = None,
    ):  # fmt: skip
        stored = dict(numbers(stored or {}))
        self.experiment, self.dataset, self.key, self.layout = experiment, dataset, key, layout
        self.domain = domain or domains.of(dataset.spec)
        self.group, self.log_every, self.sample_every = group or Group(), log_every, sample_every
        step = experiment.step
        self.n = step.n
        self.part = max(1, batch_size // step.accumulate)
        self.watch, self.labels = Watch(step), step.labels
        self.guarded = [label for label, m in zip(step.labels, step.moves, strict=True) if m.guarded]
        self.budget, self.telling = budget or Budget(), Telling(stored.get("telling"))
        self.pending: list[Finding] = [found(f) for f in stored.get("pending", [])]
        self.earlier = (int(stored.get("probes", 0)), float(stored.get("seconds", 0.0)))
        self.bad: dict[int, first_nonfinite.Bad] = {}
        """The first step that is not finite, by member."""
        self._probe: Callable[..., Any] | None = None
        self._leaves: list[str] = []
        self._sent: tuple[Any, float] | None = None
        """A probe's numbers, being computed, and the seconds that sending it took."""
        self.before: dict[int, list[tuple[int, float]]] = {
            i: [(s, v) for s, v in b] for i, b in stored.get("grids", [])
        }
        """The variety of earlier grids, by member."""
        self.looked = Looked(stored.get("looked"))
        self.looked.cannot |= _within(experiment.model, dataset, self.domain.many)
        self._compared: tuple[Any, tuple[np.ndarray, ...]] | None = None
        """What grids are compared with: real ones, and views of real examples; of `diversity` and `nearness`."""

    # What `fit` calls.

    def state(self, step: int, state: TrainState) -> None:
        """Takes the state after `step` steps, perhaps still being computed; starts a probe when there is time."""
        self.budget.started()
        possible = step >= judge.SETTLED and self._sent is None
        if not possible or not self.group.share(self.budget.due):
            return
        with self.budget.paid():
            start = time.perf_counter()
            if self._probe is None:
                self._probe = self._made(state)
            params = {n: p.params for n, p in state.players.items()}
            net = {n: p.state for n, p in state.players.items()}
            out = self._probe(params, net)
        self._sent = (out, time.perf_counter() - start)

    def steps(self, first: int, values: Mapping[str, np.ndarray]) -> None:
        """Takes the metrics of every step of a finished chunk: [steps], or [steps, members]."""
        with self.budget.paid():
            if self._sent is not None:
                self._fetch()
            if not all(np.isfinite(v).all() for v in values.values()):
                self._note_bad(first, values)

    # What the leader calls.

    def row(self, row: Mapping[str, Any]) -> list[Finding]:
        """Takes a logged row and returns the findings to report with it."""
        with self.budget.paid():
            if row["step"] % self.log_every == 0:
                failed = row.get("failed", [])
                self.looked.judged["rows"] += row["step"] >= judge.SETTLED
                each = []
                for i in self._members():
                    mine = _of(row, i)
                    if i == ALONE or not (failed and failed[i]):
                        each += self._seen("rows", judge.of_row(mine, self.domain.words), i)
                self.pending += folded(each)
            return self.take()

    def samples(self, step: int, samples: np.ndarray) -> list[Finding]:
        """Takes a grid of samples as the transform's inverse gives them, [n, *event], or one for each member.

        What it shows is to be told with the next row. Of a grid that the uninterrupted run does not have it comes back
        instead, to be told at once, and a run that goes on from there knows nothing of it.
        """
        apart = bool(step % self.sample_every)
        if 2 * step < judge.SETTLED or (apart and (self.looked.apart or step < judge.SETTLED)):
            return []  # a last grid may be drawn twice, before an evaluation and a checkpoint
        telling = copy.deepcopy(self.telling) if apart else self.telling
        with self.budget.paid():
            reference, real = self._compared = self._compared or self._real(samples.shape[self.n is not None])
            each = []
            for i in self._members():
                mine, before = samples if i == ALONE else samples[i], self.before.setdefault(i, [])
                rows, views = self._rows(mine)
                varied = {} if isinstance(reference, str) else diversity.measure(rows, reference)
                if step >= judge.SETTLED:
                    found = judge.of_pictures(step, nearness.measure(views, real), varied, before, self.domain.words)
                    each += [(None if i == ALONE else i, f) for f in telling.see("pictures", found, i)]
                if not apart:
                    self.before[i] = _thinned([*before, (step, round(judge.variety(varied), 4))])
            if apart:
                self.looked.apart = step
                return [f._replace(apart=True) for f in folded(each)]
            if step >= judge.SETTLED:
                self.looked.grid(step)
            self.pending += folded(each)
            return []

    def take(self) -> list[Finding]:
        """The findings that were not reported yet."""
        pending, self.pending = self.pending, []
        return pending

    def failure(
        self, replay: Callable[[int], TrainState] | None, seconds_per_step: float, since: int
    ) -> dict[str, Any]:
        """The metrics of the first step that was not finite, as a row, after a single run has failed; empty if unknown.

        The finding, which names the loss term or the parameter, is among those to be told.

        Args:
            replay: `replay(n)` gives the state after n steps again; None where that is not to be had, and then loss
                terms alone are named.
            seconds_per_step: what that takes.
            since: the step from which it goes.
        """
        bad = self.bad.get(ALONE)
        if bad is None or self.n is not None:
            return {}
        named = first_nonfinite.of_steps(bad, self.labels, self.guarded)
        if replay is not None and (bad.step + 1 - since) * seconds_per_step <= REPLAY_SECONDS:
            names = first_nonfinite.bad_leaves(replay(bad.step))
            if names:
                named = first_nonfinite.of_parameters(names, bad.step, True)
            elif bad.only_norms and (names := first_nonfinite.bad_leaves(replay(bad.step + 1))):
                named = first_nonfinite.of_parameters(names, bad.step + 1, True)
        self.pending = [f for f in self.pending if f.code != "non_finite"] + [named]
        return {"step": bad.step + 1, **bad.row}

    def stored(self) -> dict[str, Any]:
        """What a checkpoint keeps, so that a continued run reports what the uninterrupted one reports."""
        probes, seconds = self.earlier
        return {
            "telling": self.telling.stored(),
            "pending": [f.stored() for f in self.pending],
            "probes": probes + self.budget.probes,
            "seconds": round(seconds + self.budget.spent, 3),
            "looked": self.looked.stored(),
            "grids": [[i, b] for i, b in self.before.items()],
        }

    def _rows(self, samples: np.ndarray) -> tuple[np.ndarray, tuple[np.ndarray, ...]]:
        """What a grid's samples are compared by: rows, and views, with NaN where a sample is not finite."""
        domain, spec = self.domain, self.dataset.spec
        if domain.coarse is not None:
            return domain.coarse(samples, spec), self._views(samples, None)
        found = domain.finish(samples, spec)
        rows = np.where(found.finite[:, None], domain.vector(found.examples, spec), np.nan)
        return rows, self._views(samples, rows)

    def _views(self, x: np.ndarray, rows: np.ndarray | None) -> tuple[np.ndarray, ...]:
        if self.domain.near is not None:
            return self.domain.near(x, self.dataset.spec)
        return () if rows is None else (rows,)

    def _real(self, n: int) -> tuple[Any, tuple[np.ndarray, ...]]:
        """What grids of n samples are compared with; notes what cannot be."""
        n_classes = getattr(self.experiment.model, "n_classes", 0)
        asked = None if not n_classes else np.asarray(labels_for(n, n_classes))
        real = nearness.pool(self.dataset.train, asked)
        domain, spec, words, halves = self.domain, self.dataset.spec, self.domain.words, nearness.halves(real)
        coarse = domain.coarse
        z_dim = getattr(self.experiment.model, "z_dim", None) or None  # 0: all the noise of a sample is the decoder's
        rows = domain.vector(real, spec) if coarse is None else coarse(real.x, spec)
        size = int(np.prod(spec.shape))
        reference = diversity.reference(rows, real.y, n, asked, z_dim, size=size, words=words)
        views = self._views(halves.x, domain.vector(halves, spec) if domain.near is None else None)
        self.looked.cannot |= diversity.cannot(reference, real.y, asked, words)
        self.looked.cannot |= nearness.cannot(len(real.x), views, words)
        return reference, views

    def _members(self) -> Sequence[int]:
        return (ALONE,) if self.n is None else range(self.n)

    def _seen(self, source: str, findings: Sequence[Finding], i: int) -> list[tuple[int | None, Finding]]:
        return [(None if i == ALONE else i, f) for f in self.telling.see(source, findings, i)]

    def _note_bad(self, first: int, values: Mapping[str, np.ndarray]) -> None:
        each = []
        for i in self._members():
            mine = values if i == ALONE else {k: v[:, i] for k, v in values.items()}
            if i in self.bad or (bad := first_nonfinite.first_bad(first, mine, self.watch.due)) is None:
                continue
            self.bad[i] = bad
            finding = first_nonfinite.of_steps(bad, self.labels, self.guarded)
            each += [(None if i == ALONE else i, f) for f in self.telling.once(finding, i)]
        if self.group.leader:
            self.pending += folded(each)

    def _made(self, state: TrainState) -> Callable[..., Any]:
        """`probe(params, state)`, compiled, with its examples and draws inside."""
        model, layout, params = self.experiment.model, self.layout, {n: p.params for n, p in state.players.items()}
        probe = probes.probe_of(model)
        if probe is None:
            return lambda *_: {}
        one = probe
        root = self.experiment.step.roots(self.key)[0]
        ref = probes.reference(self.dataset, self.experiment.transform, model, self.part, root)
        ref = layout.shared(jax.tree.map(jnp.asarray, ref))
        mapped = self.experiment.step.mapped
        if self.n is not None:
            params = jax.tree.map(lambda v: jax.ShapeDtypeStruct(v.shape[1:], v.dtype), params)

        def look(params, net, ref):
            return mapped(lambda params, net: one(params, net, ref))(params, net)

        self._leaves = probes.layers(params)
        compiled = layout.once(look)
        return lambda params, net: compiled(params, net, ref)

    def _fetch(self) -> None:
        """Waits for the probe that was sent; the chunk before it is done, so the waiting is the probe's own time."""
        assert self._sent is not None
        (out, sent), self._sent = self._sent, None
        start = time.perf_counter()
        values: dict[str, np.ndarray] = jax.tree.map(np.asarray, out)
        self.budget.probed(sent, time.perf_counter() - start)
        if not values or not self.group.leader:
            return
        self.looked.judged["probe"] += 1
        each = []
        for i in self._members():
            mine = values if i == ALONE else {k: v[i] for k, v in values.items()}
            if all(np.isfinite(v).all() for v in mine.values()):
                each += self._seen("probe", judge.of_probe(mine, self._leaves, self.domain.words), i)
        self.pending += folded(each)


def _within(model: Any, dataset: data.Dataset, many: str) -> dict[str, str]:
    """What a look into the model cannot judge, and why."""
    if probes.probe_of(model) is None:
        return {NAMES["probe"]: "neither a VAE nor a GAN"}
    if hasattr(model, "fake") and dataset.test is None and dataset.validation is None:
        return {"whether the discriminator overfits": f"no held-out {many}"}
    return {}


def _thinned(grids: list[tuple[int, float]]) -> list[tuple[int, float]]:
    """The earlier grids that a later one may be compared with: the last, and two before it that are apart."""
    kept = grids[-1:]
    for step, value in reversed(grids[:-1]):
        if len(kept) < 3 and step * judge.APART <= kept[0][0]:
            kept.insert(0, (step, value))
    return kept


def _of(row: Mapping[str, Any], i: int) -> dict[str, Any]:
    """Member i's numbers of a row."""
    return {k: v[i] if isinstance(v, list) else v for k, v in row.items()}
