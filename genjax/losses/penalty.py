"""Gradient penalties of a critic, per example.

A penalty is a function of the game, `types.Game`, that gives a value per example, weight included. The gradient with
respect to the data is that of the **summed** score, one backward pass for the whole batch; it equals the gradients of
the single scores because no example's score depends on another example. `check_critic` refuses critics for which it
does. Data are constants here: no gradient reaches a generator through a penalty.
"""

import jax
import jax.numpy as jnp
from jaxtyping import ScalarLike

from genjax.distributions.numerics import at_least_float32, sum_event
from genjax.types import Game, Key, Net, Penalty, PerExample, Running, ScoreFn, State, UsageError

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
        >>> penalty(Game(lambda x: 3.0 * x[:, 0] + 4.0 * x[:, 1], x, x, jax.random.key(0))).tolist()
        [25.0]
    """

    return Penalty(lambda game: squared_grad_norm(game.score, game.real) * (0.5 * gamma))


def r2(gamma: ScalarLike) -> Penalty:
    """gamma / 2 * |grad D(fake)|^2 per example: `r1` at the generated data.

    Source:
        Mescheder et al. 2018, Which Training Methods for GANs do actually Converge?
    """

    return Penalty(lambda game: squared_grad_norm(game.score, game.fake) * (0.5 * gamma))


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
        >>> penalty(Game(lambda x: 3.0 * x[:, 0], x, x, jax.random.key(0))).round(4).tolist()
        [40.0]
    """

    def penalty(game: Game) -> PerExample:
        norm = jnp.sqrt(squared_grad_norm(game.score, interpolate(game.key, game.real, game.fake)) + EPS)
        return jnp.square(norm - target) * weight

    return Penalty(penalty)


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
        >>> penalty(Game(lambda x: 3.0 * x[:, 0], x, x, jax.random.key(0))).round(4).tolist()
        [40.0]
    """

    def penalty(game: Game) -> PerExample:
        norm = jnp.sqrt(squared_grad_norm(game.score, _noisy(game.key, game.real, sd)) + EPS)
        return jnp.square(norm - 1.0) * weight

    return Penalty(penalty)


def lecam(weight: ScalarLike = 0.3, decay: float = 0.99, start: int = 1000) -> Penalty:
    """weight * (max(0, D(real) - a_fake)^2 + max(0, a_real - D(fake))^2) per example, a the logits' running means.

    It pulls the logits of either kind towards the usual ones of the other, which holds back a discriminator that has
    few images. It takes no gradient in the data, so batch norm is no obstacle.

    Args:
        weight: the paper's lambda, >= 0; may be traced. Its public code has 0.3 for BigGAN on CIFAR-10.
        decay: of the running means in one update, 0 <= decay < 1; they begin at 0.
        start: steps before it counts, in which the running means settle; the public code's 1000.

    Source:
        Tseng et al. 2021, Regularizing Generative Adversarial Networks under Limited Data, as in its public code; the
        paper's equation has the squares without the maximum.

    Example:
        >>> anchors = {"lecam": {"real": 2.0, "fake": -1.0}}
        >>> lecam(1.0, start=0)(Game(None, None, None, None, jnp.ones(1), jnp.zeros(1), 5, anchors)).tolist()
        [8.0]
    """

    def penalty(game: Game) -> PerExample:
        anchor = game.state["lecam"]
        above = jax.nn.relu(at_least_float32(game.real_logits) - anchor["fake"])
        below = jax.nn.relu(anchor["real"] - at_least_float32(game.fake_logits))
        return jnp.where(game.step >= start, weight, 0.0) * (jnp.square(above) + jnp.square(below))

    def observe(game: Game):
        return {"lecam": {"real": game.real_logits, "fake": game.fake_logits}}

    return Penalty(penalty, False, {"lecam": running_mean({"real": 0.0, "fake": 0.0}, decay)}, observe)


def running_mean(start: State, decay: float) -> Running:
    """Exponential running means of what is observed: decay * old + (1 - decay) * new in one update.

    Args:
        start: a tree of numbers or arrays to begin with.
        decay: weight of the old, 0 <= decay < 1.

    Example:
        >>> mean = running_mean({"a": 0.0}, 0.75)
        >>> float(mean.update(mean.init(jax.random.key(0))[1], {"a": jnp.float32(4.0)}, 8)["a"])
        1.0
    """
    if not 0.0 <= decay < 1.0:
        raise UsageError(f"decay={decay} must lie in [0, 1). Try 0.99.")

    def update(state: State, observed: State, n: int) -> State:
        return jax.tree.map(lambda old, new: decay * old + (1.0 - decay) * new.astype(old.dtype), state, observed)

    return Running(lambda key: jax.tree.map(lambda v: jnp.asarray(v, jnp.float32), start), update)


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
