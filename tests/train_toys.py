"""Tiny models and sources for tests of the step and the loop."""

import jax
import jax.numpy as jnp
import numpy as np

from genjax.types import Aux, Batch


class Linear:
    """One player, "p": y = w x + b."""

    @staticmethod
    def init(key):
        return {"p": {"w": jax.random.normal(key, (3,)), "b": jnp.zeros(())}}, {"p": {"count": jnp.zeros(())}}


def squared_error(params, batch, ctx):
    p = params["p"]
    error = (batch.x @ p["w"] + p["b"] - batch.x.sum(-1)) ** 2
    w = jnp.ones(error.shape) if batch.mask is None else batch.mask.astype(jnp.float32)
    loss = (error * w).sum() / jnp.maximum(w.sum(), 1.0)
    noise = jax.random.normal(ctx.key, ())
    return loss, Aux({"noise": noise}, {"p": {"count": ctx.state["p"]["count"] + 1}})


class Game:
    """Two players, "d" and "g", each a vector; `log` of what each move saw is in the metrics."""

    @staticmethod
    def init(key):
        k_d, k_g = jax.random.split(key)
        params = {"d": {"w": jax.random.normal(k_d, (3,))}, "g": {"w": jax.random.normal(k_g, (3,))}}
        return params, {"d": {"n": jnp.zeros(())}, "g": {"n": jnp.zeros(())}}


def game_loss(me, other, sign):
    def loss(params, batch, ctx):
        z = jax.random.normal(ctx.key, (3,)) if ctx.draws is None else ctx.draws
        value = sign * (params["d"]["w"] @ params["g"]["w"]) + 0.1 * (params[me]["w"] ** 2).sum()
        value = value + 0.01 * params[me]["w"] @ batch.x.mean(0)
        state = {me: {"n": ctx.state[me]["n"] + 1}, other: {"n": ctx.state[other]["n"] + 100}}
        return value, Aux({"z": z.sum(), "x": batch.x.mean()}, state)

    return loss


class ArraySource:
    """A source over an in-memory array, in order, by the contract of `genjax.data.Source`."""

    def __init__(self, n=32, batch_size=4, capacity=None):
        self.x = np.asarray(np.random.default_rng(0).normal(size=(n, 3)), np.float32)
        self.batch_size, self.capacity, self.n = batch_size, capacity, n

    def window(self, key, start, n_steps, n_batches):
        del key, start, n_steps, n_batches
        return jnp.asarray(self.x)

    def batches(self, data, key, step, i, n_batches):
        del key, i
        at = (step * n_batches * self.batch_size + jnp.arange(n_batches * self.batch_size)) % self.n
        return Batch(data[at].reshape(n_batches, self.batch_size, 3))
