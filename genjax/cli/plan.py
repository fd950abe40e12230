"""`genjax plan`: what a step of a recipe costs on devices that need not be here."""

import json
import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import TYPE_CHECKING, Any

from genjax import recipes
from genjax.cli import help
from genjax.cli.flags import flag, parse_all
from genjax.cli.show import table
from genjax.errors import UsageError

if TYPE_CHECKING:
    from genjax import data
    from genjax.plan import Plan

EFFICIENCY = 0.4
"""Share of an accelerator's peak and bandwidth that the prediction assumes; of a CPU the reached rates are measured."""


@dataclass(frozen=True)
class PlanFlags:
    """What a step of a recipe costs on a device, from the program itself; nothing is trained."""

    device: str = flag("h100", help="h100, h200, a100, v4, v5e, v5p, v6e, or cpu, which is measured first")
    mesh: str = flag("", help="devices, like data=4,fsdp=2; one by default")
    shape: str = flag("", help="HxWxC of an image, to plan without them")
    classes: int = flag(0, help="with --shape: number of classes")
    n_train: int = flag(60_000, help="with --shape: number of training examples")
    data_dir: str | None = flag(None, help="TFDS folder; else $TFDS_DATA_DIR or ~/tensorflow_datasets")
    efficiency: float | None = flag(
        None, help=f"share of peak and bandwidth reached; where the device was not measured an assumption, {EFFICIENCY}"
    )
    peak_gflops: float | None = flag(None, help="with --device cpu: of a matrix product, instead of measuring it")
    bandwidth: float | None = flag(None, help="with --device cpu: GB/s of memory, instead of measuring it")
    json: bool = flag(False, help="print one JSON object")


def plan(argv: Sequence[str]) -> None:
    """`genjax plan EXPERIMENT [--FIELD VALUE ...]`: flags are the recipe's `Config` and `PlanFlags`, flat."""
    if not argv or argv[0].startswith("-"):
        if argv and argv[0] in ("-h", "--help"):
            print("usage: genjax plan EXPERIMENT [--FIELD VALUE ...] [--device h100] [--mesh data=8,fsdp=4]\n")
            what = (
                "What a training step of a recipe costs on devices that need not be here: operations, "
                "memory, communication, time. Nothing is trained."
            )
            print(help.fold_wide_lines(what) + "\n")
            print(help.recipes_text())
            print("\n`genjax plan EXPERIMENT --help` lists its flags.")
            return
        raise UsageError("plan: name an experiment first: genjax plan EXPERIMENT [--device h100] [--mesh data=8].")
    recipes.find(argv[0])  # an unknown name answers before jax is imported
    recipe = recipes.load(argv[0])
    prog, titles = f"genjax plan {argv[0]}", [f"the recipe's own ({argv[0]})", "the plan"]
    cfg, flags = parse_all([recipe.Config, PlanFlags], argv[1:], prog, recipe.__doc__ or "", titles)
    made = made_plan(recipe, cfg, flags)
    print(json.dumps(as_json(argv[0], cfg, made)) if flags.json else text(argv[0], made))


def made_plan(recipe: ModuleType, cfg: Any, flags: PlanFlags) -> "Plan":
    """The plan that the flags ask for.

    Raises:
        UsageError: a device, mesh or shape that there is not, or data that are not here.
    """
    from genjax import plan as paper
    from genjax.plan import calibrate, devices, measured_devices

    for name in ("efficiency", "peak_gflops", "bandwidth"):
        v = getattr(flags, name)
        if v is not None and not (0 < v <= (1 if name == "efficiency" else float("inf"))):
            raise UsageError(f"{name}={v}: must be above 0{' and at most 1' if name == 'efficiency' else ''}.")
    mesh = paper.parse(flags.mesh)
    cpu = flags.device.lower() == "cpu"
    device = None if cpu else devices.find(flags.device)
    if device is not None and flags.efficiency is None:
        device = measured_devices.with_measurements(device)
    spec = spec_of(cfg, flags)
    if getattr(cfg, "conditional", False) and not spec.n_classes:
        raise UsageError(f"conditional=True: {spec.name} has no labels. With --shape, say --classes.")
    try:
        experiment = recipe.build(cfg, spec)
    except UsageError:
        raise
    except ValueError as e:
        raise UsageError(str(e)) from e
    if device is None:
        peak, rate = (v and v * 1e9 for v in (flags.peak_gflops, flags.bandwidth))
        device = calibrate.cpu(peak=peak, bandwidth=rate)
    efficiency = flags.efficiency or (1.0 if cpu else EFFICIENCY)
    return paper.plan(experiment, spec, cfg.batch_size, device, mesh, efficiency)


def spec_of(cfg: Any, flags: PlanFlags) -> "data.Spec":
    """Sizes of the data: of `--shape` where it is given, of the data themselves else."""
    from genjax import data
    from genjax.runs.dataset import read

    if not flags.shape:
        try:
            return read(cfg, cfg.data, flags.data_dir, cfg.image_size or None).spec
        except UsageError as e:
            raise UsageError(f"{e} Or plan without them: --shape 28x28x1.") from None
    return data.image_spec(cfg.data, flags.shape, flags.classes, flags.n_train, cfg.image_size)


def as_json(name: str, cfg: Any, p: "Plan") -> dict[str, Any]:
    """The plan for machines: seconds, bytes, operations."""
    from genjax.plan import devices

    return {
        "experiment": name,
        "batch_size": cfg.batch_size,
        "mesh": dict(p.mesh),
        "devices": p.devices,
        "examples_per_step": p.examples,
        "parameters": p.parameters,
        "per_device": {
            "batch": p.batch,
            "flops": p.work.flops,
            "matrix_flops": p.work.matrix,
            "transcendentals": p.work.transcendental,
            "random_ops": p.work.random,
            "bytes": p.estimate.bytes,
            "kernels": p.estimate.kernels,
            "compiled_flops": p.compiled_flops,
            "memory_bytes": p.memory.peak,
            "memory_how": p.memory.how,
            "state_bytes": p.memory.state,
            "data_bytes": p.memory.data,
            "collective_bytes": sum(t.bytes for t in p.traffic),
        },
        "collectives": [
            {**t.traffic._asdict(), "sent_bytes": t.bytes, "bound_seconds": t.bound, "seconds": t.seconds}
            for t in p.traffic
        ],
        "seconds": {"bound": p.bound, "predicted": p.predicted, "communication": p.communication},
        "examples_per_s": {"bound": p.examples / p.bound, "predicted": p.examples / p.predicted},
        "communication_dominates_at": {"weak": p.weak, "strong": p.strong},
        "remarks": list(p.remarks),
        "device": devices.figures(p.device),
    }


def text(name: str, p: "Plan") -> str:
    """The plan for people."""
    w, e, m = p.work, p.estimate, p.memory
    what = "from the compiled program" if m.how == "compiled" else "derived, a lower estimate: values alive at once"
    of_which = f"; state {si(m.state)}B" + (f", training set {si(m.data)}B" if m.data else "")
    fits = "" if m.peak <= p.device.memory else f"; MORE than the device's {si(p.device.memory)}B"
    flops = f"{si(w.flops)} ({si(w.matrix)} in dots and convolutions), {si(w.transcendental)} transcendental"
    if p.compiled_flops is not None:
        flops += f"; the compiler counts {si(p.compiled_flops)}"
    side = "communication" if p.bound > e.bound else _side(p)
    rows = [
        ("devices", f"{p.devices} x {p.device.name}" + (f" ({', '.join(f'{k}={v}' for k, v in p.mesh.items())})")),
        ("examples a step", f"{p.examples:,}, {p.batch:,} a device; {p.parameters:,} parameters"),
        ("", ""),
        ("FLOPs", flops),
        ("bytes moved", f"{si(e.bytes)}B in {e.kernels:.0f} kernels; {w.flops / max(e.bytes, 1):.1f} FLOPs a byte"),
        ("memory, peak", f"{si(m.peak)}B, {what}{of_which}{fits}"),
        *[
            (t.traffic.what, f"{t.traffic.kind} over {t.traffic.axis}: {si(t.bytes)}B sent, {si(t.seconds)}s")
            for t in p.traffic
        ],
        *[("all of them", f"{si(sum(t.bytes for t in p.traffic))}B sent, {si(p.communication)}s")][: len(p.traffic)],
        ("", ""),
        ("bound", f"{si(p.bound)}s a step, {p.examples / p.bound:,.0f} examples/s: {side}"),
        ("predicted", f"{si(p.predicted)}s a step, {p.examples / p.predicted:,.0f} examples/s ({_how(p)})"),
        *_dominance(p),
        ("", ""),
        *_notes("figures", p.device.sources),
        *_notes("measured", p.device.measured),
        *_notes("assumed", p.device.assumed),
        *_notes("remarks", p.remarks),
    ]
    return f"{name}, per step and device\n\n" + table(rows)


def _notes(title: str, lines: Sequence[str]) -> list[tuple[str, str]]:
    """A line each, long ones folded."""
    folded = [part for line in lines for part in textwrap.wrap(line, 100, subsequent_indent="  ")]
    return [(title if i == 0 else "", line) for i, line in enumerate(folded)]


def _side(p: "Plan") -> str:
    slow = p.estimate.work.matrix / p.device.matrix_rate("float32") > p.estimate.bytes / p.device.fastest
    return "the matrix unit" if slow else "memory bandwidth"


def _how(p: "Plan") -> str:
    if p.device.platform == "cpu":
        return "at the rates measured here"
    if p.device.reached:
        return "at the rates measured on such a device, nothing overlapped"
    return f"at {p.efficiency:.0%} of peak and bandwidth, nothing overlapped; never measured"


def _dominance(p: "Plan") -> list[tuple[str, str]]:
    if p.device.platform == "cpu":
        return []
    batch, whole = f"{p.batch:,} examples each", f"{p.batch * p.devices:,} examples in all"
    none = "on no power of two of devices"
    weak = f"from {p.weak:,} devices on" if p.weak else f"{none} up to a million"
    strong = f"from {p.strong:,} devices on" if p.strong else f"{none} up to one example each"
    return [("communication", f"takes longer than computation {weak}, {batch};"), ("", f"{strong}, {whole}")]


def si(x: float) -> str:
    """Three digits and a prefix.

    Example:
        >>> si(1234567.0), si(2.5e-5), si(0.0)
        ('1.23 M', '25 u', '0 ')
    """
    for scale, prefix in ((1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m")):
        if abs(x) >= scale:
            return f"{x / scale:.3g} {prefix}"
    return f"{x / 1e-6:.3g} u" if x else "0 "
