"""The table of metrics: what `genjax eval` can measure, a line each.

A metric of images gets rows of real and of generated images in the space that it names; a metric of models gets the
model and the data. Both give named numbers. A new metric is a function and a line in `METRICS`.
"""

import hashlib
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np

from genjax import data, dist, rng
from genjax.errors import UsageError
from genjax.metrics.evaluate import fixed, over
from genjax.metrics.frechet import frechet_distance, moments
from genjax.metrics.kernel import kernel_distance
from genjax.metrics.latents import active_units, aggregate_posterior
from genjax.metrics.likelihood import iw_log_likelihood
from genjax.metrics.manifold import prdc
from genjax.metrics.score import inception_score
from genjax.metrics.sharpness import high_frequency_share, laplacian_variance
from genjax.metrics.sliced import mind
from genjax.types import Batch, Key, Params, State

BATCH = 100
"""Examples scored at once. A score's own draws depend on it."""
N_SPLITS = 10
"""Parts of the samples that an inception score is the mean of."""
N_IMPORTANCE = 5000
"""Importance samples of each example's log-likelihood."""


class Space(NamedTuple):
    """Where images are compared: the fields of a feature net that a record names."""

    name: str
    sha256: str
    features: Callable[[np.ndarray], np.ndarray]
    """uint8 (n, h, w, c) -> float32 (n, d)"""
    logits: Callable[[np.ndarray], np.ndarray] | None = None
    """uint8 (n, h, w, c) -> (n, classes); None where the space has no classifier."""


def pixels() -> Space:
    """The space of the pixels themselves, scaled to [0, 1]: for data without a feature net.

    Example:
        >>> pixels().features(np.full((1, 2, 2, 1), 255, np.uint8)).tolist()
        [[1.0, 1.0, 1.0, 1.0]]
    """
    return Space("pixels", "", lambda images: images.reshape(len(images), -1).astype(np.float32) / 255.0)


class Measured(NamedTuple):
    """A model and the examples that it is measured on."""

    model: Any
    params: Params
    state: State
    score: Callable[[Params, State, Batch, Key], Mapping[str, Any]]
    transform: data.Transform
    part: data.Images | data.Records
    conditional: bool = False
    """Whether the model gets the labels."""

    def view(self, batch: Batch) -> Batch:
        """A raw batch as the model sees it: each example drawn once, with the key "test" of seed 0 and its place."""
        seen = fixed(self.transform, rng.named(jax.random.key(0), "test"))(batch)
        return seen if self.conditional else seen._replace(y=None)

    def columns(self) -> frozenset[str]:
        """The names that the model's score gives."""
        batch = next(data.once(data.take(self.part, np.arange(1)), 1))

        def score(params, state, batch, key):
            return dict(self.score(params, state, self.view(batch), key))

        return frozenset(jax.eval_shape(score, self.params, self.state, batch, jax.random.key(0)))

    def sha256(self) -> str:
        """Of the examples as the model sees them: equal hashes, equal binarisation."""
        digest = hashlib.sha256()
        view = jax.jit(self.view)
        for batch in data.once(self.part, BATCH):
            keep = np.asarray(batch.mask)
            for leaf in jax.tree.leaves(view(batch).x):
                digest.update(np.ascontiguousarray(np.asarray(leaf)[keep]).data)
        return digest.hexdigest()


Numbers: TypeAlias = Mapping[str, float]


class Metric(NamedTuple):
    """A line of the table.

    Attributes:
        of: `of(real, fake, key) -> {name: number}`; of a model `of(measured, key) -> {name: number, or one for each
            example (n,), whose mean is meant}`. In a name, `{}` stands for the space's.
        space: what real and fake are: rows of `features`, `logits`, or uint8 `images`; or `model`.
        better: of each name without its `_{}`: `lower` or `higher`.
        prepare: applied to the real rows once.
        n_resamples: halves that the interval over samples comes from; 0 for none.
        settings: its own numbers, which are part of the protocol.
        by_default: measured where nobody chose.
        needs: a column of the model's score without which the metric does not apply; empty for none.
        definition: grows when the same inputs give other numbers than before.
    """

    of: Callable[..., Mapping[str, Any]]
    space: Literal["features", "logits", "images", "model"]
    better: Mapping[str, str] = {}
    prepare: Callable[[np.ndarray], Any] = lambda real: real
    n_resamples: int = 20
    settings: Mapping[str, float | int | str] = {}
    by_default: bool = True
    needs: str = ""
    definition: int = 1


def scored(measured: Measured, key: Key) -> dict[str, np.ndarray]:
    """The model's bound on the likelihood of each example and its two parts, nats; one sample of z each."""

    @jax.jit
    def score(params, state, batch, key):
        out = measured.score(params, state, measured.view(batch), rng.at_step(key, batch.id[0]))
        return {k: out[k] for k in ("elbo", "rate", "distortion")}

    return over(lambda batch: score(measured.params, measured.state, batch, key), measured.part, BATCH)


def likelihood(measured: Measured, key: Key) -> dict[str, np.ndarray]:
    """Each example's -log p(x) by importance sampling, nats, and the effective sample size that says if it holds."""

    @jax.jit
    def score(params, state, batch, key):
        seen = measured.view(batch)
        found = iw_log_likelihood(
            measured.model, params, state, seen.x, key, N_IMPORTANCE, y=seen.y, id=batch.id
        )  # fmt: skip
        return {"nll": -found.log_likelihood, "nll_ess": found.ess}

    return over(lambda batch: score(measured.params, measured.state, batch, key), measured.part, BATCH)


def latents(measured: Measured, key: Key) -> dict[str, float]:
    """How the examples use the latents: active units, I_q(x; z) and KL(q(z) || p(z)), nats."""

    @jax.jit
    def encode(params, state, batch, key):
        out = measured.score(params, state, measured.view(batch), rng.at_step(key, batch.id[0]))
        return {k: out[k] for k in ("mu", "sigma")}

    found = over(lambda batch: encode(measured.params, measured.state, batch, key), measured.part, BATCH)
    mu, sigma = jnp.asarray(found["mu"]), jnp.asarray(found["sigma"])
    of = aggregate_posterior(dist.Normal(mu, 2 * jnp.log(sigma)), rng.named(key, "aggregate"))
    return {
        "active_units": float(active_units(mu)),
        "mutual_information": float(of.mutual_information),
        "aggregate_kl": float(of.kl),
    }


def _sharpness(images: np.ndarray) -> tuple[float, float]:
    return float(high_frequency_share(images).mean()), float(laplacian_variance(images).mean())


def _sharper(real: tuple[float, float], fake, key) -> Numbers:
    """Over those of real images: 1 is as sharp as they are, below is blur, above is noise; of constant ones NaN."""
    each = [f / r if r > 0 else float("nan") for f, r in zip(_sharpness(fake), real, strict=True)]
    return dict(zip(("high_frequency_ratio", "laplacian_ratio"), each, strict=True))


def _prdc(real, fake, key) -> Numbers:
    return dict(zip(("precision", "recall", "density", "coverage"), map(float, prdc(real, fake, k=5)), strict=True))


METRICS: dict[str, Metric] = {
    "elbo": Metric(scored, "model", {"elbo": "higher"}, needs="elbo"),
    "nll": Metric(
        likelihood, "model", {"nll": "lower", "nll_ess": "higher"}, settings={"n_samples": N_IMPORTANCE},
        by_default=False, needs="elbo",
    ),
    "latents": Metric(latents, "model", by_default=False, needs="sigma"),
    "fd": Metric(lambda r, f, key: {"fd_{}": frechet_distance(r, f)}, "features", {"fd": "lower"}, moments),
    "kd": Metric(lambda r, f, key: {"kd_{}": kernel_distance(r, f)}, "features", {"kd": "lower"}, n_resamples=8),
    "prdc": Metric(
        _prdc, "features", dict.fromkeys(("precision", "recall", "density", "coverage"), "higher"),
        n_resamples=8, settings={"k": 5},
    ),
    "sharpness": Metric(_sharper, "images", prepare=_sharpness),
    "mind": Metric(lambda r, f, key: {"mind_{}": mind(r, f, key)}, "features", {"mind": "lower"}, by_default=False),
    "is": Metric(
        lambda r, f, key: {"is_{}": inception_score(f, N_SPLITS, key)[0]}, "logits", {"is": "higher"},
        settings={"n_splits": N_SPLITS}, by_default=False,
    ),
}  # fmt: skip
"""Every metric by the name that `--metrics` takes."""


def chosen(names: str, measured: Measured, space: Space) -> dict[str, Metric]:
    """The metrics that a comma-separated list names; of an empty one, all that are made by default and apply.

    Raises:
        UsageError: there is no such metric, or it does not apply to this model or space, and why.
    """
    columns = measured.columns()

    def lacking(m: Metric) -> str:
        if m.needs and m.needs not in columns:
            return f"the model's score has no {m.needs}"
        return f"the space {space.name} has no classifier" if m.space == "logits" and space.logits is None else ""

    if not names:
        return {k: m for k, m in METRICS.items() if m.by_default and not lacking(m)}
    picked = {}
    for name in filter(None, (n.strip() for n in names.split(","))):
        if name not in METRICS:
            raise UsageError(f"--metrics={name}: there is no such metric. There are {', '.join(METRICS)}.")
        if why := lacking(METRICS[name]):
            raise UsageError(f"--metrics={name}: {why}, so it cannot be measured.")
        picked[name] = METRICS[name]
    if not picked:
        raise UsageError(f"--metrics={names}: names no metric. There are {', '.join(METRICS)}.")
    return picked
