"""Chords: binary notes of which each depends on all lower ones, so that what sounds together fits together."""

from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jaxtyping import Array, Float, Shaped

from genjax.distributions.likelihood import Likelihood
from genjax.distributions.numerics import at_least_float32, softplus, sum_event
from genjax.types import Key, Params

SHOWN = "what the decoder takes for likelier, key by key from the lowest,"


class Masks(NamedTuple):
    """What keeps each note from seeing itself and those above it, as 0 and 1."""

    into: np.ndarray
    """(keys, hidden): which notes a hidden unit sees."""
    out: np.ndarray
    """(hidden, keys): which notes see a hidden unit."""
    direct: np.ndarray
    """(keys, keys): which notes a note sees."""


@lru_cache(16)
def masks(keys: int, hidden: int) -> Masks:
    """Hidden unit i sees the notes up to the one that stands where i stands among the units.

    Source:
        Germain et al. 2015, MADE: Masked Autoencoder for Distribution Estimation.

    Example:
        >>> m = masks(3, 3)
        >>> (m.into @ m.out > 0).astype(int).tolist()  # from which note to which
        [[0, 1, 1], [0, 0, 1], [0, 0, 0]]
    """
    note, last = np.arange(keys), np.arange(hidden) * keys // hidden
    into, out = note[:, None] <= last[None], last[:, None] < note[None]
    return Masks(*(m.astype(np.float32) for m in (into, out, note[:, None] < note[None])))


def by_interval(w: Float[Array, "n units"], keys: int, lowest: int) -> Float[Array, "keys keys_units"]:
    """The matrix that takes notes to the hidden units of every key, by the interval from note to key alone.

    Args:
        w: of n intervals one after the other.
        keys: of a roll.
        lowest: of the intervals, in semitones; what is out of reach has weight 0.

    Example:
        >>> by_interval(jnp.array([[5.0], [7.0]]), 3, 0).tolist()  # a note says 5 to its own key, 7 to the next
        [[5.0, 7.0, 0.0], [0.0, 5.0, 7.0], [0.0, 0.0, 5.0]]
    """
    n = w.shape[0]
    which = np.arange(keys)[None] - np.arange(keys)[:, None] - lowest
    reached = (which >= 0) & (which < n)
    return (w[np.clip(which, 0, n - 1)] * reached[:, :, None].astype(np.float32)).reshape(keys, -1)


@partial(jax.tree_util.register_dataclass, data_fields=("logits", "context", "params", "near"), meta_fields=())
@dataclass(frozen=True)
class Chords:
    """p(x) = prod_k p(x_k | x_<k) of binary notes, from the lowest to the highest; steps are independent.

    The logit of note k is its own, plus a masked layer of the lower notes and the step's context, plus weights of the
    lower notes; with `near`, plus what hidden units of its own say, which see the lower notes by interval. Axes before
    the last are the batch and the event's.

    Example:
        >>> p = chords(4).apply(chords(4).init(3), jnp.zeros((1, 2, 7)))
        >>> round(float(p.log_prob(jnp.zeros((1, 2, 3)))[0]), 4)  # six coins: log 1/64
        -4.1589
    """

    logits: Float[Array, "batch *t keys"]
    context: Float[Array, "batch *t hidden"]
    """What the hidden units begin with."""
    params: Params
    """`into` (keys, hidden), `out` (hidden, keys), `direct` (keys, keys); with `near`, `below` (reach, units) of the
    intervals from a semitone up, and `units` (units,)."""
    near: Float[Array, "batch *t keys units"] | None = None
    """What each key's own hidden units begin with."""

    @property
    def _weights(self) -> dict[str, Array]:
        m = masks(self.logits.shape[-1], self.context.shape[-1])
        return {name: at_least_float32(self.params[name]) * getattr(m, name) for name in Masks._fields}

    def _from_near(self, near: Array, x: Array, weights: Array) -> Array:
        """The logits of keys whose hidden units begin with `near`, `weights` being those of the notes x to them."""
        h = near + (x @ weights).reshape(near.shape)
        return jax.nn.relu(h) @ self.params["units"]

    @property
    def _below(self) -> Float[Array, "keys keys_units"]:
        return by_interval(at_least_float32(self.params["below"]), self.logits.shape[-1], 1)

    def conditional(self, x: Float[Array, "batch *t keys"]) -> Float[Array, "batch *t keys"]:
        """The logit of each note given those below it."""
        w, x = self._weights, at_least_float32(x)
        hidden = jax.nn.relu(at_least_float32(self.context) + x @ w["into"])
        logits = at_least_float32(self.logits) + hidden @ w["out"] + x @ w["direct"]
        return logits if self.near is None else logits + self._from_near(self.near, x, self._below)

    def log_prob(self, x: Shaped[Array, "batch *t keys"], event_mask: Any = None) -> Float[Array, " batch"]:
        """Log probability per example in nats, summed over the event."""
        x = at_least_float32(x)
        logits = self.conditional(x)
        return sum_event(x * logits - softplus(logits), event_mask)

    def sample(self, key: Key) -> Float[Array, "batch *t keys"]:
        """One sample, note after note; carries no gradient."""
        return self._played(jax.random.uniform(key, self.logits.shape))

    @property
    def mode(self) -> Float[Array, "batch *t keys"]:
        """Note after note, those that are likelier to sound than not, given the ones below."""
        return self._played(jnp.full(self.logits.shape, 0.5, jnp.float32))

    def _played(self, threshold: Float[Array, "batch *t keys"]) -> Float[Array, "batch *t keys"]:
        """Notes whose chance is above a threshold of their own."""
        w, keys = self._weights, self.logits.shape[-1]
        below = None if self.near is None else self._below.reshape(keys, keys, -1)

        def note(k: Array, carry):
            x, hidden = carry
            of = partial(lax.dynamic_index_in_dim, index=k, keepdims=False)
            logit = of(self.logits, axis=-1) + jax.nn.relu(hidden) @ of(w["out"], axis=1) + x @ of(w["direct"], axis=1)
            if below is not None:
                logit += self._from_near(of(self.near, axis=-2), x, of(below, axis=1))
            on = (jax.nn.sigmoid(logit) > of(threshold, axis=-1)).astype(x.dtype)
            return lax.dynamic_update_index_in_dim(x, on, k, -1), hidden + on[..., None] @ of(w["into"], axis=0)[None]

        start = jnp.zeros(self.logits.shape), at_least_float32(self.context)
        return lax.stop_gradient(lax.fori_loop(0, keys, note, start)[0])


def chords(hidden: int = 256) -> Likelihood:
    """Notes of a step as a chord, see `Chords`; a decoder gives a logit for each note and the step's context.

    Args:
        hidden: units of the masked layer.

    Source:
        Boulanger-Lewandowski, Bengio & Vincent 2012, Modeling Temporal Dependencies in High-Dimensional Sequences
        (RNN-NADE, the same idea with untied units); Germain et al. 2015 (MADE, the masked layer).
    """

    def init(channels: int) -> Params:
        shapes = {"into": (channels, hidden), "out": (hidden, channels), "direct": (channels, channels)}
        return {name: jnp.zeros(shape, jnp.float32) for name, shape in shapes.items()}

    def apply(params: Params, out: Float[Array, "batch *t n"]) -> Any:  # a Chords
        keys = out.shape[-1] - hidden
        return Chords(out[..., :keys], out[..., keys:], params)

    return Likelihood(lambda keys: keys + hidden, init, apply, "chords", ("bits",), "bits", lambda p: p.mode, SHOWN)
