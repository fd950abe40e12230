"""What was measured on accelerators: the tables of `experiments/accelerator/README.md`, a sentence of the README."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from genjax.checked import Each, checked, parsed
from genjax.cli.tables import Table
from genjax.errors import UsageError

PARTS = ("environment", "mathematics", "resume", "speed", "populations", "plan", "rows")
"""The parts of a measurement; each has a record and a table."""
NONE = "not measured yet"
BEGIN, END = "<!-- accelerators -->", "<!-- end of accelerators -->"
"""Around the sentence in the README."""
STAMP = {"device_kind": str, "rehearsal": bool, "when": str, "jax": str, "genjax_sha256": str, "commit": (str, None)}
RECORD = {"part": str, "status": str, "reason": str, "stamp": STAMP, "rows": Each(dict), "left_out": [str]}
"""What is read of a record; see `genjax.checked`."""


class Measured(NamedTuple):
    """All records of one device."""

    kind: str
    records: Mapping[str, Mapping[str, Any]]
    """By part."""

    @property
    def stamp(self) -> Mapping[str, Any]:
        """The stamp of its newest record."""
        return max((r["stamp"] for r in self.records.values()), key=lambda s: s["when"])


def read_devices(folder: Path) -> list[Measured]:
    """The devices with records in a folder; what a CPU rehearsed does not count.

    Raises:
        UsageError: a file is no record.
    """
    found: dict[str, dict[str, Any]] = {}
    for path in sorted(folder.glob("*/*.json")):
        try:
            record = checked(parsed(path.read_bytes(), path), RECORD, path)
        except OSError as e:
            raise UsageError(f"{path}: cannot be read ({e.strerror or e}).") from None
        if not record["stamp"]["rehearsal"] and record["part"] in PARTS:
            found.setdefault(record["stamp"]["device_kind"], {})[record["part"]] = record
    return [Measured(kind, records) for kind, records in sorted(found.items())]


def tables(folder: Path) -> list[Table]:
    """A table for each part: what was measured down, devices across."""
    devices = read_devices(folder)
    return [_table(part, devices) for part in PARTS]


def _table(part: str, devices: Sequence[Measured]) -> Table:
    records = [d.records.get(part) for d in devices]
    names = dict.fromkeys(n for r in records if r is not None for n in (*r["rows"], *r["left_out"]))
    if part == "environment":
        rows = [(what, *(_stamped(d, what) for d in devices)) for what in ("jax", "date", "genjax")]
    else:
        rows = [(n, *(_cell(part, r["rows"].get(n) if r else None) for r in records)) for n in names]
    rows += [("status", *(NONE if r is None else _status(r) for r in records))]
    kinds = [d.kind for d in devices] or ["an accelerator"]
    return Table(part, (part, *kinds), tuple(rows) if devices else ((f"all of {part}", NONE),))


def _stamped(device: Measured, what: str) -> str:
    stamp = device.stamp
    sources = (stamp["commit"] or f"sources {stamp['genjax_sha256']}")[: 12 if stamp["commit"] else 20]
    return {"jax": stamp["jax"], "date": stamp["when"][:10], "genjax": sources}[what]


def _status(record: Mapping[str, Any]) -> str:
    return record["status"] if record["status"] != "failed" else f"failed: {record['reason']}"


def _cell(part: str, row: Mapping[str, Any] | None) -> str:
    if row is None:
        return NONE
    if "failed" in row:
        return f"failed: {row['failed']}".replace("|", "/")
    return CELLS[part](row)


def _mathematics(row: Mapping[str, Any]) -> str:
    each = [f"{p}: losses {row[p]['losses']:.1e}, gradients {row[p]['gradients']:.1e}" for p in row if p != "seconds"]
    return "; ".join(each)


def _resume(row: Mapping[str, Any]) -> str:
    return f"exact; {row['cost']:.2f} times as long as without deterministic operations"


def _speed(row: Mapping[str, Any]) -> str:
    if "batch" in row:
        return f"{row['images_per_s']:,.0f} examples/s in batches of {row['batch']:,}"
    rate = f"{row['images_per_s']['genjax']:,.0f} examples/s"
    if "ratio" not in row:
        return rate
    return f"{rate}, {row['ratio']:.2f} ({row['least']:.2f} to {row['most']:.2f}) times {row['fastest']}"


def _populations(row: Mapping[str, Any]) -> str:
    ratio = "" if row["ratio"] is None else f", {row['ratio']:.1f} times one at a time"
    return f"{row['steps_per_s']:,.0f} steps/s of {row['members']} members{ratio}"


def _plan(row: Mapping[str, Any]) -> str:
    if "flops_per_s" in row:
        rates = ", ".join(f"{how} {rate / 1e12:.3g}" for how, rate in row["flops_per_s"].items())
        return f"{1e6 * row['overhead_s']:.3g} us a kernel; TFLOP/s: {rates}; {row['bytes_per_s'] / 1e9:,.0f} GB/s"
    own = f", {row['with_figures_ratio']:.2f} with these figures" if "with_figures_ratio" in row else ""
    return f"{row['ratio']:.2f} predicted over measured{own}"


def _rows(row: Mapping[str, Any]) -> str:
    step = f"step {row['step']:,}" if row["step"] is not None else "no step"
    return f"{step}, {row['ended']}"


CELLS = {"environment": str, "mathematics": _mathematics, "resume": _resume, "speed": _speed,
         "populations": _populations, "plan": _plan, "rows": _rows}  # fmt: skip


def sentence(devices: Sequence[Measured]) -> str:
    """What the README says of accelerators."""
    page = "[experiments/accelerator](experiments/accelerator/README.md)"
    if not devices:
        return f"none has been timed on an accelerator yet ({page} has the command that does)"
    each = " and ".join(f"{d.kind} ({d.stamp['when'][:10]}, jax {d.stamp['jax']})" for d in devices)
    return f"what was timed on {each} is in {page}"


def with_sentence(text: str, said: str) -> str:
    """A README with its sentence as the records have it; unchanged where it has no marks."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}{said}{end}{after}" if begin and end else text
