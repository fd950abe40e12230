"""Spectral normalisation as a transform of a `Net`: its kernels divided by their largest singular values."""

import math
from collections.abc import Sequence
from typing import Any

import jax
import jax.numpy as jnp
from flax.traverse_util import flatten_dict, unflatten_dict
from jax import lax
from jaxtyping import Array, Float

from genjax.distributions.numerics import at_least_float32
from genjax.types import Key, Net, Params, State


def spectral_norm(
    net: Net, n_iterations: int = 1, names: Sequence[str] = ("kernel", "table"), eps: float = 1e-12
) -> Net:
    """`net` with every kernel W divided by an estimate of its largest singular value, so that no layer stretches.

    A kernel is read as a matrix W, its last axis against all others: (in, out) of a dense layer, (height * width * in,
    out) of a convolution. Power iteration starts at a vector u that the state carries from call to call: with
    v = W u / |W u|, each iteration sets u = W' v / |W' v|; sigma = v' W u in the end. Calls with train=True iterate,
    others use the last u. Both u and v are constants to the gradient, which flows through sigma by W alone.

    Parameters are those of `net`; the state is {"net": that of `net`, "u": a vector for each kernel, by its path}.

    Args:
        net: any net, a discriminator as a rule.
        n_iterations: power iterations a training call, at least 1.
        names: last parts of the paths of the arrays to normalise: kernels, and tables of label embeddings.
        eps: added to the norms u and v are divided by. A kernel whose sigma is at most this stays as it is, and its u
            too: zeros stretch nothing, and from a u of zeros no iteration would ever come back.

    Source:
        Miyato et al. 2018, Spectral Normalization for Generative Adversarial Networks, algorithm 1.

    Example:
        >>> from genjax import nets
        >>> net = spectral_norm(nets.mlp_discriminator((4, 4, 1), (8,)))
        >>> params, state = net.init(jax.random.key(0))
        >>> sorted(state["u"]), state["u"]["layers/0/kernel"].shape
        (['layers/0/kernel', 'logit/kernel'], (8,))
    """
    if n_iterations < 1:
        raise ValueError(f"n_iterations={n_iterations} must be at least 1.")

    def init(key: Key) -> tuple[Params, State]:
        k_net, k_u = jax.random.split(key)
        params, state = net.init(k_net)
        chosen = {p: w for p, w in _flat(params).items() if p.split("/")[-1] in names}
        keys = jax.random.split(k_u, max(len(chosen), 1))
        draws = {p: jax.random.normal(k, w.shape[-1:]) for k, (p, w) in zip(keys, sorted(chosen.items()), strict=False)}
        return params, {"net": state, "u": {p: _unit(u, eps) for p, u in draws.items()}}

    def apply(params: Params, state: State, *inputs, train: bool = False, key: Key | None = None, y=None, **more):
        flat, new_u = _flat(params), {}
        for path, u in state["u"].items():
            sigma, new_u[path] = largest_singular_value(flat[path], u, n_iterations if train else 0, eps)
            sigma = jnp.where(sigma > eps, sigma, 1.0)
            flat[path] = flat[path] / sigma.astype(flat[path].dtype)
        out, inner = net.apply(unflatten_dict(flat, sep="/"), state["net"], *inputs, train=train, key=key, y=y, **more)
        return out, {"net": inner, "u": new_u}

    return Net(init, apply, net.couples_examples, net.range)


def _flat(params: Params) -> dict[str, Any]:
    """Arrays by path."""
    return {**flatten_dict(params, sep="/")}


def largest_singular_value(
    w: Float[Array, "*rest out"], u: Float[Array, " out"], n_iterations: int, eps: float = 1e-12
) -> tuple[Float[Array, ""], Float[Array, " out"]]:
    """(sigma, u): the estimate after power iterations from u, and the vector they end with; differentiable by w.

    Without an iteration sigma is |W u|. Never above the singular value.
    """
    matrix = at_least_float32(w).reshape(math.prod(w.shape[:-1]), w.shape[-1])
    fixed = lax.stop_gradient(matrix)
    v = _unit(fixed @ u, eps)
    for _ in range(n_iterations):
        u = jnp.where(jnp.any(v != 0), _unit(v @ fixed, eps), u)
        v = _unit(fixed @ u, eps)
    return v @ matrix @ u, u


def _unit(v: Float[Array, " n"], eps: float) -> Float[Array, " n"]:
    return v / (jnp.linalg.norm(v) + eps)
