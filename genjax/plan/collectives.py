"""What devices say to each other in a step, and how long it takes.

Parameters, optimizer states and averages are split over `fsdp`, batches over `data` x `fsdp`. Each update of a move
reduces the gradient of its players once: over `fsdp` so that each device has its part (reduce-scatter), over `data`
whole (all-reduce). A player's parameters are gathered over `fsdp` when they are first used after they changed.
Batch statistics are the global batch's: each layer's mean and variance are gathered from all devices forwards, and two
sums are reduced backwards.

A ring of n devices moves (n - 1) / n of the bytes through each device for a gather or a scatter, twice that for an
all-reduce (Patarasuk & Yuan 2009, Bandwidth optimal all-reduce algorithms for clusters of workstations). Over devices
of several domains the domain's part is done inside it, the rest by all devices at once over the network; latency is
that of a tree: log2(n) hops a gather or scatter.
"""

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import jax
import numpy as np

from genjax.plan.devices import Device
from genjax.train import mesh as layouts
from genjax.train.state import TrainState
from genjax.train.step import Step


def parse(text: str) -> dict[str, int]:
    """Axes of a mesh and their sizes; an axis left out has size 1.

    Raises:
        UsageError: it is not of the form `data=4,fsdp=2`.

    Example:
        >>> parse("data=4,fsdp=2"), parse("")
        ({'data': 4, 'fsdp': 2}, {'data': 1, 'fsdp': 1})
    """
    return dict.fromkeys(layouts.AXES, 1) | (layouts.parse(text) if text else {})


class Traffic(NamedTuple):
    """One kind of collective in one step."""

    what: str
    """What is sent: "gradient d", "parameters g", "batch statistics", "their gradient"."""
    kind: str
    """"all-reduce", "reduce-scatter" or "all-gather"."""
    axis: str
    """"data", "fsdp", or "all" devices."""
    bytes: float
    """Bytes of the whole array, all calls together."""
    calls: float


def size_of(tree: Any, fsdp: int = 1) -> float:
    """Bytes of a tree on one device: of each leaf that is split its part, of others the whole; see `divides`."""
    return sum(_bytes(v) / (fsdp if divides(v.shape, fsdp) else 1) for v in jax.tree.leaves(tree))


def divides(shape: tuple[int, ...], fsdp: int) -> bool:
    """Whether a leaf is split over `fsdp` devices: it is large, and some axis divides."""
    return math.prod(shape) >= layouts.SMALL and any(n % fsdp == 0 for n in shape)


def _bytes(v: Any) -> int:
    return math.prod(v.shape) * np.dtype(v.dtype).itemsize


def traffic(step: Step, state: TrainState, mesh: Mapping[str, int]) -> list[Traffic]:
    """The collectives of a step; lazy moves count with the share of steps on which they run.

    Accumulated microbatches reduce their gradient each: so a partitioner leaves a sum that a loop carries. A weight
    that a loss uses twice may be reduced in two parts, which is not counted.
    """
    data, fsdp = mesh["data"], mesh["fsdp"]
    params = {n: p.params for n, p in state.players.items()}
    statistics = sum(_floats(p.state) for p in state.players.values())
    # A layer has two, mean and variance.
    layers = sum(len(jax.tree.leaves(p.state)) for p in state.players.values() if _floats(p.state)) / 2
    found: list[Traffic] = []
    for move, label in zip(step.moves, step.labels, strict=True):
        updates = move.repeat / move.every
        reductions = updates * step.accumulate
        moved = {p: params[p] for p in move.players}
        whole = size_of(moved)
        split = size_of({p: _divisible(params[p], fsdp) for p in move.players}) if fsdp > 1 else 0.0
        what = f"gradient {label}"
        if fsdp > 1:
            found.append(Traffic(what, "reduce-scatter", "fsdp", split * reductions, reductions))
            found.append(Traffic(what, "all-reduce", "data", split / fsdp * reductions, reductions))
        found.append(Traffic(what, "all-reduce", "all", (whole - split) * reductions, reductions))
        sums, calls = statistics * reductions, layers * reductions
        found.append(Traffic("batch statistics", "all-gather", "all", sums * data * fsdp, calls))
        found.append(Traffic("their gradient", "all-reduce", "all", sums, calls))
    if fsdp > 1:
        found += _gathers(step, params, fsdp)
    sizes = {"data": data, "fsdp": fsdp, "all": data * fsdp}
    return [t for t in found if sizes[t.axis] > 1 and t.bytes > 0]


def _gathers(step: Step, params: Mapping[str, Any], fsdp: int) -> list[Traffic]:
    """Once a step each player, and once more for each of its updates but those that end the step."""
    found = []
    n_moves = len(step.moves)
    for name, tree in params.items():
        calls = 1.0
        for i, move in enumerate(step.moves):
            if name in move.players:
                calls += (move.repeat - (i == n_moves - 1)) / move.every
        gathered = size_of(_divisible(tree, fsdp)) * calls
        found.append(Traffic(f"parameters {name}", "all-gather", "fsdp", gathered, calls))
    return found


def _divisible(tree: Any, fsdp: int) -> list[Any]:
    return [v for v in jax.tree.leaves(tree) if divides(v.shape, fsdp)]


def _floats(tree: Any) -> float:
    return sum(_bytes(v) for v in jax.tree.leaves(tree) if np.issubdtype(v.dtype, np.floating))


def wire_bytes(t: Traffic, mesh: Mapping[str, int]) -> float:
    """Bytes one device sends for it, on a ring."""
    n = _devices(t, mesh)
    return (2 if t.kind == "all-reduce" else 1) * (n - 1) / n * t.bytes


def seconds(t: Traffic, mesh: Mapping[str, int], device: Device) -> tuple[float, float]:
    """How long it takes by the bandwidth of the links alone, and with their latency; nothing else is on them.

    Example:
        >>> from genjax.plan.devices import DEVICES
        >>> t = Traffic("gradient", "all-reduce", "data", 450e9, 1)
        >>> seconds(t, {"data": 4, "fsdp": 1}, DEVICES["h100"])  # 2 * 3/4 of a second; 2 * 2 hops of 3 us
        (1.5, 1.500012)
    """
    n = _devices(t, mesh)
    # fsdp is the inner axis: its devices are neighbours; those of data are fsdp apart.
    stride = mesh["fsdp"] if t.axis == "data" else 1
    inside = max(1, min(n, device.domain // stride))
    across = math.ceil(n / inside)
    ways = 2 if t.kind == "all-reduce" else 1
    near = (inside - 1) / inside * t.bytes / device.link
    far = (across - 1) / across * t.bytes / inside / device.network
    hops = math.ceil(math.log2(inside)) * device.latency[0] + math.ceil(math.log2(across)) * device.latency[1]
    return ways * (near + far), ways * (near + far + t.calls * hops)


def _devices(t: Traffic, mesh: Mapping[str, int]) -> int:
    return mesh["data"] * mesh["fsdp"] if t.axis == "all" else mesh[t.axis]
