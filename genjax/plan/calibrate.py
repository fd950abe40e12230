"""The figures of the device that runs this, measured in a few seconds: `--device cpu`, and records of accelerators.

Every figure is the best of several short trials, so that other work on the machine disturbs little. Rates are those of
the compiled programs a run is made of, not the processor's theoretical peak, and of as many cores as this process has.
"""

import math
import os
import time
from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from jax import lax

from genjax import nets
from genjax.plan.cost import THREEFRY
from genjax.plan.devices import Device

TRIALS = 5
SECONDS = 0.02
"""Least duration of one trial."""


def cpu(
    clock: Callable[[], float] = time.perf_counter,
    peak: float | None = None,
    bandwidth: float | None = None,
) -> Device:
    """This CPU as a device.

    Args:
        clock: what to measure with; `time.process_time` for a process pinned to one core of a busy machine.
        peak: operations a second of a matrix product, instead of measuring it.
        bandwidth: bytes a second, instead of measuring it.
    """
    matrix = peak or _matrix(clock)
    rates = ((0.0, bandwidth),) if bandwidth else _bandwidths(clock)
    wide = _forward(clock, 32, 64)
    tile = 9 * wide / _forward(clock, 1, 64), wide / _forward(clock, 32, 1)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") if hasattr(os, "sysconf") else 0
    return Device(
        "cpu", "cpu", {"float32": matrix}, float(memory), rates, rates[-1][1], 1, rates[-1][1], (0.0, 0.0),
        overhead=_overhead(clock), tile=tile, conv=_conv(clock, 32, 64), shuffle=_shuffle(clock),
        vector=_vector(clock), transcendental=_transcendental(clock), random=_random(clock),
        sources=(f"measured on this machine, {cores} core{'s' if cores != 1 else ''}",),
    )  # fmt: skip


def accelerator(side: int = 8192, n_bytes: int = 2**29) -> dict[str, Any]:
    """What `genjax plan` assumes of an accelerator, measured on jax's first device.

    Args:
        side: of the square matrices.
        n_bytes: of the array that is read and written.

    Returns:
        Seconds of a kernel that does next to nothing, operations a second by how the matrix unit works (as in
        `Device.reached`), and bytes a second.
    """
    clock = time.perf_counter
    rates = {}
    for dtype, precision in (("float32", None), ("float32", "highest"), ("bfloat16", None)):
        name = f"{dtype}:{precision}" if precision else dtype
        with jax.default_matmul_precision(precision):
            rates[name] = _product(clock, side, jnp.dtype(dtype))
    for dtype in ("float32", "bfloat16"):
        rates[f"{dtype}:conv"] = _convolution(clock, max(16, side // 32), jnp.dtype(dtype))
    x = jnp.ones(n_bytes // 4)
    seconds = _turned(clock, lambda x, w: x * w + 1e-6, x, jnp.float32(1.0001), 4)
    return {"overhead_s": _launch(clock), "flops_per_s": rates, "bytes_per_s": 2.0 * x.nbytes / seconds}


def _turned(clock: Callable[[], float], turn: Callable, x: jax.Array, w: jax.Array, turns: int) -> float:
    """Seconds of one turn of a loop whose length the compiler does not know: nothing is unrolled or folded."""
    loop = jax.jit(lambda x, w, n: lax.fori_loop(0, n, lambda i, x: turn(x, w), x))
    return best(clock, loop, x, w, turns) / turns


def _random_matrix(side: int, dtype: Any) -> jax.Array:
    """One whose powers neither grow nor vanish fast."""
    return (jax.random.normal(jax.random.key(0), (side, side)) / math.sqrt(side)).astype(dtype)


def _product(clock: Callable[[], float], side: int, dtype: Any) -> float:
    """Operations a second of a product of square matrices."""
    w = _random_matrix(side, dtype)
    return 2.0 * side**3 / _turned(clock, lambda x, w: x @ w, w, w, 4)


def _launch(clock: Callable[[], float]) -> float:
    """Seconds of a product of small matrices, one of a chain: next to nothing but a kernel's own time."""
    chain, w = 32, _random_matrix(64, jnp.float32)

    def turn(x: jax.Array, w: jax.Array) -> jax.Array:
        for _ in range(chain):
            x = x @ w
        return x

    return _turned(clock, turn, w, w, 16) / chain


def _convolution(clock: Callable[[], float], channels: int, dtype: Any) -> float:
    """Operations a second of a strided convolution as in the nets here, and both its derivatives."""
    n, size, c = channels, 16, channels // 2
    x, w = jnp.ones((n, size, size, c), dtype), jnp.full((4, 4, c, channels), 0.01, dtype)

    def loss(w, x):
        return (nets.conv(x, w, 2, ((1, 1), (1, 1))).astype(jnp.float32) ** 2).sum()

    seconds = best(clock, jax.jit(jax.grad(loss, argnums=(0, 1))), w, x)
    return 3 * 2.0 * n * c * channels * (size // 2 * 4 - 2) ** 2 / seconds


def best(clock: Callable[[], float], f: Callable[..., Any], *args: Any) -> float:
    """Seconds of one call of a compiled function: the best trial."""
    jax.block_until_ready(f(*args))
    start = clock()
    jax.block_until_ready(f(*args))
    calls = max(1, round(SECONDS / max(clock() - start, 1e-6)))
    trials = []
    for _ in range(TRIALS):
        start = clock()
        for _ in range(calls):
            result = f(*args)
        jax.block_until_ready(result)
        trials.append((clock() - start) / calls)
    return max(min(trials), 1e-9)


def _repeated(clock: Callable[[], float], turn: Callable[[jax.Array], jax.Array], x: jax.Array, turns: int) -> float:
    """Seconds of one turn of a compiled loop, as a training step's operations run."""
    return best(clock, jax.jit(lambda x: lax.fori_loop(0, turns, lambda i, x: turn(x), x)), x) / turns


def _matrix(clock: Callable[[], float]) -> float:
    """Operations a second of a product of two square matrices that fit the second-level cache."""
    m = 256
    w = jnp.eye(m)
    return 2.0 * m**3 / _repeated(clock, lambda x: x @ w, w, 20)


def _conv(clock: Callable[[], float], c: int, o: int) -> float:
    """Operations a second of a strided convolution from c to o channels and both its derivatives."""
    n, size = 32, 28
    x, w = jnp.ones((n, size, size, c)), jnp.full((4, 4, c, o), 0.01)
    pads = ((1, 1), (1, 1))

    def loss(w, x):
        return (nets.conv(x, w, 2, pads) ** 2).sum()

    seconds = best(clock, jax.jit(jax.grad(loss, argnums=(0, 1))), w, x)
    products = n * c * o * (size // 2 * 4 - 2) ** 2  # the first and the last row of outputs miss a tap each
    return 3 * 2.0 * products / seconds


def _forward(clock: Callable[[], float], c: int, o: int) -> float:
    """Operations a second of a 3x3 convolution from c to o channels."""
    n, size = 32, 16
    x, w = jnp.ones((n, size, size, c)), jnp.full((3, 3, c, o), 0.01)
    return 2.0 * n * c * o * (3 * size - 2) ** 2 / best(clock, jax.jit(nets.conv), x, w)


def _bandwidths(clock: Callable[[], float]) -> tuple[tuple[float, float], ...]:
    """Bytes a second read and written by an elementwise kernel, over arrays of ever more bytes."""
    table = []
    for exponent in (16, 18, 20, 22, 24):
        x = jnp.ones(1 << exponent)
        seconds = _repeated(clock, lambda x: x * 1.0001 + 1e-6, x, max(2, (1 << 22) >> exponent))
        table.append((1.5 * x.nbytes, 2.0 * x.nbytes / seconds))
    return tuple(table)


def _shuffle(clock: Callable[[], float]) -> float:
    """Bytes a second of a copy of maps with batch and channels exchanged, as kernel gradients read them."""
    x = jnp.ones((64, 14, 14, 32))
    return x.nbytes / best(clock, jax.jit(lambda x: x.transpose(3, 1, 2, 0)), x)


def _vector(clock: Callable[[], float]) -> float:
    """Elementwise operations a second on values that are in the cache."""
    chain = 32

    def turn(x):
        for _ in range(chain // 2):
            x = x * 1.0001 + 1e-6
        return x

    x = jnp.ones(1 << 14)
    return chain * x.size / _repeated(clock, turn, x, 200)


def _transcendental(clock: Callable[[], float]) -> float:
    """Elements a second of an exponential, a logarithm and a hyperbolic tangent each."""
    x = jnp.ones(1 << 14)
    return 3.0 * x.size / _repeated(clock, lambda x: jnp.tanh(jnp.log1p(jnp.exp(-x))), x, 50)


def _random(clock: Callable[[], float]) -> float:
    """Operations a second of the random number generator, as `cost.THREEFRY` counts them."""
    n = 1 << 15
    return THREEFRY * n / best(clock, jax.jit(lambda seed: jax.random.bits(jax.random.key(seed), (n,))), 0)


def _overhead(clock: Callable[[], float]) -> float:
    """Seconds of a kernel that does next to nothing, among others in a loop."""
    w = jnp.eye(4)
    chain = 16

    def turn(x):
        for _ in range(chain):
            x = x @ w
        return x

    return _repeated(clock, turn, w, 200) / chain
