"""Does a set that does not fit keep the step fed, and is host memory flat? Trains a recipe on a streamed set.

Command:  python experiments/bench/streaming.py --minutes 10 [--images 200000] [--recipe vae_fashion_mnist] [--keep DIR]
          python experiments/bench/streaming.py --minutes 1 --delay 0.5     a control: a reader that cannot keep up

Makes an ArrayRecord TFDS set of 64x64x3 PNG images on disk (deterministic: smooth random colour fields, about 3 kB
each; without TensorFlow), trains the recipe, made small so that computing does not hide the reading, on it through
`data.load(..., stream=True)` and `train.fit`, and prints
    wait     share of wall time, from the end of the first chunk on, in which a chunk had finished and the next was not
             yet sent: the device idle, for whatever reason, the next window not being there the main one
    decode   images a second that the reader gives when nobody else works
    RSS      resident memory by a straight line through the second half of the run, MB a minute
"""

import argparse
import contextlib
import functools
import io
import json
import multiprocessing
import os
import shutil
import tempfile
import threading
import time
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np
import tensorflow_datasets as tfds
from PIL import Image

from genjax import data, recipes, train
from genjax.train import loop

SIZE, N_DISTINCT = 64, 4096
SMALL = {"width": 8, "n_blocks": 0}


@functools.lru_cache(N_DISTINCT)
def png(i: int) -> bytes:
    """Image i: a 4x4 grid of random colours, resized smoothly."""
    colours = np.random.default_rng(i).integers(0, 256, (4, 4, 3), np.uint8)
    out = io.BytesIO()
    Image.fromarray(colours).resize((SIZE, SIZE), Image.Resampling.BILINEAR).save(out, "PNG")
    return out.getvalue()


class ColourFields(tfds.core.GeneratorBasedBuilder):
    """64x64x3 images and ten classes."""

    VERSION = tfds.core.Version("1.0.0")

    def __init__(self, n_images: int, **options):
        self.n_images = n_images
        super().__init__(**options)

    def _info(self):
        image = tfds.features.Image(shape=(SIZE, SIZE, 3), encoding_format="png")
        features = tfds.features.FeaturesDict({"image": image, "label": tfds.features.ClassLabel(num_classes=10)})
        return tfds.core.DatasetInfo(builder=self, features=features)

    def _split_generators(self, dl_manager):
        return {"train": self._generate_examples()}

    def _generate_examples(self):
        for i in range(self.n_images):
            yield i, {"image": io.BytesIO(png(i % N_DISTINCT)), "label": i % 10}


def prepare(folder: Path, n_images: int) -> None:
    """Makes the set in `folder`, unless it is there."""
    builder = ColourFields(n_images, data_dir=folder, file_format="array_record")
    config = tfds.download.DownloadConfig(try_download_gcs=False)
    builder.download_and_prepare(download_config=config)


def delayed(part: data.Lazy, seconds: float) -> data.Lazy:
    """The same records, each call of `read` that much slower: a reader by which the measurement can be tried."""

    def read(indices):
        time.sleep(seconds)
        return part.read(indices)

    return replace(part, read=read)


class Idle:
    """Measures how long the device waits between the chunks of a run: end of one to sending of the next."""

    def __init__(self):
        self.idle, self.begun, self.finished, self.n_chunks = 0.0, 0.0, 0.0, 0
        self.watcher: threading.Thread | None = None

    @contextlib.contextmanager
    def watching(self):
        """What `fit` sends meanwhile is measured."""
        make_chunk = loop.make_chunk
        setattr(loop, "make_chunk", self._watched(make_chunk))  # noqa: B010
        try:
            yield
        finally:
            setattr(loop, "make_chunk", make_chunk)  # noqa: B010

    def _watched(self, make_chunk):
        def make(*args):
            chunk = make_chunk(*args)

            def send(*operands):
                if self.watcher is not None and not self.watcher.is_alive():
                    self.idle += time.perf_counter() - self.finished
                out = chunk(*operands)
                self.n_chunks += 1
                watcher = self.watcher = threading.Thread(target=self._watch, args=(out[1],), daemon=True)
                watcher.start()
                return out

            return send

        return make

    def _watch(self, buffer):
        jax.block_until_ready(buffer)
        self.finished = time.perf_counter()
        self.begun = self.begun or self.finished

    def seconds(self) -> float:
        """Since the first chunk ended: until then the program was compiled."""
        return time.perf_counter() - self.begun if self.begun else 0.0


def rss_mb() -> float:
    """Resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def decode_rate(part: data.Lazy, n: int = 2048) -> float:
    """Images a second of one reading thread."""
    indices = np.random.default_rng(0).integers(0, part.n, n)
    start = time.perf_counter()
    for i in range(0, n, 64):
        part.read(indices[i : i + 64])
    return n / (time.perf_counter() - start)


def soak(folder: Path, recipe_name: str, minutes: float, batch_size: int, delay: float = 0.0) -> dict:
    """Trains on the set in `folder` so long; each minibatch is read `delay` seconds late. The measured row."""
    dataset = data.load("colour_fields", data_dir=folder, stream=True)
    assert isinstance(dataset.train, data.Lazy)
    part = delayed(dataset.train, delay) if delay else dataset.train
    recipe = recipes.load(recipe_name)
    small = {k: v for k, v in SMALL.items() if hasattr(recipe.Config, k)}
    cfg = replace(recipe.Config(), batch_size=batch_size, steps=10**9, **small)
    experiment = recipe.build(cfg, dataset.spec)
    source = data.make_source(part, batch_size, experiment.transform)
    rate, idle, memory = decode_rate(dataset.train), Idle(), []
    key = jax.random.key(0)
    state = experiment.step.init(experiment.model, key)

    def over() -> bool:
        memory.append((idle.seconds(), rss_mb()))
        return memory[-1][0] > 60 * minutes

    with idle.watching():
        hooks = train.Hooks(stop=over)
        fitted = train.fit(experiment.step, state, source, key, steps=cfg.steps, log_every=20, hooks=hooks)
    seconds, megabytes = np.array(memory[len(memory) // 2 :]).T
    steps, wall = int(fitted.state.step), idle.seconds()
    return {
        "recipe": recipe_name, "images": dataset.spec.n_train, "batch_size": batch_size, "steps": steps,
        "images_per_s": round(steps * source.batch_size * experiment.step.n_batches / wall, 1),
        "decode_images_per_s": round(rate), "chunks": idle.n_chunks, "wall_s": round(wall, 1),
        "wait_share": round(idle.idle / wall, 4), "rss_mb_first_last": [round(memory[0][1]), round(memory[-1][1])],
        "rss_mb_half_last": [round(megabytes[0]), round(megabytes[-1])],
        "rss_slope_mb_per_min": round(60 * float(np.polyfit(seconds, megabytes, 1)[0]), 2),
    }  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--images", type=int, default=200_000)
    parser.add_argument("--recipe", default="vae_fashion_mnist")
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--delay", type=float, default=0.0, help="seconds by which each minibatch is read late")
    parser.add_argument("--keep", type=Path, help="folder of the set: made there once and left there")
    args = parser.parse_args()
    folder = args.keep or Path(tempfile.mkdtemp(prefix="streaming"))
    try:
        start = time.perf_counter()
        # In a process of its own: TFDS shuffles in memory, and what it leaves would blur the measurement.
        making = multiprocessing.get_context("spawn").Process(target=prepare, args=(folder, args.images))
        making.start()
        making.join()
        made = round(time.perf_counter() - start, 1)
        size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) // 2**20
        print(json.dumps({"prepare_s": made, "set_mb": size}))
        print(json.dumps(soak(folder, args.recipe, args.minutes, args.batch_size, args.delay)))
    finally:
        if args.keep is None:
            shutil.rmtree(folder)


if __name__ == "__main__":
    main()
