"""Metrics of prose alone, as lines of the table of metrics, and the space in which texts are compared."""

from collections import Counter
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np
from jaxtyping import Float

from genjax.data import Examples, size, take
from genjax.metrics.likelihood import bits_per_dim
from genjax.metrics.measured import N_IMPORTANCE, Estimate, Measured, likelihood
from genjax.metrics.ngrams import bleu, js_of_counts, ngrams, novelty, self_bleu
from genjax.metrics.spaces import Numbers
from genjax.metrics.table import Metric, no_density

ORDERS = (1, 2, 3, 4)
"""Lengths of n-grams whose distributions are compared."""
MOST_HYPOTHESES = 500
"""Texts that a BLEU is the mean of; the references are all there are."""
DIMENSIONS, LONGEST = 256, 3
"""Size of the space of n-grams, and the longest n-grams that are counted in it, in symbols."""

MULTIPLIER = np.uint64(6364136223846793005)
"""Knuth's, of a linear congruential generator: neighbouring numbers come out far apart."""
Read = Callable[[np.ndarray], str]
"""A stored text as a string."""


def sequences(examples: Examples) -> list[np.ndarray]:
    """The symbols of each text that count."""
    if examples.event_mask is None:
        return list(examples.x)
    return [row[mask] for row, mask in zip(examples.x, examples.event_mask, strict=True)]


def prose_metrics(unit: str, read: Read) -> dict[str, Metric]:
    """The metrics of texts.

    Args:
        unit: of a symbol, for the names: `bits_per_character`.
        read: how a stored text is read, for metrics of words.
    """
    bits = f"bits_per_{unit}"
    return {
        "bits": Metric(partial(_bits, bits), "model", {bits: "lower"}, needs="elbo"),
        "nll_bits": Metric(
            partial(_nll_bits, f"nll_{bits}"), "model", {f"nll_{bits}": "lower"},
            settings={"n_samples": N_IMPORTANCE}, by_default=False, needs="sigma", lacks=no_density,
        ),
        "ngrams": Metric(
            _divergence, "examples", {f"ngram_js_{n}": "lower" for n in ORDERS}, _counts, n_resamples=8,
        ),
        "bleu": Metric(
            partial(_bleu, read), "examples", {"bleu_2": "nearest", "bleu_4": "nearest", "self_bleu_2": "nearest",
            "self_bleu_4": "nearest"}, partial(_words, read), n_resamples=0, by_default=False,
            settings={"most": MOST_HYPOTHESES},
        ),
        "novelty": Metric(
            _novelty, "examples", {"copies": "nearest", "distinct": "nearest", "seen_4grams": "nearest"},
            n_resamples=0, against="training",
        ),
    }  # fmt: skip


def _n_symbols(measured: Measured) -> np.ndarray:
    """Symbols of each example that count."""
    part = take(measured.part, np.arange(size(measured.part)))
    return np.full(len(part.x), part.x.shape[1]) if part.event_mask is None else part.event_mask.sum(1)


def _ratio(name: str, log_p: np.ndarray, n: np.ndarray) -> dict[str, Estimate]:
    """Bits of all texts together over their symbols, with the interval of a ratio of means over texts."""
    value = bits_per_dim(log_p.sum(), int(n.sum()))
    spread = np.std(bits_per_dim(log_p, 1) - value * n, ddof=1) if len(n) > 1 else np.nan
    half = 1.96 * spread / (n.mean() * np.sqrt(len(n)))
    return {name: Estimate(float(value), float(half), "ratio of means over texts, delta method")}


def _bits(name: str, measured: Measured, key) -> Mapping[str, Any]:
    """The bound; of a model without latents the likelihood itself."""
    return _ratio(name, measured.finite(("elbo",), key)["elbo"], _n_symbols(measured))


def _nll_bits(name: str, measured: Measured, key, n_samples: int = N_IMPORTANCE) -> Mapping[str, Any]:
    found = likelihood(measured, key, n_samples)
    return _ratio(name, -np.asarray(found["nll"]), _n_symbols(measured))


def _counts(examples: Examples) -> dict[int, Counter]:
    texts = sequences(examples)
    return {n: Counter(g for s in texts for g in ngrams(s, n)) for n in ORDERS}


def _divergence(real: dict[int, Counter], fake: Examples, key) -> Numbers:
    mine = _counts(fake)
    return {f"ngram_js_{n}": js_of_counts(real[n], mine[n]) for n in ORDERS}


def _words(read: Read, examples: Examples) -> list[list[str]]:
    return [words for words in (read(row).split() for row in examples.x) if words]


def _bleu(read: Read, real: list[list[str]], fake: Examples, key) -> Numbers:
    words = _words(read, fake)[:MOST_HYPOTHESES]
    found = {}
    for n in (2, 4):
        found[f"bleu_{n}"] = bleu(words, real, n) if words else float("nan")
        found[f"self_bleu_{n}"] = self_bleu(words, n) if len(words) > 1 else float("nan")
    return found


def _novelty(train: Examples, fake: Examples, key) -> Numbers:
    found = novelty(sequences(fake), sequences(train), 4)
    return {"copies": found.copies, "distinct": found.distinct, "seen_4grams": found.seen}


def ngram_vectors(x: np.ndarray, event_mask: np.ndarray | None = None) -> Float[np.ndarray, "n d"]:
    """Texts as rows in which distances mean something: roots of the shares of n-grams of 1 to `LONGEST` symbols.

    n-grams share `DIMENSIONS` places, which a hash deals out; each length weighs the same, and every row has length 1,
    so that the squared distance of two rows is twice a Hellinger distance of their n-grams.
    """
    x = np.asarray(x)
    mask = np.ones(x.shape, bool) if event_mask is None else np.asarray(event_mask, bool)
    out = np.zeros((len(x), DIMENSIONS), np.float64)
    rows = np.broadcast_to(np.arange(len(x))[:, None], x.shape)
    for n in range(1, min(LONGEST, x.shape[1]) + 1):
        t = x.shape[1] - n + 1
        code = np.full((len(x), t), n, np.uint64)
        there = np.ones((len(x), t), bool)
        for k in range(n):
            code = code * MULTIPLIER + x[:, k : k + t].astype(np.uint64) + np.uint64(1)
            there &= mask[:, k : k + t]
        place = ((code ^ (code >> np.uint64(29))) * MULTIPLIER >> np.uint64(40)) % np.uint64(DIMENSIONS)
        counts = np.zeros_like(out)
        np.add.at(counts, (rows[:, :t][there], place[there].astype(np.int64)), 1.0)
        out += counts / np.maximum(counts.sum(1, keepdims=True), 1.0)
    return np.sqrt(out / np.maximum(out.sum(1, keepdims=True), 1e-12)).astype(np.float32)
