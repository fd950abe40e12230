"""The table of metrics: what `genjax eval` can measure, a line each.

A metric of samples gets rows of real and of generated ones, of the kind that it names; a metric of models gets the
model and the data. Both give named numbers. A new metric is a function and a line in `METRICS`.
"""

import warnings
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Literal, NamedTuple

import numpy as np

from genjax.errors import UsageError
from genjax.metrics.conditional import frechet_per_class
from genjax.metrics.frechet import Fitted, frechet_distance, frechet_of_subsets, operations
from genjax.metrics.kernel import kernel_distance
from genjax.metrics.manifold import prdc
from genjax.metrics.measured import N_IMPORTANCE, Measured, bits_of_bound, bound, gap, latents, likelihood
from genjax.metrics.memorisation import authenticity
from genjax.metrics.score import inception_score
from genjax.metrics.sliced import mind
from genjax.metrics.spaces import Kind, Labelled, Numbers, Space

N_SPLITS = 10
"""Parts of the samples that an inception score is the mean of."""


class Metric(NamedTuple):
    """A line of the table.

    Attributes:
        of: `of(real, fake, key) -> {name: number, or one for each sample (n,), whose mean is meant}`; of a model
            `of(measured, key)` likewise, also an `Estimate`. In a name, `{}` stands for the space's.
        kind: what real and fake are: rows of `features` or `logits`, `examples` as they are stored (metrics of one kind
            of data), `classes` (features and logits, with labels), or `modes` (real is the space's `Modes`); `model`.
        better: of each name without its `_{}`: `lower`, `higher`, or `nearest`: to that of real data, beyond which it
            is no better (one image again and again may have the greatest precision, density or inception score). Of
            a name that is left out no number is better.
        prepare: applied to the real rows once.
        n_resamples: halves that the interval over samples comes from; 0 for none.
        of_subsets: `of_subsets(real, fake) -> f(rows)`, the numbers of those rows of fake, where subsets share work.
        settings: its own numbers, which are part of the protocol.
        by_default: measured where nobody chose.
        needs: a column of the model's score without which the metric does not apply; empty for none.
        lacks: `lacks(measured)` says what else keeps it from being measured; empty where nothing does.
        against: what real is: the `reference`, with the floor of other real images; or the run's `training` part, with
            the floor of the reference, which nothing was trained on.
        floor: `floor(real, others, key)`, where it is not `of` of these.
        definition: grows when the same inputs give other numbers than before.
        least: samples that it needs on either side.
        operations: `operations(n_real, n_fake, d)`, about how many one number takes; None where that is no matter.
    """

    of: Callable[..., Mapping[str, Any]]
    kind: Kind | Literal["model"]
    better: Mapping[str, str] = {}
    prepare: Callable[[Any], Any] = lambda real: real
    n_resamples: int = 20
    of_subsets: Callable[..., Callable[[np.ndarray], Numbers]] | None = None
    settings: Mapping[str, float | int | str] = {}
    by_default: bool = True
    needs: str = ""
    lacks: Callable[[Measured], str] = lambda measured: ""
    against: Literal["reference", "training"] = "reference"
    floor: Callable[..., Mapping[str, Any]] | None = None
    definition: int = 1
    least: int = 2
    operations: Callable[[int, int, int], float] | None = None


def _fd_of_subsets(real: Fitted, fake: np.ndarray) -> Callable[[np.ndarray], Numbers]:
    distance = frechet_of_subsets(real, fake)
    return lambda rows: {"fd_{}": distance(rows)}


def _prdc(real, fake, key) -> Numbers:
    return dict(zip(("precision", "recall", "density", "coverage"), map(float, prdc(real, fake, k=5)), strict=True))


def _right(of: Labelled) -> np.ndarray:
    """Whether the classifier says of each sample what it was asked for."""
    return (of.logits.argmax(1) == of.label).astype(np.float64)


def _classes(real: Labelled, fake: Labelled, key) -> Mapping[str, Any]:
    """Share of samples classified as asked for, and the mean over classes of the Fréchet distance within each."""
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message=".*singular")  # once for all classes is enough
        distance = frechet_per_class(real.features, real.label, fake.features, fake.label).mean
    fewest, d = min(np.bincount(of.label).min() for of in (real, fake)), real.features.shape[1]
    if fewest < d:
        warnings.warn(
            f"a class has {fewest} samples in {d} dimensions: class_fd is far too large. Take more.", stacklevel=2
        )
    return {"class_accuracy_{}": _right(fake), "class_fd_{}": distance}


def _classes_floor(real: Labelled, others: Labelled, key) -> Mapping[str, Any]:
    """The accuracy is that on the reference: the others the classifier may have been trained on."""
    return {**_classes(real, others, key), "class_accuracy_{}": _right(real)}


def _untold_classes(measured: Measured) -> str:
    return "" if measured.conditional else "the model is not class-conditional"


def _no_bits(measured: Measured) -> str:
    if measured.bits(np.zeros(1)) is not None:
        return ""
    return "its likelihood is neither of grey levels nor of dequantised ones, so bits per dimension mean nothing"


def _not_held_out(measured: Measured) -> str:
    return "" if measured.trained is not None else "the reference is of the training part, so nothing is held out"


def no_density(measured: Measured) -> str:
    """Why samples of latents cannot be weighed; empty where they can."""
    has = all(hasattr(measured.model, name) for name in ("encode", "decode", "prior_of"))
    return "" if has else "its model gives no density of latents to weigh samples by"


def sampled(metric: Metric, n_samples: int) -> Metric:
    """A line whose likelihood is by importance sampling, with so many samples; any other line as it is."""
    if "n_samples" not in metric.settings:
        return metric
    return metric._replace(of=partial(metric.of, n_samples=n_samples), settings={"n_samples": n_samples})


METRICS: dict[str, Metric] = {
    "elbo": Metric(bound, "model", {"elbo": "higher"}, needs="elbo"),
    "bpd": Metric(bits_of_bound, "model", {"bpd": "lower"}, needs="elbo", lacks=_no_bits),
    "nll": Metric(
        likelihood, "model", {"nll": "lower", "nll_ess": "", "nll_bpd": "lower"},
        settings={"n_samples": N_IMPORTANCE}, by_default=False, needs="elbo", lacks=no_density,
    ),
    "latents": Metric(latents, "model", by_default=False, needs="sigma"),
    "gap": Metric(
        gap, "model", {"gap": "nearest", "gap_auc": "nearest"}, by_default=False, needs="logit", lacks=_not_held_out,
    ),
    "fd": Metric(
        lambda r, f, key: {"fd_{}": frechet_distance(r, f)}, "features", {"fd": "lower"}, partial(Fitted, "real"),
        of_subsets=_fd_of_subsets, operations=operations,
    ),
    "kd": Metric(lambda r, f, key: {"kd_{}": kernel_distance(r, f)}, "features", {"kd": "lower"}, n_resamples=8),
    "prdc": Metric(
        _prdc, "features", {**dict.fromkeys(("precision", "recall", "density"), "nearest"), "coverage": "higher"},
        n_resamples=8, settings={"k": 5}, least=6,
    ),
    "authenticity": Metric(
        lambda r, f, key: {"authenticity_{}": authenticity(f, r).authentic}, "features",
        {"authenticity": "nearest"}, n_resamples=0, by_default=False, against="training",
    ),
    "classes": Metric(
        _classes, "classes", {"class_accuracy": "nearest", "class_fd": "lower"}, lacks=_untold_classes,
        floor=_classes_floor,
    ),
    "modes": Metric(
        lambda r, f, key: r.coverage(f), "modes", {"modes": "higher", "good_share": "nearest", "modes_kl": "lower"},
    ),
    "mind": Metric(lambda r, f, key: {"mind_{}": mind(r, f, key)}, "features", {"mind": "lower"}, by_default=False),
    "is": Metric(
        lambda r, f, key: {"is_{}": inception_score(f, N_SPLITS, key)[0]}, "logits", {"is": "nearest"},
        settings={"n_splits": N_SPLITS}, by_default=False, least=N_SPLITS,
    ),
}  # fmt: skip
"""Metrics of any data by the name that `--metrics` takes; a domain may have more."""


def chosen(
    names: str, measured: Measured, space: Space, table: Mapping[str, Metric], kinds: Sequence[str], many: str
) -> dict[str, Metric]:
    """The metrics that a comma-separated list names; of an empty one, all that are made by default and apply.

    Args:
        names: the list.
        measured: the model and the data.
        space: where examples are compared.
        table: every metric that there is for these data.
        kinds: of metrics that such data can have.
        many: what examples are called.

    Raises:
        UsageError: there is no such metric, or it does not apply to this model, data or space, and why.
    """
    columns = measured.columns()

    def lacking(m: Metric) -> str:
        if m.needs and m.needs not in columns:
            return f"the model's score has no {m.needs}"
        if m.kind == "modes" and space.modes is None:
            return "the modes of these data are not known"
        if m.kind not in kinds:
            return f"the data are {many}, which have no {m.kind} to compare"
        if m.kind in ("logits", "classes") and space.logits is None:
            return f"the space {space.name} has no classifier"
        return m.lacks(measured)

    if not names:
        return {k: m for k, m in table.items() if m.by_default and not lacking(m)}
    picked = {}
    for name in filter(None, (n.strip() for n in names.split(","))):
        if name not in table:
            raise UsageError(f"--metrics={name}: there is no such metric of {many}. There are {', '.join(table)}.")
        if why := lacking(table[name]):
            raise UsageError(f"--metrics={name}: {why}, so it cannot be measured.")
        picked[name] = table[name]
    if not picked:
        raise UsageError(f"--metrics={names}: names no metric. There are {', '.join(table)}.")
    return picked
