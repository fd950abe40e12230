"""The ten rows of the bench in float32 and bfloat16, against PyTorch where it is, and batches that fill the device.

Rows are warmed up together, as many as the cores have processes for, and timed one after the other, their workers in
turn. A ratio is taken round by round; its median, smallest and largest are kept. The batch that fills the chip is found
by doubling until the memory ends or a doubling gives less than `GAIN`.
"""

import importlib.util
import math
import os
import statistics
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from experiments.accelerator.children import Gone, Worker
from experiments.accelerator.context import ROOT, Context

GAIN = 1.15
PRECISIONS = ("f32", "bf16")
DENSE = ("w1_vae", "w1_iwae1", "w1_iwae50", "w4_ptgan")
"""Without convolutions: there is no channel to be last."""
FILLING = 0.35
"""Share of the time kept for batches that fill the chip."""
OUT_OF_TIME = "no time for another doubling"
PATIENCE = 10.0
"""Seconds beyond the part's time for answers to questions that were asked within it."""


def measure(ctx: Context) -> None:
    """The part: published batches, float32 before bfloat16; after a share of the time batches that fill the chip."""
    rows = [(w, p) for p in PRECISIONS for w in ctx.sizes.workloads]
    reserve = FILLING * ctx.record.left()
    published(ctx, rows, reserve)
    for group in groups(rows, together(ctx, 4)):  # few: they share the memory that they are to fill
        fill(ctx, [row for row in group if ctx.record.wants("/".join((*row, "fill")))])
    published(ctx, rows, -math.inf)


def published(ctx: Context, rows: Sequence[tuple[str, str]], reserve: float) -> None:
    """Rows at published batches, until so many seconds are left."""
    for group in groups(rows, together(ctx, 1 + len(peers(ctx, *rows[0])))):
        if ctx.record.left() > reserve:
            pairs(ctx, [row for row in group if ctx.record.wants("/".join(row))])


def groups(rows: Sequence[tuple[str, str]], n: int) -> list[Sequence[tuple[str, str]]]:
    """The rows, n at a time."""
    return [rows[i : i + n] for i in range(0, len(rows), n)]


def together(ctx: Context, workers: int) -> int:
    """Rows that are warmed up at once; a TPU belongs to one process."""
    return 1 if ctx.stamp["platform"] == "tpu" else max(1, (os.cpu_count() or 1) // workers)


def peers(ctx: Context, workload: str, precision: str) -> dict[str, list[str]]:
    """The other side's workers of a row, by name."""
    if ctx.peers is None or ctx.stamp["platform"] == "tpu" or importlib.util.find_spec("torch") is None:
        return {}
    modes = {"eager": ["eager"], "channels-last": ["eager", "--cl"], "compile": ["compile"]}
    if workload in DENSE:
        del modes["channels-last"]
    half = ["--bf16"] if precision == "bf16" else []
    start = ["-m", "experiments.accelerator.peer", str(ctx.peers), workload]
    return {name: [*start, *mode, *half, "--device", ctx.stamp["platform"]] for name, mode in modes.items()}


def own(ctx: Context, workload: str, precision: str) -> list[str]:
    """genjax's worker."""
    script = str(ROOT / "experiments" / "bench" / "worker.py")
    return [script, workload, "--precision", precision, "--call", str(ctx.sizes.slice_s)]


def pairs(ctx: Context, rows: Sequence[tuple[str, str]]) -> None:
    """Rows at published batches, against all peers; none is timed while another one's workers compile."""
    with ExitStack() as stack:
        started: dict[str, dict[str, Worker]] = {}
        for row in rows:
            started["/".join(row)] = workers = {}
            for name, words in {"genjax": own(ctx, *row), **peers(ctx, *row)}.items():
                workers[name] = Worker(words)
                stack.callback(workers[name].stop)
        heard = {name: greeted(ctx, workers) for name, workers in started.items()}
        for name, workers in started.items():
            late = ctx.record.left() <= 0
            if ctx.record.left() < -PATIENCE or (late and "genjax" not in heard[name][0]):
                ctx.record.left_out.append(name)
                continue
            with ctx.record.failing(name):
                row = timed(ctx, workers, *heard[name])
                ctx.record.add(name, row | ({"partial": True} if late and row["failed_peers"] else {}))
            for worker in workers.values():
                worker.stop()


def timed(ctx: Context, workers: dict[str, Worker], ready: dict[str, dict], failed: dict[str, str]) -> dict[str, Any]:
    """A row whose workers are ready.

    Raises:
        Gone: genjax's is not.
    """
    if "genjax" not in ready:
        raise Gone(failed["genjax"])
    return summary(ready, [turn(ctx, workers, ready, failed) for _ in range(ctx.sizes.rounds)], failed)


def greeted(ctx: Context, workers: dict[str, Worker]) -> tuple[dict[str, dict], dict[str, str]]:
    """What the workers that are ready in time say, and why the others are not."""
    ready, failed = {}, {}
    for name, worker in workers.items():
        try:
            ready[name] = worker.hear("ready", max(0.0, ctx.record.left() + PATIENCE))
        except Gone as e:
            failed[name] = str(e)
    return ready, failed


def turn(ctx: Context, workers: dict[str, Worker], ready: dict[str, dict], failed: dict[str, str]) -> dict[str, float]:
    """Images a second of each worker, one after the other."""
    rates = {}
    for name in ready:
        if name not in failed:
            try:
                said = workers[name].ask(f"go {ctx.sizes.slice_s}", "images_per_s", 60 * ctx.sizes.slice_s + PATIENCE)
                rates[name] = said["images_per_s"]
            except Gone as e:
                failed[name] = str(e)
    return rates


def summary(ready: dict[str, dict], rounds: list[dict[str, float]], failed: dict[str, str]) -> dict[str, Any]:
    """A row: each worker's median rate, and the ratio to the fastest of the others, round by round."""
    names = [n for n in ready if all(n in r for r in rounds)]
    if "genjax" not in names:
        raise Gone(failed.get("genjax", "no rate"))
    rate = {n: round(statistics.median(r[n] for r in rounds), 2) for n in names}
    others = [n for n in names if n != "genjax"]
    row: dict[str, Any] = {"images_per_s": rate, "failed_peers": failed}
    row["first_call_s"] = {n: ready[n]["first_call_s"] for n in names}
    row["device_peak_mib"] = {n: ready[n].get("device_peak_mib") for n in names}
    row["images_per_step"] = ready["genjax"]["images_per_step"]
    if others:
        fastest = max(others, key=rate.__getitem__)
        ratios = sorted(r["genjax"] / r[fastest] for r in rounds)
        row |= {"fastest": fastest, "ratio": round(statistics.median(ratios), 3)}
        row |= {"least": round(ratios[0], 3), "most": round(ratios[-1], 3)}
    return row


def fill(ctx: Context, rows: Sequence[tuple[str, str]]) -> None:
    """Doubles the batches of rows in step: all compile at once, and are timed one after the other."""
    with ExitStack() as stack:
        workers: dict[tuple[str, str], Worker] = {}
        tried: dict[tuple[str, str], list[dict[str, Any]]] = {row: [] for row in rows}
        ends: dict[tuple[str, str], str] = {}
        for row in rows:
            workers[row] = Worker(own(ctx, *row))
            stack.callback(workers[row].stop)
        for doubling in range(ctx.sizes.doublings + 1):
            if doubling:
                request_double_batch(workers, tried, ends)
            said = {row: answer(ctx, workers[row]) for row in rows if row not in ends}
            for row, message in said.items():
                if why := doubled(ctx, workers[row], tried[row], message):
                    ends[row] = why
                    workers[row].stop()
        for row in rows:
            name, late = "/".join((*row, "fill")), ctx.record.left() <= 0
            ended = ends.get(row, f"{ctx.sizes.doublings} doublings")
            if tried[row]:
                best = max(tried[row], key=lambda t: t["images_per_s"])
                partial = {"partial": True} if ended == OUT_OF_TIME else {}
                ctx.record.add(name, {**best, "ended": ended, "tried": tried[row], **partial})
            elif late:
                ctx.record.left_out.append(name)
            else:
                ctx.record.add(name, {"failed": ended})


def request_double_batch(workers: dict, tried: dict, ends: dict) -> None:
    """Tells workers to compile for twice the batch, all at once."""
    for row in (r for r in workers if r not in ends):
        try:
            workers[row].say(f"batch {2 * tried[row][-1]['batch']}")
        except Gone as e:
            ends[row] = str(e)


def answer(ctx: Context, worker: Worker) -> dict[str, Any]:
    """What a worker says once it has compiled, or could not."""
    try:
        return worker.hear(("ready", "failed"), max(0.0, ctx.record.left() + PATIENCE))
    except Gone as e:
        return {"failed": str(e)}


def doubled(ctx: Context, worker: Worker, tried: list[dict[str, Any]], said: dict[str, Any]) -> str:
    """Times a worker at its batch; why it is the last one, else nothing."""
    if "failed" in said:
        return said["failed"]
    try:
        rate = worker.ask(f"go {ctx.sizes.slice_s}", "images_per_s", 60 * ctx.sizes.slice_s + PATIENCE)["images_per_s"]
    except Gone as e:
        return str(e)
    keys = ("first_call_s", "device_peak_mib", "images_per_step", "batch")
    tried.append({"images_per_s": rate, **{k: said.get(k) for k in keys}})
    if len(tried) > 1 and rate < GAIN * tried[-2]["images_per_s"]:
        return f"a doubling gave {100 * (rate / tried[-2]['images_per_s'] - 1):.0f} %"
    return "" if ctx.record.left() > 0 else OUT_OF_TIME


def peers_of(folder: str | None, kit: Path | None) -> Path | None:
    """The folder of the other side's workers: as named, else the kit's, where there is one."""
    places = [Path(folder)] if folder else [kit / "peers"] if kit else []
    return next((p.resolve() for p in places if (p / "torch_worker.py").is_file()), None)
