"""How a net computes, not what: in half precision, or with less memory."""

import contextlib
import dataclasses
from collections.abc import Iterator
from contextvars import ContextVar

import jax
import jax.numpy as jnp

from genjax.distributions.numerics import at_least_float32
from genjax.nets.recompute import recomputing
from genjax.types import Key, Net, Params, State

PRECISIONS = ("f32", "bf16")

_FULL: ContextVar[bool] = ContextVar("full_precision", default=False)


@contextlib.contextmanager
def full_precision() -> Iterator[None]:
    """Makes nets traced inside compute in float32 with full matrix precision, whatever `compute` says.

    For measurements: a likelihood of bfloat16 logits, or of a TPU's single-pass products, is off in its third digit.
    """
    token = _FULL.set(True)
    try:
        with jax.default_matmul_precision("highest"):
            yield
    finally:
        _FULL.reset(token)


def compute(net: Net, precision: str = "f32", remat: bool = False) -> Net:
    """The same net computed in another precision or with less memory.

    Args:
        net: any net of `genjax.nets`, or one whose layers compute in the dtype of their input.
        precision: "bf16": inputs enter as bfloat16 and outputs leave as float32. Parameters, their gradients and
            net state stay float32, and so do normalisations and a discriminator's last layer.
        remat: keep for the backward pass only what enters each of the net's segments (residual blocks) and compute
            their inside again there: less memory, about a third more products, the same values and gradients. Nets
            without residual blocks have no segments: their activations are few, and nothing changes.

    Raises:
        ValueError: another precision.

    Example:
        >>> from genjax.nets.mlp import mlp_encoder
        >>> net = compute(mlp_encoder((8, 8, 1), 4), precision="bf16", remat=True)
        >>> params, state = net.init(jax.random.key(0))
        >>> net.apply(params, state, jnp.zeros((2, 8, 8, 1)))[0].dtype
        dtype('float32')
    """
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} must be one of {', '.join(PRECISIONS)}.")
    if precision == "f32" and not remat:
        return net

    def apply(params: Params, state: State, *inputs, train: bool = False, key: Key | None = None, y=None, **more):
        if precision == "bf16" and not _FULL.get():
            inputs = _floats(lambda x: x.astype(jnp.bfloat16), inputs)
        with recomputing() if remat else contextlib.nullcontext():
            out, state = net.apply(params, state, *inputs, train=train, key=key, y=y, **more)
        return _floats(at_least_float32, out), state

    return dataclasses.replace(net, apply=apply)


def _floats(cast, tree):
    """`cast` applied to the floating-point leaves."""
    return jax.tree.map(lambda x: cast(x) if jnp.issubdtype(x.dtype, jnp.floating) else x, tree)
