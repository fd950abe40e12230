"""Which operations run as one, what each such kernel reads and writes, and what is alive at once.

The model of a compiler: operations elementwise in their result are fused with their neighbours, reductions with what
they reduce, and a value is written to memory only where another kernel reads it. Dots and convolutions read their
operands once and write their result once; where `epilogues`, elementwise work on that result is done before it is
written. Nothing stays in a cache from one kernel to the next.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from typing import NamedTuple

from genjax.plan.cost import MATRIX, OPAQUE, PARTIAL, REDUCTIONS, Work, work
from genjax.plan.program import Op, Program


class Kernel(NamedTuple):
    """Operations that run as one."""

    name: str
    """The matrix operation in it, "loop", "random_bits", or "fused"."""
    ops: tuple[int, ...]
    work: Work
    """The work of one run of it."""
    ins: tuple[int, ...]
    """Values read."""
    reads: tuple[int, ...]
    """Bytes of each that are read."""
    outs: tuple[int, ...]
    """Values written."""
    writes: tuple[int, ...]
    """Bytes of each."""
    shuffled: int
    """Bytes of the values whose axes it permutes: not read in order."""
    tile: tuple[int, int]
    """Length of the sums and number of columns of its matrix operation; (1, 1) without one."""
    weight: float
    """How often it runs in one run of the program."""
    rate: str
    """How the matrix unit works: "float32", "bfloat16", ... and ":highest" where that precision is asked for."""
    loop: Op | None = None

    @property
    def bytes(self) -> int:
        """Read and written."""
        return sum(self.reads) + sum(self.writes)


def kernels(program: Program, epilogues: bool = True) -> list[Kernel]:
    """The kernels of a program, in order; a loop is one kernel, whose body is a program of its own."""
    groups = _Groups(program)
    if epilogues:
        groups.absorb()
    members = defaultdict(list)
    for i in range(len(program.ops)):
        members[groups.find(i)].append(i)
    made = [_kernel(program, ids, groups) for ids in members.values()]
    return sorted((k for k in made if k.outs), key=lambda k: k.ops[-1])


class _Groups:
    """Union-find over operations: what is fused has one root."""

    def __init__(self, program: Program):
        ops = program.ops
        self.program, self.root = program, list(range(len(ops)))
        self.readers: dict[int, list[int]] = defaultdict(list)
        self.maker: dict[int, int] = {}
        level = [0] * len(ops)
        """Dots, convolutions and reductions on the longest way to an operation. Of two operations of one level, none
        waits for a kernel between them, so that they may be fused in any order."""
        for i, op in enumerate(ops):
            for v in op.ins:
                self.readers[v].append(i)
                j = self.maker.get(v)
                if j is not None:
                    level[i] = max(level[i], level[j] + (not _fusible(ops[j])))
            for v in op.outs:
                self.maker[v] = i
        self.final = frozenset(program.outputs)
        for v, j in self.maker.items():
            if not _fusible(ops[j]) or program.values[v].size == 1 or v in program.kept:
                continue
            for i in self.readers[v]:
                joins = _fusible(ops[i]) or ops[i].name in REDUCTIONS
                if joins and level[i] == level[j] and ops[i].weight == ops[j].weight:
                    self.union(i, j)

    def find(self, i: int) -> int:
        while self.root[i] != i:
            self.root[i] = self.root[self.root[i]]
            i = self.root[i]
        return i

    def union(self, i: int, j: int) -> None:
        self.root[self.find(i)] = self.find(j)

    def absorb(self) -> None:
        """Elementwise work on the result of a dot or convolution joins its kernel if nothing else reads it."""
        ops, taken = self.program.ops, set()
        for i, op in enumerate(ops):
            if op.name not in MATRIX:
                continue
            (v,) = op.outs
            roots = {self.find(j) for j in self.readers[v]}
            if len(roots) == 1 and v not in self.final and v not in self.program.kept and not roots & taken:
                first = ops[self.readers[v][0]]
                if (_fusible(first) or first.name in REDUCTIONS) and first.weight == op.weight:
                    taken |= roots
                    self.union(i, next(iter(roots)))


def _fusible(op: Op) -> bool:
    return op.name not in MATRIX and op.name not in OPAQUE and op.name not in REDUCTIONS


def _kernel(program: Program, ids: list[int], groups: _Groups) -> Kernel:
    ops, values = program.ops, program.values
    inside = set(ids)
    total, matrix, loop = Work(), None, None
    reads: dict[int, int] = {}
    outs = []
    for i in ids:
        op = ops[i]
        total = total.plus(work(op, values))
        matrix = op if op.name in MATRIX else matrix
        loop = op if op.name == "loop" else loop
        small = sum(values[o].bytes for o in op.outs)
        for v in op.ins:
            if groups.maker.get(v) in inside:
                continue
            bytes_ = min(values[v].bytes, small) if op.name in PARTIAL else values[v].bytes
            reads[v] = max(reads.get(v, 0), bytes_)
        for v in op.outs:
            if v in groups.final or any(r not in inside for r in groups.readers[v]):
                outs.append(v)
    last = ops[ids[-1]]
    name = matrix.name if matrix else ("fused" if _fusible(last) or last.name in REDUCTIONS else last.name)
    writes = tuple(values[v].bytes for v in outs)
    if last.name == "dynamic_update_slice":  # in place: the update alone is written
        reads, writes = dict.fromkeys(last.ins[:1], last.shapes[1].bytes), (last.shapes[1].bytes,)
    shuffled = sum(ops[i].shapes[0].bytes for i in ids if ops[i].name == "transpose" and _permutes(ops[i]))
    return Kernel(
        name, tuple(ids), total, tuple(reads), tuple(reads.values()), tuple(outs), writes, shuffled,
        _tile(matrix), last.weight, _rate(matrix), loop,
    )  # fmt: skip


def _permutes(op: Op) -> bool:
    """Whether a transposition moves an axis that is longer than 1 past another."""
    axes = [d for d in op.params["permutation"] if op.shapes[0].shape[d] > 1]
    return axes != sorted(axes)


def _tile(op: Op | None) -> tuple[int, int]:
    if op is None:
        return 1, 1
    left, right = (s.shape for s in op.shapes)
    if op.name == "dot_general":
        (inner, _), (batch, _) = op.params["dimension_numbers"]
        columns = math.prod(right) // max(1, math.prod(left[d] for d in (*inner, *batch)))
        return math.prod(left[d] for d in inner), columns
    spec = op.params["dimension_numbers"].rhs_spec
    return math.prod(right) // right[spec[0]], right[spec[0]]


def _rate(op: Op | None) -> str:
    if op is None:
        return ""
    asked = str(op.params.get("precision")).lower()
    how = ":highest" if "highest" in asked else ":high" if "high" in asked else ""
    return f"{op.shapes[0].dtype}{how}"


def peak_memory(program: Program, donated: frozenset[int] = frozenset(), order: Sequence[Kernel] | None = None) -> int:
    """Largest number of bytes alive at once, kernels run in program order (by default without epilogues).

    Inputs are there from the start and stay, but for the `donated` ones, which go with their last reader. A fused
    kernel may write over an operand that nobody reads later, if one is as large.

    Example:
        >>> import jax.numpy as jnp
        >>> from genjax.plan.program import trace
        >>> peak_memory(trace(lambda x, w: (x @ w) @ w, jnp.ones((4, 4)), jnp.ones((4, 4))))  # x, w, two products
        256
    """
    order = kernels(program, epilogues=False) if order is None else order
    values = program.values
    last = {v: n for n, k in enumerate(order) for v in k.ins}
    kept = frozenset(program.outputs) | (frozenset(program.inputs) - donated)
    live = sum(values[v].bytes for v in program.inputs)
    peak = live
    for n, k in enumerate(order):
        dying = [v for v in k.ins if last[v] == n and v not in kept and (v in donated or v not in program.inputs)]
        free = sorted((values[v].bytes for v in dying), reverse=True)
        new = 0
        spare = list(free) if k.name == "fused" else []
        for size in sorted((values[v].bytes for v in k.outs), reverse=True):
            fits = [s for s in spare if s >= size]
            if fits:
                spare.remove(min(fits))
            else:
                new += size
        inner = 0
        if k.loop is not None and k.loop.body is not None:
            body = k.loop.body
            outside = sum(body.values[v].bytes for v in body.inputs)
            inner = max(0, peak_memory(body) - outside)
        peak = max(peak, live + new + inner)
        live += sum(values[v].bytes for v in k.outs) - sum(free)
    return peak
