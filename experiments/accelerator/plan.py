"""`genjax plan` against the speed measured: seconds of a step predicted, from assumptions and from figures, and taken.

The figures (an empty kernel, matrix rates, bandwidth) are measured here first. Once this record is committed,
`genjax plan` uses them in the place of its assumptions.
"""

from functools import partial
from typing import Any

from experiments.accelerator import record
from experiments.accelerator.context import Context
from experiments.accelerator.speed import PRECISIONS


def measure(ctx: Context) -> None:
    """The part: the figures, then every row of the speed record.

    Raises:
        FileNotFoundError: there is no record of the speed.
    """
    from genjax.plan import calibrate, measured_devices

    kind, cpu = ctx.stamp["device_kind"], ctx.stamp["platform"] == "cpu"
    ctx.record.measure("figures", lambda: calibrate.accelerator(ctx.sizes.matrix, ctx.sizes.megabytes << 20))
    speed = record.read(ctx.record.folder / "speed.json").get("rows", {})
    if not speed:
        raise FileNotFoundError("there is no record of the speed to compare with: run the part `speed` first")
    figures = ctx.record.rows.get("figures", {})
    if cpu:
        assumed, with_figures = calibrate.cpu(), None
    else:
        assumed = measured_devices.published(kind)
        with_figures = measured_devices.using(assumed, figures, "") if "failed" not in figures else None
    for name, row in speed.items():
        if "failed" not in row:
            ctx.record.measure(name, partial(compare, name, row, assumed, with_figures))


def compare(name: str, row: dict[str, Any], assumed: Any, with_figures: Any) -> dict[str, Any]:
    """Seconds of a step: measured, predicted from assumptions, and from measured figures."""
    from genjax.cli.plan import EFFICIENCY
    from genjax.plan import Paper, plan

    experiment, spec, batch = experiment_of(name, row)
    paper = Paper(experiment, spec)
    rate = row["images_per_s"]
    seconds = row["images_per_step"] / (rate["genjax"] if isinstance(rate, dict) else rate)
    efficiency = 1.0 if assumed.platform == "cpu" else EFFICIENCY
    made = plan(experiment, spec, batch, assumed, efficiency=efficiency, paper=paper, compiled=False)
    found = {"measured_s": seconds, "predicted_s": made.predicted, "ratio": round(made.predicted / seconds, 3)}
    found |= {"bound_s": made.bound, "flops": made.work.flops}
    if with_figures is not None:
        made = plan(experiment, spec, batch, with_figures, efficiency=efficiency, paper=paper, compiled=False)
        found |= {"with_figures_s": made.predicted, "with_figures_ratio": round(made.predicted / seconds, 3)}
    return found


def experiment_of(name: str, row: dict[str, Any]) -> tuple[Any, Any, int]:
    """What a row of the speed record trained: experiment, spec, batch."""
    from experiments.bench import worker
    from genjax import data, runs

    workload, precision, *_ = name.split("/")
    assert precision in PRECISIONS, name
    w = worker.workload(workload, row.get("batch") or 0, precision)
    experiment = runs.Experiment(w.model, w.step, w.transform, lambda *a: {})
    return experiment, data.Spec(workload, w.shape, 0, max(4096, w.batch_size), ""), w.batch_size
