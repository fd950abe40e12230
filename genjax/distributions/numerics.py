"""The few numerical habits every distribution and loss shares: float32 at least, event sums, soft clamps."""

import math
from typing import Any, TypeAlias

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Shaped

EventMask: TypeAlias = Shaped[Array, "batch *leading"] | None
"""Which elements of events count, over the first axes of an event: nonzero where they do; None where all do."""
LOG_2PI = math.log(2.0 * math.pi)


def at_least_float32(x: Shaped[Array, "*s"]) -> Float[Array, "*s"]:
    """`x` as float32, or as float64 where it already is: half precision stays inside the networks."""
    return x.astype(jnp.promote_types(x.dtype, jnp.float32))


def sum_event(values: Float[Array, "batch *event"], event_mask: EventMask = None) -> Float[Array, " batch"]:
    """Sum over every axis but the first: elementwise values to one value per example.

    Args:
        values: of each element of an event.
        event_mask: over the first axes of an event, nonzero where an element counts; None where all do. What does not
            count adds nothing, whatever it is, and gets no gradient where it is finite.

    Example:
        >>> sum_event(jnp.ones((2, 3, 2)), jnp.array([[True, True, False], [False, False, True]])).tolist()
        [4.0, 2.0]
    """
    return mask_event(values, event_mask).sum(axis=tuple(range(1, values.ndim)))


def mask_event(values: Shaped[Array, "batch *event"], event_mask: EventMask) -> Shaped[Array, "batch *event"]:
    """`values`, with zeros where the mask over the first axes says that an element does not count.

    Raises:
        ValueError: the mask is not over the first axes.
    """
    if event_mask is None:
        return values
    if event_mask.ndim > values.ndim or event_mask.shape != values.shape[: event_mask.ndim]:
        raise ValueError(f"event_mask {event_mask.shape} is not over the first axes of events {values.shape}.")
    here = event_mask.reshape(event_mask.shape + (1,) * (values.ndim - event_mask.ndim)).astype(bool)
    return jnp.where(here, values, jnp.zeros((), values.dtype))


def log_prob(p: Any, x: Any, event_mask: Any = None) -> Float[Array, " batch"]:
    """`p.log_prob(x)` in nats per example, over what counts: a distribution without masks needs to know of none.

    Example:
        >>> from genjax.distributions import Bernoulli
        >>> half = Bernoulli(jnp.zeros((1, 2)))
        >>> mask = jnp.array([[True, False]])
        >>> [round(float(log_prob(half, jnp.ones((1, 2)), m)[0]), 4) for m in (None, mask)]
        [-1.3863, -0.6931]
    """
    return p.log_prob(x) if event_mask is None else p.log_prob(x, event_mask)


@jax.custom_jvp
def softplus(x: Float[Array, "*s"]) -> Float[Array, "*s"]:
    """log(1 + e^x) to float32's last digits, finite for any finite x; its derivative is sigmoid(x).

    `jax.nn.softplus` at under half its cost: log(1 + e), 0 <= e <= 1, is 2 artanh(e / (2 + e)), of which seven terms of
    the series are float32's digits, and the derivative does not evaluate the function again. In a small VAE this
    function is a tenth of a step.

    Example:
        >>> [round(v, 4) for v in softplus(jnp.array([-1e4, 0.0, 1e4])).tolist()]
        [0.0, 0.6931, 10000.0]
    """
    e = jnp.exp(-jnp.abs(x))
    if x.dtype == jnp.float64:
        return jnp.maximum(x, 0.0) + jnp.log1p(e)
    t = e / (2.0 + e)
    series = jnp.zeros_like(t)
    for n in (13, 11, 9, 7, 5, 3, 1):
        series = series * (t * t) + 2.0 / n
    return jnp.maximum(x, 0.0) + t * series


softplus.defjvps(lambda dx, _, x: dx * jax.nn.sigmoid(x))


def flat_event(x: Shaped[Array, "batch *event"]) -> Shaped[Array, "batch n"]:
    """The event's axes as one.

    On CPU, XLA runs elementwise loops over a last axis of one channel without vector instructions, five times slower.
    """
    return x.reshape(x.shape[0], math.prod(x.shape[1:]))


def softclamp(x: Float[Array, "*s"], low: float, high: float) -> Float[Array, "*s"]:
    """A smooth, strictly increasing stand-in for `clip(x, low, high)`.

    Equal to x to within exp(-distance to the nearer end), bounded by the ends to within exp(-(high - low)), finite in
    value and gradient for any finite x. Unlike a hard clip it has a slope everywhere, so a log-scale that strays a
    little beyond its range finds the way back.

    Example:
        >>> softclamp(jnp.array([-1e4, 1.0, 1e4]), -7.0, 7.0).round(2).tolist()
        [-7.0, 1.0, 7.0]
    """
    above_low = low + jax.nn.softplus(x - low)
    return high - jax.nn.softplus(high - above_low)
