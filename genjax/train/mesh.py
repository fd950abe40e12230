"""Many devices: how a run's state and its batches lie on a mesh.

Two axes, `data` and `fsdp`. A batch is split over both; parameters, optimizer states and averages over `fsdp` alone
(ZeRO stage 3, fully sharded data parallelism). Everything else follows from `jit` on global arrays: a batch statistic
is the global batch's, a gradient is summed over all devices, and no loss or net knows of devices.

Sharding is said at the boundary of the compiled chunk, and where an array is born or used that says nothing by
itself: draws, gathered batches, and parameters, which are gathered whole just before a loss reads them, because the
partitioner left alone may move activations instead, which are larger.

Source:
    Rajbhandari et al. 2020, ZeRO: Memory Optimizations Toward Training Trillion Parameter Models; Xu et al. 2021,
    GSPMD: General and Scalable Parallelization for ML Computation Graphs.
"""

import contextlib
import dataclasses
import functools
import os
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import jax
import numpy as np
from jax.sharding import Mesh, NamedSharding
from jax.sharding import PartitionSpec as P

from genjax import memory, nets
from genjax.errors import UsageError
from genjax.train.step import Step, jit_once
from genjax.types import Batch, Key

AXES = ("data", "fsdp")
SMALL = 1024
"""Leaves with fewer elements (biases, scales, counters) are kept whole on every device: gathering them costs more."""
AUTO = "auto"
FORCED = "xla_force_host_platform_device_count"


class OneDevice:
    """A run on one device, without a mesh: what a `Layout` is asked, answered for it."""

    mesh = None
    n_devices = 1
    shards = 1

    def init(self, step: Any, model: Any, key: Any) -> Any:
        """The state before the first step."""
        return step.init(model, key)

    def leaves(self, tree: Any) -> Any:
        """Nothing: the leaves of a state are where the device is, whatever their shapes."""

    def chunk(self, step: Any, source: Any, capacity: int, state: Any = None) -> Any:
        """The compiled loop of a step; its state is donated."""
        return jit_chunk(step.chunk(source, capacity))

    def shared(self, x: Any) -> Any:
        """A tree of which every device has a copy."""
        return x

    def compiled(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """`f` compiled, its results whole on every device."""
        return jax.jit(f)

    def once(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """`compiled` for a function that runs once: compiled quickly (`jit_once`)."""
        return jit_once(f)

    def check_batch(self, batch_size: int) -> None:
        """Refuse a batch that the devices do not divide."""

    def __str__(self) -> str:
        return ""


ONE_DEVICE = OneDevice()


@dataclass(frozen=True)
class Layout:
    """Where the arrays of a run are on a mesh with the axes `AXES`."""

    mesh: Mesh

    @property
    def n_devices(self) -> int:
        """Devices of the mesh, of all processes."""
        return self.mesh.size

    @property
    def shards(self) -> int:
        """Devices among which a leaf of the state is split."""
        return self.mesh.shape["fsdp"]

    @property
    def everywhere(self) -> NamedSharding:
        """A copy on every device."""
        return NamedSharding(self.mesh, P())

    def examples(self, axis: int = 0) -> NamedSharding:
        """Examples along `axis`, split over all devices."""
        return NamedSharding(self.mesh, P(*[None] * axis, AXES))

    def leaf(self, shape: Sequence[int]) -> NamedSharding:
        """A leaf of the state: its largest axis that `fsdp` divides is split, a small leaf is whole everywhere.

        It depends on the shape alone, so that a parameter, its gradient, its moments and its average lie alike.
        """
        n = self.shards
        best = max((size for size in shape if size % n == 0), default=0)
        if n == 1 or best == 0 or np.prod(shape) < SMALL:
            return self.everywhere
        return NamedSharding(self.mesh, P(*[None] * list(shape).index(best), "fsdp"))

    def leaves(self, tree: Any) -> Any:
        """The sharding of every leaf of a state."""
        return jax.tree.map(lambda x: self.leaf(np.shape(x)), tree)

    def place(self, x: Any, sharding: NamedSharding) -> jax.Array:
        """A host array that is the same in every process, as one array over the mesh."""
        if jax.dtypes.issubdtype(x.dtype, jax.dtypes.prng_key):
            words = self.place(jax.random.key_data(x), sharding)
            return jax.random.wrap_key_data(words, impl=jax.random.key_impl(x))
        host = np.asarray(x)
        return jax.make_array_from_callback(host.shape, sharding, lambda index: host[index])

    def init(self, step: Step, model: Any, key: Key) -> Any:
        """`step.init(model, key)`, made in place: no device ever holds more than its share."""

        def init(key):
            return step.init(model, key)

        shardings = self.leaves(jax.eval_shape(init, key))
        return jit_once(init, out_shardings=shardings)(self.place(key, self.everywhere))

    def chunk(self, step: Any, source: Any, capacity: int, state: Any = None) -> Any:
        """`OneDevice.chunk` on many devices: each leaf of `state` stays where it lies; the root key is `shared`."""
        placed = (self.leaves(state), self.everywhere)
        return jit_chunk(self.spread(step).chunk(source, capacity), out_shardings=placed)

    def shared(self, x: Any) -> Any:
        """A tree of host arrays, the same in every process, as one with a copy on every device."""
        return jax.tree.map(lambda a: self.place(a, self.everywhere), x)

    def compiled(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """`f` compiled, its results whole on every device."""
        return jax.jit(lambda *a: self.gather(f(*a)))

    def once(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """`compiled` for a function that runs once: compiled quickly (`jit_once`)."""
        return jit_once(f, out_shardings=self.everywhere)

    def spread(self, step: Step) -> Step:
        """The same step, with its parameters, draws and convolutions' batches placed on the mesh."""
        moves = tuple(dataclasses.replace(m, loss=self._gathering(m.loss)) for m in step.moves)
        scope = functools.partial(nets.batches_over, self.mesh)
        return dataclasses.replace(step, moves=moves, draw=step.draw and self._drawing(step.draw), scope=scope)

    def _gathering(self, loss: Callable) -> Callable:
        """Parameters whole before the loss reads them; their gradients split again as they are summed."""

        @jax.custom_vjp
        def gathered(params):
            return jax.tree.map(lambda x: jax.lax.with_sharding_constraint(x, self.everywhere), params)

        def scattered(_, grads):
            return (jax.tree.map(lambda g: jax.lax.with_sharding_constraint(g, self.leaf(g.shape)), grads),)

        gathered.defvjp(lambda params: (gathered(params), None), scattered)
        return lambda params, batch, ctx: loss(gathered(params), batch, ctx)

    def _drawing(self, draw: Callable[[Key, Batch], Any]) -> Callable[[Key, Batch], Any]:
        """Draws of an example are made where the example is."""

        def placed(key, batch):
            n = jax.tree.leaves(batch.x)[0].shape[0]
            drawn = draw(key, batch)
            return jax.tree.map(lambda x: self.split(x) if x.ndim and x.shape[0] == n else x, drawn)

        return placed

    def split(self, x: jax.Array, axis: int = 0) -> jax.Array:
        """Inside a compiled function: `x` with its examples along `axis` on their devices."""
        return jax.lax.with_sharding_constraint(x, self.examples(axis))

    def gather(self, x: jax.Array) -> jax.Array:
        """Inside a compiled function: `x` whole on every device."""
        return jax.lax.with_sharding_constraint(x, self.everywhere)

    def check_batch(self, batch_size: int) -> None:
        """Refuse a batch that the devices do not divide.

        Raises:
            UsageError: naming the nearest sizes that they do.
        """
        n = self.n_devices
        if batch_size % n:
            near = [size for size in (batch_size // n * n, -(-batch_size // n) * n) if size]
            raise UsageError(
                f"batch_size={batch_size} does not divide among the {n} devices of mesh {self}. "
                f"Try batch_size={' or '.join(map(str, near))}, or fewer devices."
            )

    def __str__(self) -> str:
        return ",".join(f"{name}={size}" for name, size in self.mesh.shape.items())


Place = OneDevice | Layout
"""Where a run's arrays are."""


def layout(text: str) -> Place:
    """The layout that `--mesh` asks for, on this run's devices.

    Args:
        text: `data=4,fsdp=2` (either axis alone will do), `auto` for all devices on `data`, or empty: one device, and
            all of them where there are several processes.

    Returns:
        `ONE_DEVICE` for one device, without any mesh.

    Raises:
        UsageError: it is not of that form, or asks for more devices than there are.
    """
    devices = jax.devices()
    if not text and jax.process_count() == 1:
        return ONE_DEVICE
    sizes = {"data": len(devices)} if text in ("", AUTO) else parse(text)
    shape = tuple(sizes.get(axis, 1) for axis in AXES)
    n = int(np.prod(shape))
    if n > len(devices):
        raise UsageError(f"mesh={text!r} needs {n} devices, {len(devices)} are here. `genjax doctor` lists them.")
    if n < len(devices) and jax.process_count() > 1:
        raise UsageError(
            f"mesh={text!r}: {n} devices, but the {jax.process_count()} processes have {len(devices)}, and each must "
            f"take part. Try --mesh data={len(devices)}."
        )
    return Layout(Mesh(_arranged(devices[:n], shape), AXES))


def use_cores(text: str) -> None:
    """On a CPU, makes as many devices of its cores as `--mesh` asks for (`auto`: of all); elsewhere nothing changes.

    Before jax is first used: afterwards its devices are what they are. Nothing is done where XLA_FLAGS says how many
    host devices there are, or in one of several processes.
    """
    if not text or FORCED in os.environ.get("XLA_FLAGS", "") or jax.distributed.is_initialized():
        return
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    with contextlib.suppress(RuntimeError):  # jax is in use already
        jax.config.update("jax_num_cpu_devices", cores if text == AUTO else int(np.prod(list(parse(text).values()))))


def parse(text: str) -> dict[str, int]:
    """`data=4,fsdp=2` as a dict.

    Raises:
        UsageError: it is not of that form.

    Example:
        >>> parse("data=4,fsdp=2")
        {'data': 4, 'fsdp': 2}
    """
    sizes: dict[str, int] = {}
    for part in text.split(","):
        found = re.fullmatch(r"\s*(\w+)\s*=\s*([1-9][0-9]*)\s*", part)
        if not found or found[1] not in AXES or found[1] in sizes:
            raise UsageError(f"mesh={text!r}: must be {AUTO}, or sizes of data and fsdp, for example data=4,fsdp=2.")
        sizes[found[1]] = int(found[2])
    return sizes


def _arranged(devices: Sequence[jax.Device], shape: tuple[int, ...]) -> np.ndarray:
    """Devices in the mesh's shape; where all are used, neighbours on the network are neighbours in the mesh."""
    if len(devices) == len(jax.devices()) and devices[0].platform != "cpu":
        from jax.experimental import mesh_utils

        return mesh_utils.create_device_mesh(shape, devices)
    return np.array(devices).reshape(shape)


def jit_chunk(chunk: Callable[..., Any], **placed) -> Callable[..., Any]:
    """`jit` of a chunk whose first argument is given to its result; `placed` says where its results lie.

    XLA's option for a CPU to copy less in a loop (`xla_cpu_copy_insertion_use_region_analysis`) must stay off: in jax
    0.12 populations of some steps then read weights that were written over. `in_place` does what it was for.
    """
    return jax.jit(chunk, donate_argnums=0, compiler_options=memory.options(), **placed)
