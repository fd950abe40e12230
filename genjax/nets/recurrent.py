"""The gated recurrent unit (GRU), fast in value and gradient, over masked sequences; and an encoder made of two.

On CPU, XLA runs slices of a fused array inside a loop without vector instructions, ten times slower than the loop's
matrix products. So every gate has arrays of its own here, and nothing in the loop is cut out of anything. The input's
products stand before the loop, and the gradient of the recurrent kernels after it: one product over all steps instead
of a sum that the loop carries. The gradient is plain JAX again, so it can be differentiated once more.

Sequences are time-major inside, (t, batch, n): a loop then reads each step as one piece of memory.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from flax import nnx
from jax import lax
from jaxtyping import Array, Bool, Float, Int, Num

from genjax.distributions.numerics import at_least_float32
from genjax.nets.blocks import Dense, Init, embed, lecun, normal, plus
from genjax.nets.devices import each_device
from genjax.nets.functional import functional
from genjax.types import Net

FEW_VALUES = 512
"""Up to so many rows of a table, a product with one-hot codes is as fast as a look-up, and its gradient far faster."""


class Gates(NamedTuple):
    """An array for each part of a GRU: what it forgets of the state, how much it keeps of it, what it would put."""

    reset: Any
    update: Any
    candidate: Any


def gru(
    inputs: Gates, recurrent: Gates, bias: Float[Array, " hidden"], start: Float[Array, "batch hidden"],
    mask: Bool[Array, "t batch"] | None = None, reverse: bool = False,
) -> Float[Array, "t batch hidden"]:  # fmt: skip
    """The states of a GRU after each step; where the mask is False a step changes nothing.

    r = sigmoid(a_r + h U_r), z = sigmoid(a_z + h U_z), n = tanh(a_n + r * (h U_n + b)), h' = (1 - z) n + z h.

    Args:
        inputs: a, what the step's input and the biases add to each gate, (t, batch, hidden) each.
        recurrent: U, (hidden, hidden) each.
        bias: b, of the candidate, inside the reset.
        start: the state before the first step.
        mask: which steps count; None for all.
        reverse: from the last step to the first; the result stays in the order of the input.

    Returns:
        States of float32 at least, whatever the products are computed in: the dtype of `inputs`.

    Source:
        Cho et al. 2014, Learning Phrase Representations using RNN Encoder-Decoder; with the reset after the product, as
        cuDNN and PyTorch have it.

    Example:
        >>> one = Gates(*[jnp.zeros((3, 1, 2))] * 2, jnp.full((3, 1, 2), 9.0))
        >>> gru(one, Gates(*[jnp.zeros((2, 2))] * 3), jnp.zeros(2), jnp.zeros((1, 2)))[:, 0, 0].tolist()
        [0.5, 0.75, 0.875]
    """
    return _gru(reverse, Gates(*inputs), Gates(*recurrent), bias, at_least_float32(start), mask)


def gru_step(
    inputs: Gates, recurrent: Gates, bias: Float[Array, " hidden"], h: Float[Array, "batch hidden"]
) -> Float[Array, "batch hidden"]:
    """One step of `gru`: the next state, of inputs (batch, hidden) each."""
    return _step(inputs, recurrent, bias[None], h)[0]


def _step(a: Gates, u: Gates, bias, h):
    """The next state, and what its gradient needs."""
    dtype = a.reset.dtype
    g = Gates(*(at_least_float32(h.astype(dtype) @ v.astype(dtype)) for v in u))
    held = g.candidate + bias
    r, z = jax.nn.sigmoid(a.reset + g.reset), jax.nn.sigmoid(a.update + g.update)
    n = jnp.tanh(a.candidate + r * held)
    return n + z * (h - n), (r, z, n, held)


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _gru(reverse: bool, inputs: Gates, recurrent: Gates, bias, start, mask):
    return _forward(reverse, False, inputs, recurrent, bias, start, mask)


def _forward(reverse: bool, keep: bool, inputs: Gates, recurrent: Gates, bias, start, mask):
    bias = jnp.broadcast_to(at_least_float32(bias), start.shape)

    def body(h, step):
        a, m = step
        new, (r, z, n, held) = _step(a, recurrent, bias, h)
        if m is not None:  # z = 1: the state stays, and every gradient but its own is zero
            z = jnp.where(m[:, None], z, 1.0)
            new = n + z * (h - n)
            new = jnp.where(m[:, None], new, h)
        return new, (new, r, z, n, held) if keep else new

    return lax.scan(body, start, (inputs, mask), reverse=reverse)[1]


def _gru_fwd(reverse: bool, inputs: Gates, recurrent: Gates, bias, start, mask):
    h, *gates = _forward(reverse, True, inputs, recurrent, bias, start, mask)
    like = jax.tree.map(lambda a: jnp.zeros((), a.dtype), (inputs, bias))
    return h, (recurrent, start, h, gates, like)


def _gru_bwd(reverse: bool, saved, g):
    recurrent, start, h, (r, z, n, held), (like_inputs, like_bias) = saved
    dtype = like_inputs.reset.dtype
    before = jnp.concatenate([h[1:], start[None]] if reverse else [start[None], h[:-1]])

    def back(d, u):  # d U^T
        return at_least_float32(lax.dot_general(d.astype(dtype), u.astype(dtype), (((1,), (1,)), ((), ()))))

    def body(dh, step):
        g, before, r, z, n, held = step
        dh = dh + g
        dn = dh * (1 - z) * (1 - n * n)
        dz, dr = dh * (before - n) * z * (1 - z), dn * held * r * (1 - r)
        dh = dh * z + back(dr, recurrent.reset) + back(dz, recurrent.update) + back(dn * r, recurrent.candidate)
        return dh, Gates(dr, dz, dn)

    d_start, d = lax.scan(body, jnp.zeros_like(start), (g, before, r, z, n, held), reverse=not reverse)
    d_held = d.candidate * r
    flat = lambda a: a.reshape(-1, a.shape[-1]).astype(dtype)  # noqa: E731
    d_recurrent = Gates(*(flat(before).T @ flat(v) for v in (d.reset, d.update, d_held)))
    d_recurrent = jax.tree.map(lambda v, u: v.astype(u.dtype), d_recurrent, recurrent)
    d_inputs = jax.tree.map(lambda v, a: v.astype(a.dtype), d, like_inputs)
    return d_inputs, d_recurrent, d_held.sum((0, 1)).astype(like_bias.dtype), d_start, None


_gru.defvjp(_gru_fwd, _gru_bwd)


def look_up(
    table: Float[Array, "k n"], index: Int[Array, "*s"], bias: Float[Array, " n"] | None = None
) -> Float[Array, "*s n"]:
    """Rows of a table; a row of zeros for a negative index (no symbol: before the first one, or dropped); and a bias.

    Example:
        >>> look_up(jnp.array([[1.0, 2.0], [3.0, 4.0]]), jnp.array([1, -1])).tolist()
        [[3.0, 4.0], [0.0, 0.0]]
    """
    flat = index.reshape(-1)
    if table.shape[0] <= FEW_VALUES:
        rows = jax.nn.one_hot(flat, table.shape[0], dtype=table.dtype) @ table
    else:
        rows = jnp.where((flat >= 0)[:, None], table[jnp.maximum(flat, 0)], 0.0)
    rows = rows if bias is None else plus(rows, bias[None])
    return rows.reshape(*index.shape, table.shape[1])


def time_major(x: Num[Array, "batch t *n"]) -> Num[Array, "t batch *n"]:
    """A sequence as a loop reads it. The barrier keeps XLA from reading it crosswise inside every product instead."""
    return lax.optimization_barrier(x.swapaxes(0, 1))


class Weights(NamedTuple):
    """All arrays of a GRU."""

    kernel: Gates
    """(n_in, hidden) each; of symbols a row is picked."""
    recurrent: Gates
    """(hidden, hidden) each."""
    gate_bias: Gates
    """(hidden,) each."""
    bias: Any
    """(hidden,), of the candidate, inside the reset."""


def inputs_of(weights: Weights, x: Num[Array, "*s"], symbols: bool) -> Gates:
    """What inputs (..., n_in), or symbols (...), add to each gate, (..., hidden) each."""
    if symbols:
        return Gates(*map(lambda k, b: look_up(k, x, b), weights.kernel, weights.gate_bias))
    flat = x.reshape(-1, x.shape[-1])  # a product of matrices is faster than one of stacks of them
    rows = map(lambda k, b: plus(flat @ k.astype(x.dtype), b[None]), weights.kernel, weights.gate_bias)
    return Gates(*(a.reshape(*x.shape[:-1], -1) for a in rows))


def states(
    weights: Weights, x: Num[Array, "batch t *n_in"], start: Float[Array, "batch hidden"],
    mask: Bool[Array, "batch t"] | None = None, *, symbols: bool = False, reverse: bool = False,
) -> Float[Array, "t batch hidden"]:  # fmt: skip
    """`gru` of sequences [batch, t, n_in], or symbols [batch, t]; the states are time-major."""
    mask = None if mask is None else mask.T
    return gru(inputs_of(weights, time_major(x), symbols), weights.recurrent, weights.bias, start, mask, reverse)


class GateKernels(nnx.Module):
    """One gate's arrays: `kernel` (n_in, hidden) of the input, `recurrent` (hidden, hidden) of the state, `bias`."""

    def __init__(self, n_in: int, hidden: int, *, init: Init, rngs: nnx.Rngs):
        self.kernel = nnx.Param(init(rngs.params(), (n_in, hidden)))
        self.recurrent = nnx.Param(nnx.initializers.orthogonal()(rngs.params(), (hidden, hidden)))
        self.bias = nnx.Param(jnp.zeros(hidden, jnp.float32))


class GRU(nnx.Module):
    """Holds a GRU's arrays; `states` and `gru_step` compute with its `weights`."""

    def __init__(self, n_in: int, hidden: int, *, symbols: bool = False, rngs: nnx.Rngs):
        """`symbols`: inputs are numbers of symbols, of which each picks a row of the kernels."""
        init = normal(0.5) if symbols else lecun
        self.reset, self.update, self.candidate = (GateKernels(n_in, hidden, init=init, rngs=rngs) for _ in range(3))
        self.bias = nnx.Param(jnp.zeros(hidden, jnp.float32))

    @property
    def weights(self) -> Weights:
        """The arrays, as plain ones."""
        gates = (self.reset, self.update, self.candidate)
        return Weights(
            kernel=Gates(*(g.kernel[...] for g in gates)),
            recurrent=Gates(*(g.recurrent[...] for g in gates)),
            gate_bias=Gates(*(g.bias[...] for g in gates)),
            bias=self.bias[...],
        )


def gru_encoder(n_in: int, n_out: int, hidden: int = 256, *, symbols: bool = False, n_classes: int = 0) -> Net:
    """Sequences [batch, t, n_in], or symbols [batch, t] below n_in, -> [batch, n_out]: a GRU each way, then a line.

    The last state of each direction is what the sequence becomes. `apply` takes `event_mask` [batch, t]: what it leaves
    out does not reach the output, wherever it stands. With n_classes > 0 it needs labels `y` [batch].

    Example:
        >>> net = gru_encoder(5, 4, 8, symbols=True)
        >>> params, state = jax.eval_shape(net.init, jax.random.key(0))
        >>> jax.eval_shape(net.apply, params, state, jnp.array([[1, 2, 3]]))[0].shape
        (1, 4)
    """
    return functional(lambda rngs: GruEncoder(n_in, n_out, hidden, symbols, n_classes, rngs=rngs))


class GruEncoder(nnx.Module):
    """See `gru_encoder`."""

    def __init__(self, n_in: int, n_out: int, hidden: int, symbols: bool, n_classes: int, *, rngs: nnx.Rngs):
        self.hidden, self.symbols = hidden, symbols
        self.forth, self.back = (GRU(n_in, hidden, symbols=symbols, rngs=rngs) for _ in range(2))
        self.out_forth = Dense(hidden, n_out, rngs=rngs)
        self.out_back = Dense(hidden, n_out, bias=False, rngs=rngs)
        self.label = embed(n_classes, hidden, rngs=rngs)

    def __call__(
        self, x: Num[Array, "batch t *n_in"], *, train: bool, key, y, event_mask: Bool[Array, "batch t"] | None = None
    ) -> Float[Array, "batch n_out"]:
        n = x.shape[0]
        start = jnp.zeros((n, self.hidden), jnp.float32) if self.label is None else jnp.tanh(self.label(y))

        def read(x, mask, start, forth, back):
            last = states(forth, x, start, mask, symbols=self.symbols)[-1]
            return last, states(back, x, start, mask, symbols=self.symbols, reverse=True)[0]

        takes = ("split", "split", "split", "whole", "whole")
        last, first = each_device(read, n, takes, ("split", "split"))(
            x, event_mask, start, self.forth.weights, self.back.weights
        )
        dtype = jnp.float32 if self.symbols else x.dtype
        return self.out_forth(last.astype(dtype)) + self.out_back(first.astype(dtype))
