"""One step of every recipe on this device against the host's CPU, in one process: losses and the whole gradient tree.

The gradients are kept by optimizers that change nothing. The distance is relative, in L2 over all numbers of a tree:
with matrix products of `highest` precision it must be below 1e-5; with those of JAX's default it is reported.
"""

import dataclasses
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Any

import numpy as np

from experiments.accelerator.context import Context

MOST = 1e-5
"""Largest relative distance allowed at `highest` precision."""
HOST = {"xla_backend_optimization_level": 0, "xla_llvm_disable_expensive_passes": True}
"""How the host compiles: three times quicker, another program of the same mathematics."""
SHAPES = {"digits": (8, 8, 1), "ring": (1, 1, 2), "mnist": (28, 28, 1), "fashion_mnist": (28, 28, 1)}
"""Shapes of the data that recipes name; 32x32x3 for the recipes that take any images."""


def measure(ctx: Context) -> None:
    """The part: the recipes, some at a time where there are cores to compile with."""
    from genjax import recipes

    workers = max(1, min(6, (os.cpu_count() or 1) // 3))
    with ThreadPoolExecutor(workers) as pool:
        for name in recipes.names():
            pool.submit(ctx.record.measure, name, partial(compare, name, ctx.sizes.published))


def compare(name: str, published: bool) -> dict[str, Any]:
    """Relative distances of a recipe's step here from the host's; failed where they are above `MOST` at `highest`."""
    import jax

    device, host = jax.devices()[0], jax.devices("cpu")[0]
    with jax.default_device(host):
        step, state, batches, key = first(name, published)
    wanted = on(host, step, state, batches, key, "highest", HOST)
    row: dict[str, Any] = {}
    for precision in ("highest", "default") if device.platform != "cpu" else ("highest",):  # a CPU has one precision
        got = on(device, step, state, batches, key, None if precision == "default" else precision)
        losses, gradients = (relative(a, b) for a, b in zip(got, wanted, strict=True))
        row[precision] = {"losses": losses, "gradients": gradients}
    worst = max(row["highest"].values())
    if not worst < MOST:
        row["failed"] = f"{worst:.2g} from the host at `highest`"
    return row


def first(name: str, published: bool) -> tuple[Callable, Any, Any, Any]:
    """A recipe's step that keeps its gradients, its first state, a step's batches, and the key."""
    import jax

    from genjax import data, recipes

    recipe = recipes.load(name)
    cfg = recipe.Config() if published else recipe.SMOKE
    spec, examples = seen(cfg)
    experiment = recipe.build(cfg, spec)
    source = data.make_source(examples, cfg.batch_size, experiment.transform)
    step, key = keeping_gradients(experiment.step), jax.random.key(0)
    window = source.window(key, 0, 1, step.n_batches)
    batches = jax.jit(source.batches, static_argnums=4, compiler_options=HOST)(window, key, 0, 0, step.n_batches)
    state = jax.jit(partial(step.init, experiment.model), compiler_options=HOST)(key)
    return step, state, batches, key


def seen(cfg: Any) -> tuple[Any, Any]:
    """What a recipe's step sees: random images or points; of another kind of data its embedded set."""
    from genjax import data
    from genjax.runs.dataset import dataset_of

    if not {"image", "points"} & set(cfg.domains):
        dataset = dataset_of(cfg)
        return dataset.spec, dataset.train
    draw, n, shape = np.random.default_rng(0), max(cfg.batch_size, 64), SHAPES.get(cfg.data, (32, 32, 3))
    points = draw.normal(size=(n, *shape)).astype(np.float32)
    images = points if cfg.data == "ring" else draw.integers(0, 256, (n, *shape), np.uint8)
    return data.Spec(cfg.data, shape, 0, n, ""), data.Examples(images)


def keeping_gradients(step: Any) -> Any:
    """The same step with optimizers that change nothing and keep the gradient as their state."""
    import jax
    import jax.numpy as jnp
    import optax

    def init(params: Any) -> Any:
        return jax.tree.map(jnp.zeros_like, params)

    def update(updates: Any, state: Any, params: Any = None) -> tuple[Any, Any]:
        return init(updates), updates

    tx = optax.GradientTransformation(init, update)
    return dataclasses.replace(step, moves=tuple(dataclasses.replace(m, tx=tx) for m in step.moves))


def on(device: Any, step: Callable, state: Any, batches: Any, key: Any, precision: str | None, options=None) -> Any:
    """(losses, gradients) of a step on a device, as NumPy trees."""
    import jax

    state, batches, key = jax.device_put((state, batches, key), device)
    with jax.default_matmul_precision(precision):
        after, metrics = jax.jit(lambda *a: step(*a), compiler_options=options)(state, batches, key)
    return jax.device_get((metrics, after.opt))


def relative(a: Any, b: Any) -> float:
    """Relative L2 distance of two trees."""
    import jax

    a, b = (np.concatenate([np.asarray(v, np.float64).ravel() for v in jax.tree.leaves(t)]) for t in (a, b))
    return float(np.linalg.norm(a - b) / np.linalg.norm(b))
