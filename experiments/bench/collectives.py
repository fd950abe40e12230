"""What a step says between devices: collectives of the compiled program, and what of a run's state each device holds.

Command:  python experiments/bench/collectives.py [RECIPE ...] [--mesh data=8 --mesh data=4,fsdp=2 ...]
Shows:    a table for eight devices made of this CPU: kind, count and bytes of each step's collectives, bytes of
          parameters, optimizer states and averages on one device. Counted after XLA's optimisations: a combined
          reduction of many leaves is one. Bytes are those of the result on one device.

The counts are those of XLA's CPU compiler. Its GPU and TPU compilers combine by size, make reductions asynchronous,
and turn a reduction of which a device keeps one part into a reduce-scatter; the bytes that must travel are the same.
"""

import argparse
import math
import os
import re
from collections import defaultdict
from typing import NamedTuple

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = os.environ.get("XLA_FLAGS", "--xla_force_host_platform_device_count=8")

import jax
import numpy as np

from genjax import data, recipes
from genjax.train import loop, mesh

KINDS = ("all-reduce", "all-gather", "reduce-scatter", "all-to-all", "collective-permute", "collective-broadcast")
BITS = {"pred": 8, "bf16": 16, **{f"{k}{n}": n for k in "fsu" for n in (4, 8, 16, 32, 64)}}


class Collective(NamedTuple):
    """One collective operation of a compiled program."""

    kind: str
    parts: tuple[tuple[str, tuple[int, ...]], ...]
    """(dtype, shape) of each array it gives; several where XLA combined several."""

    @property
    def n_bytes(self) -> int:
        """Bytes of its result on one device."""
        return sum(math.prod(shape) * BITS[dtype] // 8 for dtype, shape in self.parts)


def collectives(hlo: str) -> list[Collective]:
    """The collectives in an optimised module's text, in its order.

    Example:
        >>> collectives("  %r = (f32[8]{0}, f32[]) all-reduce(%a, %b), channel_id=1")
        [Collective(kind='all-reduce', parts=(('f32', (8,)), ('f32', ())))]
    """
    found = re.finditer(rf"^.*?= (.*?) ({'|'.join(KINDS)})(?:-start)?\(", hlo, re.MULTILINE)
    return [
        Collective(m[2], tuple((t, tuple(map(int, filter(None, s.split(","))))) for t, s in _ARRAY.findall(m[1])))
        for m in found
    ]


_ARRAY = re.compile(r"\b([a-z]+\d*)\[([\d,]*)\]")


def compiled(experiment, source, layout, capacity: int = 8):
    """The training program on a mesh, as `train.fit` builds it, and the state it starts from."""
    key = jax.random.key(0)
    state = layout.init(experiment.step, experiment.model, key)
    chunk = loop.make_chunk(experiment.step, source, capacity, layout, state)
    window = source.window(key, 0, 1, experiment.step.n_batches)
    return chunk.lower(state, window, layout.shared(key), np.int32(1)).compile(), state


def held(tree) -> int:
    """Bytes of a tree's arrays on the first device."""
    return sum(x.addressable_shards[0].data.nbytes for x in jax.tree.leaves(tree))


def row(name: str, text: str, dataset) -> str:
    """A line of the table."""
    recipe = recipes.load(name)
    experiment = recipe.build(recipe.Config(), dataset.spec)
    layout = mesh.layout(text)
    source = data.make_source(dataset.train, recipe.Config().batch_size, experiment.transform, layout.mesh)
    program, state = compiled(experiment, source, layout)
    count, n_bytes = defaultdict(int), defaultdict(int)
    for c in collectives(program.as_text() or ""):
        count[c.kind] += 1
        n_bytes[c.kind] += c.n_bytes
    said = ", ".join(f"{count[k]} {k} {n_bytes[k]:,} B" for k in KINDS if count[k]) or "none"
    players = state.players.values()
    parts = [p.params for p in players], state.opt, [p.ema for p in players]
    return f"| {name} | {text} | {said} | {' | '.join(f'{held(part):,}' for part in parts)} |"


def main() -> None:
    """Prints the table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("recipes", nargs="*", default=["vae_digits", "gan_digits", "gan_fashion_mnist"])
    parser.add_argument("--mesh", action="append")
    parser.add_argument("--data", default="fashion_mini")
    args = parser.parse_args()
    dataset = data.load(args.data)
    print("| recipe | mesh | collectives of a step | parameters, B a device | optimizer states | averages |")
    print("|---|---|---|---|---|---|")
    for name in args.recipes:
        for text in args.mesh or ["data=1", "data=8", "data=4,fsdp=2", "fsdp=8"]:
            print(row(name, text, dataset), flush=True)


if __name__ == "__main__":
    main()
