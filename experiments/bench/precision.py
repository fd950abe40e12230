"""How far bfloat16 drifts from float32, term by term: a convolutional VAE, a DCGAN and a WGAN-GP on digits.

Command:  python experiments/bench/precision.py [--steps 200] [--seeds 3]

Each is trained twice from the same parameters, on the same batches, with the same noise: once as it is, once with its
nets in bfloat16. For every metric:
    value    its mean over the float32 run
    step 1   |bf16 - f32| at the first step: rounding alone
    steps    mean of |bf16 - f32| over the steps, and relative to the mean of |f32|
    control  the latter between float32 and float32 from parameters rounded once to bfloat16: how far two runs drift
             apart that differ in nothing but a first rounding; what training amplifies, bfloat16 or not
"""

import argparse
import functools
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genjax import data, losses, models, nets, objectives, rng, train

BATCH, Z, SIZE = 32, 8, 16


def vae(compute, size) -> tuple[models.VAE, train.Step, data.Transform]:
    shape = (size, size, 1)
    model = models.VAE(compute(nets.conv_encoder(shape, 2 * Z, 8)), compute(nets.conv_decoder(Z, shape, 8)), Z)
    move = train.Move("vae", objectives.vae(model), optax.adam(1e-3), norms=True)
    return model, train.make_step(move), data.binarize()


def game(compute, size, norm, adversarial, penalties, adam, repeat) -> tuple[models.GAN, train.Step, data.Transform]:
    shape = (size, size, 1)
    model = models.GAN(
        compute(nets.dcgan_generator(Z, shape, 8, norm)), compute(nets.dcgan_discriminator(shape, 8, norm)), Z
    )
    obj = objectives.gan(model, adversarial, penalties)
    d, g = train.Move("d", obj.d, adam, repeat=repeat, norms=True), train.Move("g", obj.g, adam, norms=True)
    return model, train.make_step(d, g, draw=obj.draw), data.to_signed()


MODELS = {
    "vae": vae,
    "dcgan": partial(
        game, norm="batch", adversarial=losses.nonsaturating, penalties=(), adam=optax.adam(2e-4, b1=0.5), repeat=1
    ),
    "wgan_gp": partial(
        game, norm="none", adversarial=losses.wasserstein, penalties=(losses.gradient_penalty(10.0),),
        adam=optax.adam(1e-4, b1=0.0, b2=0.9), repeat=2,
    ),
}  # fmt: skip


def build(name: str, precision: str, size: int = SIZE):
    """(model, step, transform) with nets of a precision, for square images."""
    return MODELS[name](partial(nets.compute, precision=precision), size)


RUNS = {"f32": ("f32", False), "bf16": ("bf16", False), "control": ("f32", True)}
"""Precision of the nets, and whether the first parameters are rounded."""


def runs(
    name: str, steps: int, seeds: int, which=tuple(RUNS), jit=jax.jit, size: int = SIZE, batch_size: int = BATCH
) -> dict[str, dict[str, np.ndarray]]:
    """Metric values [seeds, steps] of each run."""
    images = data.load("digits", image_size=size).train

    @functools.cache
    def programs(precision: str):
        """A run's first state, and its metrics from there, of a key."""
        model, step, transform = build(name, precision, size)
        source = data.make_source(images, batch_size, transform)

        def metrics(state, key):
            def one(state, i):
                batches = source.batches(source.window(key, 0, 1, step.n_batches), key, state.step, 0, step.n_batches)
                return step(state, batches, key)

            return jax.lax.scan(one, state, jnp.arange(steps))[1]

        return jit(partial(step.init, model)), jit(metrics)

    def trained(precision: str, rounded: bool):
        init, metrics = programs(precision)
        keys = [rng.named(jax.random.key(seed), "precision") for seed in range(seeds)]
        states = [jax.tree.map(_rounded, init(key)) if rounded else init(key) for key in keys]
        rows = [metrics(state, key) for state, key in zip(states, keys, strict=True)]
        return {k: np.stack([np.asarray(r[k], np.float64) for r in rows]) for k in rows[0]}

    return {k: trained(*RUNS[k]) for k in which}


def _rounded(v):
    return v.astype(jnp.bfloat16).astype(v.dtype) if jnp.issubdtype(v.dtype, jnp.floating) else v


def drift(found: dict[str, dict[str, np.ndarray]]) -> dict[str, dict[str, float]]:
    """Term -> the columns of the table."""
    table = {}
    for term, f32 in found["f32"].items():
        far = {k: np.abs(v[term] - f32) for k, v in found.items()}
        size = np.abs(f32).mean()
        table[term] = {
            "value": f32.mean(), "step 1": far["bf16"][:, 0].mean(), "step 1 relative": far["bf16"][:, 0].mean() / size,
            "steps": far["bf16"].mean(), "steps relative": far["bf16"].mean() / size,
        } | ({"control relative": far["control"].mean() / size} if "control" in far else {})  # fmt: skip
    return table


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--seeds", type=int, default=3)
    args = parser.parse_args()
    print("| model | term | value | step 1 | relative | steps | relative | control relative |\n|" + "---|" * 8)
    for name in MODELS:
        for term, row in drift(runs(name, args.steps, args.seeds)).items():
            print(f"| {name} | {term} | " + " | ".join(f"{v:.2g}" for v in row.values()) + " |", flush=True)


if __name__ == "__main__":
    main()
