"""Estimates a step on many devices without them, from the traced program of one device's share of it.

With a batch split over n devices each runs the same program on the n-th part of the batch: that program is traced, its
kernels are timed on the device's figures, and collectives are added. Nothing is allocated, and nothing is compiled but
for a device of the kind that is here, whose compiler says what memory the program takes.
"""

import contextlib
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import jax
import numpy as np
import optax

from genjax import data
from genjax.data.loading import RESIDENT_BYTES
from genjax.errors import UsageError
from genjax.plan import collectives, devices
from genjax.plan.collectives import Traffic
from genjax.plan.cost import Work, work
from genjax.plan.devices import Device
from genjax.plan.kernels import peak_memory
from genjax.plan.program import Program, flatten, walk
from genjax.plan.roofline import NOTHING, Estimate, estimate
from genjax.train.experiment import Experiment
from genjax.train.state import TrainState
from genjax.train.step import Step

MOST_DEVICES = 2**20


@dataclass(frozen=True)
class Memory:
    """Bytes on one device at the worst moment of a step."""

    peak: float
    state: float
    """Parameters, optimizer states, averages and net states of one device; part of `peak`."""
    data: float
    """The training set, where it is held on the device; part of `peak`."""
    how: str
    """"compiled": the compiler's own figure. "derived": the largest set of values alive at once; a compiler needs more:
    of the shipped recipes on a CPU it was 0.5 to 0.9 of the compiled figure."""


class Sent(NamedTuple):
    """A collective of a step on a mesh."""

    traffic: Traffic
    bytes: float
    """That one device sends."""
    bound: float
    """Seconds by the bandwidth of the links alone."""
    seconds: float
    """With latency."""


@dataclass(frozen=True)
class Plan:
    """What one step costs; figures are for one device unless they say otherwise."""

    device: Device
    mesh: Mapping[str, int]
    examples: int
    """Examples of one step on all devices together."""
    batch: int
    """Examples of one step on one device."""
    parameters: int
    """All players', each counted once."""
    work: Work
    """Counted from the model, the same for every device."""
    estimate: Estimate
    memory: Memory
    traffic: tuple[Sent, ...]
    weak: int | None
    """Devices from which on communication takes longer than computation, each with the batch of this plan."""
    strong: int | None
    """The same with all devices sharing the examples of this plan."""
    efficiency: float
    remarks: tuple[str, ...]
    compiled_flops: float | None = None
    """The compiler's own count, where there is one."""

    @property
    def devices(self) -> int:
        """Devices of the mesh."""
        return math.prod(self.mesh.values())

    @property
    def communication(self) -> float:
        """Seconds of a step's collectives, latency included."""
        return sum(t.seconds for t in self.traffic)

    @property
    def bound(self) -> float:
        """Seconds a step takes at least: computation, and at the same time communication without latency."""
        return max(self.estimate.bound, sum(t.bound for t in self.traffic))

    @property
    def predicted(self) -> float:
        """Seconds a step takes: computation, then communication."""
        return self.estimate.predicted + self.communication


def plan(
    experiment: Experiment,
    spec: data.Spec,
    batch_size: int,
    device: Device,
    mesh: Mapping[str, int] | None = None,
    efficiency: float = 1.0,
    paper: "Paper | None" = None,
    compiled: bool = True,
) -> Plan:
    """Plans a step.

    Args:
        experiment: from a recipe's `build`.
        spec: of the data; only its sizes matter.
        batch_size: of all devices together.
        device: from `devices.find`, or `calibrate.cpu()`.
        mesh: sizes of the axes `data` and `fsdp`; one device by default.
        efficiency: share of the device's peak and bandwidth that kernels reach, for the prediction.
        paper: the traced programs of this experiment and spec, to plan it for several devices.
        compiled: ask the compiler for the memory, where the device is one that is here.

    Raises:
        UsageError: the mesh does not divide the batch, or a CPU is to be several devices.
    """
    mesh = dict(mesh or {"data": 1, "fsdp": 1})
    cpu = device.platform == "cpu"
    paper, share = paper or Paper(experiment, spec), _share(batch_size, math.prod(mesh.values()), cpu)
    batch = paper.smallest_batch(share, batch_size)
    counted_as = () if batch == share else (f"a device's {share} examples are counted as {batch}: whole packs",)
    program = paper.program(batch, device.platform)
    updates = paper.updates(device, efficiency, mesh["fsdp"])
    others = paper.updates(device, efficiency, 1).plus(updates, -1.0)  # the part of the update that other devices do
    one = estimate(program, device, efficiency, epilogues=not cpu).plus(others, -1.0)
    here = compiled and devices.name_of_kind(jax.devices()[0].device_kind) == device.name
    counted = _compiled(*paper.call(batch)) if here else None
    # What does not shrink with the batch: kernels that do nothing, and the optimizers.
    fixed = min(one.predicted, one.kernels * device.overhead + updates.predicted)

    def shared(m: int) -> float:
        return fixed + (one.predicted - fixed) * batch_size / m / batch

    return Plan(
        device=device,
        mesh=mesh,
        examples=batch_size,
        batch=batch,
        parameters=sum(math.prod(v.shape) for p in paper.state.players.values() for v in jax.tree.leaves(p.params)),
        work=paper.model(batch),
        estimate=one,
        memory=paper.memory(program, mesh["fsdp"], counted and counted[0]),
        traffic=tuple(sent(paper, mesh, device)),
        weak=None if cpu else _talking(paper, device, mesh["fsdp"], lambda m: one.predicted, MOST_DEVICES),
        strong=None if cpu else _talking(paper, device, mesh["fsdp"], shared, batch_size),
        efficiency=efficiency,
        remarks=(*program.remarks, *counted_as),
        compiled_flops=counted and counted[1],
    )


def _share(batch_size: int, n: int, cpu: bool) -> int:
    """Examples of one of n devices.

    Raises:
        UsageError: n does not divide the batch, or a CPU is to be several devices.
    """
    if batch_size % n:
        near = max(n, round(batch_size / n) * n)
        raise UsageError(f"batch_size={batch_size} does not divide over {n} devices. Try batch_size={near}.")
    if cpu and n > 1:
        raise UsageError("mesh: the plan of a CPU is for one device, which has all its cores. Leave --mesh out.")
    return batch_size // n


def _talking(paper: "Paper", device: Device, fsdp: int, compute: Callable[[int], float], most: int) -> int | None:
    """The smallest power of two of devices, at most `most`, whose collectives take longer than `compute(devices)`."""
    for m in (2**i for i in range(1, most.bit_length())):
        mesh = {"data": max(1, m // fsdp), "fsdp": min(m, fsdp)}
        if sum(s.seconds for s in sent(paper, mesh, device)) > compute(m):
            return m
    return None


def sent(paper: "Paper", mesh: Mapping[str, int], device: Device) -> list[Sent]:
    """The collectives of a step on a mesh."""
    return [
        Sent(t, collectives.wire_bytes(t, mesh), *collectives.seconds(t, mesh, device)) for t in paper.traffic(mesh)
    ]


class Paper:
    """The programs of an experiment's step for each batch and platform of a device, traced once each."""

    def __init__(self, experiment: Experiment, spec: data.Spec):
        self.experiment, self.spec = experiment, spec
        self.step: Step = experiment.step
        self.key = jax.eval_shape(lambda: jax.random.key(0))
        self.state: TrainState = jax.eval_shape(lambda k: self.step.init(experiment.model, k), self.key)
        self.jaxprs: dict[int, Any] = {}
        self.programs: dict[tuple[int, str], Program] = {}
        self.talks: dict[tuple[int, bool], list[Traffic]] = {}

    def traffic(self, mesh: Mapping[str, int]) -> list[Traffic]:
        """The collectives of a step. How many devices share the data only changes how long they take."""
        of = mesh["fsdp"], mesh["data"] > 1
        if of not in self.talks:
            self.talks[of] = collectives.traffic(self.step, self.state, mesh)
        return self.talks[of]

    def call(self, batch: int) -> tuple[Callable, tuple]:
        """The step with its data pipeline, and the shapes of its arguments."""
        step, spec = self.step, self.spec
        labels = np.zeros(batch, np.int32) if spec.n_classes else None
        mask = np.ones((batch, *spec.shape[: spec.masked]), bool) if spec.masked else None
        examples = data.Examples(np.zeros((batch, *spec.shape), spec.dtype), labels, mask)
        source = data.resident(examples, batch, self.experiment.transform)
        held = jax.eval_shape(lambda: source.window(jax.random.key(0), 0, 1, step.n_batches))

        def one(state, held, key):
            return step(state, source.batches(held, key, state.step, 0, step.n_batches), key)

        return one, (self.state, held, self.key)

    def traced(self, batch: int) -> Any:
        """The step of a device with so many examples of each minibatch, traced once.

        Raises:
            UsageError: the step does not take so many.
        """
        if batch not in self.jaxprs:
            one, args = self.call(batch)
            self.jaxprs[batch] = jax.make_jaxpr(one)(*args)
        return self.jaxprs[batch]

    def smallest_batch(self, batch: int, whole: int) -> int:
        """The least number of examples, at least `batch`, that a step takes by itself.

        A device's part of the `whole` batch may be no whole number of packs, which a net wants that sees rows together;
        on a mesh it sees them all.

        Raises:
            UsageError: the step does not take the whole batch.
        """
        with contextlib.suppress(UsageError):
            self.traced(batch)
            return batch
        self.traced(whole)
        for n in range(batch + 1, whole):
            with contextlib.suppress(UsageError):
                self.traced(n)
                return n
        return whole

    def program(self, batch: int, platform: str) -> Program:
        """The operations of a traced step."""
        if (batch, platform) not in self.programs:
            period = math.lcm(*(m.every for m in self.step.moves))
            self.programs[batch, platform] = flatten(self.traced(batch), platform, period, step=0)
        return self.programs[batch, platform]

    def model(self, batch: int) -> Work:
        """What the model computes, in the form it has where no platform is preferred."""
        total = Work()
        for program, op, times in walk(self.program(batch, "default")):
            total = total.plus(work(op, program.values), times)
        return total

    def updates(self, device: Device, efficiency: float, fsdp: int) -> Estimate:
        """The optimizers' part of a step, on a device that holds the `fsdp`-th part of what can be split."""
        total = NOTHING
        for move in self.step.moves:
            moved = {p: self.state.players[p].params for p in move.players}
            share = collectives.size_of(moved, fsdp) / collectives.size_of(moved)
            once = estimate(_update(move.tx, moved, self.state.opt[move.name], device.platform), device, efficiency)
            once = once._replace(predicted=once.predicted - once.kernels * device.overhead, kernels=0.0)
            total = total.plus(once, share * move.repeat / move.every)
        return total

    def memory(self, program: Program, fsdp: int, compiled: float | None) -> Memory:
        """What a device holds, the training set included where it fits there."""
        donated = frozenset(program.inputs[: len(jax.tree.leaves(self.state))])
        peak = peak_memory(program, donated) if compiled is None else compiled
        state, mine = collectives.size_of(self.state), collectives.size_of(self.state, fsdp)
        if fsdp > 1:  # its part of the state, and all parameters gathered
            peak += mine - state + sum(collectives.size_of(p.params) for p in self.state.players.values())
        held = math.prod(self.spec.shape) * np.dtype(self.spec.dtype).itemsize * float(self.spec.n_train)
        held = held if held <= RESIDENT_BYTES else 0.0
        return Memory(peak + held, mine, held, "derived" if compiled is None else "compiled")


def _update(tx: optax.GradientTransformation, params: Any, opt: Any, platform: str) -> Program:
    def update(grads, opt, params):
        updates, opt = tx.update(grads, opt, params)
        return optax.apply_updates(params, updates), opt

    return flatten(jax.make_jaxpr(update)(params, opt, params), platform)


def _compiled(one: Callable, args: tuple) -> tuple[float, float] | None:
    """(bytes at the worst moment, floating-point operations) that the compiler of this machine reports."""
    made = jax.jit(one, donate_argnums=0).lower(*args).compile()
    m = made.memory_analysis()
    if m is None:
        return None
    peak = m.argument_size_in_bytes + m.output_size_in_bytes - m.alias_size_in_bytes + m.temp_size_in_bytes
    return float(peak), float((made.cost_analysis() or {}).get("flops", math.nan))
