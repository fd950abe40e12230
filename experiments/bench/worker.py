"""genjax's side of the paired benchmark: one training workload behind a one-line protocol.

Command:  python experiments/bench/worker.py WORKLOAD [MESH]     a mesh as `genjax train --mesh` takes it, data=2
          --precision bf16, --batch N, --call SECONDS            other than published; how long a compiled call takes
Prints:   {"ready": ...} once compiled; then for each line `go SECONDS` on standard input trains about that long and
          prints {"worker", "images_per_s", "cpu_us_per_image", "calls", "images"}; a line `batch N` makes it compile
          for batches of N and say {"ready": ...} again, or {"failed": ...} where they do not fit. See README.md here.

Every workload is built from the public API as a recipe is, and trained by the compiled chunk that `train.fit` runs.
Data are random pixels on the device. An image is one real image seen by the discriminator, or by the VAE.
"""

# ruff: noqa: E402 (memory is kept before jax is imported)
from genjax import memory

memory.keep()

import argparse
import contextlib
import json
import resource
import sys
import time
from collections.abc import Callable
from contextvars import ContextVar
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from genjax import data, distributions, losses, models, nets, objectives, train
from genjax.train import mesh
from genjax.train.loop import CAPACITY, TARGET_SECONDS, make_chunk


class Workload(NamedTuple):
    """A model, its step, and the images it is fed."""

    model: Any
    step: train.Step
    transform: data.Transform
    shape: tuple[int, ...]
    batch_size: int
    n_values: int = 0
    """Below which the numbers of an example are; 0: all of the type's."""
    dtype: str = "uint8"
    """The type of stored examples: uint8 images, int16 waves, float32 rows."""


PRECISION: ContextVar[str] = ContextVar("precision", default="f32")
"""What the nets of a workload compute in, as it is built."""


def vae(encoder, decoder, z_dim: int, shape, batch_size: int, objective: Callable = objectives.vae) -> Workload:
    """A VAE of Bernoulli pixels under Adam; `encoder(n_out)` and `decoder(z_dim)` give its nets."""
    half = partial(nets.compute, precision=PRECISION.get())
    model = models.VAE(half(encoder(2 * z_dim)), half(decoder(z_dim)), z_dim, channels=shape[2])
    step = train.make_step(train.Move("vae", objective(model), optax.adam(1e-3)))
    return Workload(model, step, data.to_unit(), shape, batch_size)


def gan(
    generator, discriminator, z_dim: int, shape, batch_size: int,
    pair=losses.nonsaturating, penalties=(), critic_steps: int = 1, b1: float = 0.5, b2: float = 0.999,
    lr: float = 2e-4,
) -> Workload:  # fmt: skip
    """A GAN under Adam; both moves share the step's latents, and so the generator's forward pass."""
    half = partial(nets.compute, precision=PRECISION.get())
    model = models.GAN(half(generator), half(discriminator), z_dim)
    obj, adam = objectives.gan(model, pair, penalties), optax.adam(lr, b1=b1, b2=b2)
    step = train.make_step(
        train.Move("d", obj.d, adam, repeat=critic_steps), train.Move("g", obj.g, adam), draw=obj.draw
    )
    return Workload(model, step, data.to_signed(), shape, batch_size)


def w1_vae() -> Workload:
    """pytorch/examples vae: 784-400-20, batch 128."""
    s = (28, 28, 1)
    return vae(lambda n: nets.mlp_encoder(s, n, (400,)), lambda z: nets.mlp_decoder(z, s, (400,)), 20, s, 128)


def w1_iwae(k: int) -> Workload:
    """784-200-200-50, tanh, k samples, batch 128."""
    s, hidden = (28, 28, 1), (200, 200)
    return vae(
        lambda n: nets.mlp_encoder(s, n, hidden, activation=jnp.tanh),
        lambda z: nets.mlp_decoder(z, s, hidden, activation=jnp.tanh),
        50, s, 128, lambda model: objectives.iwae(model, k),
    )  # fmt: skip


def w2_conv(size: int, channels: int, z_dim: int, batch_size: int) -> Workload:
    """Convolutional VAE, 4x4 of stride 2, channels 32, 64, 128 (, 256)."""
    s = (size, size, channels)
    return vae(lambda n: nets.plain_encoder(s, n, 32), lambda z: nets.plain_decoder(z, s, 32), z_dim, s, batch_size)


def w3_ptgan() -> Workload:
    """PyTorch-GAN's dcgan.py, 32x32x1, batch 64: upsampling generator, discriminator with dropout and batch norm."""
    s = (32, 32, 1)
    g = nets.upsampling_generator(100, s, 64, eps=0.8)
    return gan(g, nets.dropout_discriminator(s, 16, eps=0.8), 100, s, 64)


def w3_dcgan() -> Workload:
    """The DCGAN of pytorch/examples at 32x32x3, channels 64, 128, 256, batch 128."""
    s = (32, 32, 3)
    return gan(nets.dcgan_generator(100, s, 64), nets.dcgan_discriminator(s, 64), 100, s, 128)


def w4_ptgan() -> Workload:
    """PyTorch-GAN's wgan_gp.py, MLPs at 28x28x1, batch 64, five critic steps."""
    s = (28, 28, 1)
    g = nets.mlp_generator(100, s, (128, 256, 512, 1024), norm="batch", eps=0.8)
    return wgan_gp(g, nets.mlp_discriminator(s, (512, 256)), s)


def w4_conv() -> Workload:
    """WGAN-GP on the nets of w3_dcgan, no batch norm in the critic, batch 64, five critic steps."""
    s = (32, 32, 3)
    return wgan_gp(nets.dcgan_generator(100, s, 64), nets.dcgan_discriminator(s, 64, "none"), s)


def wgan_gp(generator, discriminator, shape, batch_size: int = 64, lr: float = 2e-4, b2: float = 0.999) -> Workload:
    """Wasserstein loss with gradient penalty of weight 10."""
    penalties = (losses.gradient_penalty(10.0),)
    return gan(
        generator, discriminator, 100, shape, batch_size, losses.wasserstein, penalties, critic_steps=5, b2=b2, lr=lr
    )


def w5_sngan() -> Workload:
    """Residual nets of 64 channels with spectral norm at 32x32x3, hinge loss, batch 64."""
    s = (32, 32, 3)
    g, d = nets.resnet_generator(128, s, 64), nets.resnet_discriminator(s, 64)
    return gan(g, d, 128, s, 64, losses.hinge, b1=0.0, b2=0.9)


def w6_gru() -> Workload:
    """GRU VAE of text after Bowman et al. 2016: 64 of 65 characters, 256 units, 32 latents, word dropout, batch 64."""
    decoder = nets.gru_decoder(32, 65, 64, 256, dropout=0.3)
    encoder = nets.gru_encoder(65, 64, 256, symbols=True)
    model = models.VAE(encoder, decoder.net, 32, distributions.autoregressive(decoder.chain))
    step = train.make_step(train.Move("vae", objectives.vae(model), optax.adam(1e-3)))
    return Workload(model, step, data.to_integers(), (64,), 64, 65)


def w7_wavegan() -> Workload:
    """WaveGAN of half the published width on 8,192 samples: WGAN-GP, phase shuffle, five critic steps, batch 16."""
    s = (8192,)
    g, d = nets.wavegan_generator(100, s[0], 32), nets.wavegan_discriminator(s[0], 32)
    return wgan_gp(g, d, s, 16, 1e-4, 0.9)._replace(transform=data.to_wave(), dtype="int16")


def w8_ctgan() -> Workload:
    """CTGAN (Xu et al. 2019) on rows like those of the census table Adult: 6 numbers, 9 categories, batch 500."""
    sizes = (9, 16, 7, 15, 6, 5, 2, 42, 2)
    modes = [[0.1, 4.0 * i, 1.0] for i in range(10)]
    columns: list[dict[str, Any]] = [{"kind": "number", "modes": modes, "missing": 0.0}] * 6
    columns += [{"kind": "category", "share": [1 / n] * n, "missing": 0.0} for n in sizes]
    parts, shares = data.parts_of(columns), data.shares_of(columns)
    n_out, n_asked = sum(p.size for p in parts), sum(sizes)
    g = nets.residual_generator(128 + n_asked, n_out, (256, 256))
    model = models.TableGAN(g, nets.packed_discriminator(n_out + n_asked, (256, 256), 10, 0.5), parts, shares, 128)
    obj = objectives.table_gan(model, 4096)
    adam = optax.chain(optax.add_decayed_weights(1e-6), optax.adam(2e-4, 0.5, 0.9))
    step = train.make_step(train.Move("d", obj.d, adam), train.Move("g", obj.g, adam), draw=obj.draw)
    return Workload(model, step, data.to_parts(columns), (len(columns),), 500, dtype="float32")


WORKLOADS: dict[str, Callable[[], Workload]] = {
    "w1_vae": w1_vae,
    "w1_iwae1": lambda: w1_iwae(1),
    "w1_iwae50": lambda: w1_iwae(50),
    "w2_conv32": lambda: w2_conv(32, 1, 32, 128),
    "w2_conv64": lambda: w2_conv(64, 3, 64, 64),
    "w3_ptgan": w3_ptgan,
    "w3_dcgan": w3_dcgan,
    "w4_ptgan": w4_ptgan,
    "w4_conv": w4_conv,
    "w5_sngan": w5_sngan,
    "w6_gru": w6_gru,
    "w7_wavegan": w7_wavegan,
    "w8_ctgan": w8_ctgan,
}


def workload(name: str, batch_size: int = 0, precision: str = "f32") -> Workload:
    """A workload by name, perhaps in other batches or another precision than published."""
    token = PRECISION.set(precision)
    try:
        w = WORKLOADS[name]()
    finally:
        PRECISION.reset(token)
    return w._replace(batch_size=batch_size or w.batch_size)


def examples(w: Workload, n: int) -> np.ndarray:
    """n random examples as they are stored; of a table's rows numbers from 0 to 40, categories below 42 among them."""
    random = np.random.default_rng(0)
    if w.dtype == "float32":
        return random.uniform(0, 40, (n, *w.shape)).astype(np.float32)
    kind = np.iinfo(w.dtype)
    ends = (0, w.n_values - 1) if w.n_values else (kind.min, kind.max)
    return random.integers(*ends, (n, *w.shape), w.dtype, endpoint=True)


class Trainer:
    """A workload on its data, ready to train."""

    def __init__(self, w: Workload, on: str = ""):
        self.n_batches = w.step.n_batches
        self.images_per_step = w.batch_size * self.n_batches
        n = max(4096, w.batch_size)
        x = examples(w, n)
        layout = mesh.layout(on)
        self.source = data.make_source(data.Examples(x), w.batch_size, w.transform, layout.mesh)
        self.key, self.done, self.steps = jax.random.key(0), 0, 1
        self.state = layout.init(w.step, w.model, self.key)
        self.chunk = make_chunk(w.step, self.source, CAPACITY, layout, self.state)
        self.key = layout.shared(self.key)
        self.flight: Any = None

    def call(self) -> int:
        """Trains `steps` steps, at most one call ahead of the device; the images seen."""
        window = self.source.window(self.key, self.done, self.steps, self.n_batches)
        self.state, metrics = self.chunk(self.state, window, self.key, np.int32(self.steps))
        self.done += self.steps
        jax.block_until_ready(self.flight)
        self.flight = metrics
        return self.steps * self.images_per_step

    def sync(self) -> None:
        """Waits for the device.

        Raises:
            AssertionError: a metric of the last step is not finite.
        """
        last = {k: float(v[self.steps - 1]) for k, v in self.flight.items()}
        assert all(np.isfinite(v) for v in last.values()), f"not finite: {last}"


def main(name: str, on: str = "", batch_size: int = 0, precision: str = "f32", call: float = TARGET_SECONDS) -> None:
    """Speaks the protocol until standard input ends."""
    mesh.use_cores(on)
    trainer: Trainer | None = ready(name, on, batch_size, precision, call)
    for line in sys.stdin:
        word = line.split()
        if len(word) != 2 or word[0] not in ("go", "batch"):
            break
        if word[0] == "go":
            assert trainer is not None
            say({"worker": name, **train_for(trainer, float(word[1]))})
            continue
        trainer = None  # its memory is the next one's
        try:
            trainer = ready(name, on, int(word[1]), precision, call)
        except (jax.errors.JaxRuntimeError, MemoryError) as e:
            say({"failed": f"batch {word[1]}: {str(e).splitlines()[0][:200]}"})
            break


def ready(name: str, on: str, batch_size: int, precision: str, call: float) -> Trainer:
    """A trainer, compiled, whose calls take about `call` seconds; says so."""
    trainer = Trainer(workload(name, batch_size, precision), on)
    start = time.perf_counter()
    trainer.call()
    trainer.sync()
    first = time.perf_counter() - start
    start = time.perf_counter()
    trainer.call()
    trainer.sync()
    once = time.perf_counter() - start
    trainer.steps = max(1, min(CAPACITY, round(call / once)))
    trainer.call()
    trainer.sync()
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    message = {"ready": name, "first_call_s": round(first, 3), "peak_mib": round(peak, 1), "jax": jax.__version__}
    with contextlib.suppress(KeyError, TypeError):  # a CPU does not say
        message["device_peak_mib"] = round(jax.devices()[0].memory_stats()["peak_bytes_in_use"] / 2**20, 1)
    say({**message, "batch": trainer.source.batch_size, "images_per_step": trainer.images_per_step})
    return trainer


def train_for(trainer: Trainer, seconds: float) -> dict[str, float | int]:
    """Trains about so long; the rates."""
    calls, images = 0, 0
    cpu, wall = time.process_time(), time.perf_counter()
    while calls == 0 or time.perf_counter() - wall < seconds:
        images += trainer.call()
        calls += 1
    trainer.sync()
    wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
    return {
        "images_per_s": round(images / wall, 2),
        "cpu_us_per_image": round(cpu / images * 1e6, 3),
        "calls": calls,
        "images": images,
    }


def say(message: dict[str, Any]) -> None:
    """One JSON object on one line."""
    print(json.dumps(message), flush=True)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("workload", choices=WORKLOADS)
    parser.add_argument("mesh", nargs="?", default="")
    parser.add_argument("--batch", type=int, default=0, help="images of a minibatch; default: as published")
    parser.add_argument("--precision", choices=("f32", "bf16"), default="f32")
    parser.add_argument("--call", type=float, default=TARGET_SECONDS, help="seconds of a compiled call")
    return parser.parse_args()


if __name__ == "__main__":
    args = arguments()
    main(args.workload, args.mesh, args.batch, args.precision, args.call)
