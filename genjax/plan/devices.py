"""Figures of devices: what the vendor publishes, and where; what is assumed is said to be.

Rates of matrix units are dense (without sparsity). `link` and `network` are what one device can send, one way, over all
its links to devices of its own domain (an NVLink node, a TPU slice) and beyond it; published bidirectional figures are
halved. For a TPU that half equals the published all-reduce bandwidth of a pod divided by its chips (v4, v5e, v6e).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from genjax.errors import UsageError
from genjax.recipes import nearest

G, T = 1e9, 1e12
GIB = 2.0**30


@dataclass(frozen=True)
class Device:
    """One accelerator, or one CPU as measured.

    Attributes:
        name: as `--device` takes it.
        platform: whose lowering of the program runs: "tpu", "cuda", "cpu".
        matrix: operations a second of the matrix unit, by how it works (`Kernel.rate`).
        memory: bytes.
        bandwidth: (bytes, bytes a second) pairs, by growing bytes: of values that were touched at most so many
            bytes ago; the last holds for all others.
        link: bytes a second to the other devices of its domain.
        domain: devices that such links join.
        network: bytes a second beyond the domain.
        latency: seconds of one hop inside the domain and beyond it.
        overhead: seconds a kernel takes that does nothing.
        tile: sums and columns that the matrix unit takes at once: shorter ones waste the rest.
        conv, vector, transcendental, random: measured operations a second; None where none is known: then a
            convolution runs as a dot, and the others hide behind the bytes they move.
        shuffle: measured bytes a second of a copy with permuted axes; None: as other bytes.
        reached: measured operations a second of matrix products, by how it works, and of convolutions
            ("float32:conv"); a prediction takes them in the place of a share of the peak.
        reached_bandwidth: measured bytes a second, likewise; None: not measured.
        sources: where the figures are from.
        assumed: what no source gives.
        measured: what was measured in the place of an assumption.
    """

    name: str
    platform: str
    matrix: Mapping[str, float]
    memory: float
    bandwidth: tuple[tuple[float, float], ...]
    link: float
    domain: int
    network: float
    latency: tuple[float, float]
    overhead: float
    tile: tuple[float, float] = (1.0, 1.0)
    conv: float | None = None
    shuffle: float | None = None
    vector: float | None = None
    transcendental: float | None = None
    random: float | None = None
    reached: Mapping[str, float] = field(default_factory=dict)
    reached_bandwidth: float | None = None
    sources: tuple[str, ...] = ()
    assumed: tuple[str, ...] = field(default=())
    measured: tuple[str, ...] = field(default=())

    def matrix_rate(self, how: str) -> float:
        """Operations a second for operands of a dtype, at a precision; of a dtype unknown here, float32's."""
        plain = how.split(":")[0]
        return self.matrix.get(how) or self.matrix.get(plain) or self.matrix["float32"]

    def reached_rate(self, how: str, conv: bool) -> float | None:
        """Measured operations a second of a product or a convolution; None where nothing like it was measured."""
        plain = how.split(":")[0]
        names = [f"{plain}:conv", how] if conv and how == plain else [how]
        return next((self.reached[n] for n in names if n in self.reached), None)

    @property
    def fastest(self) -> float:
        """Bytes a second of its fastest memory."""
        return max(rate for _, rate in self.bandwidth)

    def bandwidth_at(self, distance: float) -> float:
        """Bytes a second of a value last touched `distance` bytes ago."""
        return next((rate for limit, rate in self.bandwidth if distance <= limit), self.bandwidth[-1][1])

    def fill(self, sums: int, columns: int) -> float:
        """The share of the matrix unit that an operation fills, 0 < share <= 1."""
        k, n = (math.ceil(size / tile) * tile / size for size, tile in zip((sums, columns), self.tile, strict=True))
        return 1 / (k * n)


_LAUNCH = "time of an empty kernel"
_HOP = "latency beyond the domain"
_TPU_F32 = "float32 operands: one bfloat16 pass at JAX's default precision, 3 and 6 passes at `high` and `highest`"
_BOOK = "Austin et al. 2025, How to Scale Your Model, jax-ml.github.io/scaling-book/tpus, /sharding (1 us a hop)"


def _tpu(name: str, tflops: float, memory: float, gbps: float, ici: float, pod: int, dcn: float, *more: str) -> Device:
    peak = tflops * T
    matrix = {"bfloat16": peak, "float32": peak, "float32:high": peak / 3, "float32:highest": peak / 6}
    sources = (f"Google Cloud, TPU {name}, docs.cloud.google.com/tpu/docs/{name}", _BOOK)
    return Device(
        name, "tpu", matrix, memory, ((0.0, gbps * G),), ici * G, pod, dcn * G, (1e-6, 1e-5), 1e-6,
        tile=(256.0, 256.0) if name == "v6e" else (128.0, 128.0),
        sources=(*sources, *more), assumed=(_LAUNCH + " (1 us)", _HOP + " (10 us)", _TPU_F32),
    )  # fmt: skip


def _gpu(name: str, tflops: tuple, gb: float, gbps: float, link: float, nic: float, *sources: str) -> Device:
    bf16, tf32, f32 = (x * T for x in tflops)
    matrix = {"bfloat16": bf16, "float16": bf16, "float32": tf32, "float32:highest": f32}
    return Device(
        name, "cuda", matrix, gb * G, ((0.0, gbps * G),), link * G, 8, nic * G, (3e-6, 1e-5), 3e-6, sources=sources,
        assumed=(
            _LAUNCH + " (3 us)",
            "latency of a hop inside the node (3 us), beyond it (10 us)",
            "float32 operands: TF32 at JAX's default precision, float32 at `highest`",
            "nodes of 8 with one network card a GPU, as in NVIDIA's DGX",
        ),
    )  # fmt: skip


_H100 = (
    "NVIDIA H100 SXM datasheet as listed by glennklockwood.com/garden/processors/h100: 989.4 BF16, 494.7 TF32, 66.9 "
    "FP32 TFLOP/s, 80 GB at 3.35 TB/s, NVLink 900 GB/s both ways"
)
_H200 = (
    "NVIDIA H200 SXM: the H100's cores with 141 GB at 4.8 TB/s (geektopia.es, 2023-11-13), NVLink 900 GB/s (NVIDIA's "
    "system description H200-SXM-141GBx8, MLCommons inference results v4.1)"
)
_A100 = (
    "NVIDIA A100 80 GB SXM datasheet as listed by glennklockwood.com/garden/processors/A100: 312 BF16, 156 TF32, 19.5 "
    "FP32 TFLOP/s, 2039 GB/s, NVLink 300 GB/s each way"
)
_DGX = "NVIDIA DGX BasePOD reference architecture: eight ConnectX-7 of up to 400 Gb/s for eight H100 or H200"
_HDR = "200 Gb/s of network for a GPU: calculon-ai/calculon, systems/a100_80g.json"

DEVICES: dict[str, Device] = {
    d.name: d
    for d in (
        _gpu("h100", (989.4, 494.7, 66.9), 80, 3350, 450, 50, _H100, _DGX),
        _gpu("h200", (989.4, 494.7, 66.9), 141, 4800, 450, 50, _H200, _H100, _DGX),
        _gpu("a100", (312, 156, 19.5), 80, 2039, 300, 25, _A100, _HDR),
        _tpu("v4", 275, 32 * GIB, 1200, 270, 4096, 6.25, "v4's links (6 of 45 GB/s) and network: the book alone"),
        _tpu("v5e", 197, 16 * G, 819, 200, 256, 3.125),
        _tpu("v5p", 459, 95 * GIB, 2765, 600, 8960, 6.25),
        _tpu("v6e", 918, 32 * GIB, 1638, 400, 256, 12.5),
    )
}
"""The figures were read in the sources named, in November 2026."""

ALIASES = {"trillium": "v6e", "v5litepod": "v5e"}


def find(name: str) -> Device:
    """A device by name.

    Raises:
        UsageError: there is none of that name; those known are listed.
    """
    key = ALIASES.get(name.lower(), name.lower())
    if key not in DEVICES:
        known = ["cpu", *DEVICES]
        raise UsageError(f"device={name}: not known.{nearest(key, known)} Known: {', '.join(known)}.")
    return DEVICES[key]


def name_of_kind(kind: str) -> str | None:
    """The name here of what JAX calls a device's kind; None where it is none of these.

    Example:
        >>> [name_of_kind(kind) for kind in ("TPU v5 lite", "NVIDIA H100 80GB HBM3", "cpu", "TPU v3")]
        ['v5e', 'h100', 'cpu', None]
    """
    kind = kind.lower().replace(" lite", "e").removeprefix("tpu ")
    kind = "v5p" if kind == "v5" else kind
    return next((name for name in ("cpu", *DEVICES) if name in kind.replace("-", " ").split()), None)


def figures(device: Device) -> dict[str, Any]:
    """The figures by name, for `--json`."""
    return {
        "name": device.name,
        "matrix_flops_per_s": dict(device.matrix),
        "memory_bytes": device.memory,
        "bandwidth_bytes_per_s": [list(pair) for pair in device.bandwidth],
        "link_bytes_per_s": device.link,
        "domain_devices": device.domain,
        "network_bytes_per_s": device.network,
        "sources": list(device.sources),
        "assumed": list(device.assumed),
        "measured": list(device.measured),
    }
