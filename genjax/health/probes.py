"""What a model looks like from within, in a few passes over images that stay the same: pure functions.

A probe is `(params, state, reference) -> {name: small array}`, over players. It costs about a training step for each
part of its images, and takes them in parts of the training's own size, so that it needs no more memory than a step. Its
keys are made once, with its images: two probes of one run differ by the model alone.
"""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax

from genjax import data, distributions, rng
from genjax.data import Transform
from genjax.train.step import jit_once
from genjax.types import Array, Batch, Key, Params, State, masked

N_EXAMPLES, N_BYTES = 128, 2**26
"""Examples of each kind that a probe looks at (a share of dimensions or a mean logit needs no more), and the memory
that it may keep on the device: of large ones there are fewer, but 16."""
LEAST_UNITS = 8
"""Smaller layers are not looked at: half of 4 channels are 2."""


class Reference(NamedTuple):
    """What a run's probes look at, the same every time; in parts, [parts, part, ...] each."""

    x: Any
    """Training examples as the model sees them."""
    y: Any
    """Their labels, int32; None for an unconditional model."""
    held: Any
    """The same number of examples that training never sees, from the validation part, else the test part, else None."""
    held_y: Any
    key: Any
    """A key each, [parts]: of a VAE's samples of its posteriors, of the noise that a GAN's samples are made of."""
    weights: Any
    """Standard normal, shaped like `x`."""
    signs: Any
    """-1 and 1, [parts, 2 part]."""
    event_mask: Any = None
    """Which elements of `x` count; None where all do."""
    held_mask: Any = None
    """The same of `held`."""


Probe = Callable[[Params, State, Reference], dict[str, Array]]


def reference(dataset: data.Dataset, transform: Transform, model: Any, part: int, key: Key) -> Reference:
    """Evenly spaced examples of both parts of a data set, in parts of at most `part`; draws from the stream "health".

    Args:
        dataset: where the examples come from.
        transform: the run's.
        model: it says whether it wants labels.
        part: most examples at a time.
        key: the run's root key.
    """
    n = min(N_EXAMPLES, max(16, N_BYTES // (12 * int(np.prod(dataset.spec.shape)))))
    part, key = min(part, n), rng.named(key, "health")
    parts = max(1, round(n / part))
    seen = jit_once(jax.vmap(transform.apply))

    def of(examples: Any, stream: str) -> tuple[Any, Any, Any]:
        taken = data.take(examples, np.linspace(0, data.size(examples) - 1, parts * part).astype(np.int64))
        keys = jax.random.split(rng.named(key, stream), parts)
        raw, y, event_mask = (None if a is None else a.reshape(parts, part, *a.shape[1:]) for a in taken)
        x = seen(keys, Batch(raw, event_mask=event_mask)).x
        return np.asarray(x), np.asarray(y, np.int32) if model.n_classes > 0 and y is not None else None, event_mask

    draws = np.random.default_rng(np.asarray(jax.random.key_data(key)).tolist())
    x, y, event_mask = of(dataset.train, "train")
    unseen = dataset.test if dataset.validation is None else dataset.validation
    held, held_y, held_mask = (None, None, None) if unseen is None else of(unseen, "held")
    keys = jax.random.split(rng.named(key, "noise"), parts)
    weights = draws.standard_normal(x.shape, np.float32)
    signs = draws.choice(np.array([-1.0, 1.0], np.float32), (parts, 2 * part))
    return Reference(x, y, held, held_y, keys, weights, signs, event_mask, held_mask)


def probe_of(model: Any) -> Probe | None:
    """The probe of a model's family; None where there is none."""
    if hasattr(model, "encode") and hasattr(model, "prior_of"):
        return partial(vae, model)
    if hasattr(model, "forward"):
        return partial(autoencoder, model)
    return partial(gan, model) if hasattr(model, "fake") else None


def vae(model: Any, params: Params, state: State, ref: Reference) -> dict[str, Array]:
    """What each latent dimension says, and each layer's dead units.

    Returns:
        rate: nats of each group of latents, mean over images, [groups]; the groups are dimensions where the prior is
            N(0, I).
        active: variance over images of each dimension's mean, [z].
        dead: share of units without a gradient of the evidence lower bound, of each leaf of `layers`.
    """
    biases, put_back = _vectors(params)

    def part(ref: Reference):
        def negative_elbo(biases):
            mine = put_back(biases)["vae"]
            q, s = model.encode(mine, state["vae"], ref.x, ref.y, **masked(ref.event_mask))
            z = q.sample(ref.key)
            p, _ = model.decode(mine, s, z, ref.y)
            rate = distributions.rate(q, model.prior_of(mine, state["vae"]), z)
            return (rate.sum(1) - distributions.log_prob(p, ref.x, ref.event_mask)).sum(), (q, rate)

        grads, (q, rate) = jax.grad(negative_elbo, has_aux=True)(biases)
        return rate.mean(0), q.mean, [g != 0 for g in grads]

    rate, mu, alive = lax.map(part, ref)
    return {"rate": rate.mean(0), "active": mu.reshape(-1, mu.shape[-1]).var(0), "dead": _dead(alive)}


def autoencoder(model: Any, params: Params, state: State, ref: Reference) -> dict[str, Array]:
    """The dead units of an autoencoder whose latents are of another kind (codes): `dead` of `vae`."""
    biases, put_back = _vectors(params)

    def part(ref: Reference):
        def loss(biases):
            mask = masked(ref.event_mask)
            out = model.forward(put_back(biases), state, ref.x, ref.y, key=ref.key, **mask)
            return (out.rate.sum(1) - distributions.log_prob(out.p, ref.x, ref.event_mask)).sum()

        return [g != 0 for g in jax.grad(loss)(biases)]

    return {"dead": _dead(lax.map(part, ref))}


def gan(model: Any, params: Params, state: State, ref: Reference) -> dict[str, Array]:
    """How the discriminator sees training, held-out and generated images, and each layer's dead units.

    Both nets run on their running statistics, where they have any.

    Returns:
        train_logit, fake_logit, and held_logit where there are held-out images: means.
        standard_error: of the difference between the means of training and held-out images.
        logit_sd: standard deviation over training and generated images together.
        dead: share of units without a gradient of the outputs (randomly weighted), of each leaf of `layers`.
    """
    biases, put_back = _vectors(params)

    def part(ref: Reference):
        def outputs(biases):
            mine = put_back(biases)
            noise = model.noise(ref.key, jax.tree.leaves(ref.x)[0].shape[0])
            fake, _ = model.fake(mine["g"], state["g"], noise, ref.y)
            # The discriminator's gradient stops at the images: a generator that it does not move is not dead.
            images = [ref.x, lax.stop_gradient(fake), *([] if ref.held is None else [ref.held])]
            labels = [ref.y, ref.y, *([] if ref.held is None else [ref.held_y])]
            masks = [ref.event_mask, ref.event_mask, *([] if ref.held is None else [ref.held_mask])]
            y, mask = (None if of[0] is None else jnp.concatenate(of) for of in (labels, masks))
            logits, _ = model.logits(mine["d"], state["d"], jnp.concatenate(images), y, **masked(mask))
            seen = logits[: ref.signs.shape[0]]  # of held-out images no unit's life depends
            return (seen * ref.signs).sum() + (fake * ref.weights).sum(), logits

        grads, logits = jax.grad(outputs, has_aux=True)(biases)
        return logits, [g != 0 for g in grads]

    logits, alive = lax.map(part, ref)
    each = jnp.split(logits, 2 if ref.held is None else 3, axis=1)
    train, fake = each[:2]
    out = {"train_logit": train.mean(), "fake_logit": fake.mean(), "logit_sd": jnp.stack([train, fake]).std()}
    if ref.held is not None:
        held = each[2]
        error = jnp.sqrt(train.var() / train.size + held.var() / held.size)
        out |= {"held_logit": held.mean(), "standard_error": error}
    return {**out, "dead": _dead(alive)}


def layers(params: Params) -> list[str]:
    """Names of the leaves in whose gradient dead units are looked for, in the order of a probe's `dead`.

    A unit of a layer has one element of the layer's bias (or of the scale and bias of a norm after it), and a unit that
    a ReLU always cuts off leaves its gradient exactly zero. Kernels would say the same at a greater cost.
    """
    flat, _ = jax.tree_util.tree_flatten_with_path(params)
    return [jax.tree_util.keystr(path, simple=True, separator="/") for path, leaf in flat if _counted(leaf)]


def _counted(leaf: Any) -> bool:
    return leaf.ndim == 1 and leaf.size >= LEAST_UNITS and bool(jnp.issubdtype(leaf.dtype, jnp.floating))


def _vectors(params: Params) -> tuple[list[Array], Callable[[list[Array]], Params]]:
    """The leaves that `layers` names, and how to put others in their place."""
    flat, tree = jax.tree.flatten(params)
    at = [i for i, v in enumerate(flat) if _counted(v)]

    def put_back(vectors: list[Array]) -> Params:
        leaves = list(flat)
        for i, v in zip(at, vectors, strict=True):
            leaves[i] = v
        return jax.tree.unflatten(tree, leaves)

    return [flat[i] for i in at], put_back


def _dead(alive: list[Array]) -> Array:
    """Share of the units that no part's gradient reaches, one number a leaf; `alive` is [parts, units] each."""
    return jnp.stack([1.0 - a.any(0).mean(dtype=jnp.float32) for a in alive]) if alive else jnp.zeros(0)
