"""Mode collapse as `genjax eval` has measured it, and what a page says of a run's sharpness and variety."""

import math
from collections.abc import Sequence

from genjax.figures import figure
from genjax.health import Finding
from genjax.metrics.direction import collapsed, stem
from genjax.metrics.protocol import Record

NOTHING = 0.05
"""Precision below which samples are not like the data at all."""
AS_SHARP = (0.8, 1.25)
"""Fine detail over that of real images: below is blur, above is noise."""
SHARPNESS = ("high_frequency_ratio", "laplacian_ratio")


def findings_from(records: Sequence[Record]) -> list[Finding]:
    """Findings from measured numbers: of each member its last checkpoint, else what there is."""
    found = []
    for member in dict.fromkeys(r.subject.member for r in records):
        mine = by_metric([r for r in records if r.subject.member == member])
        if low := collapsed(mine):
            who = () if member is None else (member,)
            found.append(Finding("mode_collapse", "serious", "measured", low[0].value, _says(low, mine), ADVICE, who))
    return found


def by_metric(records: Sequence[Record]) -> dict[str, Record]:
    """One record a metric: of the last checkpoint where it was measured, of most samples."""
    last = [r for r in records if r.protocol.checkpoint == "last"] or list(records)
    return {r.protocol.metric: r for r in sorted(last, key=lambda r: r.protocol.n)}


ADVICE = "a relativistic loss with R1 and R2, a smaller learning rate or a larger batch; for a VAE a smaller beta"


def _says(low: Sequence[Record], records: dict[str, Record]) -> str:
    numbers = ", ".join(f"{r.protocol.metric} is {figure(r.value)}{_real(r)}" for r in low)
    said = f"Mode collapse: {numbers}. Most kinds of images are missing among {low[0].protocol.n:,} samples."
    by_stem = {stem(k): r for k, r in records.items()}
    precision, density = by_stem.get("precision"), by_stem.get("density")
    if precision is not None and precision.value < NOTHING:
        return f"{said} What it makes is not like the data either (precision {figure(precision.value)})."
    if density is not None and density.value > (density.floor or 1.0):
        return f"{said} A density of {figure(density.value)} is no merit here: a few images again and again."
    return said


def _real(r: Record) -> str:
    return "" if r.floor is None else f" (real images: {figure(r.floor)})"


def look(records: Sequence[Record], found: Sequence[Finding]) -> str:
    """What is known of how sharp and how varied a run's samples are, in a sentence or two.

    Args:
        records: what was measured of it.
        found: what still holds, of the monitor and of what was measured.
    """
    sharpness = {k: r for k, r in by_metric(records).items() if stem(k) in SHARPNESS and r.value > 0}
    ratios = {k: r.value / (r.floor or 1.0) for k, r in sharpness.items()}
    fallen = next((f for f in found if f.code == "mode_collapse"), None)
    said = "This run: "
    if not ratios:
        said += "how sharp its samples are was not measured (genjax eval)."
    else:
        name = max(ratios, key=lambda k: abs(math.log(ratios[k])))  # the share of fine detail, or its strength
        detail = ratios[name]
        least, most = AS_SHARP
        how = "softer than" if detail < least else "noisier than" if detail > most else "about as sharp as"
        said += f"its samples are {how} real images, with {figure(detail)} times their fine detail ({name})."
    if fallen is not None:
        few, some = "has collapsed to few images", "shows some kinds of images too seldom"
        what = few if fallen.severity == "serious" else some
        said += f" But it {what}, so that says little: see its health."
    return said
