"""A model and the examples that it is measured on: the metrics of models that `genjax eval` has."""

import functools
import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from genjax import data, distributions, nets, rng
from genjax.errors import RunFailure
from genjax.metrics.batches import fixed, over
from genjax.metrics.latents import active_units, aggregate_posterior
from genjax.metrics.likelihood import bits_per_dim, iw_log_likelihood
from genjax.metrics.memorisation import held_out_gap
from genjax.metrics.resampling import HALVES, half_samples
from genjax.types import Batch, Key, Params, State

BATCH = 100
"""Examples scored at once. A score's own draws depend on it."""
N_IMPORTANCE = 5000
"""Importance samples of each example's log-likelihood."""
N_HALVES = 40
"""Halves that the interval of a discriminator's gap comes from."""


class Estimate(NamedTuple):
    """A number that knows how sure it is."""

    value: float
    half: float
    """Half its 95 % interval."""
    method: str
    """How the interval was made, in words."""


class Measured(NamedTuple):
    """A model and the examples that it is measured on."""

    model: Any
    params: Params
    state: State
    score: Callable[[Params, State, Batch, Key], Mapping[str, Any]]
    transform: data.Transform
    part: data.Examples | data.Lazy
    conditional: bool = False
    """Whether the model gets the labels."""
    trained: data.Examples | data.Lazy | None = None
    """The same number of examples that the model was trained on; None where `part` itself holds such."""

    def view(self, batch: Batch) -> Batch:
        """A raw batch as the model sees it: each example drawn once, with the key "test" of seed 0 and its place."""
        return _view(self.transform, self.conditional, batch)

    def columns(self) -> frozenset[str]:
        """The names that the model's score gives."""
        batch = next(data.once(data.take(self.part, np.arange(1)), 1))

        def score(params, state, batch, key):
            return dict(self.score(params, state, self.view(batch), key))

        return frozenset(jax.eval_shape(score, self.params, self.state, batch, jax.random.key(0)))

    def scores(self, names: Sequence[str], key: Key) -> dict[str, np.ndarray]:
        """Columns of the model's score, (n, ...) each; in float32 with full matrix precision, whatever the nets use."""
        score = _scored(self.score, self.transform, self.conditional, tuple(names))
        return over(lambda batch: score(self.params, self.state, batch, key), self.part, BATCH)

    def finite(self, names: Sequence[str], key: Key) -> dict[str, np.ndarray]:
        """`scores`, checked to be finite.

        Raises:
            RunFailure: some are not finite, and what is made of them would not show it.
        """
        found = self.scores(names, key)
        for name, values in found.items():
            if bad := int((~np.isfinite(values)).reshape(len(values), -1).any(1).sum()):
                raise RunFailure(f"{name} of {bad:,} of {len(values):,} examples is NaN or infinite.")
        return found

    def bits(self, log_likelihood: np.ndarray) -> np.ndarray | None:
        """Nats per example as bits per dimension of 8-bit pixels; None where the likelihood is not one of those.

        It is where p(x | z) is a probability of grey levels, or a density of dequantised ones. A density of pixels
        without noise can be as large as one likes; and of binarised images the unit is nats: a bit per binary pixel
        would stand beside numbers of 8-bit pixels that it has nothing to do with.
        """
        of = getattr(getattr(self.model, "likelihood", None), "of", "")
        levels = {"levels": 1, "density": self.transform.levels}.get(of, 0)
        return bits_per_dim(log_likelihood, self._dims(len(log_likelihood)), levels) if levels else None

    def _dims(self, n: int) -> Any:
        """Dimensions of an example; of masked ones those that count, of each of the first n."""
        some = data.take(self.part, np.arange(min(n, data.size(self.part))))
        if some.event_mask is None:
            return int(np.prod(some.x.shape[1:]))
        per = int(np.prod(some.x.shape[some.event_mask.ndim :]))
        return some.event_mask.reshape(len(some.x), -1).sum(1) * per

    def sha256(self) -> str:
        """SHA-256 of the examples as the model sees them: equal hashes mean equal binarisation."""
        digest = hashlib.sha256()
        for batch in data.once(self.part, BATCH):
            keep = np.asarray(batch.mask)
            for leaf in jax.tree.leaves(_compiled_view(self.transform, self.conditional, batch).x):
                digest.update(np.ascontiguousarray(np.asarray(leaf)[keep]).data)
        return digest.hexdigest()


def _view(transform: data.Transform, conditional: bool, batch: Batch) -> Batch:
    seen = fixed(transform, rng.named(jax.random.key(0), "test"))(batch)
    return seen if conditional else seen._replace(y=None)


_compiled_view = jax.jit(_view, static_argnums=(0, 1))


@functools.lru_cache(64)
def _scored(
    score: Callable[..., Any], transform: data.Transform, conditional: bool, names: tuple[str, ...]
) -> Callable[..., Any]:
    """The compiled program of some columns of a score: one for all that share the score, like members of a sweep."""

    def of(params, state, batch, key):
        with nets.full_precision():
            out = score(params, state, _view(transform, conditional, batch), rng.at_step(key, batch.id[0]))
        return {k: out[k] for k in names}

    return jax.jit(of)


@functools.lru_cache(16)
def _importance(model: Any, transform: data.Transform, conditional: bool, n_samples: int) -> Callable[..., Any]:
    """The compiled program of importance-sampled likelihoods, likewise."""

    def of(params, state, batch, key):
        seen = _view(transform, conditional, batch)
        of = {"y": seen.y, "id": batch.id, "event_mask": seen.event_mask}
        found = iw_log_likelihood(model, params, state, seen.x, key, n_samples, **of)
        return {"nll": -found.log_likelihood, "nll_ess": found.ess}

    return jax.jit(of)


def bound(measured: Measured, key: Key) -> dict[str, np.ndarray]:
    """The model's bound on the likelihood of each example and its two parts, nats; one sample of z each."""
    return measured.scores(("elbo", "rate", "distortion"), key)


def bits_of_bound(measured: Measured, key: Key) -> dict[str, np.ndarray | None]:
    """The negative bound of each example in bits per dimension; see `Measured.bits` for where that means something."""
    return {"bpd": measured.bits(bound(measured, key)["elbo"])}


def likelihood(measured: Measured, key: Key, n_samples: int = N_IMPORTANCE) -> dict[str, np.ndarray]:
    """Each example's -log p(x) by importance sampling, nats, and the effective sample size that says if it holds.

    Where bits per dimension mean something, `nll_bpd` has it in those.

    Args:
        measured: the model and the examples.
        key: of the samples.
        n_samples: importance samples of each example; with fewer the estimate is higher.
    """
    score = _importance(measured.model, measured.transform, measured.conditional, n_samples)
    found = over(lambda batch: score(measured.params, measured.state, batch, key), measured.part, BATCH)
    bits = measured.bits(-found["nll"])
    return found if bits is None else {**found, "nll_bpd": bits}


def latents(measured: Measured, key: Key) -> dict[str, float]:
    """How the examples use the latents: active units, I_q(x; z) and KL(q(z) || p(z)), nats."""
    found = measured.finite(("mu", "sigma", "rate"), key)
    mu, sigma = jnp.asarray(found["mu"]), jnp.asarray(found["sigma"])
    rate = None if getattr(measured.model, "prior", None) is None else found["rate"].mean()
    of = aggregate_posterior(distributions.Normal(mu, 2 * jnp.log(sigma)), rng.named(key, "aggregate"), rate=rate)
    return {
        "active_units": float(active_units(mu)),
        "mutual_information": float(of.mutual_information),
        "aggregate_kl": float(of.kl),
    }


def gap(measured: Measured, key: Key) -> dict[str, Estimate]:
    """How well a discriminator tells training examples from as many held-out ones: difference of mean logits, and AUC.

    0 and 1/2 where it has learned none by heart. The first is in its own logits: only the second compares between
    discriminators.
    """
    assert measured.trained is not None
    a, b = (measured._replace(part=part).finite(("logit",), key)["logit"] for part in (measured.trained, measured.part))

    def of(i: np.ndarray) -> dict[str, float]:
        found = held_out_gap(lambda x: x, a[i[i < len(a)]], b[i[i < len(b)]])
        return {"gap": found.gap, "gap_auc": found.auc}

    n = max(len(a), len(b))
    halves = half_samples(of, n, rng.named(key, "halves"), N_HALVES) if n >= 8 else {}
    method = f"{N_HALVES} {HALVES} of both sides"
    return {k: Estimate(v, halves.get(k, float("nan")), method) for k, v in of(np.arange(n)).items()}
