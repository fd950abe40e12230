"""The pictures of a report that need the model: each family's in a few compiled calls, from the evaluation weights.

The samples are functions of the run alone: real examples stand at evenly spaced places of the data set, latents come
from the run's seed.
"""

import functools
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, TypeAlias

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from genjax import data, rng, train
from genjax.data import Dataset, Examples
from genjax.domains.contract import Piece
from genjax.errors import UsageError, shown
from genjax.report import words
from genjax.runs.drawing import generated, labels_of
from genjax.types import Batch, Key, Params, State, masked

N_SAMPLES, N_PAIRS, N_ENCODED, N_SCORED = 25, 16, 256, 256
"""Samples shown; examples reconstructed; those that measure latent activity; those a discriminator scores, a group."""
N_DIMS, N_ACROSS, N_PATHS, N_MANIFOLD = 10, 9, 5, 15
"""Traversed dimensions; samples along a traversal or a path; paths; side of the manifold's square."""

Show: TypeAlias = Callable[[Examples, int | None, bool], list[Piece]]
"""`show(examples, ncols, close)`: as a domain shows them."""


class Row(NamedTuple):
    """Examples of one line of a figure, and what stands beside it."""

    label: str
    examples: Examples


class Figure(NamedTuple):
    """A figure of labelled lines of examples."""

    kind: str
    title: str
    text: str
    rows: tuple[Row, ...]
    show: Show
    ends: tuple[str, ...] = ()
    """What stands under the left end, the middle and the right end."""


class Pictures(NamedTuple):
    """All that a run's model gives to look at."""

    samples: Examples
    """From the weights as they are now."""
    real: Examples | None
    """Examples of the data set; None where it could not be loaded."""
    figures: tuple[Figure, ...]
    scores: dict[str, np.ndarray]
    """The discriminator's outputs on groups of examples; empty for a VAE."""
    is_probability: bool
    """Whether `scores` are probabilities of being real, or logits."""
    show: Show


class _Of(NamedTuple):
    """An opened run, and how its examples are made and shown."""

    run: Any
    model: Any
    params: Params
    state: State
    key: Key

    @property
    def show(self) -> Show:
        domain, spec = self.run.domain, self.run.spec
        return lambda examples, ncols, close: domain.show(examples, spec, ncols, close)

    def inverse(self, x: Any) -> Any:
        """What the model sees or gives, as the transform's inverse has it."""
        return x if self.run.domain.as_is else self.run.experiment.transform.inverse(x)

    def finished(self, x: Any) -> Examples:
        return self.run.domain.finish(np.asarray(x), self.run.spec).examples


def draw(run: Any, dataset: Dataset | None) -> Pictures:
    """The pictures of an opened run (`runs.open_run`); without its data set those that need real images are left out.

    Raises:
        UsageError: the model is neither an autoencoder nor a GAN.
    """
    key = rng.named(jax.random.key(getattr(run.config, "seed", 0)), "report")
    model = run.experiment.model
    params, state = jax.device_put(train.evaluation(run.state))
    of = _Of(run, model, params, state, key)
    if hasattr(model, "forward"):
        return _autoencoder(of, dataset)
    if hasattr(model, "fake"):
        return _gan(of, dataset)
    raise UsageError(f"{type(model).__name__}: a report draws pictures of autoencoders and GANs (models.contract).")


def spread(part: Examples | data.Lazy, n: int) -> Examples:
    """Up to n examples at evenly spaced places, so that a set sorted by class shows more than its first."""
    total = data.size(part)
    return data.take(part, np.unique(np.linspace(0, total - 1, min(n, total)).astype(np.int64)))


def slerp(a: np.ndarray, b: np.ndarray, t: np.ndarray) -> np.ndarray:
    """Latents (len(t), z) on the arc from a to b, whose lengths change along with the angle at an even pace.

    A straight line between two Gaussian latents passes nearer to the origin than any sample does.

    Source:
        Shoemake 1985 (the arc); White 2016, Sampling Generative Networks (why for latents).

    Example:
        >>> slerp(np.array([1.0, 0.0]), np.array([0.0, 1.0]), np.array([0.5])).round(4).tolist()
        [[0.7071, 0.7071]]
    """
    t = t[:, None]
    la, lb = np.linalg.norm(a), np.linalg.norm(b)
    angle = np.arccos(np.clip(np.dot(a, b) / max(la * lb, 1e-12), -1.0, 1.0))
    if np.sin(angle) < 1e-4 or la * lb == 0:  # along one line the arc is that line
        return (1 - t) * a[None] + t * b[None]
    arc = (np.sin((1 - t) * angle) * (a / la)[None] + np.sin(t * angle) * (b / lb)[None]) / np.sin(angle)
    return arc * ((1 - t) * la + t * lb)


class _Latents:
    """Latents of many figures collected for one compiled call, and the samples handed back by figure."""

    def __init__(self):
        self.z: list[np.ndarray] = []
        self.y: list[np.ndarray] = []

    def add(self, z: np.ndarray, y: np.ndarray | np.generic | int) -> slice:
        start = sum(len(part) for part in self.z)
        self.z.append(np.asarray(z, np.float32))
        self.y.append(np.broadcast_to(np.asarray(y, np.int32), len(z)))
        return slice(start, start + len(z))

    def arrays(self, n_classes: int):
        return jnp.asarray(np.concatenate(self.z)), jnp.asarray(np.concatenate(self.y)) if n_classes else None


def _common(latents: _Latents, model: Any, z: np.ndarray) -> tuple[slice, list[slice]]:
    """Samples of z, and for a conditional model a line of the same latents for each class."""
    samples = latents.add(z, np.arange(N_SAMPLES) % max(1, model.n_classes))
    return samples, [latents.add(z[:N_ACROSS], c) for c in range(min(model.n_classes, 20))]


def _classes(of: _Of, examples: Examples, places: Sequence[slice]) -> list[Figure]:
    if not places:
        return []
    names = of.run.spec.classes
    lines = tuple(Row(shown(names[c]) if names else f"class {c}", _at(examples, p)) for c, p in enumerate(places))
    return [Figure("classes", "Samples by class", words.CLASSES, lines, of.show)]


def _at(examples: Examples, places: Any) -> Examples:
    return jax.tree.map(lambda v: v[places], examples)


class _Encoded(NamedTuple):
    """What a VAE's encoder makes of real examples."""

    real: Examples
    seen: Examples
    """The same as the encoder sees them: binarised, with noise."""
    y: np.ndarray
    """int32 (n,); zeros for an unconditional model"""
    mu: np.ndarray
    """(n, z): means of the posteriors, or the codes"""
    rate: np.ndarray | None
    """(z,): nats that each dimension says of an example, on average; None where they are not told apart"""
    continuous: bool
    """Whether there is something between two latents (not between two codes)."""
    held_out: bool


def _encode(of: _Of, dataset: Dataset) -> _Encoded:
    model, transform, key = of.model, of.run.experiment.transform, of.key

    @jax.jit
    def look(params, state, raw, y, event_mask):
        batch = transform.apply(rng.named(key, "transform"), Batch(raw, y, event_mask=event_mask))
        out = model.forward(params, state, batch.x, y, key=rng.named(key, "forward"), **masked(batch.event_mask))
        mu = out.latents if out.q is None else out.q.mean
        return mu, out.rate.mean(0), of.inverse(batch.x), out.q is not None

    real = spread(dataset.train if dataset.test is None else dataset.test, N_ENCODED)
    y = _labels(real) if model.n_classes else None
    mu, rate, seen, continuous = map(np.asarray, look(of.params, of.state, real.x, y, real.event_mask))
    told = rate if len(rate) == mu.shape[-1] and continuous else None
    as_seen = of.finished(seen)._replace(event_mask=real.event_mask)
    plain = Examples(real.x, None, real.event_mask)
    return _Encoded(plain, as_seen, _labels(real), mu, told, bool(continuous), dataset.test is not None)


def _autoencoder(of: _Of, dataset: Dataset | None) -> Pictures:
    run, model, params, state, key = of
    show = of.show
    encoded = None if dataset is None else _encode(of, dataset)
    conditional, latents = model.n_classes > 0, _Latents()
    plane = model.z_dim == 2 and getattr(model, "prior", model) is None  # N(0, I) over the plane

    @functools.partial(jax.jit, static_argnums=3)
    def prior(params, state, key, n):
        return model.latents(params, state, model.noise(key, n))

    samples, classes = _common(latents, model, np.asarray(prior(params, state, rng.named(key, "samples"), N_SAMPLES)))
    if encoded is None:
        mu = np.asarray(prior(params, state, rng.named(key, "codes"), 2 * N_PATHS))
        y = np.zeros(len(mu), np.int32)
        dims, base = np.arange(min(N_DIMS, model.z_dim)), np.zeros(model.z_dim)
        pick = np.arange(0)
    else:
        mu, y = encoded.mu, encoded.y
        dims, base = np.argsort(-(mu.var(0) if encoded.rate is None else encoded.rate))[:N_DIMS], mu[0]
        pick = np.unique(np.linspace(0, len(mu) - 1, min(N_PAIRS, len(mu))).astype(int))
    pairs = latents.add(mu[pick], y[pick])
    along = np.linspace(-3.0, 3.0, N_ACROSS)[:, None]
    between = encoded.continuous if encoded else hasattr(model, "encode")
    moved = [latents.add(np.where(np.arange(model.z_dim) == d, along, base[None]), y[0]) for d in dims if between]
    straight = lambda a, b, t: (1 - t)[:, None] * a + t[:, None] * b  # noqa: E731
    paths = _paths(latents, mu, y, straight) if between else []
    manifold = latents.add(_plane() if plane else np.zeros((0, model.z_dim)), 0)

    @jax.jit
    def generate(params, state, z, y):
        return of.inverse(model.picture(params, state, z, y))

    made = of.finished(generate(params, state, *latents.arrays(model.n_classes)))
    figures = [] if encoded is None or not model.z_dim else [_pairs(of, encoded, pick, _at(made, pairs))]
    if plane:
        lines = tuple(Row("", _at(made, slice(i, i + N_MANIFOLD)))
                      for i in range(manifold.start, manifold.stop, N_MANIFOLD))  # fmt: skip
        figures.append(Figure("manifold", "The latent plane", words.plane(conditional), lines, show))
    figures += _classes(of, made, classes)
    rate = None if encoded is None else encoded.rate
    says = ["" if rate is None else f" · {rate[d]:.2f} nats" for d in dims]
    lines = tuple(Row(f"z{d}{said}", _at(made, p)) for d, said, p in zip(dims, says, moved, strict=False))
    text = words.traversals(encoded is not None)
    figures.append(Figure("traversals", "Latent traversals", text, lines, show, ("−3 sd", "0", "+3 sd")))
    text = words.interpolations(encoded is not None, conditional)
    figures.append(Figure("interpolations", "Interpolations", text, tuple(Row("", _at(made, p)) for p in paths), show))
    drawn = tuple(f for f in figures if f.rows)  # a set of one example has no pairs to go between
    seen = _at(made, samples) if run.domain.drawn == "mean" else _drawn(of)
    return Pictures(seen, None if encoded is None else spread(encoded.real, N_SAMPLES), drawn, {}, False, show)


def _drawn(of: _Of) -> Examples:
    """Samples with all of the model's noise."""
    n = min(N_SAMPLES, of.run.domain.shown)
    z = jax.tree.map(np.asarray, of.model.noise(rng.named(of.key, "samples"), n))
    y = labels_of(n, of.model.n_classes)
    made = generated(of.run.experiment, of.run.domain, of.run.spec, of.params, of.state, z, y).examples
    return made._replace(y=None)


def _plane() -> np.ndarray:
    """Latents (n, 2) at the centres of cells of equal probability, top row first."""
    ticks = np.asarray(norm.ppf((jnp.arange(N_MANIFOLD) + 0.5) / N_MANIFOLD))
    return np.stack(np.meshgrid(ticks, ticks[::-1]), axis=-1).reshape(-1, 2)


def _gan(of: _Of, dataset: Dataset | None) -> Pictures:
    run, model, params, state, key = of
    show = of.show
    transform, score, k = run.experiment.transform, run.experiment.score, max(1, model.n_classes)
    groups: dict[str, Examples] = {}
    if dataset is not None:
        groups["training"] = spread(dataset.train, N_SCORED)
        if dataset.test is not None:
            groups["test"] = spread(dataset.test, N_SCORED)
    raw = np.concatenate([np.zeros((0, *run.spec.shape), run.spec.dtype), *(g.x for g in groups.values())])
    labels = np.concatenate([np.zeros(0, np.int32), *(_labels(g) for g in groups.values())])
    masks = [np.asarray(g.event_mask) for g in groups.values() if g.event_mask is not None]
    latents = _Latents()
    samples, classes = _common(latents, model, np.asarray(model.noise(rng.named(key, "samples"), N_SAMPLES)))
    ends = np.asarray(model.noise(rng.named(key, "paths"), 2 * N_PATHS))
    paths = _paths(latents, ends, np.arange(N_PATHS) % k, slerp)
    z = np.asarray(model.noise(rng.named(key, "scored"), N_SCORED))
    scored = latents.add(z, np.arange(N_SCORED) % k)
    event_mask = np.concatenate([*masks, masks[0][np.arange(N_SCORED) % len(masks[0])]]) if masks else None

    @jax.jit
    def look(params, state, raw, labels, z, y, event_mask):
        fake = model.generate(params, state, z, y)
        mask = None if event_mask is None else event_mask[: len(raw)]
        real = transform.apply(rng.named(key, "transform"), Batch(raw, labels, event_mask=mask))
        both = None if y is None else jnp.concatenate([labels, y[scored]])
        masks = None if real.event_mask is None else event_mask
        batch = Batch(jnp.concatenate([real.x, fake[scored]]), both, event_mask=masks)
        return of.inverse(fake), score(params, state, batch, rng.named(key, "score"))

    latent = latents.arrays(model.n_classes)
    made, outputs = look(params, state, raw, labels if model.n_classes else None, *latent, event_mask)
    made, is_probability = of.finished(made), "probability" in outputs
    output = np.asarray(outputs["probability" if is_probability else "logit"])
    *of_real, of_fake = np.split(output, np.cumsum([len(g.x) for g in groups.values()]))
    named = dict(zip(groups, of_real, strict=True))
    # generated second: it then has the colour that it has in the curves over training
    scores = {n: v for n, v in named.items() if n == "training"} | {"generated": of_fake} | named
    lines = tuple(Row("", _at(made, p)) for p in paths)
    arcs = Figure("interpolations", "Interpolations", words.ARCS, lines, show)
    figures = [*_classes(of, made, classes), arcs]
    real = spread(next(reversed(groups.values()))._replace(y=None), N_SAMPLES) if groups else None
    seen = _at(made, samples) if run.domain.drawn == "mean" else _drawn(of)
    return Pictures(seen, real, tuple(figures), scores, is_probability, show)


def _labels(examples: Examples) -> np.ndarray:
    """int32 (n,), zeros where the set has none."""
    n = len(examples.x)
    return np.zeros(n, np.int32) if examples.y is None else np.asarray(examples.y, np.int32)


def _paths(latents: _Latents, ends: np.ndarray, y: np.ndarray, between) -> list[slice]:
    """Lines of samples between pairs of latents, the pairs far apart in the list; each with its first end's label."""
    half = len(ends) // 2
    starts = np.unique(np.linspace(0, half - 1, min(N_PATHS, half)).astype(int)) if half else []
    t = np.linspace(0.0, 1.0, N_ACROSS)
    return [latents.add(between(ends[i], ends[i + half], t), y[i % len(y)]) for i in starts]


def _pairs(of: _Of, encoded: _Encoded, pick: np.ndarray, rebuilt: Examples) -> Figure:
    """Lines of originals, of what the encoder saw where that differs (binarised pixels), and of reconstructions."""
    real, seen, n_values = _at(encoded.real, pick), _at(encoded.seen, pick), of.run.spec.n_values
    differs = bool(n_values) and np.abs(seen.x.astype(float) - real.x).mean() > n_values / 64
    rebuilt = rebuilt if real.event_mask is None else rebuilt._replace(event_mask=real.event_mask)
    rows: list[Row] = []
    for i in range(0, len(real.x), of.run.domain.abreast):
        line = slice(i, i + of.run.domain.abreast)
        rows.append(Row("original", _at(real, line)))
        if differs:
            rows.append(Row("as the encoder saw it", _at(seen, line)))
        rows.append(Row("reconstruction", _at(rebuilt, line)))
    likelihood = getattr(of.model, "likelihood", None)
    text = words.reconstructions(encoded.held_out, *([likelihood.shown] if likelihood is not None else []))
    return Figure("reconstructions", "Reconstructions", text, tuple(rows), of.show)
