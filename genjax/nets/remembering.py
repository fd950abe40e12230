"""Decoders of sequences that remember what was: each step is made of its own latents and of the steps before it."""

from collections.abc import Callable
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from genjax.distributions.autoregressive import Chain
from genjax.nets.over_time import causal_convs, each_step, memory
from genjax.nets.sequence import Decoder
from genjax.types import Key, Net, Params, State, UsageError


class Given(NamedTuple):
    """What the chain of `remembering` needs."""

    z: Float[Array, "batch t z"]
    params: Params
    """`past`, of the convolutions; `head`, of the perceptron; `emission`, of the distribution of a step."""
    key: Key | None
    """Of dropout, in training."""


class Window(NamedTuple):
    """The chain's state: what the convolutions see."""

    t: Int[Array, ""]
    steps: Float[Array, "batch memory channels"]
    there: Bool[Array, "batch memory"]
    """False before the beginning."""


def remembering(
    z_dim: int,
    channels: int,
    length: int,
    emission: Any,
    width: int = 128,
    layers: int = 4,
    *,
    dropout: float = 0.0,
    forget: float = 0.0,
    bias: float = 0.0,
) -> Decoder:
    """p(x_t | z_t, x_<t): causal convolutions over the steps before, and a perceptron of what they say and of z_t.

    The net takes z (batch, t, z_dim), of any t up to `length` (samples have `length` steps).

    Args:
        z_dim: latent dimensions of a step.
        channels: numbers of a step of x.
        length: steps of a sample.
        emission: what one step is, a `distributions.Likelihood`; its parameters are in the net's.
        width: of the hidden layers.
        layers: convolutions, which see the last `memory(layers)` steps.
        dropout: share of hidden units left out in training.
        forget: chance that training hides a step from all later ones, so that the latents are needed; the step is
            predicted all the same.
        bias: what the perceptron's outputs begin at.

    Source:
        Chung et al. 2015, A Recurrent Latent Variable Model for Sequential Data (its decoder sees z_t and the state of
        a recurrent net; here the convolutions of van den Oord et al. 2016, WaveNet, stand for that net); Bowman et al.
        2016, Generating Sentences from a Continuous Space (what is hidden from an autoregressive decoder).

    Example:
        >>> from genjax.distributions import bernoulli
        >>> decoder = remembering(2, 3, 5, bernoulli(), 8, 1)
        >>> params, state = decoder.net.init(jax.random.key(0))
        >>> given, _ = decoder.net.apply(params, state, jnp.zeros((1, 5, 2)))
        >>> decoder.chain.whole(given, jnp.ones((1, 5, 3))).shape
        (1, 5, 3)
    """
    if not 0.0 <= forget < 1.0:
        raise UsageError(f"forget={forget}: must be at least 0 and below 1.")
    n_out = emission.n_out(channels)
    past = causal_convs(channels, width, width, layers, dropout)
    head = each_step(z_dim + width, n_out, (width, width), dropout, bias)

    def init(key: Key) -> tuple[Params, State]:
        k_past, k_head = jax.random.split(key)
        return {"past": past.init(k_past)[0], "head": head.init(k_head)[0], "emission": emission.init(channels)}, {}

    def apply(params: Params, state: State, z: Array, *, train: bool = False, key: Key | None = None, y=None):
        return Given(z, params, key if train else None), state

    def out(given: Given, z: Array, before: Array, there: Array, last: Callable = lambda h: h) -> Array:
        """What the perceptron makes of z and of the steps before, in which those that are not `there` are nothing."""
        keys = [None, None] if given.key is None else jax.random.split(given.key)
        how: list[dict[str, Any]] = [{"train": given.key is not None, "key": key} for key in keys]
        h, _ = past.apply(given.params["past"], {}, before.astype(z.dtype), event_mask=there, **how[0])
        return head.apply(given.params["head"], {}, jnp.concatenate([z, last(h).astype(z.dtype)], -1), **how[1])[0]

    def whole(given: Given, x: Float[Array, "batch t channels"]) -> Float[Array, "batch t n"]:
        before = jnp.pad(x[:, :-1], ((0, 0), (1, 0), (0, 0)))
        there = jnp.broadcast_to(jnp.arange(x.shape[1]) > 0, x.shape[:2])
        if given.key is not None and forget:
            there &= jax.random.bernoulli(jax.random.fold_in(given.key, 0), 1.0 - forget, x.shape[:2])
        return out(given, given.z, before, there)

    def start(given: Given) -> tuple[Window, Float[Array, "batch channels"]]:
        n, size = given.z.shape[0], memory(layers)
        nothing = jnp.zeros((n, channels), jnp.float32)
        return Window(jnp.int32(0), jnp.zeros((n, size, channels)), jnp.zeros((n, size), bool)), nothing

    def step(given: Given, w: Window, before: Float[Array, "batch channels"]) -> tuple[Window, Float[Array, "batch n"]]:
        steps = jnp.concatenate([w.steps[:, 1:], before[:, None]], 1)
        there = jnp.concatenate([w.there[:, 1:], jnp.broadcast_to(w.t > 0, (before.shape[0], 1))], 1)
        z = jax.lax.dynamic_index_in_dim(given.z, w.t, 1, keepdims=False)
        return Window(w.t + 1, steps, there), out(given, z, steps, there, lambda h: h[:, -1])

    def of_step(given: Given, out: Float[Array, "rows n"]) -> Any:
        return emission.apply(given.params["emission"], out)

    return Decoder(Net(init, apply), Chain(length, whole, start, step, of_step, n_out))
