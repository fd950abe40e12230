"""How long a program takes on a device: kernel after kernel, each as slow as its slowest part.

The **bound** is what published figures allow: for each kernel the larger of its matrix operations over the peak and its
bytes over the bandwidth. The **prediction** adds what keeps a program from its bound: the share of the peak reached,
matrix units that small shapes do not fill, the time of an empty kernel, and, where they were measured, elementwise and
transcendental operations, random numbers and permuted copies.
"""

from typing import NamedTuple

from genjax.plan.cost import Work
from genjax.plan.devices import Device
from genjax.plan.kernels import Kernel, kernels, peak_memory
from genjax.plan.program import Program


class Estimate(NamedTuple):
    """One run of a program on one device."""

    work: Work
    bytes: float
    """Read and written by kernels."""
    kernels: float
    """Runs of kernels."""
    bound: float
    """Seconds."""
    predicted: float
    """Seconds."""

    def plus(self, other: "Estimate", times: float = 1.0) -> "Estimate":
        """The sum, the other one counted `times` times."""
        rest = (a + times * b for a, b in zip(self[1:], other[1:], strict=True))
        return Estimate(self.work.plus(other.work, times), *rest)


NOTHING = Estimate(Work(), 0.0, 0.0, 0.0, 0.0)


def estimate(program: Program, device: Device, efficiency: float = 1.0, epilogues: bool = True) -> Estimate:
    """Times a program on a device.

    Args:
        program: from `trace`.
        device: whose figures count.
        efficiency: share of the peak and of the bandwidth that kernels reach, in the prediction, where that was not
            measured.
        epilogues: see `kernels`.
    """
    order = kernels(program, epilogues)
    clock = _Cache(device, peak_memory(program, order=order), sum(k.bytes for k in order))
    total = NOTHING
    for k in order:
        memory = clock.seconds(k)
        if k.loop is not None and k.loop.body is not None:
            once = estimate(k.loop.body, device, efficiency, epilogues)
            total = total.plus(once, k.weight * k.loop.times)
        else:
            total = total.plus(_one(k, device, memory, efficiency), k.weight)
    return total


def _one(k: Kernel, device: Device, memory: float, efficiency: float) -> Estimate:
    peak = device.matrix_rate(k.rate)
    reached = device.conv if device.conv and k.name == "conv_general_dilated" else peak
    matrix = k.work.matrix / (_rate(k, device, reached * efficiency) * device.fill(*k.tile))
    fast = device.reached_bandwidth
    memory = k.bytes / fast if fast else memory / efficiency
    seconds = max(matrix, memory) + device.overhead
    if device.shuffle:
        seconds += k.shuffled / device.shuffle
    for count, rate in zip(k.work[1:], (device.vector, device.transcendental, device.random), strict=True):
        seconds += count / rate if rate else 0.0
    bound = max(k.work.matrix / max(peak, reached), k.bytes / device.fastest)
    return Estimate(k.work, k.bytes, 1.0, bound, seconds)


def _rate(k: Kernel, device: Device, assumed: float) -> float:
    """Operations a second of a kernel's matrix operation: as measured, else as assumed."""
    return device.reached_rate(k.rate, k.name == "conv_general_dilated") or assumed


class _Cache:
    """Where a value comes from: how many bytes passed since it was last touched says which memory still has it."""

    def __init__(self, device: Device, footprint: float, passed: float):
        self.device, self.footprint = device, footprint
        self.passed = passed
        """Bytes so far; begins with those of the step before, so that the state is found where it was left."""
        self.touched: dict[int, float] = {}

    def seconds(self, k: Kernel) -> float:
        total = 0.0
        for v, size in zip(k.ins, k.reads, strict=True):
            total += size / self.device.bandwidth_at(min(self.passed - self.touched.get(v, 0.0), self.footprint))
        self.passed += k.bytes
        for v in (*k.ins, *k.outs):
            self.touched[v] = self.passed
        return total + sum(k.writes) / self.device.bandwidth_at(self.footprint)
