"""The pictures of a report that need the model: each family's in a few compiled calls, from the evaluation weights.

The images are functions of the run alone: real ones stand at evenly spaced places of the data set, latents come from
the run's seed.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.scipy.stats import norm

from genjax import data, models, rng, train, viz
from genjax.data import Dataset, Images
from genjax.errors import UsageError
from genjax.types import Batch, Key, Params, State

N_SAMPLES, N_PAIRS, N_ENCODED, N_SCORED = 25, 16, 256, 256
"""Samples shown; images reconstructed; those that measure latent activity; those a discriminator scores, per group."""
N_DIMS, N_ACROSS, N_PATHS, N_MANIFOLD = 10, 9, 5, 15
"""Traversed dimensions; images along a traversal or a path; paths; side of the manifold's square."""


class Row(NamedTuple):
    """Images of one line of a figure, and what stands beside it."""

    label: str
    images: np.ndarray
    """uint8 (n, h, w, c)"""


class Figure(NamedTuple):
    """A figure of labelled lines of images."""

    kind: str
    title: str
    text: str
    rows: tuple[Row, ...]
    ends: tuple[str, ...] = ()
    """What stands under the left end, the middle and the right end."""


class Pictures(NamedTuple):
    """All that a run's model gives to look at."""

    samples: np.ndarray
    """uint8 (n, h, w, c), from the weights as they are now."""
    real: np.ndarray | None
    """uint8 (n, h, w, c) of the data set; None where it could not be loaded."""
    figures: tuple[Figure, ...]
    scores: dict[str, np.ndarray]
    """The discriminator's outputs on groups of images; empty for a VAE."""
    is_probability: bool
    """Whether `scores` are probabilities of being real, or logits."""


def draw(run: Any, dataset: Dataset | None) -> Pictures:
    """The pictures of an opened run (`train.open_run`); without its data set those that need real images are left out.

    Raises:
        UsageError: the model is neither a VAE nor a GAN.
    """
    key = rng.named(jax.random.key(getattr(run.config, "seed", 0)), "report")
    params, state = jax.device_put(train.evaluation(run.state))
    model = run.experiment.model
    if isinstance(model, models.VAE):
        return _vae(run, model, params, state, key, dataset)
    if isinstance(model, models.GAN):
        return _gan(run, model, params, state, key, dataset)
    raise UsageError(f"{type(model).__name__}: a report draws pictures of models.VAE and models.GAN.")


def spread(part: Images | data.Records, n: int) -> Images:
    """Up to n images at evenly spaced places, so that a set sorted by class shows more than its first."""
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
    """Latents of many figures collected for one compiled call, and the images handed back by figure."""

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


def _common(latents: _Latents, model: Any, key: Key) -> tuple[slice, list[slice]]:
    """Samples, and for a conditional model a line of the same latents for each class."""
    z = np.asarray(jax.random.normal(rng.named(key, "samples"), (N_SAMPLES, model.z_dim)))
    samples = latents.add(z, np.arange(N_SAMPLES) % max(1, model.n_classes))
    return samples, [latents.add(z[:N_ACROSS], c) for c in range(min(model.n_classes, 20))]


def _classes(images: np.ndarray, places: Sequence[slice]) -> list[Figure]:
    if not places:
        return []
    text = (
        "One line for each label. A column shares its latent: what stays the same down a column is style, what changes "
        "is the class."
    )
    lines = tuple(Row(f"class {c}", images[p]) for c, p in enumerate(places))
    return [Figure("classes", "Samples by class", text, lines)]


def _vae(run, model: models.VAE, params: Params, state: State, key: Key, dataset: Dataset | None) -> Pictures:
    transform = run.experiment.transform

    @jax.jit
    def look(params, state, raw, y):
        batch = transform.apply(rng.named(key, "transform"), Batch(raw, y))
        q, _ = model.encode(params["vae"], state["vae"], batch.x, y)
        return q.mu, q.logvar, transform.inverse(batch.x)

    @jax.jit
    def generate(params, state, z, y):
        return transform.inverse(model.generate(params, state, z, y))

    latents, real, held_out = _Latents(), None, False
    samples, classes = _common(latents, model, key)
    mu, y = np.zeros((1, model.z_dim), np.float32), np.zeros(1, np.int32)
    if dataset is not None:
        held_out = dataset.test is not None
        real = spread(dataset.test if held_out else dataset.train, N_ENCODED)
        y = real.label if model.n_classes else np.zeros(len(real.image), np.int32)
        mu, logvar, seen = map(np.asarray, look(params, state, real.image, jnp.asarray(y) if model.n_classes else None))
        activity = 0.5 * (mu**2 + np.exp(logvar) - logvar - 1).mean(axis=0)
        pick = np.unique(np.linspace(0, len(mu) - 1, min(N_PAIRS, len(mu))).astype(int))
        pairs = latents.add(mu[pick], y[pick])
    dims = np.argsort(-activity)[:N_DIMS] if real is not None else np.arange(min(N_DIMS, model.z_dim))
    along = np.linspace(-3.0, 3.0, N_ACROSS, dtype=np.float32)
    traversals = [latents.add(np.where(np.arange(model.z_dim) == d, along[:, None], mu[:1]), y[0]) for d in dims]
    ends = mu if len(mu) > 1 else np.asarray(jax.random.normal(rng.named(key, "paths"), (2 * N_PATHS, model.z_dim)))
    paths = _paths(latents, ends, y, lambda a, b, t: (1 - t)[:, None] * a + t[:, None] * b)
    if model.z_dim == 2:
        ticks = np.asarray(norm.ppf((jnp.arange(N_MANIFOLD) + 0.5) / N_MANIFOLD))
        across, down = np.meshgrid(ticks, ticks[::-1])
        manifold = latents.add(np.stack([across, down], axis=-1).reshape(-1, 2), 0)
    images = viz.to_uint8(generate(params, state, *latents.arrays(model.n_classes)))

    figures = []
    if real is not None:
        figures.append(_pairs(real.image[pick], viz.to_uint8(seen[pick]), images[pairs], held_out))
    if model.z_dim == 2:
        text = (
            "The whole latent plane, each image the decoder's at one point: the points divide the prior into cells of "
            "equal probability, so each is equally likely to be drawn. Left to right is z₁, bottom to top z₂."
        ) + (" Shown is class 0." if model.n_classes else "")
        lines = np.split(images[manifold], N_MANIFOLD)
        figures.append(Figure("manifold", "The latent plane", text, tuple(Row("", line) for line in lines)))
    figures += _classes(images, classes)
    text = "One latent dimension moved from −3 to 3 standard deviations of the prior, the others held at the "
    text += "origin. " if real is None else (
        "code of one image; the dimensions that say most, and beside each how much it says in nats per image. "
    )
    text += "A dimension that changes nothing is not used."
    said = [f"z{d + 1}" + (f" · {activity[d]:.2f} nats" if real is not None else "") for d in dims]
    lines = tuple(Row(label, images[place]) for label, place in zip(said, traversals, strict=True))
    figures.append(Figure("traversals", "Latent traversals", text, lines, ("−3 sd", "0", "+3 sd")))
    text = (
        "The codes of two real images, and the decoder's images on the straight line between them."
        if real is not None
        else "Straight lines between two latents drawn from the prior."
    ) + " Every image on the way should be a plausible one."
    figures.append(Figure("interpolations", "Interpolations", text, tuple(Row("", images[p]) for p in paths)))
    return Pictures(images[samples], None if real is None else _some(real.image), tuple(figures), {}, False)


def _gan(run, model: models.GAN, params: Params, state: State, key: Key, dataset: Dataset | None) -> Pictures:
    transform, score = run.experiment.transform, run.experiment.score
    latents = _Latents()
    samples, classes = _common(latents, model, key)
    ends = np.asarray(jax.random.normal(rng.named(key, "paths"), (2 * N_PATHS, model.z_dim)))
    labels = np.repeat(np.arange(N_PATHS), 2) % max(1, model.n_classes)
    paths = _paths(latents, ends, labels, slerp)
    groups: dict[str, Images] = {}
    if dataset is not None:
        groups["training"] = spread(dataset.train, N_SCORED)
        if dataset.test is not None:
            groups["test"] = spread(dataset.test, N_SCORED)
    raw = np.concatenate([g.image for g in groups.values()]) if groups else np.zeros((0, *run.spec.shape), np.uint8)
    y_raw = np.concatenate([g.label for g in groups.values()]) if groups and model.n_classes else np.zeros(len(raw))
    z = np.asarray(jax.random.normal(rng.named(key, "scored"), (N_SCORED, model.z_dim)))
    scored = latents.add(z, np.arange(N_SCORED) % max(1, model.n_classes))

    @jax.jit
    def look(params, state, raw, labels, z, y):
        fake = model.generate(params, state, z, y)
        real = transform.apply(rng.named(key, "transform"), Batch(raw, labels)).x
        both = Batch(jnp.concatenate([real, fake[scored]]), None if y is None else jnp.concatenate([labels, y[scored]]))
        return transform.inverse(fake), score(params, state, both, rng.named(key, "score"))

    y_raw = jnp.asarray(y_raw, jnp.int32) if model.n_classes else None
    images, outputs = look(params, state, jnp.asarray(raw), y_raw, *latents.arrays(model.n_classes))
    images = viz.to_uint8(images)
    is_probability = "probability" in outputs
    output = np.asarray(outputs["probability" if is_probability else "logit"])
    *of_real, of_fake = np.split(output, np.cumsum([len(g.image) for g in groups.values()]))
    scored_real = dict(zip(groups, of_real, strict=True))
    # generated second: it then has the colour that it has in the curves over training
    scores = {k: v for k, v in scored_real.items() if k == "training"} | {"generated": of_fake} | scored_real
    text = (
        "Arcs between two latents drawn from the prior, which keep the length that samples of the prior have. A smooth "
        "change through plausible images speaks for a generator that has not learnt single images by heart."
    )
    figures = [*_classes(images, classes),
               Figure("interpolations", "Interpolations", text, tuple(Row("", images[p]) for p in paths))]
    real = next(reversed(groups.values())).image if groups else None
    return Pictures(images[samples], None if real is None else _some(real), tuple(figures), scores, is_probability)


def _some(images: np.ndarray) -> np.ndarray:
    """As many as there are samples, evenly spaced."""
    return images[:: max(1, len(images) // N_SAMPLES)][:N_SAMPLES]


def _paths(latents: _Latents, ends: np.ndarray, y: np.ndarray, between) -> list[slice]:
    """Lines of images between pairs of latents, the pairs far apart in the list; each with its first end's label."""
    half = len(ends) // 2
    starts = np.unique(np.linspace(0, half - 1, min(N_PATHS, half)).astype(int)) if half else []
    t = np.linspace(0.0, 1.0, N_ACROSS)
    return [latents.add(between(ends[i], ends[i + half], t), y[i % len(y)]) for i in starts]


def _pairs(real: np.ndarray, seen: np.ndarray, rebuilt: np.ndarray, held_out: bool) -> Figure:
    """Lines of originals, of what the encoder saw where that differs (binarised pixels), and of reconstructions."""
    text = (
        f"{'Test images, which training never saw,' if held_out else 'Training images (the set has no test part)'} and "
        "the mean of the decoder at the mean of their code. What is missing below is what the code does not carry."
    )
    differs = np.abs(seen.astype(float) - real).mean() > 4.0
    rows: list[Row] = []
    for i in range(0, len(real), 8):
        rows.append(Row("original", real[i : i + 8]))
        if differs:
            rows.append(Row("as the encoder saw it", seen[i : i + 8]))
        rows.append(Row("reconstruction", rebuilt[i : i + 8]))
    return Figure("reconstructions", "Reconstructions", text, tuple(rows))
