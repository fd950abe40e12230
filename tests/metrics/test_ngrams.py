"""n-gram divergence, BLEU, self-BLEU, novelty, and the model that counts n-grams: by hand, by enumeration, by NLTK."""

import itertools
import math

import numpy as np
import pytest

from genjax import metrics
from genjax.errors import UsageError
from genjax.metrics.ngram_model import NgramModel, bits_per_symbol
from genjax.metrics.ngrams import bleu, ngram_js, novelty, self_bleu

WORDS = ["the", "a", "cat", "dog", "sat", "ran", "on", "mat"]


def sentences(n, seed, low=2, high=9):
    rng = np.random.default_rng(seed)
    return [[WORDS[i] for i in rng.integers(0, len(WORDS), rng.integers(low, high))] for _ in range(n)]


def test_divergence_is_that_of_the_two_histograms():
    rng = np.random.default_rng(0)
    a, b = rng.integers(0, 3, (50, 8)), rng.integers(0, 4, (40, 8))
    p, q = (np.zeros((4, 4)) for _ in range(2))
    for x, of in ((a, p), (b, q)):
        np.add.at(of, (x[:, :-1].ravel(), x[:, 1:].ravel()), 1)
        of /= of.sum()
    m = (p + q) / 2
    kl = lambda u: float((u[u > 0] * np.log2(u[u > 0] / m[u > 0])).sum())  # noqa: E731
    assert ngram_js(a, b, 2) == pytest.approx((kl(p) + kl(q)) / 2)


@pytest.mark.parametrize("n", [2, 4])
def test_bleu_is_nltks(n):
    translate = pytest.importorskip("nltk.translate.bleu_score")
    smooth, weights = translate.SmoothingFunction().method1, (1 / n,) * n
    a, b = sentences(12, 0), sentences(20, 1)
    one = lambda h, rest: translate.sentence_bleu(rest, h, weights, smoothing_function=smooth)  # noqa: E731
    assert bleu(a, b, n) == pytest.approx(np.mean([one(h, b) for h in a]))
    assert self_bleu(a, n) == pytest.approx(np.mean([one(h, a[:i] + a[i + 1 :]) for i, h in enumerate(a)]))


def test_novelty_counts_copies_repetitions_and_known_ngrams():
    train = np.array([[0, 1, 2, 3], [3, 2, 1, 0]])
    found = novelty(np.array([[0, 1, 2, 3], [0, 1, 2, 3], [1, 2, 3, 0]]), train, 3)
    assert found == (2 / 3, 2 / 3, pytest.approx(5 / 6))


def test_a_model_of_counts_is_a_distribution_and_learns():
    rng = np.random.default_rng(0)
    train = [[int(v) for v in (rng.integers(0, 3) + np.arange(12)) % 3] for _ in range(20)]
    model = NgramModel(train, 3, 3)
    total = sum(math.exp(model.log_prob(s)) for s in itertools.product(range(3), repeat=4))
    assert total == pytest.approx(1.0)
    assert bits_per_symbol([model.log_prob(s) for s in train], [len(s) for s in train]) < 0.4
    drawn = [model.sample(rng, 12) for _ in range(50)]
    assert ngram_js(drawn, train, 2) < 0.1


def test_a_model_of_counts_by_hand():
    model = NgramModel([[0, 1], [0, 1], [0, 2]], 2, 4)
    unigram = np.array([3, 2, 1, 0]) / 9 + 3 / 9 * 0.25
    expected = np.array([0, 2, 1, 0]) / 5 + 2 / 5 * unigram
    np.testing.assert_allclose(model.probabilities([3, 0]), expected)
    np.testing.assert_allclose(model.probabilities([3]), unigram)
    np.testing.assert_allclose(model.probabilities([]), np.array([3, 0, 0, 0]) / 4 + unigram / 4)


def test_samples_end_at_the_end():
    model = NgramModel([[0, 1, 2]] * 5, 2, 3, smoothing=1e-6)
    assert model.sample(np.random.default_rng(0), 10, end=2) == [0, 1, 2]


def test_nothing_to_compare_is_refused():
    for call in (lambda: ngram_js(["a"], ["ab"], 2), lambda: bleu([], ["a"]), lambda: self_bleu(["a"]),
                 lambda: novelty([], []), lambda: NgramModel([], 0, 1)):  # fmt: skip
        with pytest.raises(UsageError):
            call()
    assert metrics
