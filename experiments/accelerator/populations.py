"""Seeds as one program: steps a second of 1, 8, 32 and 128 members, and how much more that is than one at a time."""

import time
from functools import partial
from typing import Any

from experiments.accelerator.context import Context

RECIPES = ("vae_digits", "gan_digits")


def measure(ctx: Context) -> None:
    """The part; rows are `RECIPE/MEMBERS`."""
    for name in RECIPES:
        for n in ctx.sizes.members:
            ctx.record.measure(f"{name}/{n}", partial(timed, ctx, name, n))


def timed(ctx: Context, name: str, n: int) -> dict[str, Any]:
    """Steps a second of n members as one program, and the ratio to n times one."""
    import jax
    import numpy as np

    from genjax import data, recipes, train
    from genjax.train.loop import CAPACITY, make_chunk

    recipe = recipes.load(name)
    cfg = recipe.Config() if ctx.sizes.published else recipe.SMOKE
    digits = data.load("digits")
    experiment = recipe.build(cfg, digits.spec)
    if n == 1:
        step: Any = experiment.step
        source: Any = data.make_source(digits.train, cfg.batch_size, experiment.transform)
        key: Any = jax.random.key(0)
    else:
        step = train.Population(experiment.step, n)
        source = train.shares(digits.train, cfg.batch_size, experiment.transform, n)
        key = train.Roots(jax.numpy.arange(n))
    state = step.init(experiment.model, key)
    chunk, done = make_chunk(step, source, CAPACITY), 0

    def advance(steps: int) -> float:
        nonlocal state, done
        began = time.perf_counter()
        window = source.window(key, done, steps, step.n_batches)
        state, metrics = chunk(state, window, key, np.int32(steps))
        jax.block_until_ready(metrics)
        done += steps
        return time.perf_counter() - began

    first = advance(1)
    steps = max(1, min(CAPACITY, round(ctx.sizes.slice_s / max(advance(1), 1e-6))))
    steps = max(1, min(CAPACITY, round(steps * ctx.sizes.slice_s / max(advance(steps), 1e-6))))
    rate = steps / min(advance(steps) for _ in range(ctx.sizes.rounds))
    one = ctx.record.rows.get(f"{name}/1", {}).get("steps_per_s", rate if n == 1 else None)
    ratio = None if one is None else round(n * rate / one, 3)
    return {"members": n, "steps_per_s": rate, "ratio": ratio, "first_call_s": round(first, 3), "timed_steps": steps}
