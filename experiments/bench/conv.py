"""How much the canonical convolution gains inside a compiled loop on this CPU: one core, paired, CPU time.

Command:  python experiments/bench/conv.py [--rounds 5]
Prints:   seconds of CPU a step, for a GAN's step with R1 and R2 (28x28x1, norm-free DCGAN of width 32, batch 32)
          and a VAE's step (same images), with `genjax.nets.conv` as it is, with its canonical form called directly
          (what the choice of platform costs), and with the library's convolution and derivatives. With `--layers`
          instead milliseconds and GFLOP/s of the convolution, of its derivative with respect to the maps and of that
          with respect to the kernel, for the layers of the common nets.
"""

import argparse
import functools
import os
import statistics
import sys
import time

if hasattr(os, "sched_setaffinity"):
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})

import jax
import optax
from jax import lax

from genjax import nets

BATCH, Z, SHAPE = 32, 32, (28, 28, 1)
LAYERS = [  # batch, height and width, channels in and out, kernel, stride
    (128, 32, 1, 32, 4, 2), (128, 16, 32, 64, 4, 2), (128, 8, 64, 128, 4, 2),  # convolutional VAE, 32x32x1
    (64, 64, 3, 32, 4, 2), (64, 32, 32, 64, 4, 2), (64, 16, 64, 128, 4, 2), (64, 8, 128, 256, 4, 2),  # 64x64x3
    (128, 32, 3, 64, 4, 2), (128, 16, 64, 128, 4, 2), (128, 8, 128, 256, 4, 2),  # DCGAN, 32x32x3
    (64, 32, 64, 64, 3, 1), (64, 16, 64, 64, 3, 1), (64, 8, 64, 64, 3, 1), (64, 32, 3, 64, 3, 1), (64, 32, 64, 3, 3, 1),
]  # fmt: skip


def forms() -> dict:
    """Name -> (convolution, transposed convolution) as layers call them."""
    conv = sys.modules["genjax.nets.conv"]

    def of(forward, transposed):
        def f(x, w, stride=1, padding="SAME"):
            return forward(conv._geometry(x.shape[1:3], w.shape[:2], stride, padding), x, w)

        def t(g, w, stride=1, padding="SAME"):
            size = conv._default_size(g.shape[1:3], w.shape[:2], stride, padding)
            return transposed(conv._geometry(size, w.shape[:2], stride, padding), g, w)

        return f, t

    return {
        "genjax": (nets.conv, nets.conv_transpose),
        "canonical": of(conv._conv, conv._tconv),
        "library": of(conv._plain_conv, conv._plain_tconv),
    }


def gan_loss():
    g, d = nets.dcgan_generator(Z, SHAPE, 32, "none"), nets.dcgan_discriminator(SHAPE, 32, "none")

    def init(key):
        k_g, k_d = jax.random.split(key)
        return {"g": g.init(k_g)[0], "d": d.init(k_d)[0]}

    def loss(p, x, z):
        fake = g.apply(p["g"], {}, z)[0]
        score = lambda x: d.apply(p["d"], {}, x)[0]  # noqa: E731
        penalty = sum((jax.grad(lambda x: score(x).sum())(v) ** 2).sum() for v in (x, lax.stop_gradient(fake)))
        return jax.nn.softplus(score(fake) - score(x)).mean() + 0.05 * penalty / BATCH

    return init, loss


def vae_loss():
    enc, dec = nets.conv_encoder(SHAPE, Z), nets.conv_decoder(Z, SHAPE)

    def init(key):
        k_e, k_d = jax.random.split(key)
        return {"e": enc.init(k_e)[0], "d": dec.init(k_d)[0]}

    def loss(p, x, z):
        return ((dec.apply(p["d"], {}, z + enc.apply(p["e"], {}, x)[0])[0] - x) ** 2).mean()

    return init, loss


def compiled(make, form):
    """(run, state): `run(state, n)` does n steps in one compiled loop."""
    blocks = sys.modules["genjax.nets.blocks"]
    vars(blocks).update(conv=form[0], conv_transpose=form[1])
    init, loss = make()
    tx = optax.adam(1e-4)
    params = jax.jit(init)(jax.random.key(0))
    root = jax.random.key(1)

    def step(i, carry):
        p, opt = carry
        k_x, k_z = jax.random.split(jax.random.fold_in(root, i))
        grads = jax.grad(loss)(p, jax.random.normal(k_x, (BATCH, *SHAPE)), jax.random.normal(k_z, (BATCH, Z)))
        updates, opt = tx.update(grads, opt)
        return optax.apply_updates(p, updates), opt

    state = params, tx.init(params)
    run = jax.jit(lambda state, n: lax.fori_loop(0, n, step, state))
    jax.block_until_ready(run(state, 1))
    return run, state


def cpu_seconds(f, args, rounds: int) -> float:
    """CPU time of f(*args) inside a compiled loop, the least of the rounds: other programs only add to it."""

    def body(i, carry):
        # The barrier makes the operands new each time, or XLA would move the work out of the loop.
        args = lax.optimization_barrier((i, *carry[1]))[1:]
        return f(*args), args

    def loop(n, *args):
        out = jax.eval_shape(f, *args)
        return lax.fori_loop(0, n, body, (jax.numpy.zeros(out.shape, out.dtype), args))[0]

    run, n = jax.jit(loop), 4
    jax.block_until_ready(run(1, *args))
    seconds = []
    for _ in range(rounds):
        start = time.process_time()
        jax.block_until_ready(run(n, *args))
        seconds.append((time.process_time() - start) / n)
    return min(seconds)


def layers(rounds: int) -> None:
    key = jax.random.key(0)
    for n, size, c, o, k, stride in LAYERS:
        x = jax.random.normal(key, (n, size, size, c))
        w = jax.random.normal(key, (k, k, c, o))
        forward = functools.partial(nets.conv, stride=stride)
        g = forward(x, w)
        flop = 2 * g.size * k * k * c
        cases = [
            ("conv", forward, (x, w)),
            ("d/dx", lambda g, w: jax.vjp(lambda x: forward(x, w), x)[1](g)[0], (g, w)),  # noqa: B023
            ("d/dw", lambda g, x: jax.vjp(lambda w: forward(x, w), w)[1](g)[0], (g, x)),  # noqa: B023
        ]
        times = [(name, cpu_seconds(f, args, rounds)) for name, f, args in cases]
        line = "  ".join(f"{name} {1e3 * s:7.2f} ms {flop / s / 1e9:5.0f} GFLOP/s" for name, s in times)
        print(f"{n:4d} x {size:2d}x{size:2d}x{c:<3d} -> {o:3d}, {k}x{k} stride {stride}:  {line}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--layers", action="store_true", help="a table of layers, not of steps")
    given = parser.parse_args()
    rounds = given.rounds
    if given.layers:
        layers(rounds)
        return
    for name, make in (("GAN", gan_loss), ("VAE", vae_loss)):
        runs = {form: compiled(make, pair) for form, pair in forms().items()}
        seconds = {form: [] for form in runs}
        for _ in range(rounds):
            for form, (run, state) in runs.items():
                n = 1 if form == "library" else 4
                start = time.process_time()
                jax.block_until_ready(run(state, n))
                seconds[form].append((time.process_time() - start) / n)
        for form, values in seconds.items():
            ratio = statistics.median(v / base for v, base in zip(values, seconds["genjax"], strict=True))
            print(f"{name} {form:10s} {statistics.median(values):8.4f} s a step, {ratio:6.2f} times genjax's")


if __name__ == "__main__":
    main()
