"""Bernoulli and categorical distributions, both from logits."""

from typing import NamedTuple

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, Shaped

from genjax.distributions.numerics import EventMask, at_least_float32, flat_event, softplus, sum_event
from genjax.types import Key


class Bernoulli(NamedTuple):
    """Independent coin flips with P(x = 1) = sigmoid(logits).

    Axis 0 is the batch, all other axes are the event. Values and gradients are finite for logits of any size, for
    nothing is ever computed from a probability.

    Example:
        >>> Bernoulli(jnp.array([[1e4, -1e4]])).log_prob(jnp.array([[1.0, 0.0]])).tolist()
        [0.0]
    """

    logits: Float[Array, "batch *event"]
    """Log odds of a 1."""

    @property
    def mean(self) -> Float[Array, "batch *event"]:
        """P(x = 1)."""
        return jax.nn.sigmoid(at_least_float32(self.logits))

    @property
    def mode(self) -> Float[Array, "batch *event"]:
        """The likelier of 0 and 1 (0 at equal odds)."""
        return at_least_float32(self.logits > 0)

    def sample(self, key: Key) -> Float[Array, "batch *event"]:
        """One sample of zeros and ones; carries no gradient."""
        return at_least_float32(jax.random.bernoulli(key, self.mean))

    def log_prob(self, x: Shaped[Array, "batch *event"], event_mask: EventMask = None) -> Float[Array, " batch"]:
        """Log probability per example in nats, summed over what counts of the event: x * l - softplus(l).

        For x strictly between 0 and 1 (grey values) this is the usual cross-entropy, minimal where the mean equals x,
        but not the logarithm of a normalised density: binarise the data where the number itself matters.
        """
        if event_mask is not None:
            logits, x = at_least_float32(self.logits), at_least_float32(x)
            return sum_event(x * logits - softplus(logits), event_mask)
        logits, x = (flat_event(at_least_float32(a)) for a in (self.logits, x))
        return sum_event(x * logits - softplus(logits))

    def kl(self, other: "Bernoulli") -> Float[Array, " batch"]:
        """KL(self || other) per example in nats, summed over the event; at least 0."""
        q, p = at_least_float32(self.logits), at_least_float32(other.logits)
        return sum_event(jax.nn.sigmoid(q) * (q - p) - jax.nn.softplus(q) + jax.nn.softplus(p))


class Categorical(NamedTuple):
    """Independent choices among k classes with probabilities softmax(logits) over the last axis.

    Axis 0 is the batch, the last axis the classes, the axes between are the event.

    Example:
        >>> round(float(Categorical(jnp.zeros((1, 4))).log_prob(jnp.array([2]))[0]), 4)  # log 1/4
        -1.3863
    """

    logits: Float[Array, "batch *event k"]
    """Unnormalised log probabilities."""

    @property
    def log_probs(self) -> Float[Array, "batch *event k"]:
        """Normalised log probabilities in nats."""
        return jax.nn.log_softmax(at_least_float32(self.logits), axis=-1)

    @property
    def mean(self) -> Float[Array, "batch *event"]:
        """Expected class index: of use where classes are ordered, as the levels of a pixel are."""
        probs = jnp.exp(self.log_probs)
        # Multiply and sum: a matrix product would round to bfloat16 on a TPU.
        return (probs * jnp.arange(probs.shape[-1], dtype=probs.dtype).reshape((1,) * (probs.ndim - 1) + (-1,))).sum(-1)

    @property
    def mode(self) -> Int[Array, "batch *event"]:
        """Most probable class index (the lowest of equals)."""
        return self.logits.argmax(axis=-1)

    def sample(self, key: Key) -> Int[Array, "batch *event"]:
        """One sample of class indices, int32; carries no gradient."""
        return jax.random.categorical(key, at_least_float32(self.logits), axis=-1)

    def log_prob(self, x: Shaped[Array, "batch *event"], event_mask: EventMask = None) -> Float[Array, " batch"]:
        """Log probability per example in nats, summed over the event.

        Args:
            event_mask: which elements of the event count, over its first axes; None where all do.
            x: class indices 0 ... k-1, integers or floats that hold integers. An index of k or more gives NaN, so
                that data of the wrong range shows at once.
        """
        index = x.astype(jnp.int32)[..., None]
        return sum_event(jnp.take_along_axis(self.log_probs, index, axis=-1, mode="fill")[..., 0], event_mask)

    def kl(self, other: "Categorical") -> Float[Array, " batch"]:
        """KL(self || other) per example in nats, summed over the event; at least 0."""
        log_q, log_p = self.log_probs, other.log_probs
        return sum_event((jnp.exp(log_q) * (log_q - log_p)).sum(axis=-1))
