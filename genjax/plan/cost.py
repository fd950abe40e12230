"""What one operation computes: floating-point operations counted from shapes, the same on every device.

A product and a sum are 2 operations. Of a convolution only the products with a value count, not those with the zeros
of padding or dilation: so a transposed convolution costs what the convolution it transposes costs. Elementwise
operations count 1 an element, transcendental ones 1 in a count of their own (as in XLA's cost analysis), reductions 1
an element that goes in.
"""

import math
from typing import NamedTuple

import numpy as np

from genjax.plan.program import Op, Value, names

MATRIX = frozenset({"dot_general", "conv_general_dilated"})
"""What a matrix unit computes."""
REDUCTIONS = names("reduce_sum reduce_max reduce_min reduce_prod reduce_and reduce_or reduce_xor argmax argmin")
OPAQUE = names(
    "sort scatter scatter-add scatter_add scatter_mul scatter_min scatter_max cumsum cumprod cummax cummin "
    "cumlogsumexp reduce_window reduce_window_max reduce_window_sum select_and_scatter_add fft cholesky "
    "triangular_solve random_bits dynamic_update_slice top_k loop branch"
)
"""Neither fused into others nor others into them."""
TRANSCENDENTAL = names(
    "exp exp2 expm1 log log1p tanh logistic sin cos tan asin acos atan atan2 sinh cosh asinh acosh atanh pow erf erfc "
    "erf_inv lgamma digamma cbrt bessel_i0e bessel_i1e igamma"
)
MOVES = names(
    "broadcast_in_dim transpose slice dynamic_slice dynamic_update_slice gather pad concatenate stack unstack split "
    "rev iota convert_element_type select_and_gather_add empty2 empty random_fold_in random_split random_seed branch"
)
"""Moves data or prepares a few words; computes nothing worth counting."""
PARTIAL = names("slice dynamic_slice gather split unstack")
"""Reads no more of its operand than it gives."""
THREEFRY = 117 / 2
"""Integer operations for a 32-bit word: for two, 20 rounds of an addition, a rotation (3) and an xor, 5 injections of
3, and 2 first additions. Salmon et al. 2011, Parallel random numbers: as easy as 1, 2, 3 (threefry2x32-20)."""


class Work(NamedTuple):
    """Operations, by the unit that does them."""

    matrix: float = 0.0
    """Operations of dots and convolutions."""
    vector: float = 0.0
    """Elementwise operations and reductions."""
    transcendental: float = 0.0
    """Exponentials, logarithms and the like, an element each."""
    random: float = 0.0
    """Integer operations of the random number generator."""

    def plus(self, other: "Work", times: float = 1.0) -> "Work":
        """The sum, the other one counted `times` times."""
        return Work(*(a + times * b for a, b in zip(self, other, strict=True)))

    @property
    def flops(self) -> float:
        """Floating-point operations: all but those of the generator and transcendental functions."""
        return self.matrix + self.vector


def work(op: Op, values: tuple[Value, ...]) -> Work:
    """Operations of one run of an operation; of a loop's see its body."""
    size = sum(values[o].size for o in op.outs)
    if op.name == "dot_general":
        return Work(matrix=2.0 * values[op.outs[0]].size * _contracted(op))
    if op.name == "conv_general_dilated":
        return Work(matrix=2.0 * conv_products(op, values[op.outs[0]]))
    if op.name in MOVES or op.name == "loop":
        return Work()
    if op.name == "random_bits":
        return Work(random=THREEFRY * size * max(1, op.params.get("bit_width", 32) // 32))
    if op.name in TRANSCENDENTAL:
        return Work(transcendental=size)
    if op.name == "sort":
        longest = max((s.shape[op.params["dimension"]] for s in op.shapes), default=1)
        return Work(vector=op.shapes[0].size * math.log2(max(2, longest)))
    if op.name.startswith("reduce_window"):
        return Work(vector=size * math.prod(op.params["window_dimensions"]))
    if op.name in REDUCTIONS or op.name.startswith(("cum", "scatter", "select_and_scatter")):
        return Work(vector=max((s.size for s in op.shapes), default=0))
    if op.name == "integer_pow":
        y = abs(int(op.params["y"]))
        return Work(vector=size * max(1, y.bit_length() + y.bit_count() - 2))  # squarings and products
    if op.name == "cholesky":
        n = op.shapes[0].shape[-1]
        return Work(vector=op.shapes[0].size * n / 3)
    if op.name == "triangular_solve":
        return Work(vector=size * op.shapes[0].shape[-1])
    if op.name == "fft":
        return Work(vector=5 * size * math.log2(max(2, math.prod(op.params["fft_lengths"]))))
    return Work(vector=size)


def _contracted(op: Op) -> int:
    (left, _), _ = op.params["dimension_numbers"]
    return math.prod(op.shapes[0].shape[d] for d in left)


def conv_products(op: Op, out: Value) -> int:
    """Products of a value of the input with a value of the kernel, those with padding and dilation left out."""
    p, (x, w) = op.params, op.shapes
    dims = p["dimension_numbers"]
    pairs = 1
    for i, (lo, _) in enumerate(p["padding"]):
        pairs *= taps(
            x.shape[dims.lhs_spec[2 + i]], w.shape[dims.rhs_spec[2 + i]], out.shape[dims.out_spec[2 + i]],
            p["window_strides"][i], lo, p["lhs_dilation"][i], p["rhs_dilation"][i],
        )  # fmt: skip
    groups = p["batch_group_count"]
    return pairs * (x.shape[dims.lhs_spec[0]] // groups) * w.shape[dims.rhs_spec[0]] * w.shape[dims.rhs_spec[1]]


def taps(n: int, kernel: int, out: int, stride: int, low: int, spread: int, dilation: int) -> int:
    """Pairs (output, tap) of one axis whose input is a value: n values `spread` apart, `low` zeros before them.

    Example:
        >>> taps(4, 3, 4, 1, 1, 1, 1)  # "SAME": the first and the last output miss one tap each
        10
    """
    at = np.arange(out)[:, None] * stride + np.arange(kernel)[None] * dilation - low
    return int(((at >= 0) & (at < (n - 1) * spread + 1) & (at % spread == 0)).sum())
