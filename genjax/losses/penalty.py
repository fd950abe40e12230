"""Gradient penalties of a critic, per example.

A penalty is `(score_fn, real, fake, key) -> value per example`, weight included. The gradient with respect to the data
is that of the **summed** score, one backward pass for the whole batch; it equals the gradients of the single scores
because no example's score depends on another example. `check_critic` refuses critics for which it does. Data are
constants here: no gradient reaches a generator through a penalty.
"""

import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from genjax.distributions.numerics import at_least_float32, sum_event
from genjax.types import Key, Net, Penalty, PerExample, ScoreFn, UsageError

EPS = 1e-12
"""Inside the square root of a gradient norm: a constant critic has norm 1e-6 and a finite derivative of it."""


def r1(gamma: ScalarLike) -> Penalty:
    """gamma / 2 * |grad D(real)|^2 per example, the norm over all axes of the event.

    Args:
        gamma: weight, >= 0; may be traced. A start: 2e-4 * pixels / batch size (StyleGAN2-ADA's rule).

    Source:
        Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?

    Example:
        >>> penalty = r1(2.0)
        >>> x = jnp.zeros((1, 2))
        >>> penalty(lambda x: 3.0 * x[:, 0] + 4.0 * x[:, 1], x, x, jax.random.key(0)).tolist()
        [25.0]
    """

    def penalty(score_fn: ScoreFn, real, fake, key: Key) -> PerExample:
        return squared_grad_norm(score_fn, real) * (0.5 * gamma)

    return penalty


def r2(gamma: ScalarLike) -> Penalty:
    """gamma / 2 * |grad D(fake)|^2 per example: `r1` at the generated data.

    Source:
        Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?
    """

    def penalty(score_fn: ScoreFn, real, fake, key: Key) -> PerExample:
        return squared_grad_norm(score_fn, fake) * (0.5 * gamma)

    return penalty


def gradient_penalty(weight: ScalarLike, target: ScalarLike = 1.0) -> Penalty:
    """weight * (|grad D(x)| - target)^2 per example, at a random point x between real i and fake i.

    The norm is over all axes of the event, with eps inside the root; one interpolation coefficient per example.

    Args:
        weight: the paper's lambda, 10 there, >= 0; may be traced.
        target: gradient norm asked for, 1 for a Wasserstein critic, 0 for a zero-centred penalty; may be traced.

    Source:
        Gulrajani et al. 2017, Improved Training of Wasserstein GANs.

    Example:
        >>> penalty = gradient_penalty(10.0)
        >>> x = jnp.zeros((1, 2))
        >>> penalty(lambda x: 3.0 * x[:, 0], x, x, jax.random.key(0)).round(4).tolist()
        [40.0]
    """

    def penalty(score_fn: ScoreFn, real, fake, key: Key) -> PerExample:
        norm = jnp.sqrt(squared_grad_norm(score_fn, interpolate(key, real, fake)) + EPS)
        return jnp.square(norm - target) * weight

    return penalty


def dragan(weight: ScalarLike, sd: ScalarLike = 0.2) -> Penalty:
    """weight * (|grad D(x)| - 1)^2 per example, at real images with normal noise.

    It keeps the critic smooth around the data alone, where `gradient_penalty` does on the way to the fakes.

    Args:
        weight: the paper's lambda, 10 there, >= 0; may be traced.
        sd: standard deviation of the noise, in units of x; may be traced. Ours: the public code scales uniform noise
            by half the batch's standard deviation, which would couple the examples; 0.2 is about that of pixels in
            [-1, 1].

    Source:
        Kodali et al. 2017, On Convergence and Stability of GANs.

    Example:
        >>> penalty, x = dragan(10.0), jnp.zeros((1, 2))
        >>> penalty(lambda x: 3.0 * x[:, 0], x, x, jax.random.key(0)).round(4).tolist()
        [40.0]
    """

    def penalty(score_fn: ScoreFn, real, fake, key: Key) -> PerExample:
        norm = jnp.sqrt(squared_grad_norm(score_fn, _noisy(key, real, sd)) + EPS)
        return jnp.square(norm - 1.0) * weight

    return penalty


def squared_grad_norm(score_fn: ScoreFn, x) -> PerExample:
    """|grad of the score with respect to x|^2 per example, over all axes and leaves of x, in float32."""
    x = jax.tree.map(lambda a: jax.lax.stop_gradient(at_least_float32(a)), x)
    grads = jax.grad(lambda x: at_least_float32(score_fn(x)).sum())(x)
    return jnp.stack([sum_event(jnp.square(g)) for g in jax.tree.leaves(grads)]).sum(axis=0)


def interpolate(key: Key, real, fake):
    """A uniformly random point on the segment between real i and fake i, the same one for all axes and leaves."""
    leaf = jax.tree.leaves(real)[0]
    t = jax.random.uniform(key, leaf.shape[:1], at_least_float32(leaf).dtype)

    def between(a, b):
        s = t.reshape(-1, *(1,) * (a.ndim - 1))
        return at_least_float32(a) + s * (at_least_float32(b) - at_least_float32(a))

    return jax.tree.map(between, real, fake)


def _noisy(key: Key, x, sd: ScalarLike):
    """x with independent normal noise in every leaf."""
    leaves, form = jax.tree.flatten(x)
    keys = jax.random.split(key, len(leaves))

    def add(k: Key, a):
        a = at_least_float32(a)
        return a + sd * jax.random.normal(k, a.shape, a.dtype)

    return jax.tree.unflatten(form, [add(k, a) for k, a in zip(keys, leaves, strict=True)])


def check_critic(critic: Net) -> None:
    """Raises `UsageError` for a critic whose scores couple the examples of a batch."""
    if critic.couples_examples:
        raise UsageError(
            "A gradient penalty needs a critic that scores each example by itself; this one couples the examples of "
            "a batch (batch norm or minibatch standard deviation), so the gradient of the summed score is not the "
            'gradient of each score. Build the discriminator with norm="none", or drop the penalty.'
        )
