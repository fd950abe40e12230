"""A number and how it was measured: records, what may be compared with what, means over seeds.

A record has three parts. Its `Protocol` says how the number was measured: two numbers compare only where all of it is
equal. Its `Subject` says what was measured: that is what a comparison is between, so it may differ. The rest is the
value, how sure it is, and its floor: the same metric of real data. No clock and no path is in a record: the same
evaluation gives the same record, to the bit.
"""

import dataclasses
import math
import types
import typing
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from genjax.checked import Each, checked, number
from genjax.errors import UsageError
from genjax.metrics.interval import interval

Bounds = tuple[float, float]
"""The ends of a 95 % confidence interval."""


@dataclass(frozen=True)
class Protocol:
    """How a number was measured.

    Attributes:
        metric: its name, with unit or feature space where it has one: `elbo`, `fd_mnist`.
        n: generated images, or examples that a likelihood is over.
        split: of the reference: `test`, `validation` or `train`.
        reference: the data set's name.
        reference_sha256: of the very arrays compared with: pixels, or what the model sees (binarised, with noise).
        n_reference: how many examples these are.
        features: the feature space's name; empty where the metric has none.
        features_sha256: of the feature net's weights; empty for a space without any.
        quantisation: what was done to values before they were measured.
        resize: what was done to sizes.
        checkpoint: `last`, or `best` on validation.
        weights: `average` where the run keeps a moving average, or `trained`: those under training in any case.
        temperature: standard deviation of the latents that images were drawn from; 1 is the model's prior.
        labels: how a class-conditional model was asked; `none` where no labels were drawn; empty in records of a
            genjax that asked in turn and wrote nothing.
        settings: the metric's own numbers, as sorted pairs: (("k", 5),).
        definition: grows when the metric is computed otherwise than before.
    """

    metric: str
    n: int
    split: str
    reference: str
    reference_sha256: str
    n_reference: int
    features: str = ""
    features_sha256: str = ""
    quantisation: str = "none"
    resize: str = "none"
    checkpoint: str = "last"
    weights: str = "average"
    temperature: float | int = 1.0
    labels: str = ""
    settings: tuple[tuple[str, float | int | str], ...] = ()
    definition: int = 1


@dataclass(frozen=True)
class Subject:
    """What was measured, and with which code.

    Attributes:
        recipe: its name.
        config_sha256: of the configuration without its seed and its resumable fields.
        seed: the run's; -1 for several runs.
        step: training steps done.
        state_sha256: `genjax digest` of the checkpoint.
        ema: whether the weights were a moving average.
        eval_seed: of the evaluation's own draws.
        chosen_by: what the best checkpoint is the best of, `max:val/elbo`; empty for the last.
        member: of a population; None for a run of its own.
        version: of genjax.
        commit: of the checkout, with `+` where files were changed; empty outside one.
        recipe_sha256: of the recipe's files; empty where an older genjax did not say.
        trained_by: SHA-256 of the sources of the genjax that trained.
        measured_by: of the one that measured.
    """

    recipe: str
    config_sha256: str
    seed: int
    step: int
    state_sha256: str
    ema: bool
    eval_seed: int = 0
    chosen_by: str = ""
    member: int | None = None
    version: str = ""
    commit: str = ""
    recipe_sha256: str = ""
    trained_by: str = ""
    measured_by: str = ""

    @property
    def code(self) -> tuple[str, str, str]:
        """The code that the number depends on; only the commit for an older record."""
        return self.recipe_sha256, self.trained_by, self.measured_by or self.commit


@dataclass(frozen=True)
class Record:
    """A measured number with its protocol, its subject and its interval.

    Attributes:
        value: the number; a mean over seeds where `seeds` is not empty.
        over_samples: 95 % interval over the samples that it was measured on; None where it has none.
        over_seeds: 95 % interval over the seeds of training; None for fewer than two.
        floor: the metric of as many real images in the place of the generated ones; None where there are too few, or
            where the metric is not of images.
        seeds: the seeds that `value` is a mean over, and their values.
        better: `lower`, `higher`, `nearest` to that of real data, or empty; what tables show is `metrics.direction`'s.
        method: of `over_samples`, in words.
    """

    protocol: Protocol
    subject: Subject
    value: float
    over_samples: Bounds | None = None
    over_seeds: Bounds | None = None
    floor: float | None = None
    seeds: tuple[tuple[int, float], ...] = ()
    better: str = ""
    method: str = ""

    @property
    def bounds(self) -> Bounds | None:
        """The interval to show: over seeds where there are several, else over samples."""
        return self.over_seeds or self.over_samples

    @property
    def half(self) -> float:
        """Half the width of `bounds`; NaN where there are none."""
        return math.nan if self.bounds is None else (self.bounds[1] - self.bounds[0]) / 2

    def to_json(self) -> dict[str, Any]:
        """The record as nested dicts, its name and value first."""
        protocol = {**dataclasses.asdict(self.protocol), "settings": dict(self.protocol.settings)}
        rest = {f.name: getattr(self, f.name) for f in dataclasses.fields(self)[2:]}
        rest |= {"seeds": {str(seed): value for seed, value in self.seeds}}
        rest |= {k: None if rest[k] is None else list(rest[k]) for k in ("over_samples", "over_seeds")}
        parts = {"protocol": protocol, "subject": dataclasses.asdict(self.subject)}
        return {"metric": self.protocol.metric, **rest, **parts}


def from_json(value: Mapping[str, Any]) -> Record:
    """The record that `Record.to_json` wrote, NaN and infinities included.

    Raises:
        UsageError: it is not a record, or one of another genjax.
    """
    try:
        checked(value, FIELDS, "the record")
        kept: dict[str, Any] = {f.name: value[f.name] for f in dataclasses.fields(Record)}
        protocol: dict[str, Any] = dict(kept["protocol"])
        protocol["settings"] = tuple(sorted(protocol["settings"].items()))
        kept["protocol"] = _made(Protocol, protocol)
        kept["subject"] = _made(Subject, kept["subject"])
        kept["seeds"] = tuple((int(seed), float(v)) for seed, v in kept["seeds"].items())
        for name in ("over_samples", "over_seeds"):
            kept[name] = None if kept[name] is None else (float(kept[name][0]), float(kept[name][1]))
        kept["value"] = float(kept["value"])  # "NaN" too
        kept["floor"] = None if kept["floor"] is None else float(kept["floor"])
        return Record(**kept)
    except UsageError as e:
        what = str(e).partition(" is damaged: ")[2].rstrip(".")
        raise UsageError(f"not a record of this genjax ({what}). Measure it again.") from None
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as e:
        raise UsageError(f"not a record of this genjax ({type(e).__name__}: {e}). Measure it again.") from None


NO_LABELS = "none"
"""The rule of labels where none were drawn."""


def alike(a: Protocol, b: Protocol) -> bool:
    """Whether two numbers were measured alike, see `unlike`."""
    return a == b or not unlike(a, b)


FIELDS = {
    "value": number, "over_samples": ([number], None), "over_seeds": ([number], None), "floor": (number, None),
    "seeds": Each(number), "better": str, "method": str,
    "protocol": {"settings": Each((float, str))}, "subject": dict,
}  # fmt: skip
"""What a record holds; see `genjax.checked`. Its protocol and its subject hold their own fields."""


def _made(kind: type, fields: Mapping[str, Any]) -> Any:
    """A `Protocol` or a `Subject`, whose fields are of the types that they are declared with."""
    wanted = {}
    for name, of in typing.get_type_hints(kind).items():
        each = typing.get_args(of) if typing.get_origin(of) is types.UnionType else (of,)
        if all(isinstance(t, type) for t in each):
            wanted[f"{name}?"] = tuple(None if t is type(None) else t for t in each)
    return kind(**checked(fields, wanted, "the record"))


def unlike(a: Protocol, b: Protocol) -> list[str]:
    """What keeps two numbers from being compared: `"n: 1000 against 10000"` for each field that differs.

    Example:
        >>> of = Protocol("fd_mnist", 1000, "test", "mnist", "5e", 10000)
        >>> unlike(of, dataclasses.replace(of, n=10000, checkpoint="best"))
        ['n: 1000 against 10000', "checkpoint: 'last' against 'best'"]
    """
    one, other = dataclasses.asdict(a), dataclasses.asdict(b)
    if NO_LABELS in (a.labels, b.labels):  # a model without labels stands beside any that was asked by a known rule
        one["labels"] = other["labels"] = ""
    found = [f"{k}: {one[k]!r} against {other[k]!r}" for k in one if k != "settings" and one[k] != other[k]]
    mine, theirs = dict(a.settings), dict(b.settings)
    for k in sorted({*mine, *theirs}):
        if mine.get(k) != theirs.get(k):
            found.append(f"settings.{k}: {mine.get(k)!r} against {theirs.get(k)!r}")
    return found


def check_alike(records: Iterable[Record]) -> None:
    """Refuse records that were not measured alike.

    Raises:
        UsageError: naming the metric, every field that differs and both its values.
    """
    seen: dict[Protocol, Record] = {}
    for record in records:
        for first in seen.values():  # every pair of ways: what is unknown of one may keep it from another alone
            if differ := unlike(first.protocol, record.protocol):
                raise UsageError(
                    f"{first.protocol.metric} of {first.subject.recipe} and {record.protocol.metric} of "
                    f"{record.subject.recipe} were not measured alike: {'; '.join(differ)}. "
                    "Measure both with the same `genjax eval`."
                )
        seen.setdefault(record.protocol, record)


class Difference(NamedTuple):
    """How far a number is above another one, and the half-width of the 95 % interval of that; NaN where unknown."""

    value: float
    half: float


def compare(a: Record, b: Record) -> Difference:
    """b - a for two records measured alike. The squares of the half-widths add: the two are taken as independent.

    Raises:
        UsageError: the protocols differ; it names the fields and both values.
    """
    check_alike((a, b))
    return Difference(b.value - a.value, math.hypot(a.half, b.half))


def over_seeds(records: Sequence[Record]) -> Record:
    """One record of several runs that differ in their seed: mean, and Student's interval over the seeds.

    The floor is the mean of theirs; the intervals over samples fall away, being a part of that over seeds. One record
    comes back as it is.

    Raises:
        UsageError: they were not measured alike, or are of several configurations, or one seed is there twice.
    """
    check_alike(records)
    if len(records) == 1:
        return records[0]
    first, subjects = records[0], [r.subject for r in records]
    step = ["step"] if first.protocol.checkpoint == "last" else []
    for field in ("recipe", "config_sha256", "code", "chosen_by", *step):
        found = list(dict.fromkeys(getattr(s, field) for s in subjects))
        if len(found) > 1:
            raise UsageError(f"seeds of one configuration, please; {field} is {found[0]}, {found[1]}.")
    seeds = [s.seed for s in subjects]
    if len(set(seeds)) < len(seeds):
        raise UsageError(f"{first.protocol.metric} of {first.subject.recipe}: a seed is there twice, of {seeds}.")
    mean, half = interval(np.array([r.value for r in records], np.float64))
    floors = [r.floor for r in records if r.floor is not None]
    subject = dataclasses.replace(
        first.subject, seed=-1, state_sha256="", member=None, step=max(s.step for s in subjects)
    )
    return dataclasses.replace(
        first, subject=subject, value=float(mean), over_samples=None, method="",
        over_seeds=(float(mean - half), float(mean + half)) if math.isfinite(float(half)) else None,
        floor=float(np.mean(floors)) if floors else None,
        seeds=tuple((r.subject.seed, r.value) for r in records),
    )  # fmt: skip
