"""A traced step as a flat list of operations: nested functions inlined, repeated and dead ones removed.

Conditionals are resolved where they can be. The choice of a platform takes the target's branch; a branch that depends
on the step alone (a move's `every`) is weighted by how often it runs, found by evaluating the program's own index
over a period of steps; of any other branch each is taken to run equally often. Loops keep their body as a program.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.extend.core import Literal


def names(text: str) -> frozenset[str]:
    """Words as a set."""
    return frozenset(text.split())


ALIASES = names(
    "reshape squeeze expand_dims copy copy_p stop_gradient bitcast_convert_type random_wrap random_unwrap "
    "sharding_constraint device_put optimization_barrier reduce_precision pvary"
)
"""Primitives that move no data: their result is their operand under another shape or name."""

LARGEST_KNOWN = 4096
"""Steps of the longest period over which branches are evaluated."""


class Value(NamedTuple):
    """An array of the program."""

    shape: tuple[int, ...]
    dtype: Any

    @property
    def size(self) -> int:
        """Elements."""
        return int(np.prod(self.shape, dtype=np.int64))

    @property
    def bytes(self) -> int:
        """Bytes it takes in memory; a random key is two 32-bit words."""
        return self.size * (8 if jax.dtypes.issubdtype(self.dtype, jax.dtypes.extended) else self.dtype.itemsize)


class Op(NamedTuple):
    """One operation. `ins` and `outs` are numbers of values; literals are left out of `ins`."""

    name: str
    params: dict[str, Any]
    ins: tuple[int, ...]
    outs: tuple[int, ...]
    weight: float
    """How often it runs in one run of the program: below 1 in a branch."""
    shapes: tuple[Value, ...]
    """Shapes of all operands in their order, literals included, before aliases renamed them."""
    body: "Program | None" = None
    """What a loop repeats."""
    times: int = 1


class Program(NamedTuple):
    """Operations in the order in which they were traced."""

    values: tuple[Value, ...]
    inputs: tuple[int, ...]
    """Leaves of the arguments in their order, then constants."""
    outputs: tuple[int, ...]
    ops: tuple[Op, ...]
    kept: frozenset[int]
    """Values that a barrier keeps from being fused into what reads them."""
    remarks: tuple[str, ...]


def trace(f: Callable[..., Any], *args: Any, platform: str = "default", period: int = 1, step: int | None = None):
    """The program of `f(*args)`; `args` may be `jax.ShapeDtypeStruct`s: nothing is computed or allocated.

    Args:
        f: a function of trees of arrays.
        args: what it is called with.
        platform: whose branch `lax.platform_dependent` takes: "cpu", "tpu", "cuda".
        period: steps over which branches that depend on the step alone repeat.
        step: which leaf of `args` is the step, None where no branch depends on it.

    Example:
        >>> [op.name for op in trace(lambda x: jnp.sin(x) * 2, jnp.ones(3)).ops]
        ['sin', 'mul']
    """
    closed = jax.make_jaxpr(f)(*args)
    return flatten(closed, platform, min(period, LARGEST_KNOWN), step)


def flatten(closed: Any, platform: str = "default", period: int = 1, step: int | None = None) -> Program:
    """The program of a closed jaxpr; see `trace`."""
    b = _Builder(platform, period)
    consts = [b.new(v.aval) for v in closed.jaxpr.constvars]
    inputs = [b.new(v.aval) for v in closed.jaxpr.invars]
    if step is not None:
        b.known[inputs[step]] = np.arange(period)
    outputs = b.run(closed.jaxpr, consts, inputs, 1.0)
    outs = tuple(o for o in outputs if isinstance(o, int))
    ops, remarks = _live(b.ops, outs), tuple(dict.fromkeys(b.remarks))
    return Program(tuple(b.values), (*inputs, *consts), outs, ops, frozenset(b.kept), remarks)


class _Builder:
    """Inlines and numbers. Values are ints; literals stay as they are."""

    def __init__(self, platform: str, period: int):
        self.platform, self.period = platform, period
        self.values: list[Value] = []
        self.ops: list[Op] = []
        self.known: dict[int, np.ndarray] = {}
        """Scalars that the step alone determines: their value at each step of the period."""
        self.seen: dict[Any, list[int]] = {}
        self.kept: set[int] = set()
        self.remarks: list[str] = []

    def new(self, aval: Any) -> int:
        shape = tuple(int(n) for n in getattr(aval, "shape", ()))
        self.values.append(Value(shape, getattr(aval, "dtype", np.dtype("float32"))))
        return len(self.values) - 1

    def run(self, jaxpr: Any, consts: Sequence, args: Sequence, weight: float) -> list:
        env: dict[Any, Any] = dict(zip(jaxpr.constvars, consts, strict=True))
        env |= zip(jaxpr.invars, args, strict=True)
        for eqn in jaxpr.eqns:
            ins = [v if isinstance(v, Literal) else env[v] for v in eqn.invars]
            env |= zip(eqn.outvars, self.equation(eqn, ins, weight), strict=True)
        return [v if isinstance(v, Literal) else env[v] for v in jaxpr.outvars]

    def equation(self, eqn: Any, ins: list, weight: float) -> list:
        name, params = eqn.primitive.name, eqn.params
        if name in ALIASES:
            if name == "optimization_barrier":
                self.kept |= {i for i in ins if isinstance(i, int)}
            return ins
        if name == "platform_index":
            return [self.constant(eqn, self.branch_of(params["platforms"]))]
        if name == "cond":
            return self.cond(eqn, ins, weight)
        if name in ("scan", "while"):
            return self.loop(eqn, ins, weight)
        inner = next((params[k] for k in ("jaxpr", "call_jaxpr", "fun_jaxpr") if k in params), None)
        if inner is not None and name != "pallas_call":
            closed = hasattr(inner, "consts")
            jaxpr = inner.jaxpr if closed else inner
            return self.run(jaxpr, [self.new(v.aval) for v in jaxpr.constvars], ins, weight)
        return self.leaf(eqn, ins, weight)

    def branch_of(self, platforms: Sequence) -> int:
        default = next((i for i, p in enumerate(platforms) if p is None), 0)
        return next((i for i, p in enumerate(platforms) if p is not None and self.platform in p), default)

    def constant(self, eqn: Any, value: int) -> int:
        out = self.new(eqn.outvars[0].aval)
        self.known[out] = np.full(self.period, value)
        return out

    def cond(self, eqn: Any, ins: list, weight: float) -> list:
        index, args = ins[0], ins[1:]
        branches = eqn.params["branches"]
        if isinstance(index, Literal):
            share = np.arange(len(branches)) == int(index.val)
        elif index in self.known:
            at = np.clip(self.known[index].astype(int), 0, len(branches) - 1)
            share = np.bincount(at, minlength=len(branches)) / len(at)
        else:
            share = np.full(len(branches), 1 / len(branches))
            self.remarks.append("a branch depends on data: each is taken to run equally often")
        results = [
            self.run(b.jaxpr, [self.new(v.aval) for v in b.jaxpr.constvars], args, weight * s)
            for b, s in zip(branches, share.tolist(), strict=True)
            if s > 0
        ]
        if len(results) == 1:
            return results[0]
        # What follows reads one of them: the first that is no literal stands for all; the others stay alive.
        outs = []
        for options in zip(*results, strict=True):
            numbers = [o for o in options if isinstance(o, int)]
            if not numbers:
                outs.append(options[0])
                continue
            out = self.new(eqn.outvars[len(outs)].aval)
            self.ops.append(Op("branch", {}, tuple(dict.fromkeys(numbers)), (out,), weight, ()))
            outs.append(out)
        return outs

    def loop(self, eqn: Any, ins: list, weight: float) -> list:
        scan = eqn.primitive.name == "scan"
        closed = eqn.params["jaxpr" if scan else "body_jaxpr"]
        body = flatten(closed, self.platform)
        times = int(eqn.params["length"]) if scan else 1
        if not scan:
            self.remarks.append("a loop's number of turns depends on data: its body is counted once")
        self.remarks += body.remarks
        outs = [self.new(v.aval) for v in eqn.outvars]
        numbers = tuple(i for i in ins if isinstance(i, int))
        self.ops.append(Op("loop", {}, numbers, tuple(outs), weight, self.shapes(eqn), body, times))
        return outs

    def shapes(self, eqn: Any) -> tuple[Value, ...]:
        return tuple(Value(tuple(v.aval.shape), v.aval.dtype) for v in eqn.invars)

    def leaf(self, eqn: Any, ins: list, weight: float) -> list:
        name, params = eqn.primitive.name, eqn.params
        operands = tuple(
            (str(i.val), str(i.aval)) if isinstance(i, Literal) and np.ndim(i.val) == 0 else i for i in ins
        )
        # XLA computes the same expression once: a generator that two moves run on the same latents, for one.
        key = (name, tuple(sorted((k, str(v)) for k, v in params.items())), operands)
        if key in self.seen and not eqn.effects:
            return self.seen[key]
        outs = [self.new(v.aval) for v in eqn.outvars]
        if not self.evaluate(eqn, ins, outs):
            numbers = tuple(i for i in ins if isinstance(i, int))
            self.ops.append(Op(name, params, numbers, tuple(outs), weight, self.shapes(eqn)))
        if weight == 1.0:  # what a branch computes is not there for others
            self.seen[key] = outs
        return outs

    def evaluate(self, eqn: Any, ins: list, outs: list[int]) -> bool:
        """Whether the step alone determines this scalar; then `known` has its values, and the program has no op."""
        everything = (*eqn.invars, *eqn.outvars)
        if not ins or any(isinstance(i, int) and i not in self.known for i in ins):
            return False
        if not all(v.aval.shape == () and _whole(v.aval.dtype) for v in everything):
            return False
        values = [i.val if isinstance(i, Literal) else self.known[i] for i in ins]
        full = [
            jnp.asarray(np.broadcast_to(x, (self.period,)), v.aval.dtype)
            for x, v in zip(values, eqn.invars, strict=True)
        ]
        with jax.ensure_compile_time_eval():
            results = eqn.primitive.bind(*full, **eqn.params)
        results = results if eqn.primitive.multiple_results else [results]
        self.known |= {o: np.asarray(r) for o, r in zip(outs, results, strict=True)}
        return True


def _whole(dtype: Any) -> bool:
    return any(jnp.issubdtype(dtype, kind) for kind in (jnp.integer, jnp.bool_))


def _live(ops: list[Op], outputs: Sequence[int]) -> tuple[Op, ...]:
    """The operations whose results reach an output."""
    needed, kept = set(outputs), []
    for op in reversed(ops):
        if needed.intersection(op.outs):
            needed.update(op.ins)
            kept.append(op)
    return tuple(reversed(kept))


def walk(program: Program, times: float = 1.0) -> Iterator[tuple[Program, Op, float]]:
    """Every operation with how often it runs, those of loops' bodies included."""
    for op in program.ops:
        if op.body is None:
            yield program, op, times * op.weight
        else:
            yield from walk(op.body, times * op.weight * op.times)
